"""Weights in few bits: the codes are what they should be, and GPTQ does better than rounding."""

import itertools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tiny_runs import random_model, random_tokens
from torch import Tensor, nn

from tinylm.errors import BadInput
from tinylm.inside import Coding, compress, gptq, gram_matrix, round_to_nearest
from tinylm.inside.compress import EMBEDDING_BITS, PLAIN_BITS, RANGE_BITS, stored_bits


def matrix(rows: int, columns: int, seed: int = 0) -> Tensor:
    return torch.randn(rows, columns, generator=torch.Generator().manual_seed(seed))


@given(st.integers(1, 8), st.integers(1, 9), st.integers(1, 20), st.none() | st.integers(1, 7))
def test_a_weight_comes_back_within_half_a_step(
    bits: int, rows: int, columns: int, group: int | None
) -> None:
    weights = matrix(rows, columns)
    back = round_to_nearest(weights, Coding(bits, group))
    for part, again in zip(
        *(torch.split(each, group or columns, dim=1) for each in (weights, back)), strict=True
    ):
        spread = part.amax(1) - part.amin(1)
        off = (part - again).abs().amax(1)
        assert (off <= spread / (2**bits - 1) / 2 + 1e-5).all()
        assert max(len(row.unique()) for row in again) <= 2**bits


@pytest.mark.parametrize("bits", [2, 4, 8])
def test_the_codes_are_those_of_torch(bits: int) -> None:
    """Where the lowest value is a whole number of steps, as torch's zero points have it."""
    weights = matrix(5, 40)
    low, high = weights.amin(1), weights.amax(1)
    step = (high - low) / (2**bits - 1)
    zero = (-low / step).round()
    moved = weights - (low + zero * step)[:, None]  # so that it is
    theirs = torch.fake_quantize_per_channel_affine(
        moved, step, zero.int(), axis=0, quant_min=0, quant_max=2**bits - 1
    )
    torch.testing.assert_close(round_to_nearest(moved, Coding(bits)), theirs, atol=1e-5, rtol=0)


def test_clipping_lowers_the_squared_error_and_never_raises_it() -> None:
    weights = matrix(20, 64)
    weights[:, 0] *= 6  # one far out
    for bits in (2, 3, 4, 8):
        plain, clipped = (
            (round_to_nearest(weights, Coding(bits, clip=clip)) - weights).square().sum(1)
            for clip in (False, True)
        )
        assert (clipped <= plain * (1 + 1e-5)).all()
        assert bits > 3 or clipped.sum() < 0.9 * plain.sum()


def test_gptq_keeps_outputs_nearer_than_rounding() -> None:
    inputs = matrix(500, 24, seed=1) @ matrix(24, 24, seed=2)  # that depend on each other
    weights, gram = matrix(10, 24), inputs.T @ inputs / 500
    for coding in (Coding(3), Coding(2, group=8), Coding(4, group=7, clip=True)):
        errors = [
            ((found - weights) @ inputs.T).square().mean()
            for found in (gptq(weights, gram, coding), round_to_nearest(weights, coding))
        ]
        assert errors[0] < 0.8 * errors[1]


def test_gptq_with_inputs_that_do_not_depend_on_each_other_rounds() -> None:
    weights = matrix(6, 12)
    for coding in (Coding(3), Coding(4, group=5)):
        found = gptq(weights, torch.eye(12), coding)
        torch.testing.assert_close(found, round_to_nearest(weights, coding))


def test_gptq_is_near_the_best_of_all_codes() -> None:
    """Of four weights of two bits each there are 256; the best is known."""
    inputs = matrix(50, 4, seed=3) @ matrix(4, 4, seed=4)
    gram, coding = inputs.T @ inputs / 50, Coding(2)
    for seed in range(20):
        weights = matrix(1, 4, seed)
        low, high = float(weights.min()), float(weights.max())
        values = [low + (high - low) * code / 3 for code in range(4)]
        every = torch.tensor(list(itertools.product(values, repeat=4)))

        def error(found: Tensor, weights: Tensor = weights) -> Tensor:
            off = found - weights
            return (off @ gram * off).sum(1)

        least = float(error(every).min())
        ours, plain = (
            float(error(found))
            for found in (gptq(weights, gram, coding), round_to_nearest(weights, coding))
        )
        assert least <= ours * (1 + 1e-4)
        assert ours <= plain * 1.3  # greedy, so now and then a little worse than rounding


def test_inputs_that_never_come_break_nothing() -> None:
    gram = torch.eye(6)
    gram[2, 2] = 0.0
    assert gptq(matrix(3, 6), gram, Coding(3)).isfinite().all()


@pytest.mark.parametrize("method", ["nearest", "gptq"])
def test_a_model_of_eight_bits_says_nearly_the_same(method: str) -> None:
    model, tokens = random_model(shift=1), random_tokens(4, 16)
    coded = compress(model, Coding(8, method=method), tokens)  # type: ignore[arg-type]
    with torch.no_grad():
        said = model(tokens)
        off = (coded.model(tokens) - said).abs().max()
    assert 0 < off < 0.1 * said.std()
    assert coded.model is not model
    rough = compress(model, Coding(2, method=method), tokens)  # type: ignore[arg-type]
    with torch.no_grad():
        assert (rough.model(tokens) - model(tokens)).abs().max() > 5 * off


def test_what_is_stored_is_counted() -> None:
    model = random_model(shift=2, tied=False)
    coded = compress(model, Coding(3, group=5))
    bits = 0
    for module in model.modules():
        if isinstance(module, nn.Linear | nn.Embedding):
            rows, columns = module.weight.shape
            each = max(3, EMBEDDING_BITS) if isinstance(module, nn.Embedding) else 3
            bits += rows * (columns * each + -(-columns // 5) * RANGE_BITS)
    bits += sum(p.numel() for p in model.parameters() if p.dim() == 1) * PLAIN_BITS
    assert coded.stored_bits == bits
    assert coded.stored_bytes == bits / 8
    assert stored_bits((4, 10), Coding(4)) == 4 * (40 + RANGE_BITS)


def test_the_inputs_of_a_layer_are_weighed_as_it_gets_them() -> None:
    model, tokens = random_model(), random_tokens(3, 9)
    seen: list[Tensor] = []
    layer = model.get_submodule("blocks.1.mlp.up")
    layer.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].flatten(0, 1)))
    gram = gram_matrix(model, "blocks.1.mlp.up", tokens)
    torch.testing.assert_close(gram, seen[0].T @ seen[0] / 27)


def test_bad_input_is_told() -> None:
    model = random_model()
    for bits in (0, 17):
        with pytest.raises(BadInput, match=f"bits {bits}: expected 1 to 16"):
            Coding(bits)
    with pytest.raises(BadInput, match="group 0: expected 1 or more"):
        Coding(4, group=0)
    with pytest.raises(BadInput, match="method 'best': expected 'nearest' or 'gptq'"):
        Coding(4, method="best")  # type: ignore[arg-type]
    with pytest.raises(BadInput, match="needs tokens to read"):
        compress(model, Coding(4, method="gptq"))
    with pytest.raises(BadInput, match=r"layer 'x': expected one of blocks\.0\.attention\.qkv, "):
        gram_matrix(model, "x", random_tokens(1, 4))
