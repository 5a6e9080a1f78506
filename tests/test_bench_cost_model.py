"""The benchmark of the cost model: what it trains, how it compares, what it writes."""

import json
from pathlib import Path

import pandas as pd
import pytest
from tiny_sweep import tiny_run

from tinylm.bench import cost_model
from tinylm.bench.cost_model import (
    check_estimates,
    measure,
    predictions,
    runs_that_differ_in_cost,
    share_within,
    write_results,
)
from tinylm.config import Run
from tinylm.errors import TinyLMError
from tinylm.store import Store
from tinylm.sweeps.estimate import Estimate
from tinylm.train import train


def test_the_paper_grid_is_covered_with_one_learning_rate_a_shape() -> None:
    runs = runs_that_differ_in_cost("paper", [0])
    shapes = [
        (r.config.model.d_model, r.config.model.context_length, r.config.tokens) for r in runs
    ]
    assert len(set(shapes)) == len(shapes) == 15
    assert {run.seed for run in runs} == {0}
    assert {width for width, *_ in shapes} == {16, 24, 32, 48, 64, 96, 128, 192}
    assert {context for _, context, _ in shapes} == {128, 256, 512, 1024}
    assert len(runs_that_differ_in_cost("paper", [0, 2])) == 30


def test_seeds_that_no_run_has_are_refused() -> None:
    with pytest.raises(TinyLMError, match=r"seeds \[7\]: profile 'paper' has no runs"):
        runs_that_differ_in_cost("paper", [7])


def test_predictions_are_made_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def pretend(runs: list[Run], jobs: int) -> dict[str, Estimate]:
        asked.extend(run.run_id for run in runs)
        return {run.run_id: Estimate(len(asked), 1.0, 1.0, 10**8) for run in runs}

    monkeypatch.setattr(cost_model, "estimate_runs", pretend)
    one, two = tiny_run(seed=0), tiny_run(seed=1)
    path = tmp_path / "estimates.json"
    first = predictions([one], 2, path)
    both = predictions([one, two], 2, path)
    assert asked == [one.run_id, two.run_id]
    assert both[one.run_id] == first[one.run_id] == Estimate(1, 1.0, 1.0, 10**8)


def test_predictions_are_compared_with_records(project: Path) -> None:
    run = tiny_run()
    timing = train(run.config, 0, store=Store("smoke")).timing
    estimate = Estimate(
        seconds=9.0,
        training_seconds=1.2 * timing.wall_seconds,
        cpu_seconds=0.5 * timing.cpu_seconds,
        memory_bytes=timing.peak_memory_bytes,
    )
    row = check_estimates([run], "smoke", {run.run_id: estimate}).iloc[0]
    assert row["run_id"] == run.run_id
    assert row["wall_seconds"] == round(timing.wall_seconds, 1)
    assert row["wall_seconds_off_percent"] == pytest.approx(20, abs=0.1)
    assert row["cpu_seconds_off_percent"] == pytest.approx(-50, abs=0.1)
    assert row["memory_mb_off_percent"] == 0
    with pytest.raises(TinyLMError, match="1 of 1 runs have no record"):
        check_estimates([tiny_run(seed=5)], "smoke", {})


def table_of(*off: tuple[float, float, float]) -> pd.DataFrame:
    names = ["wall_seconds_off_percent", "cpu_seconds_off_percent", "memory_mb_off_percent"]
    table = pd.DataFrame(off, columns=names)
    return table.assign(run_id=[f"run {i}" for i in range(len(off))])


def test_a_run_counts_when_all_of_it_is_within_a_quarter() -> None:
    table = table_of((0, 0, 0), (25, 0, -25), (-26, 0, 0), (0, 0, 26))
    assert share_within(table, "wall_seconds") == 0.75
    assert share_within(table, "memory_mb") == 0.75
    assert share_within(table, "wall_seconds", "memory_mb") == 0.5
    assert share_within(table, "cpu_seconds") == 1.0


def test_results_are_added_to_the_summary(tmp_path: Path) -> None:
    (tmp_path / "summary.json").write_text('{"sweep_ratio": 2.5}')
    write_results(table_of((10, 0, 0), (50, 10, 0)), tmp_path)
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert summary["sweep_ratio"] == 2.5
    assert summary["cost_model_within_25_percent"] == 0.5
    assert summary["cost_model"]["processor_time_within_25_percent"] == 1.0
    behind = summary["behind"]["cost_model_within_25_percent"]
    assert behind["runs"] == ["run 0", "run 1"]
    assert behind["file"] == "cost_model.csv"
    assert len(pd.read_csv(tmp_path / "cost_model.csv")) == 2


def test_runs_are_predicted_trained_and_compared_and_then_not_trained_again(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(
        cost_model,
        "estimate_runs",
        lambda runs, jobs: {run.run_id: Estimate(1.0, 1.0, 1.0, 10**8) for run in runs},
    )
    runs = [tiny_run(seed=0), tiny_run(seed=1)]
    train(runs[0].config, 0, store=Store("smoke"))
    table = measure(runs, "smoke", jobs=1)
    assert list(table["run_id"]) == [run.run_id for run in runs]
    assert Store("smoke").find(runs[1].run_id) is not None
    assert "1 of 2 runs to do" in capsys.readouterr().out
    assert measure(runs, "smoke", jobs=1).equals(table)
    assert "0 of 2 runs to do" in capsys.readouterr().out
