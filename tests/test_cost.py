"""What a model costs, against what torch counts and holds while it works."""

from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_runs import random_model, random_tokens, tiny_config, tiny_trainer
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.checkpoint import checkpoint
from torch.utils.flop_counter import FlopCounterMode

from tinylm.config import ModelConfig
from tinylm.cost import (
    activation_bytes,
    evaluation_memory_bytes,
    flops_6nd,
    flops_exact,
    forward_flops,
    parameter_count,
    peak_memory_bytes,
    state_bytes,
    training_memory_bytes,
)
from tinylm.model import GPT, Block, explicit_attention

VARIANTS: list[dict[str, Any]] = [
    {},
    {"n_kv_heads": 2},
    {"n_kv_heads": 1, "mlp": "swiglu"},
    {"mlp": "swiglu", "d_mlp": 24, "n_layers": 3},
    {"positions": "learned", "norm": "layernorm", "bias": True, "qk_norm": False},
    {"norm": "layernorm", "bias": True, "mlp": "swiglu", "n_kv_heads": 2},
    {"d_model": 32, "n_heads": 2, "vocab_size": 97, "context_length": 24},
    {"context_length": 4, "mlp": "relu2", "shift": 3},
    {"context_length": 128, "positions": "learned"},
    {"tied": False, "shift": 1, "shift_layers": True, "positions": "none"},
]
ROWS = 3


def flops_full_attention(model: ModelConfig, tokens: int) -> float:
    """Training FLOPs with attention as if nothing were masked, as torch counts them."""
    return 3 * forward_flops(model, tokens, attention="full")


def counted(work: Callable[[], object]) -> int:
    """FLOPs that torch counts in some work, with attention written out in matrix products."""
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        work()
    return int(counter.get_total_flops())


def masked_flops(config: ModelConfig, tokens: int) -> float:
    """Forward FLOPs of the meetings of a query with later keys, which torch counts: it meets T
    keys, of which (T + 1)/2 are not masked. A meeting is 2 products of d_model, 2 FLOPs each."""
    masked = config.context_length - (config.context_length + 1) / 2
    return 2 * 2 * config.d_model * config.n_layers * masked * tokens


def test_linear_attention_costs_a_state_and_not_the_text_before() -> None:
    """Written out as here, torch counts it as attention and its gates; as a recurrence, a token
    updates a state of W x W a head and reads it.
    """
    model = random_model(mixing="linear").train()
    config = model.config
    tokens = random_tokens(ROWS, config.context_length, config.vocab_size)
    with torch.no_grad():
        reading = counted(lambda: model(tokens))
    n = tokens.numel()
    assert forward_flops(config, n, attention="full") == reading
    meetings = 2 * 2 * config.d_model * config.n_layers * n
    state = forward_flops(config, n) - (reading - meetings * config.context_length)
    assert state == meetings * config.head_width
    longer = config.model_copy(update={"context_length": 10 * config.context_length})
    assert forward_flops(longer, n) == forward_flops(config, n)


@pytest.mark.parametrize("variant", VARIANTS, ids=str)
def test_flops_are_those_torch_counts(variant: dict[str, Any]) -> None:
    model = random_model(**variant).train()
    config = model.config
    tokens = random_tokens(ROWS, config.context_length + 1, config.vocab_size)
    n = ROWS * config.context_length
    with torch.no_grad():
        reading = counted(lambda: model(tokens[:, :-1]))
    training = counted(lambda: model.loss(tokens[:, :-1], tokens[:, 1:]).backward())  # type: ignore[no-untyped-call]
    assert forward_flops(config, n, attention="full") == reading
    assert forward_flops(config, n) == reading - masked_flops(config, n)
    assert flops_full_attention(config, n) == training
    assert flops_exact(config, n) == training - 3 * masked_flops(config, n)


def test_the_attention_that_is_written_out_counts_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tinylm.model.fused_attention", explicit_attention)
    model = random_model()
    n = ROWS * model.config.context_length
    tokens = random_tokens(ROWS, model.config.context_length)
    with FlopCounterMode(display=False) as counter:
        model(tokens)
    assert counter.get_total_flops() == forward_flops(model.config, n, attention="full")


def test_a_step_of_the_trainer_does_the_flops_of_the_estimate(project: Path) -> None:
    config = tiny_config()
    trainer = tiny_trainer(config, project)
    trainer.take_step()
    done = counted(trainer.take_step)
    model, tokens = trainer.config.model, config.batch_tokens
    # To 1 %, and it may or may not leave out what the mask hides.
    assert 0.99 * flops_exact(model, tokens) <= done <= 1.01 * flops_full_attention(model, tokens)


@pytest.mark.filterwarnings("ignore:Mismatch dtype between input and weight")
def test_bf16_does_the_flops_of_fp32() -> None:
    model = random_model().train()
    tokens = random_tokens(ROWS, model.config.context_length + 1)

    def step() -> None:
        with torch.autocast("cpu", torch.bfloat16):
            loss = model.loss(tokens[:, :-1], tokens[:, 1:])
        loss.backward()  # type: ignore[no-untyped-call]

    n = ROWS * model.config.context_length
    assert counted(step) == flops_full_attention(model.config, n)


def test_6nd_is_six_times_blocks_and_norms_times_tokens() -> None:
    config = ModelConfig(d_model=64, n_layers=2, n_heads=2, qk_norm=False)
    blocks = 2 * 12 * 64**2 + 5 * 64  # Kaplan et al. 2020: 12·n_layers·d_model², and the norms
    assert parameter_count(config).non_embedding == blocks
    assert flops_6nd(config, 1000) == 6 * blocks * 1000
    assert flops_6nd(config, 1000, with_output=True) == 6 * (blocks + 512 * 64) * 1000


def test_6nd_with_the_output_layer_lacks_attention_and_counts_norms() -> None:
    config = ModelConfig(d_model=64, n_layers=3, n_heads=2, context_length=100)
    norms = parameter_count(config).norms
    for flops, met in ((flops_exact, 50.5), (flops_full_attention, 100)):
        attention = 2 * 3 * 64 * met
        rest = flops(config, 10) - flops_6nd(config, 10, with_output=True)
        assert rest == pytest.approx(6 * (attention - norms) * 10)


def test_the_gap_between_the_conventions_closes_with_width() -> None:
    gaps = []
    for width in (64, 256, 1024, 4096):
        config = ModelConfig(d_model=width, n_layers=2, n_heads=2)
        gaps.append(flops_exact(config, 10) / flops_6nd(config, 10))
    assert gaps[0] == pytest.approx(1.66, abs=0.01)  # what the docstring says
    assert gaps == sorted(gaps, reverse=True)
    assert gaps[-1] == pytest.approx(1, abs=0.02)


def test_costs_are_proportional_to_tokens() -> None:
    config = ModelConfig()
    for flops in (flops_6nd, flops_exact, flops_full_attention):
        assert flops(config, 3_000) == pytest.approx(3 * flops(config, 1_000))
    with_output = (flops_6nd(config, n, with_output=True) for n in (1_000, 3_000))
    once, thrice = with_output
    assert thrice == pytest.approx(3 * once)


# --- memory ---------------------------------------------------------------------------------------


def kept_bytes(model: GPT, loss: Callable[[], torch.Tensor]) -> int:
    """Bytes of every tensor that the backward pass holds, once each, weights left out."""
    kept: dict[int, int] = {}
    weights = {p.untyped_storage().data_ptr() for p in model.parameters()}
    held = []  # so that no address is used twice

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            kept[storage.data_ptr()] = storage.nbytes()
            held.append(tensor)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        assert loss().isfinite()
    return sum(kept.values())


BATCH, CONTEXT, VOCABULARY = 8, 64, 512
BRIEF = 2 * 4 * BATCH * CONTEXT * VOCABULARY  # logits and their gradient: not kept, but held


def wide_model(**fields: Any) -> tuple[GPT, Callable[[], torch.Tensor]]:
    shape = {"d_model": 64, "n_heads": 2, "context_length": CONTEXT, "vocab_size": VOCABULARY}
    model = random_model(**shape | fields).train()
    tokens = random_tokens(BATCH, CONTEXT + 1, VOCABULARY)
    return model, lambda: model.loss(tokens[:, :-1], tokens[:, 1:])


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize(
    "fields",
    [{}, {"mlp": "swiglu"}, {"n_kv_heads": 1}, {"n_layers": 4}, {"mixing": "linear"}],
    ids=str,
)
@pytest.mark.filterwarnings("ignore:Mismatch dtype between input and weight")
def test_memory_is_what_autograd_keeps_give_or_take_a_third(
    fields: dict[str, Any], precision: Any
) -> None:
    model, loss = wide_model(**fields)
    autocast = torch.autocast("cpu", torch.bfloat16) if precision == "bf16" else nullcontext()
    with autocast:
        measured = kept_bytes(model, loss) + BRIEF
    if precision == "bf16":  # copies of the weights are kept, too
        measured -= 2 * sum(p.numel() for p in model.parameters() if p.dim() == 2)
    estimate = activation_bytes(model.config, BATCH, precision=precision)
    assert estimate == pytest.approx(measured, rel=1 / 3)


def test_recomputation_keeps_a_layers_input_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    model, loss = wide_model(n_layers=6)
    whole = kept_bytes(model, loss)
    forward = Block.forward

    def recomputed(self: Block, *arguments: Any) -> torch.Tensor:
        result: torch.Tensor = checkpoint(forward, self, *arguments, use_reentrant=False)
        return result

    monkeypatch.setattr(Block, "forward", recomputed)
    less = kept_bytes(model, loss)
    saved = activation_bytes(model.config, BATCH) - activation_bytes(
        model.config, BATCH, recompute=True
    )
    # Of six layers, five are not there at any one time while the sixth is computed again.
    assert saved == pytest.approx((whole - less) * 5 / 6, rel=1 / 3)


def test_training_memory_is_state_copies_and_activations() -> None:
    config = ModelConfig()
    parameters = parameter_count(config).total
    assert sum(state_bytes(config).values()) == 16 * parameters
    assert training_memory_bytes(config, 4) == 16 * parameters + activation_bytes(config, 4)
    assert training_memory_bytes(config, 4, precision="bf16") == pytest.approx(
        18 * parameters + activation_bytes(config, 4, precision="bf16")
    )


def test_a_run_holds_the_larger_of_a_step_and_an_evaluation() -> None:
    config = ModelConfig()
    state = sum(state_bytes(config).values())
    assert peak_memory_bytes(config, 32, 16) == training_memory_bytes(config, 32)
    few = peak_memory_bytes(config, 1, 8192)
    assert few == state + evaluation_memory_bytes(config, 8192)
    assert few > state + 2 * 4 * 8192 * config.vocab_size  # logits and their log-softmax


@pytest.mark.parametrize(("width", "layers", "context"), [(16, 2, 128), (64, 3, 256)])
def test_the_formulas_of_the_cheat_sheet(width: int, layers: int, context: int) -> None:
    model = ModelConfig(
        d_model=width, n_layers=layers, n_heads=2, context_length=context, vocab_size=512
    )
    per_token = 6 * (12 * layers * width**2 + 512 * width + layers * width * (context + 1))
    assert flops_exact(model, 1000) == per_token * 1000
    count = parameter_count(model)
    assert count.attention + count.mlp == 12 * layers * width**2
    assert count.embedding == 512 * width
