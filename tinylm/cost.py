"""What a model costs: parameters, FLOPs and memory, each convention by its name."""

from dataclasses import dataclass

from tinylm.config import ModelConfig


@dataclass(frozen=True)
class ParameterCount:
    """Parameters of a GPT by part."""

    embedding: int  # token embedding, also used as the output layer
    positions: int
    attention: int
    mlp: int
    norms: int

    @property
    def non_embedding(self) -> int:
        """N as Kaplan et al. (2020) count: blocks and norms, no embeddings."""
        return self.attention + self.mlp + self.norms

    @property
    def with_output(self) -> int:
        """N with the output layer, the weights that do arithmetic (Hoffmann et al. 2022)."""
        return self.non_embedding + self.embedding

    @property
    def total(self) -> int:
        """Every trained number."""
        return self.with_output + self.positions


def parameter_count(model: ModelConfig) -> ParameterCount:
    """Parameters by part, from the configuration alone."""
    width, kv_width = model.d_model, model.kv_heads * model.head_width
    qkv = width + 2 * kv_width
    attention = width * qkv + width * width
    inner = model.mlp_width * (2 if model.mlp == "swiglu" else 1)
    mlp = width * inner + model.mlp_width * width
    norms = (2 * model.n_layers + 1) * width * (2 if model.bias else 1)
    if model.bias:
        attention += qkv + width
        mlp += inner + width
    if model.qk_norm:
        norms += 2 * model.head_width * model.n_layers
    return ParameterCount(
        embedding=model.vocab_size * width,
        positions=model.context_length * width if model.positions == "learned" else 0,
        attention=model.n_layers * attention,
        mlp=model.n_layers * mlp,
        norms=norms,
    )


def flops_6nd(model: ModelConfig, tokens: int) -> float:
    """Training FLOPs by the rule of thumb 6·N·D, N non-embedding (Kaplan et al. 2020, eq. 2.2)."""
    return 6.0 * parameter_count(model).non_embedding * tokens


def flops_exact(model: ModelConfig, tokens: int) -> float:
    """Training FLOPs of every matrix product, attention and output layer included.

    Two FLOPs a multiply-add, forward once and backward twice; embedding look-ups, norms and
    non-linearities are free. Attention is causal: a query meets (T + 1)/2 keys on average, and each
    meeting costs a product with a key and one with a value. With 2 layers of width 64, context 256
    and 512 tokens in the vocabulary this is 1.66 times 6ND; the gap closes as the model widens.
    """
    parts = parameter_count(model)
    weights = parts.attention + parts.mlp + parts.embedding  # biases add no product
    if model.bias:
        kv_width = model.kv_heads * model.head_width
        inner = model.mlp_width * (2 if model.mlp == "swiglu" else 1)
        weights -= model.n_layers * (3 * model.d_model + 2 * kv_width + inner)
    meetings = model.n_layers * model.d_model * (model.context_length + 1)  # both products
    return 6.0 * (weights + meetings) * tokens


def training_memory_bytes(model: ModelConfig, batch_size: int) -> float:
    """Memory that fp32 training takes: weights, gradients and AdamW's two moments (16 bytes a
    parameter), and the activations kept for the backward pass. An estimate, of the model alone.

    Per token and layer about 10 d_model for attention (norm, q, k, v, mixed, sum) and
    2 d_model + 3 mlp_width for the MLP; the logits and their gradient take 3 vocab_size.
    """
    per_token = model.n_layers * (12 * model.d_model + 3 * model.mlp_width)
    per_token += 3 * model.vocab_size + 2 * model.d_model
    tokens = batch_size * model.context_length
    return 16.0 * parameter_count(model).total + 4.0 * per_token * tokens
