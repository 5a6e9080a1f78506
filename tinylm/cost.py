"""What a model costs: parameters, FLOPs and memory, each convention by its name."""

from dataclasses import dataclass
from typing import Literal

from tinylm.config import ModelConfig

FLOPS_PER_PARAMETER_AND_TOKEN = 6.0  # C = 6·N·D, the convention of Kaplan et al. 2020


@dataclass(frozen=True)
class ParameterCount:
    """Parameters of a GPT by part."""

    embedding: int  # token embedding, also used as the output layer
    positions: int  # and the gains of a shift, and an input embedding beside the output's
    attention: int
    mlp: int
    norms: int  # and the gains of shifts within layers

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
    positions = model.context_length * width if model.positions == "learned" else 0
    if model.mixing == "linear":
        attention += width * model.n_heads
        norms += model.head_width * model.n_layers
    if model.shift_layers:
        norms += 2 * model.n_layers * (model.shift + 1) * width
    positions += (model.shift + 1) * width if model.shift else 0
    positions += 0 if model.tied else model.vocab_size * width
    return ParameterCount(
        embedding=model.vocab_size * width,
        positions=positions,
        attention=model.n_layers * attention,
        mlp=model.n_layers * mlp,
        norms=norms,
    )


# --- FLOPs ----------------------------------------------------------------------------------------


def flops_6nd(model: ModelConfig, tokens: int, *, with_output: bool = False) -> float:
    """Training FLOPs by the rule of thumb 6·N·D.

    N is non-embedding (Kaplan et al. 2020, eq. 2.2), or with the output layer (Hoffmann et al.
    2022), which is what 6ND leaves out of the matrix products with weights; it counts norms, which
    do none, and leaves out attention.
    """
    parts = parameter_count(model)
    return (
        FLOPS_PER_PARAMETER_AND_TOKEN
        * (parts.with_output if with_output else parts.non_embedding)
        * tokens
    )


def _product_weights(model: ModelConfig) -> int:
    """Weights that take part in matrix products, each once a token: no norms, biases, positions."""
    width, kv_width = model.d_model, model.kv_heads * model.head_width
    inner = model.mlp_width * (2 if model.mlp == "swiglu" else 1)
    layer = width * (2 * width + 2 * kv_width) + width * (inner + model.mlp_width)
    layer += width * model.n_heads if model.mixing == "linear" else 0
    return model.n_layers * layer + width * model.vocab_size


def forward_flops(
    model: ModelConfig, tokens: int, *, attention: Literal["causal", "full"] = "causal"
) -> float:
    """FLOPs of reading `tokens` tokens in sequences of the whole context: every matrix product.

    Two FLOPs a multiply-add; embedding look-ups, norms and non-linearities are free. In causal
    attention a query meets (T + 1)/2 keys on average; counted as full it meets all T, as if nothing
    were masked, which is what `torch.utils.flop_counter` and Chowdhery et al. (2022, app. B) count.
    Each meeting costs a product with a key and one with a value, of d_model multiply-adds each.
    Linear attention counts as the recurrence that it is, which meets a state as wide as a head.
    """
    causal = model.head_width if model.mixing == "linear" else (model.context_length + 1) / 2
    met = model.context_length if attention == "full" else causal
    meetings = 2 * model.n_layers * model.d_model * met
    return 2.0 * (_product_weights(model) + meetings) * tokens


def flops_exact(model: ModelConfig, tokens: int) -> float:
    """Training FLOPs of every matrix product: forward once, backward twice, causal attention.

    With 2 layers of width 64, context 256 and 512 tokens in the vocabulary this is 1.66 times 6ND;
    the gap closes as the model widens. No convention counts the optimiser.
    """
    return 3 * forward_flops(model, tokens)


# --- memory ---------------------------------------------------------------------------------------

BF16_SHARE = 0.75  # of fp32's activations: the residual stream, norms and rotations stay fp32


def activation_bytes(
    model: ModelConfig,
    rows: int,
    *,
    precision: Literal["fp32", "bf16"] = "fp32",
    recompute: bool = False,
) -> float:
    """Activations that a training step on `rows` sequences holds for its backward pass.

    Per token and layer about 10 d_model for attention (norm, q, k, v, mixed, sum) and
    2 d_model + 3 mlp_width for the MLP, 4 bytes each; attention's T x T weights are never stored.
    Under bf16 autocast about three quarters of that (measured; between 0.6 and 0.8 for the
    variants of `ModelConfig`). With recomputation (Chen et al. 2016) a layer keeps only its input
    and one layer at a time has the rest, for a third more FLOPs; the trainer here never
    recomputes. The logits, their softmax and its gradient take 3 vocab_size in fp32 always.
    """
    share = BF16_SHARE if precision == "bf16" else 1.0
    layer = share * (12 * model.d_model + 3 * model.mlp_width)
    if model.mixing == "linear":  # its T x T weights, before and after they fade
        layer += 3 * model.n_heads * model.context_length
    layers = model.n_layers * model.d_model + layer if recompute else model.n_layers * layer
    per_token = layers + 3 * model.vocab_size + 2 * model.d_model
    return 4.0 * per_token * rows * model.context_length


def state_bytes(model: ModelConfig) -> dict[str, float]:
    """Bytes that last from step to step: fp32 weights, gradients and AdamW's two moments, 16 a
    parameter (Rajbhandari et al. 2020, sec. 3.1, where they are split between fp16 and fp32)."""
    parameters = parameter_count(model).total
    return {
        "weights": 4.0 * parameters,
        "gradients": 4.0 * parameters,
        "optimiser": 8.0 * parameters,
    }


def training_memory_bytes(
    model: ModelConfig,
    batch_size: int,
    *,
    precision: Literal["fp32", "bf16"] = "fp32",
    recompute: bool = False,
) -> float:
    """Memory that training takes: state and activations of `batch_size` sequences at a time, and
    for bf16 the copies of the weights that its products read (2 bytes a parameter). An estimate,
    of the model alone, and of a GPU's memory but for what its libraries keep (about 0.5 GB).
    """
    copies = 2.0 * parameter_count(model).total if precision == "bf16" else 0.0
    activations = activation_bytes(model, batch_size, precision=precision, recompute=recompute)
    return sum(state_bytes(model).values()) + copies + activations


def evaluation_memory_bytes(model: ModelConfig, tokens: int) -> float:
    """What a forward pass over `tokens` tokens holds at its highest, weights apart: the logits and
    their log-softmax, or a layer's MLP before and after its non-linearity, in fp32."""
    inner = model.mlp_width * (2 if model.mlp == "swiglu" else 1)
    per_token = 2 * model.d_model + max(2 * model.vocab_size, inner + model.mlp_width)
    return 4.0 * per_token * tokens


def peak_memory_bytes(
    model: ModelConfig,
    rows: int,
    evaluated: int,
    *,
    precision: Literal["fp32", "bf16"] = "fp32",
) -> float:
    """The most a run takes beside the process itself: state, and the larger of a training step on
    `rows` sequences and an evaluation of `evaluated` tokens at a time."""
    evaluation = sum(state_bytes(model).values()) + evaluation_memory_bytes(model, evaluated)
    return max(training_memory_bytes(model, rows, precision=precision), evaluation)
