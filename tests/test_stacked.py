"""Stacked models compute what each computes alone."""

import itertools
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_runs import random_model, random_tokens, tiny_config, tiny_trainer
from torch import Tensor

from tinylm.config import OptimizerConfig
from tinylm.model import GPT
from tinylm.optim import make_optimizer, peak_learning_rate, schedule_factor
from tinylm.speed.stacked import Stacked, StackedAdamW, StackedGPT
from tinylm.train import train_to_the_end

VARIANTS: list[dict[str, Any]] = [
    {"positions": p, "norm": n, "mlp": m, "n_kv_heads": k, "qk_norm": q, "bias": b}
    for (p, n, b), (m, k), q in itertools.product(
        [("learned", "layernorm", True), ("rotary", "layernorm", False), ("rotary", "rmsnorm", 0)],
        [("gelu", None), ("swiglu", 2)],
        [False, True],
    )
]


def models_and_tokens(**fields: Any) -> tuple[list[GPT], Tensor, Tensor]:
    """Three models of one shape, and inputs and targets (3, 4, 16)."""
    models = [random_model(seed=seed, **fields) for seed in range(3)]
    tokens = torch.stack([random_tokens(4, 17, seed=seed) for seed in range(3)])
    return models, tokens[:, :, :-1], tokens[:, :, 1:]


def gradients(model: StackedGPT, inputs: Tensor, targets: Tensor) -> Tensor:
    """(M, P)"""
    parts = torch.autograd.grad(model.losses(inputs, targets).sum(), list(model.parameters()))
    return torch.cat([part.flatten(1) for part in parts], dim=1)


@pytest.mark.parametrize("variant", VARIANTS)
def test_losses_and_gradients_are_those_of_each_model(variant: dict[str, Any]) -> None:
    models, inputs, targets = models_and_tokens(**variant)
    stack = StackedGPT(models)
    losses, found = stack.losses(inputs, targets), gradients(stack, inputs, targets)
    for member, model in enumerate(models):
        loss = model.loss(inputs[member], targets[member])
        loss.backward()  # type: ignore[no-untyped-call]
        assert losses[member].item() == pytest.approx(loss.item(), abs=1e-6)
        for name, part in stack.views(found[member]).items():
            torch.testing.assert_close(part, model.get_parameter(name).grad, atol=1e-6, rtol=1e-6)


def test_members_do_not_touch_each_other() -> None:
    models, inputs, targets = models_and_tokens()
    stack = StackedGPT(models)
    before = gradients(stack, inputs, targets)
    with torch.no_grad():
        stack.flat[1] = torch.nan
    after = gradients(stack, inputs, targets)
    assert after[1].isnan().all()
    torch.testing.assert_close(after[[0, 2]], before[[0, 2]])


def test_every_weight_stands_once_in_the_flat_matrix() -> None:
    models, inputs, _ = models_and_tokens(norm="layernorm", positions="learned", bias=True)
    stack = StackedGPT(models)
    assert [name for name, _ in stack.named_parameters()] == list(stack.shapes)
    with torch.no_grad():
        for model in models:
            for p in model.parameters():
                p.mul_(2)
        stack.flat.mul_(2)
        together = stack(inputs.flatten(0, 1)).unflatten(0, (3, 4))
        for member, model in enumerate(models):
            torch.testing.assert_close(together[member], model(inputs[member]))


CONFIGS = [
    OptimizerConfig(learning_rate=0.01),
    OptimizerConfig(learning_rate=0.003, beta1=0.8, beta2=0.99, weight_decay=0.5),
    OptimizerConfig(learning_rate=0.02, gradient_clip=0.1, schedule="cosine", warmup_fraction=0.3),
]


def test_each_row_moves_as_under_its_own_adamw() -> None:
    models, inputs, targets = models_and_tokens()
    stack = StackedGPT(models)
    lengths = [12, 12, 20]
    ours = StackedAdamW(stack, CONFIGS, lengths)
    theirs = [make_optimizer(m, c) for m, c in zip(models, CONFIGS, strict=True)]
    for step in range(12):
        norms = ours.step(gradients(stack, inputs, targets), torch.full((3,), step))
        for member, (model, optimizer) in enumerate(zip(models, theirs, strict=True)):
            config = CONFIGS[member]
            factor = schedule_factor(config, step, lengths[member])
            for group in optimizer.param_groups:
                group["lr"] = peak_learning_rate(config, model.config.d_model) * factor
            optimizer.zero_grad()
            model.loss(inputs[member], targets[member]).backward()  # type: ignore[no-untyped-call]
            norm = torch.nn.utils.clip_grad_norm_(model.parameters(), config.gradient_clip)
            optimizer.step()
            assert float(norms[member]) == pytest.approx(float(norm), rel=1e-4)
            for name, part in stack.views(stack.flat[member]).items():
                torch.testing.assert_close(part, model.get_parameter(name), atol=1e-4, rtol=0)


def test_a_frozen_member_stays_at_rest_and_others_go_on() -> None:
    models, inputs, targets = models_and_tokens()
    stack = StackedGPT(models)
    optimizer = StackedAdamW(stack, CONFIGS, [12] * 3)
    with torch.no_grad():
        stack.flat[0] = torch.inf
    optimizer.step(gradients(stack, inputs, targets), torch.zeros(3, dtype=torch.int64))
    optimizer.freeze(0)
    others = stack.flat[1:].clone()
    optimizer.step(gradients(stack, inputs, targets), torch.ones(3, dtype=torch.int64))
    assert (stack.flat[0] == 0).all()
    assert (stack.flat[1:] != others).float().mean() > 0.9


def test_a_step_is_one_graph_for_the_compiler() -> None:
    """Nothing in it asks the device for a value, so that CUDA can replay it as a whole."""
    models, inputs, targets = models_and_tokens()
    stack = StackedGPT(models)
    optimizer = StackedAdamW(stack, CONFIGS, [12] * 3)
    losses = torch.compile(stack.losses, backend="aot_eager", fullgraph=True)
    step = torch.compile(optimizer.step, backend="eager", fullgraph=True)
    found = losses(inputs, targets)
    torch.testing.assert_close(found, stack.losses(inputs, targets))
    parts = torch.autograd.grad(found.sum(), list(stack.parameters()))
    flat = torch.cat([part.flatten(1) for part in parts], dim=1)
    torch.testing.assert_close(flat, gradients(stack, inputs, targets))
    before = stack.flat.clone()
    step(flat, torch.zeros(3, dtype=torch.int64))
    assert (stack.flat != before).float().mean() > 0.9


def test_members_that_have_ended_stay_within_the_optimisers_table(
    project: Path, tmp_path: Path
) -> None:
    """One has 3 steps left, the other 25: the first rests while the second goes far beyond."""
    trainers = [tiny_trainer(tiny_config(), tmp_path / str(seed), seed) for seed in (0, 1)]
    for trainer, step in zip(trainers, (27, 5), strict=True):
        trainer.state.step, trainer.state.losses = step, [6.0] * step
        trainer.begin_segment("stacked")
    ended: list[tuple[int, bool]] = []
    stack = Stacked(trainers)
    train_to_the_end(stack, None, lambda trainer, done: ended.append((trainer.seed, done)))
    assert ended == [(0, True), (1, True)]
    assert [trainer.state.step for trainer in trainers] == [30, 30]
    assert int(stack.steps.max()) < len(stack.optimizer.table)
