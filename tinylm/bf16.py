"""bf16 matrix products on processors without units for them; and weights rounded to bf16.

Without units PyTorch multiplies bf16 matrices many times more slowly than fp32 ones. Here the
factors are widened, multiplied in fp32, and the product is rounded: the same up to the order of the
sums, which are kept in fp32 either way.
"""

from collections.abc import Iterable
from functools import cache

import torch
from torch import Tensor


@cache
def has_bf16_products() -> bool:
    """Whether PyTorch hands bf16 matrices to its library for fast products on this processor."""
    library = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    return bool(library and torch.ops.mkldnn._is_mkldnn_bf16_supported())


def _is_slow(factor: Tensor) -> bool:
    return (
        factor.dtype == torch.bfloat16 and factor.device.type == "cpu" and not has_bf16_products()
    )


def matmul(left: Tensor, right: Tensor, out: Tensor | None = None) -> Tensor:
    """left @ right: (..., M, K) and (..., K, N) to (..., M, N), into `out` where one is given."""
    if _is_slow(left):
        wide = left.float() @ right.float()
        return wide.bfloat16() if out is None else out.copy_(wide)
    return torch.matmul(left, right, out=out)


def baddbmm(
    added: Tensor, left: Tensor, right: Tensor, *, beta: float = 1.0, alpha: float = 1.0
) -> Tensor:
    """beta · added + alpha · left @ right: (B, M, K) and (B, K, N), and what can be broadcast to
    (B, M, N).
    """
    if _is_slow(left):
        wide = (factor.float() for factor in (added, left, right))
        return torch.baddbmm(*wide, beta=beta, alpha=alpha).bfloat16()
    return torch.baddbmm(added, left, right, beta=beta, alpha=alpha)


@torch.no_grad()
def round_to_bf16(weights: Iterable[Tensor], generator: torch.Generator | None = None) -> None:
    """Round fp32 tensors, in place, to what bf16 can hold: to the nearest, or, with a generator, up
    or down by chance, so that the mean is the value itself.
    """
    for weight in weights:
        if generator is None:
            weight.copy_(weight.bfloat16())
            continue
        bits = weight.view(torch.int32)  # bf16 is the upper half of these
        bits += torch.randint(
            1 << 16, bits.shape, generator=generator, dtype=torch.int32, device=bits.device
        )
        bits &= -(1 << 16)
