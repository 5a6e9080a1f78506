"""The training step by hand: each sublayer's forward and backward pass as one autograd function.

Same mathematics as `tinylm/model.py`, which stays the version to read and the one that evaluates.
On a processor, a small model's step is mostly small operations: autograd's bookkeeping, a dozen
passes over memory for every norm, and fused attention whose backward pass is slow in bf16. Here
the backward passes are written out, so that few operations remain, and all matrix products run in
the precision asked for (bf16 products are twice as fast where the processor has units for them;
sums along a product are kept in fp32, and so are weights, norms and the residual stream).

Two identities save passes over the activations. The gain g of an RMSNorm that feeds a linear map W
moves into the map, W·(g ∘ h) = (W·diag g)·h, so a norm is one multiplication. And tanh-GELU is
x·σ(u) with u = √(8/π)·(x + 0.044715 x³), for which σ is four times as fast as tanh.

Shapes: B sequences of T tokens, M = B·T rows, C = d_model, H heads of width W, F = MLP width.
"""

import math
from collections.abc import Callable
from typing import Any, cast

import torch
from torch import Tensor

from tinylm.config import ModelConfig
from tinylm.model import GPT, Block

EPSILON = 1e-5  # of the norms over d_model, as in the model
HEAD_EPSILON = torch.finfo(torch.float32).eps  # of the norms over a head: torch's default
BLOCK_NUMBERS = 1 << 16  # handled at a time where one pass follows another: 256 KB in fp32
GELU_LINEAR = math.sqrt(8 / math.pi)
GELU_CUBIC = GELU_LINEAR * 0.044715


def supports(config: ModelConfig) -> bool:
    """Whether a model has a step by hand: RMSNorm, no biases, no grouped queries, no gate."""
    return (
        config.norm == "rmsnorm"
        and not config.bias
        and config.mlp != "swiglu"
        and config.kv_heads == config.n_heads
        and config.qk_norm
        and config.positions == "rotary"
    )


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
    their products do not notice.
    """

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        gain: Tensor,
        qkv: Tensor,
        out: Tensor,
        head_gains: Tensor,
        angles: tuple[Tensor, Tensor],
        dtype: torch.dtype,
    ) -> Tensor:
        """x (B, T, C), gain (C), qkv (3C, C), out (C, C), head_gains (2, W) of queries and keys,
        angles: cosines and sines (T, W). Returns (B, T, C).
        """
        B, T, C = x.shape
        W = head_gains.shape[1]
        H = C // W
        rows = x.view(B * T, C)
        inverse = _inverse_rms(rows, EPSILON)
        normed = (rows * inverse).to(dtype)
        order = _pairs_together(C, W)
        weight = (qkv * gain)[order].to(dtype)
        projected = normed @ weight.t()  # (M, 3C)
        heads = projected[:, : 2 * C].to(torch.float32, copy=True).reshape(-1, W)  # (M·2H, W)
        head_inverse = _inverse_rms(heads, HEAD_EPSILON)
        heads.mul_(head_inverse)
        gains = _by_column(head_gains, H)  # (2C)
        turns = _turns(angles, 2 * H)  # (T·C) complex
        turned = heads.view(-1, 2 * C) * gains
        turned = torch.view_as_real(_as_complex(turned, B) * turns).view(B, T, 2, H, W)
        q, k = turned.permute(2, 0, 3, 1, 4).to(dtype).reshape(2, B * H, T, W)
        v = projected[:, 2 * C :].view(B, T, H, W).transpose(1, 2).reshape(B * H, T, W)
        chances = _causal_softmax(q, k)
        read = (chances @ v).view(B, H, T, W).transpose(1, 2).reshape(B * T, C)
        output = out.to(dtype)
        ctx.save_for_backward(
            gain, qkv, weight, output, head_gains, turns, order,
            inverse, normed, head_inverse, heads, q, k, v, chances, read,
        )  # fmt: skip
        return (rows + read @ output.t()).view(B, T, C)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients in the order of the forward pass's arguments."""
        (
            gain, qkv, weight, output, head_gains, turns, order,
            inverse, normed, head_inverse, heads, q, k, v, chances, read,
        ) = ctx.saved_tensors  # fmt: skip
        B, T, C = gradients[0].shape
        W, dtype = head_gains.shape[1], q.dtype
        H = C // W
        d_rows = gradients[0].reshape(B * T, C)
        d_sum = d_rows.to(dtype)
        d_out = (d_sum.t() @ read).float()
        d_read = (d_sum @ output).view(B, T, H, W).transpose(1, 2).reshape(B * H, T, W)
        d_v = chances.transpose(1, 2) @ d_read
        d_scores = torch._softmax_backward_data(
            d_read @ v.transpose(1, 2), chances, -1, chances.dtype
        )
        d_turned = torch.empty(B, T, 2, H, W)
        d_turned[:, :, 0] = (d_scores @ k).view(B, H, T, W).transpose(1, 2)
        d_turned[:, :, 1] = (d_scores.transpose(1, 2) @ q).view(B, H, T, W).transpose(1, 2)
        # turn back, then undo gain and norm of the heads
        back = torch.view_as_real(_as_complex(d_turned, B) * turns.conj()).view(-1, 2 * C)
        products = back * heads.view(-1, 2 * C)
        d_head_gains = _by_head(products.sum(0), H)
        gains = _by_column(head_gains, H)
        mean = products.mul_(gains).view(-1, W).mean(-1, keepdim=True)  # (M·2H, 1)
        back = torch.addcmul(back.mul_(gains).view(-1, W), heads, mean, value=-1)
        d_projected = torch.empty(B * T, 3 * C, dtype=dtype)
        d_projected[:, : 2 * C] = back.mul_(head_inverse).view(-1, 2 * C)
        d_projected[:, 2 * C :] = d_v.view(B, H, T, W).transpose(1, 2).reshape(-1, C)
        d_weight = torch.empty_like(qkv)
        d_weight[order] = (d_projected.t() @ normed).float()
        d_x = _norm_backward((d_projected @ weight).float(), normed.float(), inverse, d_rows)
        return (
            d_x.view(B, T, C),
            (d_weight * qkv).sum(0),
            d_weight * gain,
            d_out,
            d_head_gains,
            None,
            None,
        )


def _pairs_together(C: int, W: int) -> Tensor:
    """Order of the rows of qkv (3C) that makes rotary pairs (j, j + W/2) of q and k neighbours."""
    within = torch.arange(W).view(2, -1).t().reshape(-1)
    heads = torch.arange(0, 2 * C, W)[:, None] + within
    return torch.cat([heads.reshape(-1), torch.arange(2 * C, 3 * C)])


def _by_column(head_gains: Tensor, H: int) -> Tensor:
    """Gains (2, W) of queries and keys for each of the 2C columns, pairs together. Those of the
    queries are divided by √W, which the scores need.
    """
    W = head_gains.shape[1]
    paired = head_gains.view(2, 2, W // 2).transpose(1, 2).reshape(2, 1, W)
    scale = torch.tensor([W**-0.5, 1.0]).view(2, 1, 1)
    return (paired * scale).expand(2, H, W).reshape(-1)


def _by_head(columns: Tensor, H: int) -> Tensor:
    """The adjoint of `_by_column`: (2C) to (2, W)."""
    W = len(columns) // (2 * H)
    scale = torch.tensor([W**-0.5, 1.0]).view(2, 1)
    summed = columns.view(2, H, W).sum(1) * scale
    return summed.view(2, W // 2, 2).transpose(1, 2).reshape(2, W)


def _turns(angles: tuple[Tensor, Tensor], n: int) -> Tensor:
    """e^(i·angle) of each position and pair for `n` heads, flat: (T·n·W/2) complex."""
    cosines, sines = angles
    T, W = cosines.shape
    turns = torch.complex(cosines[:, W // 2 :], sines[:, W // 2 :])  # (T, W/2)
    return turns[:, None].expand(T, n, W // 2).reshape(-1)


def _as_complex(x: Tensor, B: int) -> Tensor:
    """Neighbours as real and imaginary parts: B·n numbers to (B, n/2) complex."""
    return torch.view_as_complex(x.view(B, -1, 2))


def _causal_softmax(q: Tensor, k: Tensor) -> Tensor:
    """Attention weights of scaled queries and keys (B·H, T, W): (B·H, T, T)."""
    T = q.shape[1]
    mask = torch.full((T, T), -math.inf, dtype=q.dtype).triu_(1)
    return torch.baddbmm(mask, q, k.transpose(1, 2)).softmax(-1)


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
        """x (B, T, C), gain (C), up (F, C), down (C, F). Returns (B, T, C)."""
        rows = x.reshape(-1, x.shape[-1])
        inverse = _inverse_rms(rows, EPSILON)
        normed = (rows * inverse).to(dtype)
        weight, output = (up * gain).to(dtype), down.to(dtype)
        hidden = normed @ weight.t()  # (M, F)
        if squared_relu:
            slope = hidden.clamp_min_(0)  # half the slope, that is
            active = slope * slope
        else:
            active, slope = hidden, torch.empty_like(hidden)
            for part, its_slope in zip(_blocks(active), _blocks(slope), strict=True):
                _gelu(part, its_slope)
        ctx.save_for_backward(gain, up, weight, output, inverse, normed, active, slope)
        ctx.slope_scale = 2 if squared_relu else 1
        return (rows + active @ output.t()).view_as(x)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients in the order of the forward pass's arguments."""
        gain, up, weight, output, inverse, normed, active, slope = ctx.saved_tensors
        d_rows = gradients[0].reshape(-1, gradients[0].shape[-1])
        d_sum = d_rows.to(normed.dtype)
        d_down = (d_sum.t() @ active).float()
        d_hidden = (d_sum @ (output * ctx.slope_scale)).mul_(slope)
        d_weight = (d_hidden.t() @ normed).float()
        d_x = _norm_backward((d_hidden @ weight).float(), normed.float(), inverse, d_rows)
        return (
            d_x.view_as(gradients[0]),
            (d_weight * up).sum(0),
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
    """Mean cross-entropy in nats of the last norm, the output layer and softmax.

    The logits are never all there: the gradient (softmax - one-hot)/M is made beside the loss,
    block by block, in the forward pass.
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, gain: Tensor, embedding: Tensor, targets: Tensor, dtype: torch.dtype
    ) -> Tensor:
        """x (B, T, C), gain (C), embedding (V, C), targets (B, T). Returns a scalar."""
        rows = x.reshape(-1, x.shape[-1])
        inverse = _inverse_rms(rows, EPSILON)
        normed = (rows * inverse).to(dtype)
        weight = (embedding * gain).to(dtype)
        d_logits = normed @ weight.t()  # (M, V): logits first
        aims = targets.reshape(-1, 1)
        right = torch.empty(len(aims), 1)  # log of the chance given to each target
        n_rows = max(1, BLOCK_NUMBERS // d_logits.shape[1])
        parts = (torch.split(tensor, n_rows) for tensor in (d_logits, aims, right))
        for logits, aim, its_right in zip(*parts, strict=True):
            logs = logits.float().log_softmax(-1)  # right also where a chance is too small for fp32
            torch.gather(logs, 1, aim, out=its_right)
            chances = logs.exp_()
            chances.scatter_add_(1, aim, torch.tensor(-1.0).expand(len(aim), 1))
            logits.copy_(chances.mul_(1 / len(rows)))
        ctx.save_for_backward(gain, embedding, weight, inverse, normed, d_logits)
        ctx.shape = x.shape
        return -right.mean()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients in the order of the forward pass's arguments."""
        gain, embedding, weight, inverse, normed, d_logits = ctx.saved_tensors
        d_weight = (d_logits.t() @ normed).float() * gradients[0]
        gradient = (d_logits @ weight).float() * gradients[0]
        d_x = _norm_backward(gradient, normed.float(), inverse, torch.zeros_like(gradient))
        return (
            d_x.view(ctx.shape),
            (d_weight * embedding).sum(0),
            d_weight * gain,
            None,
            None,
        )


# --- the model ------------------------------------------------------------------------------------


def fast_loss(model: GPT, tokens: Tensor, targets: Tensor, precision: str) -> Tensor:
    """`model.loss(tokens, targets)` by the functions above, for models that `supports` accepts.

    Equal to it up to rounding: in "fp32" that of fp32 sums, in "bf16" that of bf16 factors.
    """
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    T = tokens.shape[1]
    squared_relu = model.config.mlp == "relu2"
    x = model.embed(tokens)
    for module in model.blocks:
        block = cast(Block, module)
        attention, mlp = block.attention, block.mlp
        assert attention.query_norm is not None  # supports() has seen to it
        assert attention.key_norm is not None
        head_gains = torch.stack([attention.query_norm.weight, attention.key_norm.weight])
        angles = attention.cosines[:T], attention.sines[:T]
        projections = attention.qkv.weight, attention.out.weight
        x = _attention(x, block.attention_norm.weight, *projections, head_gains, angles, dtype)
        projections = mlp.up.weight, mlp.down.weight
        x = _mlp(x, block.mlp_norm.weight, *projections, squared_relu, dtype)
    return _output_loss(x, model.norm.weight, model.embedding.weight, targets, dtype)


_attention = cast(Callable[..., Tensor], AttentionSublayer.apply)
_mlp = cast(Callable[..., Tensor], MLPSublayer.apply)
_output_loss = cast(Callable[..., Tensor], OutputLoss.apply)
