"""What a model costs, against what torch counts while it works."""

from typing import Any

import pytest
import torch
from tiny_runs import random_model, random_tokens
from torch.utils.flop_counter import FlopCounterMode

from tinylm.config import ModelConfig
from tinylm.cost import flops_6nd, flops_exact, parameter_count, training_memory_bytes
from tinylm.model import explicit_attention

VARIANTS: list[dict[str, Any]] = [
    {},
    {"n_kv_heads": 2},
    {"n_kv_heads": 1, "mlp": "swiglu"},
    {"mlp": "swiglu", "d_mlp": 24, "n_layers": 3},
    {"positions": "learned", "norm": "layernorm", "bias": True, "qk_norm": False},
    {"norm": "layernorm", "bias": True, "mlp": "swiglu", "n_kv_heads": 2},
    {"d_model": 32, "n_heads": 2, "vocab_size": 97, "context_length": 24},
]


@pytest.mark.parametrize("variant", VARIANTS, ids=str)
def test_exact_flops_are_those_torch_counts(
    variant: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tinylm.model.fused_attention", explicit_attention)
    model = random_model(**variant).train()
    config, rows = model.config, 3
    length = config.context_length
    tokens = random_tokens(rows, length + 1, config.vocab_size)
    with FlopCounterMode(display=False) as counter:
        model.loss(tokens[:, :-1], tokens[:, 1:]).backward()  # type: ignore[no-untyped-call]
    # Written out, attention meets all T keys for each query and masks what comes later; the causal
    # half of it is (T + 1)/2. Each meeting is 2 products of d_model, 2 FLOPs each, thrice.
    per_query = length - (length + 1) / 2
    masked = 3 * 2 * 2 * config.d_model * config.n_layers * per_query * rows * length
    assert flops_exact(config, rows * length) == counter.get_total_flops() - masked


def test_6nd_is_six_times_blocks_and_norms_times_tokens() -> None:
    config = ModelConfig(d_model=64, n_layers=2, n_heads=2, qk_norm=False)
    blocks = 2 * 12 * 64**2 + 5 * 64  # Kaplan et al. 2020: 12·n_layers·d_model², and the norms
    assert parameter_count(config).non_embedding == blocks
    assert flops_6nd(config, 1000) == 6 * blocks * 1000


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
    for cost in (flops_6nd, flops_exact):
        assert cost(config, 3_000) == pytest.approx(3 * cost(config, 1_000))


def test_memory_is_what_autograd_keeps_give_or_take_a_third() -> None:
    """Activations, measured: every tensor that the backward pass holds, once each."""
    model = random_model(d_model=64, n_heads=2, context_length=64, vocab_size=512).train()
    batch_size = 8
    kept: dict[int, int] = {}
    weights = {p.untyped_storage().data_ptr() for p in model.parameters()}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    tokens = random_tokens(batch_size, 65, 512)
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        loss = model.loss(tokens[:, :-1], tokens[:, 1:])
    assert loss.isfinite()
    logits = 2 * 4 * batch_size * 64 * 512  # the logits and their gradient, not kept but held
    measured = sum(kept.values()) + logits + 16 * sum(p.numel() for p in model.parameters())
    assert training_memory_bytes(model.config, batch_size) == pytest.approx(measured, rel=1 / 3)
