"""bf16 matrix products on processors without units for them.

There PyTorch multiplies bf16 matrices many times more slowly than fp32 ones. Here the factors are
widened, multiplied in fp32, and the product is rounded: the same up to the order of the sums, which
are kept in fp32 either way.
"""

from collections.abc import Callable, Iterable, Mapping
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode


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


def baddbmm(added: Tensor, left: Tensor, right: Tensor) -> Tensor:
    """added + left @ right: (B, M, K) and (B, K, N), and what can be broadcast to (B, M, N)."""
    if _is_slow(left):
        return (added + left.float() @ right.float()).bfloat16()
    return torch.baddbmm(added, left, right)


class FastProducts(TorchFunctionMode):
    """Within it, `@` and `torch.addmm` on bf16 matrices are as fast as `matmul` here: all that
    PyTorch's Muon uses. Without effect on fp32, on a GPU, and where bf16 is fast; backward passes
    are not reached.
    """

    PRODUCTS = (torch.Tensor.matmul, torch.Tensor.__matmul__, torch.matmul, torch.addmm)

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Called by PyTorch in place of `func`."""
        options = kwargs or {}
        if func in self.PRODUCTS and _is_slow(args[0]):
            return func(*(factor.float() for factor in args), **options).bfloat16()
        return func(*args, **options)
