"""The step by hand gives autograd's loss and gradients."""

from copy import deepcopy

import pytest
import torch
import torch.nn.functional as F
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tinylm import bf16 as products
from tinylm.config import ModelConfig
from tinylm.model import GPT
from tinylm.speed.by_hand import fast_loss, fast_losses, supports

ROUNDINGS = 30  # of every weight, whose effect a step's own roundings may have: it has dozens


def model_with_noise(config: ModelConfig, seed: int = 1) -> GPT:
    """A model whose gains are not all one, so that a wrong gain shows."""
    model = GPT(config, seed)
    generator = torch.Generator().manual_seed(seed + 1)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() == 1:
                parameter.add_(0.3 * torch.randn(parameter.shape, generator=generator))
    return model


def loss_and_gradients(model: GPT, loss: torch.Tensor) -> tuple[float, dict[str, torch.Tensor]]:
    model.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    return loss.item(), {n: p.grad for n, p in model.named_parameters() if p.grad is not None}


def batch(
    config: ModelConfig, rows: int, length: int, seed: int = 3
) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    tokens = torch.randint(config.vocab_size, (rows, length + 1), generator=generator)
    return tokens[:, :-1], tokens[:, 1:]


def exactly(
    model: GPT, tokens: torch.Tensor, targets: torch.Tensor
) -> tuple[float, dict[str, torch.Tensor]]:
    """Loss and gradients of a model in fp64."""
    exact = deepcopy(model).double()
    logits = exact(tokens).flatten(0, 1)
    return loss_and_gradients(exact, F.cross_entropy(logits, targets.flatten()))


def rounded_elsewhere(model: GPT, seed: int) -> GPT:
    """The model in fp64, each weight off by as much as one rounding to fp32 may put it."""
    other = deepcopy(model).double()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in other.parameters():
            signs = torch.randn(parameter.shape, generator=generator).sign()
            parameter.mul_(1 + torch.finfo(torch.float32).eps * signs)
    return other


@settings(max_examples=25)
@example(  # logits times 32: plain fp32 is off by 0.2 % in a gradient
    heads=(1, 0),
    half_width=1,
    n_layers=1,
    mlp="relu2",
    shift=1,
    rows=1,
    length=8,
    vocab_size=28,
    mup_base=64,
    induction_positions=True,
)
@given(
    heads=st.sampled_from([(1, 0), (1, 1), (2, 1), (3, 0), (3, 2)]),
    half_width=st.integers(1, 9),
    n_layers=st.integers(1, 3),
    mlp=st.sampled_from(["gelu", "relu2"]),
    shift=st.integers(0, 3),
    rows=st.integers(1, 4),
    length=st.integers(1, 40),
    vocab_size=st.integers(2, 70),
    mup_base=st.sampled_from([None, 4, 64]),
    induction_positions=st.booleans(),
)
def test_fp32_is_off_by_no_more_than_its_roundings(
    heads: tuple[int, int],
    half_width: int,
    n_layers: int,
    mlp: str,
    shift: int,
    rows: int,
    length: int,
    vocab_size: int,
    mup_base: int | None,
    induction_positions: bool,
) -> None:
    n_heads, induction_heads = heads
    config = ModelConfig.model_validate(
        {
            "d_model": 2 * half_width * n_heads, "n_heads": n_heads, "n_layers": n_layers,
            "induction_heads": induction_heads,
            "mlp": mlp, "shift": shift, "context_length": 40, "vocab_size": vocab_size,
            "mup_base": mup_base, "induction_positions": induction_positions,
        }
    )  # fmt: skip
    model = model_with_noise(config)
    tokens, targets = batch(config, rows, length)
    loss, gradients = loss_and_gradients(model, model.loss(tokens, targets))
    fast, fast_gradients = loss_and_gradients(model, fast_loss(model, tokens, targets, "fp32"))
    assert fast_gradients.keys() == gradients.keys() == dict(model.named_parameters()).keys()
    exact_loss, exact = exactly(model, tokens, targets)
    # What fp32 is off by where that is more than usual is told by rounded weights and by autograd.
    near = [exactly(rounded_elsewhere(model, seed), tokens, targets) for seed in range(5)]
    off, plain_off = abs(fast - exact_loss), abs(loss - exact_loss)
    moved = max(abs(other - exact_loss) for other, _ in near)
    assert off <= max(1e-5 * exact_loss, ROUNDINGS * moved, 3 * plain_off)
    largest = max(float(gradient.norm()) for gradient in exact.values())
    for name, gradient in exact.items():
        off = float((fast_gradients[name] - gradient).norm())
        usual = 1e-4 * float(gradient.norm()) + 1e-5 * largest
        moved = max(float((other[name] - gradient).norm()) for _, other in near)
        plain_off = float((gradients[name] - gradient).norm())
        assert off <= max(usual, ROUNDINGS * moved, 3 * plain_off), name


def test_models_side_by_side_take_their_steps_bit_for_bit() -> None:
    config = ModelConfig(
        d_model=48, n_heads=2, context_length=40, vocab_size=61, shift=1, induction_heads=1
    )
    for precision in ("fp32", "bf16"):
        models = [model_with_noise(config, seed) for seed in range(3)]
        batches = [batch(config, 2, 40, seed) for seed in range(3)]
        alone = [
            loss_and_gradients(model, fast_loss(model, *tokens, precision))
            for model, tokens in zip(models, batches, strict=True)
        ]
        for model in models:
            model.zero_grad()
        tokens, targets = (torch.stack(parts) for parts in zip(*batches, strict=True))
        losses = fast_losses(models, tokens, targets, precision)
        losses.sum().backward()  # type: ignore[no-untyped-call]
        assert losses.tolist() == [loss for loss, _ in alone]
        for model, (_, gradients) in zip(models, alone, strict=True):
            for name, parameter in model.named_parameters():
                assert parameter.grad is not None
                assert torch.equal(parameter.grad, gradients[name]), name


@pytest.mark.parametrize(
    ("block", "size", "length"),
    [("NUMBERS", 150, 32), ("QUERIES", 8, 7), ("QUERIES", 8, 16), ("QUERIES", 8, 37)],
)
def test_the_size_of_blocks_changes_nothing(
    monkeypatch: pytest.MonkeyPatch, block: str, size: int, length: int
) -> None:
    config = ModelConfig(d_model=16, n_heads=2, context_length=40, vocab_size=50)
    model = model_with_noise(config)
    tokens, targets = batch(config, 4, length)
    whole, whole_gradients = loss_and_gradients(model, fast_loss(model, tokens, targets, "fp32"))
    monkeypatch.setattr(f"tinylm.speed.by_hand.BLOCK_{block}", size)
    cut, cut_gradients = loss_and_gradients(model, fast_loss(model, tokens, targets, "fp32"))
    assert cut == pytest.approx(whole, rel=1e-6)
    for name, gradient in whole_gradients.items():
        torch.testing.assert_close(cut_gradients[name], gradient, rtol=1e-4, atol=1e-7)


def test_a_loss_beyond_the_smallest_chance_is_told_as_it_is() -> None:
    config = ModelConfig(d_model=16, n_heads=2, context_length=32, vocab_size=50)
    model = model_with_noise(config)
    with torch.no_grad():
        dict(model.named_parameters())["norm.weight"].mul_(1e4)
    tokens, targets = batch(config, 4, 32)
    loss, gradients = loss_and_gradients(model, model.loss(tokens, targets))
    fast, fast_gradients = loss_and_gradients(model, fast_loss(model, tokens, targets, "fp32"))
    assert loss > 100
    assert fast == pytest.approx(loss, rel=1e-4)
    aim = gradients["embedding.weight"]
    torch.testing.assert_close(fast_gradients["embedding.weight"], aim, rtol=1e-2, atol=1e-3)


def test_bf16_is_near() -> None:
    config = ModelConfig(d_model=64, n_heads=2, context_length=64)
    model = model_with_noise(config)
    tokens, targets = batch(config, 4, 64)
    loss, gradients = loss_and_gradients(model, model.loss(tokens, targets))
    fast, fast_gradients = loss_and_gradients(model, fast_loss(model, tokens, targets, "bf16"))
    assert fast == pytest.approx(loss, rel=2e-3)
    assert fast != loss  # it was bf16
    for name, gradient in gradients.items():
        cosine = torch.cosine_similarity(fast_gradients[name].ravel(), gradient.ravel(), dim=0)
        assert cosine > 0.999, name


@pytest.mark.parametrize(
    "change",
    [
        {"norm": "layernorm"},
        {"norm": "layernorm", "bias": True},
        {"mlp": "swiglu"},
        {"n_kv_heads": 1},
        {"positions": "learned"},
        {"qk_norm": False},
        {"positions": "none"},
        {"mixing": "linear"},
        {"tied": False},
        {"shift": 1, "shift_layers": True},
    ],
)
def test_supports_says_no(change: dict[str, object]) -> None:
    assert supports(ModelConfig(), torch.device("cpu"))
    assert not supports(ModelConfig(), torch.device("cuda"))
    assert not supports(ModelConfig.model_validate(change), torch.device("cpu"))


@pytest.mark.parametrize("n_models", [1, 2])
def test_without_bf16_products_a_step_rounds_as_with_them(
    monkeypatch: pytest.MonkeyPatch, n_models: int
) -> None:
    """Both ways stand nearer to each other than to fp32, but for roundings that tip over."""
    config = ModelConfig(
        d_model=48, n_heads=2, context_length=40, vocab_size=61, shift=1, induction_heads=1
    )
    models = [model_with_noise(config, seed) for seed in range(n_models)]
    tokens, targets = batch(config, 2 * n_models, 40)
    shape = (n_models, 2, 40)

    def gradient(precision: str, *, fast_products: bool) -> torch.Tensor:
        monkeypatch.setattr(products, "has_bf16_products", lambda: fast_products)
        losses = fast_losses(models, tokens.view(shape), targets.view(shape), precision)
        parameters = [p for model in models for p in model.parameters()]
        grads = torch.autograd.grad(losses.sum(), parameters)
        return torch.cat([grad.flatten() for grad in grads])

    exact = gradient("fp32", fast_products=False)
    assert torch.equal(exact, gradient("fp32", fast_products=True))
    by_bf16, by_fp32 = (gradient("bf16", fast_products=fast) for fast in (True, False))
    assert not torch.equal(by_fp32, exact)
    assert (by_fp32 - by_bf16).norm() < 0.6 * (by_bf16 - exact).norm()
