"""Estimates of how long runs will take."""

from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_runs import tiny_config

from tinylm.config import ModelConfig, RunConfig
from tinylm.experiments import estimate
from tinylm.experiments.declare import Run
from tinylm.experiments.estimate import START_SECONDS, estimate_seconds
from tinylm.experiments.sweep import Plan


def run_of(name: str, **fields: Any) -> Run:
    return Run(tiny_config(**fields), 0, name)


def test_seconds_are_steps_and_evaluations_at_their_measured_cost(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    timed: list[tuple[int, int]] = []

    def measured(config: RunConfig, model: ModelConfig) -> tuple[float, float]:
        timed.append((model.d_model, model.vocab_size))
        return 0.1 * model.d_model, 0.01 * model.d_model

    monkeypatch.setattr(estimate, "_seconds_a_step", measured)
    short, long = run_of("a"), run_of("b", tokens=60 * 256)
    wide = run_of("c", model={"d_model": 32})
    seconds = estimate_seconds([short, long, wide])
    assert timed == [(16, 512), (32, 512)]  # each shape once, with the vocabulary of the data
    assert seconds["b"] - seconds["a"] == pytest.approx(30 * 1.6)
    assert seconds["c"] - START_SECONDS == pytest.approx(2 * (seconds["a"] - START_SECONDS))
    assert seconds["a"] > START_SECONDS + 30 * 1.6  # the evaluations, too


def test_estimating_leaves_no_trace(project: Path) -> None:
    before = torch.get_num_threads()
    seconds = estimate_seconds([run_of("a")])
    assert seconds["a"] > START_SECONDS
    assert torch.get_num_threads() == before
    assert not (project / "results").exists()


def test_hours_left_are_bounded_by_the_longest_run() -> None:
    plan = Plan([], {}, [], {"a": 3600.0, "b": 1800.0, "c": 1800.0})
    assert plan.hours_left(1) == 2.0
    assert plan.hours_left(2) == 1.0
    assert plan.hours_left(64) == 1.0
    assert Plan([], {}, [], {}).hours_left(2) == 0.0
