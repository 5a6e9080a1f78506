"""bf16 products made of fp32 ones are bf16 products; and what rounding weights to bf16 does."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from tinylm import bf16 as products
from tinylm.config import ModelConfig, OptimizerConfig
from tinylm.model import GPT
from tinylm.optim import make_optimizer

SHAPES = [((80, 48), (48, 61)), ((1, 7), (7, 1)), ((4, 40, 24), (4, 24, 40))]


def both_ways(
    monkeypatch: pytest.MonkeyPatch, compute: Callable[[], Tensor]
) -> tuple[Tensor, Tensor]:
    """With the processor's own bf16 products, and with those made of fp32 ones."""
    results = []
    for fast in (True, False):
        monkeypatch.setattr(products, "has_bf16_products", lambda fast=fast: fast)
        results.append(compute())
    return results[0], results[1]


def assert_same_but_for_roundings(one: Tensor, other: Tensor) -> None:
    assert one.dtype == other.dtype
    assert (one == other).float().mean() > 0.99  # else the order of a sum has tipped a rounding
    assert torch.allclose(one.float(), other.float(), rtol=2**-7, atol=1e-5)


def watch(monkeypatch: pytest.MonkeyPatch) -> list[Tensor]:
    """The left factors of all products that pass through `products` from now on."""
    seen: list[Tensor] = []

    def look(factor: Tensor) -> bool:
        seen.append(factor)
        return False

    monkeypatch.setattr(products, "_is_slow", look)
    return seen


@pytest.mark.parametrize(("left_shape", "right_shape"), SHAPES)
def test_products_are_the_same_both_ways(
    monkeypatch: pytest.MonkeyPatch, left_shape: tuple[int, ...], right_shape: tuple[int, ...]
) -> None:
    generator = torch.Generator().manual_seed(5)
    left = torch.randn(left_shape, generator=generator)
    right = torch.randn(right_shape, generator=generator)
    narrow, too = left.bfloat16(), right.bfloat16()

    def into() -> Tensor:
        out = torch.empty(*left_shape[:-1], right_shape[-1], dtype=torch.bfloat16)
        assert products.matmul(narrow, too, out=out) is out
        assert torch.equal(out, products.matmul(narrow, too))
        return out

    assert_same_but_for_roundings(*both_ways(monkeypatch, into))
    one, other = both_ways(monkeypatch, lambda: products.matmul(left, right))
    assert torch.equal(one, other)  # fp32 is not touched
    assert not torch.equal(one, products.matmul(narrow, too).float())


def test_sums_with_a_product_are_the_same_both_ways(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = torch.Generator().manual_seed(7)
    left, right = torch.randn(3, 20, 8, generator=generator), torch.randn(3, 8, 30)
    hidden = torch.full((20, 30), -torch.inf).triu_(11)
    narrow = [each.bfloat16() for each in (hidden, left, right)]
    one, other = both_ways(monkeypatch, lambda: products.baddbmm(*narrow))
    assert one.isinf().sum() == 3 * hidden.isinf().sum()
    assert_same_but_for_roundings(one, other)
    one, other = both_ways(monkeypatch, lambda: products.baddbmm(hidden, left, right))
    assert torch.equal(one, other)
    assert torch.allclose(one, hidden + left @ right, atol=1e-5)


def test_sums_may_be_weighted(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = torch.Generator().manual_seed(6)
    added, left, right = (torch.randn(2, 30, 30, generator=generator) for _ in range(3))
    narrow = [each.bfloat16() for each in (added, left, right)]
    one, other = both_ways(monkeypatch, lambda: products.baddbmm(*narrow, beta=-4.8, alpha=2.0))
    assert_same_but_for_roundings(one, other)
    exact = -4.8 * narrow[0].double() + 2.0 * narrow[1].double() @ narrow[2].double()
    assert torch.allclose(one.double(), exact, rtol=2**-7, atol=0.02)


def test_muon_steps_the_same_both_ways(monkeypatch: pytest.MonkeyPatch) -> None:
    def step() -> Tensor:
        model = GPT(ModelConfig(d_model=32, n_heads=2, context_length=8, vocab_size=16), seed=0)
        start = torch.cat([p.detach().flatten().clone() for p in model.blocks.parameters()])
        optimizer = make_optimizer(model, OptimizerConfig(name="muon"))
        model.loss(torch.arange(8)[None], torch.arange(1, 9)[None]).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        end = torch.cat([p.detach().flatten() for p in model.blocks.parameters()])
        return end - start

    one, other = both_ways(monkeypatch, step)
    assert one.norm() > 0
    assert (one - other).norm() < 0.02 * one.norm()
    seen = watch(monkeypatch)
    step()
    assert len(seen) == 15 * 4  # 3 products in each of 5 rounds for each of the 4 shapes
    assert {factor.dtype for factor in seen} == {torch.bfloat16}


def test_to_the_nearest_is_what_torch_makes_of_it() -> None:
    weights = torch.randn(1000, generator=torch.Generator().manual_seed(0))
    rounded = weights.clone()
    products.round_to_bf16([rounded])
    assert torch.equal(rounded, weights.bfloat16().float())
    assert not torch.equal(rounded, weights)


def test_chance_rounds_to_a_neighbour_and_is_right_in_the_mean() -> None:
    generator = torch.Generator().manual_seed(0)
    weights = torch.randn(200, generator=generator)
    total = torch.zeros(200, dtype=torch.float64)
    rounds = 2000
    for _ in range(rounds):
        rounded = weights.clone()
        products.round_to_bf16([rounded], generator)
        assert torch.equal(rounded, rounded.bfloat16().float())
        total += rounded
    step = 2.0 ** (torch.frexp(weights).exponent.double() - 8)  # between neighbours
    assert ((rounded - weights).abs() < step).all()
    # A mean of a two-valued thing scatters by half a step over the root of the rounds at most.
    assert ((total / rounds - weights).abs() < 5 * step / 2 / rounds**0.5).all()
    held = rounded.clone()
    products.round_to_bf16([held], generator)
    assert torch.equal(held, rounded)  # what bf16 holds stays
