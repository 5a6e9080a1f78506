"""The optimiser and its schedules."""

import copy
from itertools import pairwise
from typing import Any, cast

import lion_pytorch
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tiny_runs import random_model, random_tokens

from tinylm.config import ModelConfig, OptimizerConfig
from tinylm.model import GPT
from tinylm.optim import (
    Lion,
    MuonWithAdamW,
    StackedMuon,
    cooldown_start,
    make_optimizer,
    peak_learning_rate,
    schedule_factor,
)

STEPS = st.integers(1, 300)
FRACTION = st.floats(0, 1)


def factors(n_steps: int, **fields: Any) -> list[float]:
    config = OptimizerConfig.model_validate(fields)
    return [schedule_factor(config, step, n_steps) for step in range(n_steps)]


@given(st.sampled_from(["constant", "cosine", "linear"]), STEPS, FRACTION, FRACTION)
def test_schedules_rise_evenly_to_one_then_never_rise(
    schedule: str, n_steps: int, warmup: float, final: float
) -> None:
    found = factors(n_steps, schedule=schedule, warmup_fraction=warmup, final_fraction=final)
    top = next((i for i, factor in enumerate(found) if factor == 1), len(found))
    assert found[:top] == pytest.approx([(i + 1) / (top + 1) for i in range(top)])
    assert abs(top - warmup * n_steps) <= 1
    after = found[top:]
    assert all(b <= a for a, b in pairwise(after))
    assert all(0 < factor <= 1 for factor in found[:top])
    assert all(min(final, 1) - 1e-12 <= factor <= 1 for factor in after)


@given(st.sampled_from(["cosine", "linear", "wsd"]), st.integers(10, 300), FRACTION)
def test_falling_schedules_end_at_the_final_fraction(
    schedule: str, n_steps: int, final: float
) -> None:
    found = factors(n_steps, schedule=schedule, final_fraction=final)
    assert found[-1] == pytest.approx(final, abs=1e-12)
    assert max(found) == 1


@given(st.integers(1, 300), st.floats(0, 0.5), st.floats(0, 0.5), st.floats(0, 0.9))
def test_wsd_is_flat_then_falls_evenly_over_its_share(
    n_steps: int, warmup: float, decay: float, final: float
) -> None:
    found = factors(
        n_steps,
        schedule="wsd",
        warmup_fraction=warmup,
        decay_fraction=decay,
        final_fraction=final,
    )
    falling = [factor for factor in found[int(warmup * n_steps) + 1 :] if factor < 1]
    assert len(falling) <= decay * n_steps + 1
    if decay * n_steps >= 3 and (1 - warmup) * n_steps >= 3:
        assert len(falling) >= decay * n_steps - 1
        drops = [a - b for a, b in pairwise([1.0, *falling])]
        assert drops == pytest.approx([drops[0]] * len(drops))
        assert found[-1] == pytest.approx(final, abs=1e-12)


def test_schedules_by_hand() -> None:
    no_warmup: dict[str, Any] = {"warmup_fraction": 0.0, "final_fraction": 0.2}
    assert factors(5, schedule="constant", **no_warmup) == [1, 1, 1, 1, 1]
    assert factors(5, schedule="linear", **no_warmup) == pytest.approx([1, 0.8, 0.6, 0.4, 0.2])
    assert factors(3, schedule="cosine", **no_warmup) == pytest.approx([1, 0.6, 0.2])
    quarter = factors(5, schedule="cosine", **no_warmup)[1]
    assert quarter == pytest.approx(0.2 + 0.8 * (1 + 2**-0.5) / 2)
    wsd = factors(10, schedule="wsd", warmup_fraction=0.2, decay_fraction=0.4)
    assert wsd == pytest.approx([0.5, 1, 1, 1, 1, 1, 1, 2 / 3, 1 / 3, 0])


@given(st.integers(1, 4096), FRACTION)
def test_the_rate_falls_as_a_power_of_width(width: int, exponent: float) -> None:
    config = OptimizerConfig(learning_rate=0.02, base_width=64, width_exponent=exponent)
    assert peak_learning_rate(config, 64) == 0.02
    ratio = peak_learning_rate(config, width) / peak_learning_rate(config, 4 * width)
    assert ratio == pytest.approx(4**exponent)


def test_decay_shrinks_matrices_and_leaves_vectors_alone() -> None:
    model = random_model(norm="layernorm", bias=True, positions="learned")
    config = OptimizerConfig(learning_rate=0.1, base_width=16, weight_decay=0.5)
    optimizer = make_optimizer(model, config)
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    for name, parameter in model.named_parameters():
        shrunk = 1 - 0.1 * 0.5 if parameter.dim() == 2 else 1.0
        torch.testing.assert_close(parameter.detach(), shrunk * before[name])


def test_a_step_is_adamw_with_the_given_moments() -> None:
    """The second step by hand: gradients 1, then -2, moments 0.8 and 0.9, no decay."""
    model = random_model()
    config = OptimizerConfig(
        learning_rate=0.01, base_width=16, beta1=0.8, beta2=0.9, weight_decay=0.0
    )
    optimizer = make_optimizer(model, config)
    weight = cast(torch.Tensor, model.norm.weight)
    for gradient in (1.0, -2.0):
        before = weight.detach().clone()
        for parameter in model.parameters():
            parameter.grad = torch.full_like(parameter, gradient)
        optimizer.step()
    first = (0.8 * 0.2 * 1 + 0.2 * -2) / (1 - 0.8**2)
    second = (0.9 * 0.1 * 1 + 0.1 * 4) / (1 - 0.9**2)
    expected = before - 0.01 * first / (second**0.5 + 1e-8)
    torch.testing.assert_close(weight.detach(), expected)


def learn(model: GPT, optimizer: Any, seeds: range) -> None:
    for seed in seeds:
        tokens = random_tokens(2, 13, seed=seed)
        optimizer.zero_grad()
        model.loss(tokens[:, :-1], tokens[:, 1:]).backward()  # type: ignore[no-untyped-call]
        optimizer.step()


def test_lion_is_the_reference_step_by_step() -> None:
    config = OptimizerConfig(name="lion", learning_rate=0.01, beta2=0.99, weight_decay=0.3)
    ours, theirs = random_model(), random_model()
    optimizer = make_optimizer(ours, config)
    assert isinstance(optimizer, Lion)
    rate, betas = peak_learning_rate(config, 16), (0.9, 0.99)
    matrices = [p for p in theirs.parameters() if p.dim() == 2]
    vectors = [p for p in theirs.parameters() if p.dim() < 2]
    reference = lion_pytorch.Lion(
        [{"params": matrices, "weight_decay": 0.3}, {"params": vectors, "weight_decay": 0.0}],
        lr=rate,
        betas=betas,
    )
    for seed in range(5):
        learn(ours, optimizer, range(seed, seed + 1))
        learn(theirs, reference, range(seed, seed + 1))
    for (name, mine), other in zip(ours.named_parameters(), theirs.parameters(), strict=True):
        # Where a momentum is about zero, the order of a sum decides its sign.
        same = torch.isclose(mine, other, atol=1e-6).float().mean()
        assert same > 0.99, name


def test_a_step_of_lion_moves_every_weight_by_the_rate() -> None:
    weight = torch.nn.Parameter(torch.tensor([1.0, -2.0, 0.5]))
    lion = Lion([{"params": [weight], "lr": 0.1, "weight_decay": 0.5}], betas=(0.9, 0.99))
    weight.grad = torch.tensor([3.0, -1e-6, 0.0])
    lion.step()
    # 1 - 0.1 * 0.5 of each weight, and 0.1 against the gradient's sign
    torch.testing.assert_close(weight.detach(), torch.tensor([0.85, -1.8, 0.475]))
    weight.grad = torch.tensor([-0.5, 0.0, 1.0])  # the first gradient still counts more
    lion.step()
    torch.testing.assert_close(weight.detach(), torch.tensor([0.9075, -1.61, 0.35125]))


def test_muon_moves_the_blocks_matrices_and_adamw_the_rest() -> None:
    config = OptimizerConfig(name="muon", matrix_learning_rate=0.02, momentum=0.8)
    ours, theirs = random_model(), random_model()
    optimizer = make_optimizer(ours, config)
    assert isinstance(optimizer, MuonWithAdamW)
    inner = [p for p in theirs.blocks.parameters() if p.dim() == 2]
    rest = [p for p in theirs.parameters() if not any(p is q for q in inner)]
    muon = torch.optim.Muon(inner, lr=0.02, momentum=0.8, weight_decay=config.weight_decay)
    rate = peak_learning_rate(config, 16)
    adamw = torch.optim.AdamW(rest, lr=rate, betas=(0.9, 0.95), weight_decay=0.0, fused=True)
    for seed in range(3):
        learn(ours, optimizer, range(seed, seed + 1))
        tokens = random_tokens(2, 13, seed=seed)
        theirs.zero_grad()
        theirs.loss(tokens[:, :-1], tokens[:, 1:]).backward()  # type: ignore[no-untyped-call]
        muon.step()  # type: ignore[no-untyped-call]
        adamw.step()
    start = dict(random_model().named_parameters())
    for (name, mine), other in zip(ours.named_parameters(), theirs.parameters(), strict=True):
        # Muon's bf16 sums may be added in another order.
        assert (mine - other).norm() < 0.02 * (other - start[name]).norm(), name
    peaks = {group["peak"] for group in optimizer.param_groups}
    assert peaks == {rate, 0.02}


def test_stacked_muon_is_muon_matrix_by_matrix() -> None:
    """Also with its rate in a tensor; bf16 sums may be added in another order."""
    generator = torch.Generator().manual_seed(1)
    shapes = [(6, 4), (6, 4), (4, 8), (5, 5), (4, 8)]
    one, other = (
        [torch.nn.Parameter(torch.ones(shape) * (i + 1)) for i, shape in enumerate(shapes)]
        for _ in range(2)
    )
    muon = torch.optim.Muon(one, lr=0.03, weight_decay=0.1, momentum=0.9)
    rate = torch.tensor(0.03)
    stacked = StackedMuon([{"params": other, "lr": rate}], weight_decay=0.1, momentum=0.9)
    for step in range(10):
        muon.param_groups[0]["lr"] = 0.03 / (step + 1)
        rate.fill_(0.03 / (step + 1))
        for a, b in zip(one, other, strict=True):
            a.grad = torch.randn(a.shape, generator=generator)
            b.grad = a.grad.clone()
        muon.step()  # type: ignore[no-untyped-call]
        stacked.step()
    for i, (a, b) in enumerate(zip(one, other, strict=True)):
        moved = (a - (i + 1)).norm()
        assert moved > 0.1
        assert (a - b).norm() < 0.02 * moved


def test_a_state_taken_back_goes_on_bit_for_bit() -> None:
    config = OptimizerConfig(name="muon")
    model, other = random_model(), random_model(seed=5)
    optimizer = make_optimizer(model, config)
    learn(model, optimizer, range(2))
    again = make_optimizer(other, config)
    other.load_state_dict(model.state_dict())
    again.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    for one, its in ((model, optimizer), (other, again)):
        learn(one, its, range(2, 4))
    for name, value in model.state_dict().items():
        assert torch.equal(other.state_dict()[name], value), name


def test_a_warm_up_of_fixed_length_is_the_same_for_every_length() -> None:
    short = factors(40, schedule="wsd", warmup_steps=7, decay_fraction=0.25)
    long = factors(400, schedule="wsd", warmup_steps=7, decay_fraction=0.25)
    start = cooldown_start(OptimizerConfig(schedule="wsd", warmup_steps=7, decay_fraction=0.25), 40)
    assert start == 30
    assert short[: start + 1] == long[: start + 1]
    assert short[start + 1] < long[start + 1] == 1.0


def moved_logits(width: int, mup_base: int | None, rate: float) -> float:
    """How far 4 steps of Adam move the logits (root mean square)."""
    config = ModelConfig(
        vocab_size=48, context_length=32, d_model=width, n_heads=2, mup_base=mup_base
    )
    optimizer_config = OptimizerConfig(learning_rate=rate, width_exponent=0.0, weight_decay=0.0)
    moves = []
    for seed in range(3):
        model = GPT(config, seed)
        optimizer = make_optimizer(model, optimizer_config)
        tokens = random_tokens(4, 33, seed=seed, vocab_size=48)
        with torch.no_grad():
            before = model(tokens[:, :-1])
        for _ in range(4):
            optimizer.zero_grad()
            model.loss(tokens[:, :-1], tokens[:, 1:]).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        with torch.no_grad():
            moves.append(float((model(tokens[:, :-1]) - before).square().mean().sqrt()))
    return sum(moves) / len(moves)


def test_with_maximal_updates_a_step_moves_the_logits_alike_at_every_width() -> None:
    """The coordinate check of Yang et al. 2021, on the output. At width 16 both are the same."""
    standard, maximal = (
        {width: moved_logits(width, base, rate=0.0005) for width in (16, 64, 256)}
        for base in (None, 16)
    )
    assert standard[16] == pytest.approx(maximal[16], rel=1e-5)
    assert standard[256] > 2 * standard[64] > 4 * standard[16]
    assert maximal[256] == pytest.approx(maximal[64], rel=0.3)


def test_maximal_updates_are_the_standard_ones_at_their_base() -> None:
    losses = []
    for base in (None, 32):
        model = GPT(ModelConfig(vocab_size=31, context_length=16, d_model=32, mup_base=base))
        optimizer = make_optimizer(model, OptimizerConfig(width_exponent=0.0))
        learn(model, optimizer, range(3))
        tokens = random_tokens(2, 13, seed=9)
        losses.append(model.loss(tokens[:, :-1], tokens[:, 1:]).item())
    assert losses[0] == pytest.approx(losses[1], rel=1e-6)


def test_maximal_updates_lower_the_rate_of_the_blocks_matrices_alone() -> None:
    model = GPT(ModelConfig(d_model=64, mup_base=16))
    config = OptimizerConfig(learning_rate=0.01, width_exponent=0.0)
    optimizer = make_optimizer(model, config)
    rates = {id(p): group["peak"] for group in optimizer.param_groups for p in group["params"]}
    for name, parameter in model.named_parameters():
        inner = name.startswith("blocks.") and parameter.dim() == 2
        assert rates[id(parameter)] == pytest.approx(0.0025 if inner else 0.01)
    for group in optimizer.param_groups:
        assert group["lr"] == group["peak"]
