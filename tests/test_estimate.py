"""Estimates of how long runs will take, and how much memory."""

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_runs import tiny_config, tree

from tinylm import evaluate as evaluate_module
from tinylm.batches import validation_windows
from tinylm.config import Run, RunConfig, load_run_config
from tinylm.corpora.token_files import prepare
from tinylm.store import Store
from tinylm.sweeps import calibrate as calibrate_module
from tinylm.sweeps import estimate as estimate_module
from tinylm.sweeps.calibrate import Calibration, calibrate, shape_of, try_shapes
from tinylm.sweeps.declare import expand, experiments_of, load_experiment
from tinylm.sweeps.estimate import estimate_runs, evaluated_tokens
from tinylm.sweeps.run import Plan
from tinylm.train import CHECKPOINT_SECONDS, train

PARTS = Calibration(
    start_seconds=0.5,
    first_step=0.3,
    step=0.1,
    window_token=1e-4,
    save=0.2,
    core_share=1.0,
    peak_memory_bytes=400_000_000,
)


SHARE = 0.1  # of a run's cost that its evaluations may have
SHORT = 160_000  # training tokens below which they may have more


def run_of(name: str, **fields: Any) -> Run:
    return Run(tiny_config(**fields), 0, name)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Measurements are kept in a file of the test's own."""
    path = tmp_path / "cache" / "calibrations.json"
    monkeypatch.setattr(calibrate_module, "cache_path", lambda: path)
    return path


def measured(monkeypatch: pytest.MonkeyPatch, *parts: Calibration | None) -> None:
    """Let each of the runs that follow have these parts."""
    monkeypatch.setattr(estimate_module, "calibrate", lambda configs, jobs, trials: list(parts))


@pytest.fixture
def tried(cache: Path, monkeypatch: pytest.MonkeyPatch) -> list[tuple[RunConfig, int]]:
    """What is tried and how many at a time; it costs the width of the model."""
    asked: list[tuple[RunConfig, int]] = []

    def pretend(configs: Sequence[RunConfig], jobs: int) -> list[Calibration | None]:
        asked.extend((config, jobs) for config in configs)
        return [dataclasses.replace(PARTS, step=config.model.d_model) for config in configs]

    monkeypatch.setattr(calibrate_module, "try_shapes", pretend)
    return asked


def test_a_run_costs_its_parts_as_often_as_it_does_them(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = run_of("a")
    measured(monkeypatch, PARTS)
    made = estimate_runs([run], jobs=2)["a"]
    evaluated = evaluated_tokens(run.config, prepare("fables", "bpe-512"))
    loop = 0.3 + 29 * 0.1 + evaluated * 1e-4
    assert loop < CHECKPOINT_SECONDS
    assert made.cpu_seconds == made.training_seconds == pytest.approx(loop)
    assert made.seconds == pytest.approx(0.5 + loop + 0.2)
    assert made.memory_bytes == 400_000_000


def test_long_runs_save_checkpoints(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    slow = dataclasses.replace(PARTS, step=10.0, save=1.0)
    free = dataclasses.replace(slow, save=0.0)
    measured(monkeypatch, slow, free)
    made = estimate_runs([run_of("a"), run_of("b")], jobs=2)
    saves = int(made["b"].cpu_seconds / CHECKPOINT_SECONDS)
    assert saves >= 9
    assert made["a"].cpu_seconds - made["b"].cpu_seconds == saves


def test_the_clock_runs_faster_where_a_process_has_less_than_a_core(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ["a", "b", "c"]
    shares = (0.5, 0.9, 0.1)  # of a machine, and not of a shape: the median counts for all
    measured(monkeypatch, *(dataclasses.replace(PARTS, core_share=share) for share in shares))
    for made in estimate_runs([run_of(name) for name in names], jobs=2).values():
        assert made.training_seconds == pytest.approx(2 * made.cpu_seconds)


def test_evaluations_read_what_training_reads(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = 0
    windows = validation_windows

    def count(*arguments: Any) -> Any:
        nonlocal read
        for batch in windows(*arguments):
            read += batch.inputs.size
            yield batch

    config = tiny_config(evaluation={"stride_fraction": 0.5})
    monkeypatch.setattr(evaluate_module, "validation_windows", count)
    train(config, 0, store=Store("smoke"))
    assert read > 0
    assert evaluated_tokens(config, prepare("fables", "bpe-512")) == read


def test_each_shape_is_tried_once_and_remembered(
    project: Path, cache: Path, tried: list[tuple[RunConfig, int]]
) -> None:
    short, long = run_of("a"), run_of("b", tokens=60 * 256)
    rate = run_of("c", optimizer={"learning_rate": 0.1})
    wide = run_of("d", model={"d_model": 32})
    made = estimate_runs([short, long, rate, wide], jobs=2)
    assert tried == [(short.config, 2), (wide.config, 2)]
    assert made["c"] == made["a"]
    assert made["b"].cpu_seconds > 1.9 * made["a"].cpu_seconds
    assert made["d"].cpu_seconds > 1.9 * made["a"].cpu_seconds
    assert estimate_runs([short, long, rate, wide], jobs=2) == made
    assert len(tried) == 2
    estimate_runs([wide, short, long], jobs=3)  # with more at a time, all is new
    assert [jobs for _, jobs in tried] == [2, 2, 3, 3]


@pytest.mark.parametrize("seconds", [-10.0, 3601.0])  # from the future; an hour old
def test_what_is_not_fresh_is_tried_again(
    project: Path, cache: Path, tried: list[tuple[RunConfig, int]], seconds: float
) -> None:
    config = tiny_config()
    calibrate([config], 1)
    content = json.loads(cache.read_text())
    for entry in content.values():
        entry["time"] -= seconds
    cache.write_text(json.dumps(content))
    calibrate([config], 1)
    assert len(tried) == 2
    assert len(json.loads(cache.read_text())) == 1


@pytest.mark.parametrize("damage", ["{", "[]", '{"a": 1}', '{"a": {"time": "x"}}'])
def test_a_damaged_cache_is_replaced(
    project: Path, cache: Path, tried: list[tuple[RunConfig, int]], damage: str
) -> None:
    cache.parent.mkdir()
    cache.write_text(damage)
    assert calibrate([tiny_config()], 1) == calibrate([tiny_config()], 1)
    assert len(tried) == 1


def test_a_cache_that_cannot_be_written_is_done_without(
    project: Path, cache: Path, tried: list[tuple[RunConfig, int]]
) -> None:
    cache.parent.write_text("a file where the folder should be")
    assert calibrate([tiny_config()], 1) == [dataclasses.replace(PARTS, step=16)]


def test_a_shape_is_what_a_step_costs_and_no_more() -> None:
    plain = shape_of(tiny_config())
    same: list[dict[str, Any]] = [
        {"tokens": 512},
        {"optimizer": {"learning_rate": 1.0}},
        {"evaluation": {"points": 9, "curve_documents": 1}},
    ]
    for fields in same:
        assert shape_of(tiny_config(**fields)) == plain
    other: list[dict[str, Any]] = [
        {"model": {"d_model": 32}},
        {"model": {"mlp": "swiglu"}},
        {"batch_tokens": 512},
        {"precision": "bf16"},
        {"data": {"tokenizer": "characters"}},
        {"evaluation": {"stride_fraction": 0.5}},
    ]
    for fields in other:
        assert shape_of(tiny_config(**fields)) != plain


def test_shapes_are_tried_in_processes_that_leave_no_trace(project: Path) -> None:
    before, threads = tree(project), torch.get_num_threads()
    misfit = tiny_config(model={"context_length": 1 << 20}, batch_tokens=1 << 20)
    made, none, also = try_shapes([tiny_config(), misfit, tiny_config(precision="bf16")], jobs=2)
    assert none is None
    for parts in (made, also):
        assert parts is not None
        assert all(value > 0 for value in dataclasses.astuple(parts))
        assert 1e8 < parts.peak_memory_bytes < 4e9
    assert tree(project) == before
    assert torch.get_num_threads() == threads


def test_a_shape_that_cannot_be_tried_is_estimated_by_its_flops(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured(monkeypatch, None, None)
    large = {"d_model": 512, "n_layers": 8}
    made = estimate_runs([run_of("a"), run_of("b", model=large)], jobs=1)
    assert 0 < made["a"].seconds < made["b"].seconds
    weights = 8 * 12 * 512**2
    assert made["b"].memory_bytes - made["a"].memory_bytes > 16 * weights


def test_no_runs_need_no_estimate(project: Path, tried: list[tuple[RunConfig, int]]) -> None:
    assert estimate_runs([], jobs=2) == {}
    assert tried == []
    assert try_shapes([], jobs=2) == []


def test_hours_left_are_bounded_by_the_longest_run() -> None:
    plan = Plan([], {}, [], {"a": 3600.0, "b": 1800.0, "c": 1800.0})
    assert plan.hours_left(1) == 2.0
    assert plan.hours_left(2) == 1.0
    assert plan.hours_left(64) == 1.0
    assert Plan([], {}, [], {}).hours_left(2) == 0.0


@pytest.mark.parametrize("name", ["base", "fast", "reference"])
def test_looking_costs_a_config_a_tenth_of_training(name: str) -> None:
    config = load_run_config(name)
    data = config.data.model_copy(update={"corpus": "fables"})  # of long documents
    reading = evaluated_tokens(config, prepare(data.corpus, data.tokenizer))
    assert reading <= SHARE * 3 * config.tokens  # a training step also goes back, for two passes


@pytest.mark.parametrize("name", experiments_of("quick"))
def test_looking_costs_a_quick_run_a_tenth_of_training(name: str) -> None:
    shapes = {run.config for run in expand(load_experiment(name), "quick")}
    long = [config for config in shapes if config.tokens >= SHORT]
    for config in long:
        data = prepare(config.data.corpus, config.data.tokenizer)
        assert evaluated_tokens(config, data) <= SHARE * 3 * config.tokens, config
