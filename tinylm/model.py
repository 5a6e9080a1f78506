"""A GPT, read top to bottom: norm, positions, attention, MLP, block, model.

Shapes: B sequences in a batch, T tokens in a sequence, C = d_model, H heads of width W = C / H,
K key-value heads, V tokens in the vocabulary.
"""

import math
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tinylm.config import ModelConfig

# --- norm -----------------------------------------------------------------------------------------


def make_norm(config: ModelConfig, width: int) -> nn.Module:
    """LayerNorm (Ba et al. 2016) or RMSNorm (Zhang & Sennrich 2019) over the last axis."""
    if config.norm == "layernorm":
        return nn.LayerNorm(width, eps=1e-5, bias=config.bias)
    return nn.RMSNorm(width, eps=1e-5)


# --- positions ------------------------------------------------------------------------------------


def rotary_angles(length: int, width: int, base: float = 10_000.0) -> tuple[Tensor, Tensor]:
    """Cosines and sines of the rotary angles, each (length, width).

    Pair j of a head turns by position · base^(-2j/width) (Su et al. 2021, eq. 15). The second half
    of the sines' columns belongs to the second members of the pairs.
    """
    frequencies = base ** (-torch.arange(0, width, 2, dtype=torch.float32) / width)  # (W/2)
    angles = torch.outer(torch.arange(length, dtype=torch.float32), frequencies)  # (T, W/2)
    return angles.cos().repeat(1, 2), torch.cat([-angles.sin(), angles.sin()], dim=1)


def rotate(x: Tensor, cosines: Tensor, sines: Tensor) -> Tensor:
    """Turn each pair (x_j, x_{j+W/2}) of x (B, H, T, W) by its position's angle.

    After it, the product of a query and a key depends only on how far apart they stand.
    """
    half = x.shape[-1] // 2
    swapped = torch.cat([x[..., half:], x[..., :half]], dim=-1)
    return x * cosines + swapped * sines


class Shift(nn.Module):
    """Mix the embeddings of the last few tokens into each token's own, channel by channel.

    x_t = Σ_k g_k ∘ e_{t-k}, a causal convolution (So et al. 2021 put one into attention): the first
    layer then sees short strings of tokens at once, which attention alone would have to gather.
    Starts as the identity. With shift_layers, every layer has two more of them (Allen-Zhu 2025).
    """

    def __init__(self, config: ModelConfig, place: str = "embedding") -> None:
        super().__init__()
        self.length, self.place = config.shift, place
        own, earlier = torch.ones(config.d_model), torch.zeros(config.shift * config.d_model)
        self.gains = nn.Parameter(torch.cat([own, earlier]))  # flat: a gain, and no matrix

    def forward(self, x: Tensor, cache: "KeyValueCache | None" = None) -> Tensor:
        """(B, T, C) to (B, T, C); before the first token there are zeros, or what the cache has."""
        B, T, C = x.shape
        before = x.new_zeros(B, self.length, C)
        if cache is not None:
            before = cache.newest.get(self.place, before)
        both = torch.cat([before, x], dim=1)  # (B, shift + T, C)
        if cache is not None:
            cache.newest[self.place] = both[:, T:]
        gains = self.gains.view(-1, C)
        mixed = x * gains[0]
        for k in range(1, self.length + 1):
            mixed = torch.addcmul(mixed, both[:, self.length - k : self.length - k + T], gains[k])
        return mixed


# --- attention ------------------------------------------------------------------------------------


def attention_weights(queries: Tensor, keys: Tensor) -> Tensor:
    """Causal attention weights softmax(q·k / √W), written out: (B, H, T, S) with S >= T.

    The T queries are the last T of the S positions; each sees the keys up to its own.
    """
    n_queries, width = queries.shape[-2:]
    n_keys = keys.shape[-2]
    scores = queries @ keys.transpose(-2, -1) / math.sqrt(width)  # (B, H, T, S)
    visible = torch.ones(n_queries, n_keys, dtype=torch.bool, device=queries.device)
    visible = visible.tril(diagonal=n_keys - n_queries)
    return scores.masked_fill(~visible, -math.inf).softmax(dim=-1)


def explicit_attention(queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    """Each position's average of the values it may see, weighted: (B, H, T, W). For teaching."""
    return attention_weights(queries, keys) @ values


def fused_attention(queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    """The same as `explicit_attention`, in one kernel that never stores the T x S weights."""
    n_queries, n_keys = queries.shape[-2], keys.shape[-2]
    if n_queries == n_keys:
        return F.scaled_dot_product_attention(queries, keys, values, is_causal=True)
    if n_queries == 1:  # the newest token sees everything before it
        return F.scaled_dot_product_attention(queries, keys, values)
    visible = torch.ones(n_queries, n_keys, dtype=torch.bool, device=queries.device)
    visible = visible.tril(diagonal=n_keys - n_queries)
    return F.scaled_dot_product_attention(queries, keys, values, attn_mask=visible)


class KeyValueCache:
    """Keys and values of the tokens read so far, a pair of (B, K, length, W) for each layer."""

    def __init__(self, n_layers: int) -> None:
        self.layers: list[tuple[Tensor, Tensor] | None] = [None] * n_layers
        self.newest: dict[str, Tensor] = {}  # what each shift last read: (B, shift, C)

    def held(self, layer: int) -> int:
        """Tokens that a layer holds."""
        pair = self.layers[layer]
        return 0 if pair is None else pair[0].shape[-2]

    def extend(self, layer: int, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Append new keys and values to a layer; returns all of them."""
        held = self.layers[layer]
        if held is not None:
            keys = torch.cat([held[0], keys], dim=-2)
            values = torch.cat([held[1], values], dim=-2)
        self.layers[layer] = keys, values
        return keys, values


class CausalSelfAttention(nn.Module):
    """Multi-head attention (Vaswani et al. 2017) in which a token sees only itself and the past."""

    cosines: Tensor
    sines: Tensor

    def __init__(self, config: ModelConfig, layer: int) -> None:
        super().__init__()
        self.layer = layer
        self.n_heads, self.kv_heads = config.n_heads, config.kv_heads
        self.width = config.head_width
        kv_width = self.kv_heads * self.width
        self.split = (config.d_model, kv_width, kv_width)
        self.qkv = nn.Linear(config.d_model, sum(self.split), bias=config.bias)
        self.out = nn.Linear(config.d_model, config.d_model, bias=config.bias)
        self.rotary = config.positions == "rotary"
        if self.rotary:
            cosines, sines = rotary_angles(config.context_length, self.width)
            self.register_buffer("cosines", cosines, persistent=False)
            self.register_buffer("sines", sines, persistent=False)
        self.query_norm = nn.RMSNorm(self.width) if config.qk_norm else None
        self.key_norm = nn.RMSNorm(self.width) if config.qk_norm else None
        self.query_scale = config.mup_factor**-0.5
        self.induction_heads = config.induction_heads
        self.unturned = 0 if config.induction_positions else config.induction_heads

    @torch.no_grad()
    def match(self, size: float) -> None:
        """Start the keys of induction heads as their queries, both `size` times as large: each
        token finds its like before it has learnt to. Larger maps part more slowly, since steps are
        of one size.
        """
        queries, keys, _ = torch.split(self.qkv.weight, list(self.split))
        queries = queries.view(self.kv_heads, -1, self.width, queries.shape[1])  # (K, H/K, W, C)
        keys = keys.view(self.kv_heads, self.width, keys.shape[1])
        queries[-self.induction_heads :] *= size
        keys[-self.induction_heads :] = queries[-self.induction_heads :, 0]

    def project(self, x: Tensor, start: int = 0) -> tuple[Tensor, Tensor, Tensor]:
        """Queries (B, H, T, W), keys and values (B, K, T, W) of x (B, T, C) at `start` onwards."""
        B, T, _ = x.shape
        q, k, v = self.qkv(x).split(self.split, dim=-1)
        q = q.view(B, T, self.n_heads, self.width).transpose(1, 2)
        k = k.view(B, T, self.kv_heads, self.width).transpose(1, 2)
        v = v.view(B, T, self.kv_heads, self.width).transpose(1, 2)
        if self.query_norm is not None and self.key_norm is not None:
            q, k = self.query_norm(q), self.key_norm(k)
        if self.query_scale != 1:
            q = q * self.query_scale
        if self.rotary:
            q, k = self.turn(q, start), self.turn(k, start)
        return q, k, v

    def turn(self, heads: Tensor, start: int) -> Tensor:
        """Rotate queries or keys (B, H or K, T, W) at `start` onwards, but for induction heads that
        have no positions: rotated, narrow ones have few pairs left that can tell contents."""
        n_heads, end = heads.shape[1], start + heads.shape[2]
        cosines, sines = self.cosines[start:end], self.sines[start:end]
        if not self.unturned:
            return rotate(heads, cosines, sines)
        turned, plain = heads.tensor_split([-self.unturned * n_heads // self.kv_heads], dim=1)
        return torch.cat([rotate(turned, cosines, sines), plain], dim=1)

    def share_heads(self, kv: Tensor) -> Tensor:
        """Repeat key-value heads so that each query head has one: (B, H, T, W)."""
        repeats = self.n_heads // self.kv_heads
        return kv if repeats == 1 else kv.repeat_interleave(repeats, dim=1)

    def look_behind(self, keys: Tensor) -> Tensor:
        """In the last induction_heads of the keys (B, K, S, W), each token's key is that of the
        token before it, and the first one's is zero. A query for its own token then reads what
        followed the last time; trained models come to it late (Olsson et al. 2022).
        """
        if not self.induction_heads:
            return keys
        plain, moved = keys.tensor_split([self.kv_heads - self.induction_heads], dim=1)
        return torch.cat([plain, F.pad(moved[:, :, :-1], (0, 0, 1, 0))], dim=1)

    def weights(self, x: Tensor) -> Tensor:
        """How much each position takes of each: x (B, T, C) to (B, H, T, T)."""
        q, k, _ = self.project(x)
        return attention_weights(q, self.share_heads(self.look_behind(k)))

    def forward(self, x: Tensor, cache: KeyValueCache | None = None) -> Tensor:
        """Mix information between positions: (B, T, C) to (B, T, C)."""
        q, k, v = self.project(x, start=cache.held(self.layer) if cache else 0)
        if cache is not None:
            k, v = cache.extend(self.layer, k, v)
        k = self.look_behind(k)
        mixed = fused_attention(q, self.share_heads(k), self.share_heads(v))  # (B, H, T, W)
        return cast(Tensor, self.out(mixed.transpose(1, 2).flatten(2)))


class GatedLinearAttention(CausalSelfAttention):
    """No softmax, and a past that fades as each token says (Yang et al. 2024; Dao & Gu 2024):
    y_t = Σ_{s≤t} e^(c_t - c_s) (q_t·k_s) v_s with c the summed log gates of a head, then RMSNorm.

    As a recurrence it has a state of W² numbers per head, however long the text. Here it is written
    out like attention, which is faster on short texts.
    """

    def __init__(self, config: ModelConfig, layer: int) -> None:
        super().__init__(config, layer)
        self.gates = nn.Linear(config.d_model, config.n_heads, bias=False)
        self.mixed_norm = nn.RMSNorm(self.width)

    def log_gates(self, x: Tensor) -> Tensor:
        """Log of what each token leaves of the past, (B, H, T, 1); at first about 0.96 is left."""
        return F.logsigmoid(self.gates(x).float()).transpose(1, 2)[..., None] / 16

    def faded(self, q: Tensor, k: Tensor, fade: Tensor) -> Tensor:
        """Products of queries (B, H, T, W), the last of S positions, and keys (B, H, S, W), times
        what has been left in between; `fade` (B, H, S, 1) are summed log gates.
        """
        T, S = q.shape[-2], k.shape[-2]
        between = fade[:, :, S - T :] - fade.transpose(-2, -1)
        visible = torch.ones(T, S, dtype=torch.bool, device=q.device).tril(diagonal=S - T)
        return (q @ k.transpose(-2, -1)) * between.masked_fill(~visible, -math.inf).exp()

    def weights(self, x: Tensor) -> Tensor:
        """As of attention, but of either sign, and not adding up to one."""
        q, k, _ = self.project(x)
        return self.faded(q, self.look_behind(k), self.log_gates(x).cumsum(2))

    def forward(self, x: Tensor, cache: KeyValueCache | None = None) -> Tensor:
        """Mix information between positions: (B, T, C) to (B, T, C)."""
        q, k, v = self.project(x, start=cache.held(self.layer) if cache else 0)
        fade = self.log_gates(x)
        if cache is not None:  # which keeps the log gates beside the values
            k, v = cache.extend(self.layer, k, torch.cat([v, fade.to(v.dtype)], dim=-1))
            v, fade = v[..., :-1], v[..., -1:].float()
        mixed = self.faded(q, self.look_behind(k), fade.cumsum(2)).to(v.dtype) @ v
        return cast(Tensor, self.out(self.mixed_norm(mixed).transpose(1, 2).flatten(2)))


# --- MLP and block --------------------------------------------------------------------------------


class MLP(nn.Module):
    """Two linear maps with a non-linearity between: GELU as in GPT-2, SwiGLU (Shazeer 2020), or
    the square of ReLU (So et al. 2021), the cheapest.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.gated, self.squared_relu = config.mlp == "swiglu", config.mlp == "relu2"
        inner = 2 * config.mlp_width if self.gated else config.mlp_width
        self.up = nn.Linear(config.d_model, inner, bias=config.bias)
        self.down = nn.Linear(config.mlp_width, config.d_model, bias=config.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Transform each position alone: (B, T, C) to (B, T, C)."""
        hidden = self.up(x)
        if self.gated:
            gate, value = hidden.chunk(2, dim=-1)
            return cast(Tensor, self.down(F.silu(gate) * value))
        if self.squared_relu:
            return cast(Tensor, self.down(F.relu(hidden).square()))
        return cast(Tensor, self.down(F.gelu(hidden, approximate="tanh")))


class Block(nn.Module):
    """One layer: attention, then MLP, each reading a normalised copy of the residual stream."""

    def __init__(self, config: ModelConfig, layer: int) -> None:
        super().__init__()
        linear = config.mixing == "linear"
        self.attention_norm = make_norm(config, config.d_model)
        self.attention = (GatedLinearAttention if linear else CausalSelfAttention)(config, layer)
        self.mlp_norm = make_norm(config, config.d_model)
        self.mlp = MLP(config)
        self.shifts = nn.ModuleList(
            Shift(config, place=f"{part} {layer}")
            for part in ("attention", "mlp") * config.shift_layers
        )

    def read(self, x: Tensor, part: int, cache: KeyValueCache | None = None) -> Tensor:
        """What attention (part 0) or the MLP (part 1) reads of the residual stream (B, T, C)."""
        normed = self.mlp_norm(x) if part else self.attention_norm(x)
        return cast(Tensor, self.shifts[part](normed, cache) if self.shifts else normed)

    def forward(self, x: Tensor, cache: KeyValueCache | None = None) -> Tensor:
        """(B, T, C) to (B, T, C)."""
        x = x + self.attention(self.read(x, 0, cache), cache)
        return cast(Tensor, x + self.mlp(self.read(x, 1, cache)))


# --- loss -----------------------------------------------------------------------------------------


class CrossEntropy(torch.autograd.Function):
    """Cross-entropy of each row in nats, with a backward pass of two operations: softmax - one-hot.

    The same numbers as `F.cross_entropy`, whose backward pass on a CPU is several times slower and
    would take a third of a small model's training step.
    """

    @staticmethod
    def forward(ctx: Any, logits: Tensor, targets: Tensor) -> Tensor:
        """Logits (M, V) and targets (M) to -log softmax at the targets (M)."""
        logits = logits.float()
        highest = logits.amax(-1, keepdim=True)
        chances = (logits - highest).exp_()
        sums = chances.sum(-1, keepdim=True)
        nats = sums.log() + highest - logits.gather(-1, targets[:, None])
        ctx.save_for_backward(chances.div_(sums), targets)
        return nats.squeeze(-1)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        """(softmax - one-hot) times each row's gradient, for the logits."""
        chances, targets = ctx.saved_tensors
        scale = gradients[0][:, None]
        rows = torch.arange(len(targets), device=targets.device)
        gradient = chances * scale
        gradient[rows, targets] -= scale[:, 0]
        return gradient, None


def cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    """Cross-entropy in nats of each of `targets` (M) under logits (M, V): (M)."""
    return cast(Tensor, CrossEntropy.apply(logits, targets))  # type: ignore[no-untyped-call]


# --- the model ------------------------------------------------------------------------------------


class GPT(nn.Module):
    """Token embedding, n_layers blocks, a last norm, and the embedding again to score tokens, or a
    matrix of its own.
    """

    def __init__(self, config: ModelConfig, seed: int = 0) -> None:
        super().__init__()
        self.config = config
        self.embedding = nn.Embedding(config.vocab_size, config.d_model)
        self.positions = (
            nn.Embedding(config.context_length, config.d_model)
            if config.positions == "learned"
            else None
        )
        self.shift = Shift(config) if config.shift else None
        self.blocks = nn.ModuleList(Block(config, layer) for layer in range(config.n_layers))
        self.norm = make_norm(config, config.d_model)
        self.output_embedding = (
            None if config.tied else nn.Embedding(config.vocab_size, config.d_model)
        )
        self.initialise(seed)

    @torch.no_grad()
    def initialise(self, seed: int) -> None:
        """Draw all weights from `seed`, whatever the global random state.

        Linear maps keep the variance of what passes through them (std 1/√fan-in); those that write
        into the residual stream are divided by √(2 n_layers), so that depth does not add variance
        (Radford et al. 2019). Embeddings have std 1/√d_model: the first logits have std 1 and the
        first loss is ln V + 1/2. Small embeddings would start nearer ln V but learn slowly: tied to
        the output, they take on the tokens' frequencies before they can tell tokens apart.

        With the maximal-update parametrisation (Yang et al. 2021) embeddings have the std of
        width mup_base at every width, and logits are divided by d_model / mup_base.
        """
        generator = torch.Generator().manual_seed(seed)
        residual = 1 / math.sqrt(2 * self.config.n_layers)
        for name, parameter in self.named_parameters():
            if parameter.dim() == 1:  # norms keep their ones; biases start at nothing
                if name.endswith("bias"):
                    parameter.zero_()
                continue
            if "embedding" in name or "positions" in name:
                std = 1 / math.sqrt(self.config.mup_base or self.config.d_model)
            else:
                std = 1 / math.sqrt(parameter.shape[1])
                std *= residual if name.endswith(("attention.out.weight", "mlp.down.weight")) else 1
            parameter.normal_(0.0, std, generator=generator)
        if self.config.induction_match:
            for block in self.blocks:
                cast(Block, block).attention.match(self.config.induction_match)

    def forward(self, tokens: Tensor, cache: KeyValueCache | None = None) -> Tensor:
        """Logits of each next token: tokens (B, T) to (B, T, V).

        With a cache, `tokens` continue what the cache holds, which grows by them.

        Raises:
            ValueError: the sequence is longer than the context.
        """
        start = cache.held(0) if cache else 0
        end = start + tokens.shape[1]
        if end > self.config.context_length:
            raise ValueError(
                f"a sequence of {end} tokens is longer than context_length "
                f"{self.config.context_length}"
            )
        x = self.embed(tokens, cache)
        for block in self.blocks:
            x = block(x, cache)
        scores = self.output_embedding or self.embedding
        return F.linear(self.norm(x) / self.config.mup_factor, scores.weight)

    def embed(self, tokens: Tensor, cache: KeyValueCache | None = None) -> Tensor:
        """What the first block reads: tokens (B, T) to (B, T, C)."""
        x = self.embedding(tokens)
        if self.shift is not None:
            x = self.shift(x, cache)
        if self.positions is not None:
            start = cache.held(0) if cache else 0
            x = x + self.positions.weight[start : start + tokens.shape[1]]
        return cast(Tensor, x)

    def loss(self, tokens: Tensor, targets: Tensor) -> Tensor:
        """Mean cross-entropy of `targets` (B, T) given `tokens` (B, T), in nats per token."""
        return cross_entropy(self(tokens).flatten(0, 1), targets.flatten()).mean()

    @torch.no_grad()
    def attention_maps(self, tokens: Tensor) -> list[Tensor]:
        """Every layer's attention weights on tokens (B, T): a (B, H, T, T) for each layer."""
        x = self.embed(tokens)
        maps = []
        for block in self.blocks:
            maps.append(cast(Block, block).attention.weights(cast(Block, block).read(x, 0)))
            x = block(x)
        return maps
