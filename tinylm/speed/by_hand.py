"""The training step by hand: each sublayer's forward and backward pass as one autograd function.

Same mathematics as `tinylm/model.py`, which stays the version to read and the one that evaluates.
On a processor, a small model's step is mostly small operations: autograd's bookkeeping, a dozen
passes over memory for every norm, and fused attention whose backward pass is slow in bf16. Here
the backward passes are written out, so that few operations remain, and all matrix products run in
the precision asked for (bf16 products are twice as fast where the processor has units for them, and
are made of fp32 products where it has none; sums along a product are kept in fp32, and so are
weights, norms and the residual stream).

Two identities save passes over the activations. The gain g of an RMSNorm that feeds a linear map W
moves into the map, W·(g ∘ h) = (W·diag g)·h, so a norm is one multiplication. And tanh-GELU is
x·σ(u) with u = √(8/π)·(x + 0.044715 x³), for which σ is four times as fast as tanh.

Several models of one shape can take their step side by side. Shapes: n models, each with B
sequences of T tokens; M rows, which are all their tokens; C = d_model, H heads of width W, F = MLP
width. Rows of one model follow those of the other.
"""

import math
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, cast

import torch
from torch import Tensor, nn

from tinylm.bf16 import baddbmm, matmul
from tinylm.config import ModelConfig
from tinylm.model import GPT, Block

EPSILON = 1e-5  # of the norms over d_model, as in the model
HEAD_EPSILON = torch.finfo(torch.float32).eps  # of the norms over a head: torch's default
BLOCK_NUMBERS = 1 << 16  # handled at a time where one pass follows another: 256 KB in fp32
BLOCK_QUERIES = 128  # whose attention is computed at a time, over the keys up to their last
GELU_LINEAR = math.sqrt(8 / math.pi)
GELU_CUBIC = GELU_LINEAR * 0.044715


def supports(config: ModelConfig, device: torch.device) -> bool:
    """Whether a model has a step by hand: on a processor, with RMSNorm and rotary positions, no
    biases, no grouped queries, no gate, no shift within layers, one embedding at both ends.
    """
    return (
        device.type == "cpu"
        and config.norm == "rmsnorm"
        and not config.bias
        and config.mlp != "swiglu"
        and config.kv_heads == config.n_heads
        and config.qk_norm
        and config.positions == "rotary"
        and config.mixing == "attention"
        and config.tied
        and not config.shift_layers
    )


# --- products with weights ------------------------------------------------------------------------


def _products(rows: Tensor, matrices: Tensor) -> Tensor:
    """Each model's rows times its matrix: (n·M, K) and (n, K, N) to (n·M, N).

    One product after the other, since a product of all at once may round otherwise.
    """
    if len(matrices) == 1:
        return matmul(rows, matrices[0])
    products = rows.new_empty(len(rows), matrices.shape[2])
    parts = zip(rows.chunk(len(matrices)), matrices, products.chunk(len(matrices)), strict=True)
    for part, matrix, product in parts:
        matmul(part, matrix, out=product)
    return products


def _products_of_columns(left: Tensor, right: Tensor, n: int) -> Tensor:
    """Sums over each model's rows of products of columns: (n·M, K) and (n·M, N) to (n, K, N)."""
    if n == 1:
        return matmul(left.t(), right)[None]
    products = left.new_empty(n, left.shape[1], right.shape[1])
    for a, b, product in zip(left.chunk(n), right.chunk(n), products, strict=True):
        matmul(a.t(), b, out=product)
    return products


# --- norm -----------------------------------------------------------------------------------------


def _inverse_rms(x: Tensor, epsilon: float) -> Tensor:
    """1/√(mean x² + ε) over the last axis, kept: (..., n) to (..., 1)."""
    norms = torch.linalg.vector_norm(x, dim=-1, keepdim=True)
    return cast(Tensor, norms.square_().mul_(1 / x.shape[-1]).add_(epsilon).rsqrt_())


def _norm_backward(gradient: Tensor, normed: Tensor, inverse_rms: Tensor, add_to: Tensor) -> Tensor:
    """Gradient of x for normed = x·inverse_rms, plus `add_to`, each (M, C); `gradient` is spent.

    dx = r·(g - h·mean(g ∘ h)), with h the normed rows.
    """
    mean = (gradient * normed).mean(-1, keepdim=True)
    gradient = torch.addcmul(gradient, normed, mean, value=-1)
    return torch.addcmul(add_to, gradient, inverse_rms)


# --- attention ------------------------------------------------------------------------------------


class AttentionSublayer(torch.autograd.Function):
    """x + attention(norm(x)): causal, rotary, with normalised queries and keys.

    A head's columns are reordered so that the two members of a rotary pair lie side by side, as a
    complex number: turning is then one complex product. Queries and keys are reordered alike, so
    their products do not notice. Queries come in blocks; what lies behind a block's last query is
    not computed, which in a long context is nearly half.
    """

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        gain: Tensor,
        qkv: Tensor,
        out: Tensor,
        head_gains: Tensor,
        turns: Tensor,
        induction_heads: int,
        dtype: torch.dtype,
    ) -> Tensor:
        """x (n·B, T, C), gain (n, 1, C), qkv (n, 3C, C), out (n, C, C), head_gains (n, 2, W) of
        queries and keys, turns (T·C) complex, from `rotary_turns`. Returns (n·B, T, C).
        """
        S, T, C = x.shape  # S sequences, of all models
        n, _, W = head_gains.shape
        H = C // W
        rows = x.view(S * T, C)
        inverse = _inverse_rms(rows, EPSILON)
        normed = (rows * inverse).to(dtype)
        weight = _pairs_together(qkv * gain, W, dtype)
        projected = _products(normed, weight.mT)  # (M, 3C)
        heads = projected[:, : 2 * C].to(torch.float32, copy=True).reshape(-1, W)  # (M·2H, W)
        head_inverse = _inverse_rms(heads, HEAD_EPSILON)
        heads.mul_(head_inverse)
        gains = _by_column(head_gains, H)  # (n, 1, 2C)
        turned = heads.view(n, -1, 2 * C) * gains
        turned = torch.view_as_real(_as_complex(turned, S) * turns).view(S, T, 2, H, W)
        qk = torch.empty(2, S, H, T, W, dtype=dtype).copy_(turned.permute(2, 0, 3, 1, 4))
        moved = qk[1, :, H - induction_heads :]  # as `CausalSelfAttention.look_behind` has it
        moved[:, :, 1:] = moved[:, :, :-1].clone()
        moved[:, :, 0] = 0
        q, k = qk.view(2, S * H, T, W).unbind(0)
        v = projected[:, 2 * C :].view(S, T, H, W).transpose(1, 2).reshape(S * H, T, W)
        read, chances = torch.empty_like(q), []
        for a, b in _query_blocks(T):
            scores = baddbmm(_hidden(a, b, dtype), q[:, a:b], k[:, :b].mT)
            chances.append(scores.softmax(-1))
            read[:, a:b] = matmul(chances[-1], v[:, :b])
        read = read.view(S, H, T, W).transpose(1, 2).reshape(S * T, C)
        output = out.to(dtype)
        ctx.induction_heads = induction_heads
        ctx.save_for_backward(
            gain, qkv, weight, output, gains, turns,
            inverse, normed, head_inverse, heads, q, k, v, read, *chances,
        )  # fmt: skip
        return (rows + _products(read, output.mT)).view(S, T, C)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients in the order of the forward pass's arguments."""
        (
            gain, qkv, weight, output, gains, turns,
            inverse, normed, head_inverse, heads, q, k, v, read, *chances,
        ) = ctx.saved_tensors  # fmt: skip
        S, T, C = gradients[0].shape
        n, W, dtype = len(gain), q.shape[2], q.dtype
        H = C // W
        d_rows = gradients[0].reshape(S * T, C)
        d_sum = d_rows.to(dtype)
        d_out = _products_of_columns(d_sum, read, n).float()
        d_read = _products(d_sum, output).view(S, T, H, W).transpose(1, 2).reshape(S * H, T, W)
        d_turned = torch.empty(S, T, 2, H, W)
        d_q, d_k = d_turned.permute(2, 0, 3, 1, 4).unbind(0)  # (S, H, T, W), views
        d_v = torch.empty(S * H, T, W)
        for (a, b), chance in reversed(list(zip(_query_blocks(T), chances, strict=True))):
            d_read_here = d_read[:, a:b]
            d_chance = matmul(d_read_here, v[:, :b].mT)
            d_scores = torch._softmax_backward_data(d_chance, chance, -1, dtype)
            d_q[:, :, a:b] = matmul(d_scores, k[:, :b]).view(S, H, b - a, W)
            d_k_here = matmul(d_scores.mT, q[:, a:b]).view(S, H, b, W)
            d_v_here = matmul(chance.mT, d_read_here)
            if b == T:
                d_k.copy_(d_k_here)
                d_v.copy_(d_v_here)
            else:
                d_k[:, :, :b] += d_k_here
                d_v[:, :b] += d_v_here
        moved = d_k[:, H - ctx.induction_heads :]
        moved[:, :, :-1] = moved[:, :, 1:].clone()
        moved[:, :, -1] = 0
        # turn back, then undo gain and norm of the heads
        back = torch.view_as_real(_as_complex(d_turned, S) * turns.conj()).view(n, -1, 2 * C)
        products = back * heads.view_as(back)
        d_head_gains = _by_head(products.sum(1), H)
        mean = products.mul_(gains).view(-1, W).mean(-1, keepdim=True)  # (M·2H, 1)
        back = torch.addcmul(back.mul_(gains).view(-1, W), heads, mean, value=-1)
        d_projected = torch.empty(S * T, 3 * C, dtype=dtype)
        d_projected[:, : 2 * C] = back.mul_(head_inverse).view(-1, 2 * C)
        d_projected.view(S, T, 3, H, W)[:, :, 2] = d_v.view(S, H, T, W).transpose(1, 2)
        d_weight = _pairs_apart(_products_of_columns(d_projected, normed, n), W)
        d_normed = _products(d_projected, weight).float()
        d_x = _norm_backward(d_normed, normed.float(), inverse, d_rows)
        return (
            d_x.view(S, T, C),
            (d_weight * qkv).sum(1, keepdim=True),
            d_weight * gain,
            d_out,
            d_head_gains,
            None,
            None,
            None,
        )


def _pairs_together(weight: Tensor, W: int, dtype: torch.dtype) -> Tensor:
    """The rows of qkv (n, 3C, C), rotary pairs (j, j + W/2) of queries and keys as neighbours."""
    n, _, C = weight.shape
    together = torch.empty_like(weight, dtype=dtype)
    apart = weight[:, : 2 * C].view(n, -1, 2, W // 2, C)
    together[:, : 2 * C].view(n, -1, W // 2, 2, C).copy_(apart.transpose(2, 3))
    together[:, 2 * C :] = weight[:, 2 * C :]
    return together


def _pairs_apart(together: Tensor, W: int) -> Tensor:
    """The inverse of `_pairs_together`, in fp32."""
    n, _, C = together.shape
    apart = torch.empty_like(together, dtype=torch.float32)
    neighbours = together[:, : 2 * C].view(n, -1, W // 2, 2, C)
    apart[:, : 2 * C].view(n, -1, 2, W // 2, C).copy_(neighbours.transpose(2, 3))
    apart[:, 2 * C :] = together[:, 2 * C :]
    return apart


def _by_column(head_gains: Tensor, H: int) -> Tensor:
    """Gains (n, 2, W) of queries and keys for each of the 2C columns, pairs together: (n, 1, 2C).
    Those of the queries are divided by √W, which the scores need.
    """
    n, _, W = head_gains.shape
    paired = head_gains.view(n, 2, 2, W // 2).transpose(2, 3).reshape(n, 2, 1, W)
    return (paired * _gain_scales(W)).expand(n, 2, H, W).reshape(n, 1, -1)


def _by_head(columns: Tensor, H: int) -> Tensor:
    """The adjoint of `_by_column`: (n, 2C) to (n, 2, W)."""
    n, W = len(columns), columns.shape[1] // (2 * H)
    summed = columns.view(n, 2, H, W).sum(2, keepdim=True) * _gain_scales(W)
    return summed.view(n, 2, W // 2, 2).transpose(2, 3).reshape(n, 2, W)


@cache
def _gain_scales(W: int) -> Tensor:
    """(2, 1, 1): 1/√W for queries, 1 for keys."""
    return torch.tensor([W**-0.5, 1.0]).view(2, 1, 1)


def rotary_turns(cosines: Tensor, sines: Tensor, n_heads: int, unturned: int = 0) -> Tensor:
    """e^(i·angle) of each position and pair for queries and keys of `n_heads`, the last `unturned`
    of them left as they are, from angles (T, W) with each pair's twice: (T·2H·W/2) complex.
    """
    W = cosines.shape[1]
    turns = torch.complex(cosines[:, W // 2 :], sines[:, W // 2 :])  # (T, W/2)
    turns = turns[:, None, None].repeat(1, 2, n_heads, 1)
    turns[:, :, n_heads - unturned :] = 1
    return turns.view(-1)


def _as_complex(x: Tensor, B: int) -> Tensor:
    """Neighbours as real and imaginary parts: B·n numbers to (B, n/2) complex."""
    return torch.view_as_complex(x.view(B, -1, 2))


def _query_blocks(T: int) -> list[tuple[int, int]]:
    """First and last position (exclusive) of each block of queries."""
    return [(a, min(a + BLOCK_QUERIES, T)) for a in range(0, T, BLOCK_QUERIES)]


@cache
def _hidden(a: int, b: int, dtype: torch.dtype) -> Tensor:
    """-inf where a query from a to b - 1 must not see a key from 0 to b - 1: (b - a, b)."""
    return torch.full((b - a, b), -math.inf, dtype=dtype).triu_(a + 1)


# --- MLP ------------------------------------------------------------------------------------------


class MLPSublayer(torch.autograd.Function):
    """x + down(f(up(norm(x)))), f GELU or squared ReLU."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        gain: Tensor,
        up: Tensor,
        down: Tensor,
        squared_relu: bool,
        dtype: torch.dtype,
    ) -> Tensor:
        """x (n·B, T, C), gain (n, 1, C), up (n, F, C), down (n, C, F). Returns (n·B, T, C)."""
        rows = x.reshape(-1, x.shape[-1])
        inverse = _inverse_rms(rows, EPSILON)
        normed = (rows * inverse).to(dtype)
        weight, output = (up * gain).to(dtype), down.to(dtype)
        hidden = _products(normed, weight.mT)  # (M, F)
        if squared_relu:
            slope = hidden.clamp_min_(0)  # half the slope, that is
            active = slope * slope
        else:
            active, slope = hidden, torch.empty_like(hidden)
            for part, its_slope in zip(_blocks(active), _blocks(slope), strict=True):
                _gelu(part, its_slope)
        ctx.save_for_backward(gain, up, weight, output, inverse, normed, active, slope)
        ctx.slope_scale = 2 if squared_relu else 1
        return (rows + _products(active, output.mT)).view_as(x)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients in the order of the forward pass's arguments."""
        gain, up, weight, output, inverse, normed, active, slope = ctx.saved_tensors
        d_rows = gradients[0].reshape(-1, gradients[0].shape[-1])
        d_sum = d_rows.to(normed.dtype)
        d_down = _products_of_columns(d_sum, active, len(gain)).float()
        d_hidden = _products(d_sum, output * ctx.slope_scale).mul_(slope)
        d_weight = _products_of_columns(d_hidden, normed, len(gain)).float()
        d_normed = _products(d_hidden, weight).float()
        d_x = _norm_backward(d_normed, normed.float(), inverse, d_rows)
        return (
            d_x.view_as(gradients[0]),
            (d_weight * up).sum(1, keepdim=True),
            d_weight * gain,
            d_down,
            None,
            None,
        )


def _blocks(x: Tensor) -> tuple[Tensor, ...]:
    """Cut (M, n) into blocks of rows small enough to stay in a core's own cache."""
    return torch.split(x, max(1, BLOCK_NUMBERS // x.shape[1]))


def _gelu(x: Tensor, slope: Tensor) -> None:
    """Replace x by its tanh-GELU, and `slope` by the derivative there; see the module's text."""
    wide = x.float()
    squares = wide * wide
    gate = (squares * GELU_CUBIC).add_(GELU_LINEAR).mul_(wide).sigmoid_()
    value = wide.mul_(gate) if wide is not x else wide * gate
    # slope = σ + x·σ'·du/dx = σ + xσ·(1 - σ)·(a + 3b x²)
    inner = squares.mul_(3 * GELU_CUBIC).add_(GELU_LINEAR).mul_(value)
    slope.copy_(inner.addcmul_(inner, gate, value=-1).add_(gate))
    x.copy_(value)


# --- output ---------------------------------------------------------------------------------------


class OutputLoss(torch.autograd.Function):
    """Each model's mean cross-entropy in nats, of the last norm, the output layer and softmax.

    The logits are never all there: the gradient (softmax - one-hot)/M is made beside the loss,
    block by block, in the forward pass.
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, gain: Tensor, embedding: Tensor, targets: Tensor, dtype: torch.dtype
    ) -> Tensor:
        """x (n·B, T, C), gain (n, 1, C), embedding (n, V, C), targets (n·B, T). Returns (n)."""
        rows = x.reshape(-1, x.shape[-1])
        inverse = _inverse_rms(rows, EPSILON)
        normed = (rows * inverse).to(dtype)
        weight = (embedding * gain).to(dtype)
        d_logits = _products(normed, weight.mT)  # (M, V): logits first
        aims, n_each = targets.reshape(-1, 1), len(rows) // len(gain)
        right = torch.empty(len(aims), 1)  # log of the chance given to each target
        n_rows = max(1, BLOCK_NUMBERS // d_logits.shape[1])
        parts = (torch.split(tensor, n_rows) for tensor in (d_logits, aims, right))
        for logits, aim, its_right in zip(*parts, strict=True):
            wide = logits.float()
            chances = wide.softmax(-1)
            # log of a target's chance, right also where that is too small for fp32: that of the
            # likeliest token, and how far behind it the target's logit lies
            best = wide.amax(-1, keepdim=True)
            torch.sub(wide.gather(1, aim), best, out=its_right)
            its_right.add_(chances.amax(-1, keepdim=True).log_())
            chances.scatter_add_(1, aim, torch.tensor(-1.0).expand(len(aim), 1))
            logits.copy_(chances.mul_(1 / n_each))
        ctx.save_for_backward(gain, embedding, weight, inverse, normed, d_logits)
        ctx.shape = x.shape
        return -right.view(len(gain), n_each).mean(1)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients in the order of the forward pass's arguments."""
        gain, embedding, weight, inverse, normed, d_logits = ctx.saved_tensors
        scale = gradients[0].view(-1, 1, 1)
        d_weight = _products_of_columns(d_logits, normed, len(gain)).float() * scale
        d_normed = _products(d_logits, weight).float()
        d_normed.view(len(gain), -1, d_normed.shape[1]).mul_(scale)
        d_x = _norm_backward(d_normed, normed.float(), inverse, torch.zeros_like(d_normed))
        return (
            d_x.view(ctx.shape),
            (d_weight * embedding).sum(1, keepdim=True),
            d_weight * gain,
            None,
            None,
        )


# --- the model ------------------------------------------------------------------------------------


def fast_loss(model: GPT, tokens: Tensor, targets: Tensor, precision: str) -> Tensor:
    """`model.loss(tokens, targets)` by the functions above, for models that `supports` accepts.

    Equal to it up to rounding: in "fp32" that of fp32 sums, in "bf16" that of bf16 factors.
    """
    return fast_losses([model], tokens[None], targets[None], precision)[0]


def fast_losses(models: Sequence[GPT], tokens: Tensor, targets: Tensor, precision: str) -> Tensor:
    """`fast_loss` of n models of one shape, bit for bit, on their own tokens (n, B, T) each: (n).

    Side by side they take less time than one after the other, for the small operations between the
    matrix products take as long to begin for one model as for all.
    """
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    config, T = models[0].config, tokens.shape[2]
    squared_relu = config.mlp == "relu2"
    x = torch.cat([model.embed(own) for model, own in zip(models, tokens, strict=True)])
    attention = cast(Block, models[0].blocks[0]).attention
    cosines, sines = attention.cosines[:T], attention.sines[:T]
    turns = rotary_turns(cosines, sines, attention.n_heads, attention.unturned)
    for layer in range(config.n_layers):
        blocks = [cast(Block, model.blocks[layer]) for model in models]
        gains = _gains([block.attention_norm for block in blocks])
        qkv = _stack([block.attention.qkv.weight for block in blocks])
        out = _stack([block.attention.out.weight for block in blocks])
        head_gains = _head_gains(blocks)
        if attention.query_scale != 1:
            head_gains = head_gains * torch.tensor([[attention.query_scale], [1.0]])
        x = _attention(x, gains, qkv, out, head_gains, turns, config.induction_heads, dtype)
        gains = _gains([block.mlp_norm for block in blocks])
        up = _stack([block.mlp.up.weight for block in blocks])
        down = _stack([block.mlp.down.weight for block in blocks])
        x = _mlp(x, gains, up, down, squared_relu, dtype)
    gains = _gains([model.norm for model in models])
    if config.mup_factor != 1:
        gains = gains / config.mup_factor
    embedding = _stack([model.embedding.weight for model in models])
    return _output_loss(x, gains, embedding, targets.flatten(0, 1), dtype)


def _stack(weights: Sequence[Tensor]) -> Tensor:
    """Weights of n models as one tensor (n, ...)."""
    return weights[0][None] if len(weights) == 1 else torch.stack(list(weights))


def _gains(norms: Sequence[nn.Module]) -> Tensor:
    """Gains (C) of norms of n models: (n, 1, C)."""
    return _stack([cast(Tensor, norm.weight) for norm in norms])[:, None]


def _head_gains(blocks: Sequence[Block]) -> Tensor:
    """Gains of the queries' and keys' norms in a layer of n models: (n, 2, W)."""
    found: list[Tensor] = []
    for block in blocks:
        query_norm, key_norm = block.attention.query_norm, block.attention.key_norm
        assert query_norm is not None  # supports() has seen to it
        assert key_norm is not None
        found += [query_norm.weight, key_norm.weight]
    return torch.stack(found).view(len(blocks), 2, -1)


_attention = cast(Callable[..., Tensor], AttentionSublayer.apply)
_mlp = cast(Callable[..., Tensor], MLPSublayer.apply)
_output_loss = cast(Callable[..., Tensor], OutputLoss.apply)
