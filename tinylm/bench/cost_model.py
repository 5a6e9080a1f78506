"""How far the cost model is off: train every shape of a profile's grid, compare with what was
predicted before. `python -m tinylm.bench.cost_model --seeds 0`, on a quiet machine.

The runs train into a project of their own, `results/bench-scratch/cost_model/`, and not into the
profile's records. Kill it and start it again at will: predictions are made once, before the first
run, and runs that have their record are not trained again. Delete the folder to measure anew.
Learning rates and seeds do not change a run's cost: of runs that differ only in the rate one is
trained.
"""

import argparse
import dataclasses
import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from tinylm.bench.scratch import Lines, scratch_root
from tinylm.bench.summary import merge_summary
from tinylm.config import Run
from tinylm.errors import BadInput, TinyLMError
from tinylm.files import project_root, write_atomic
from tinylm.records import RunRecord
from tinylm.store import Store
from tinylm.sweeps.calibrate import shape_of
from tinylm.sweeps.declare import expand, experiments_of, load_experiment
from tinylm.sweeps.estimate import Estimate, estimate_runs
from tinylm.sweeps.executors.local import LocalExecutor
from tinylm.sweeps.run import Plan, plan_sweep, sweep, usable_cores

WITHIN_PERCENT = 25.0
EXPERIMENTS = ("context_length", "learning_rate", "model_size")  # minutes, not hours


def runs_that_differ_in_cost(profile: str, seeds: Sequence[int]) -> list[Run]:
    """The grid of a profile in EXPERIMENTS, but of runs that differ only in their learning rate the
    first.

    Raises:
        TinyLMError: an unknown profile, or seeds that its grid does not have.
    """
    found: dict[str, Run] = {}
    for name in [name for name in experiments_of(profile) if name in EXPERIMENTS]:
        for run in expand(load_experiment(name), profile):
            config = run.config
            cost = [shape_of(config), config.tokens, config.evaluation.model_dump(), run.seed]
            if run.seed in seeds:
                found.setdefault(json.dumps(cost, sort_keys=True), run)
    if not found:
        raise BadInput(f"seeds {list(seeds)}: profile {profile!r} has no runs with these seeds")
    return list(found.values())


def check_estimates(
    runs: Sequence[Run], profile: str, estimates: Mapping[str, Estimate]
) -> pd.DataFrame:
    """One row a run: what was predicted, what its record says, and how far the first is off.

    Raises:
        TinyLMError: a run has no record.
    """
    return pd.DataFrame(
        [_row(record, estimates[record.run_id]) for record in Store(profile).load(runs)]
    )


def _row(record: RunRecord, estimate: Estimate) -> dict[str, Any]:
    timing, config = record.timing, record.config
    row: dict[str, Any] = {
        "run_id": record.run_id,
        "d_model": config.model.d_model,
        "context_length": config.model.context_length,
        "tokens": record.tokens,
    }
    for name, predicted, measured in (
        ("wall_seconds", estimate.training_seconds, timing.wall_seconds),
        ("cpu_seconds", estimate.cpu_seconds, timing.cpu_seconds),
        ("memory_mb", estimate.memory_bytes / 1e6, timing.peak_memory_bytes / 1e6),
    ):
        row[f"predicted_{name}"] = round(predicted, 1)
        row[name] = round(measured, 1)
        row[f"{name}_off_percent"] = round(100 * (predicted / measured - 1), 1)
    return row


def share_within(table: pd.DataFrame, *names: str) -> float:
    """Share of runs (0 to 1) whose predictions are all within 25 % of what was measured."""
    off = table[[f"{name}_off_percent" for name in names]].abs()
    return round(float((off <= WITHIN_PERCENT).all(axis=1).mean()), 3)


def summarise(table: pd.DataFrame) -> dict[str, Any]:
    """What `results/bench/summary.json` holds of it."""
    return {
        "cost_model_within_25_percent": share_within(table, "wall_seconds", "memory_mb"),
        "cost_model": {
            "wall_time_within_25_percent": share_within(table, "wall_seconds"),
            "processor_time_within_25_percent": share_within(table, "cpu_seconds"),
            "memory_within_25_percent": share_within(table, "memory_mb"),
        },
    }


def predictions(runs: Sequence[Run], jobs: int, path: Path) -> dict[str, Estimate]:
    """The estimate of each run, those in `path` as they were made, the others made and kept now."""
    kept: dict[str, dict[str, Any]] = {}
    if path.exists():
        kept = json.loads(path.read_text(encoding="utf-8"))
    if new := [run for run in runs if run.run_id not in kept]:
        made = estimate_runs(new, jobs)
        kept |= {run_id: dataclasses.asdict(estimate) for run_id, estimate in made.items()}
        write_atomic(path, json.dumps(kept, indent=1) + "\n")
    return {run.run_id: Estimate(**kept[run.run_id]) for run in runs}


def measure(runs: Sequence[Run], profile: str, jobs: int) -> pd.DataFrame:
    """Predict, train and compare some runs in the current project.

    Raises:
        TinyLMError: a run failed, or its data cannot be had.
    """
    estimates = predictions(runs, jobs, project_root() / "estimates.json")
    seconds = {run_id: estimate.seconds for run_id, estimate in estimates.items()}
    plan = plan_sweep(runs, profile, estimate=False)
    todo = sorted(plan.todo, key=lambda run: -seconds[run.run_id])
    plan = Plan(plan.runs, plan.done, todo, {run.run_id: seconds[run.run_id] for run in todo})
    minutes = 60 * plan.hours_left(jobs)
    print(f"{len(todo)} of {len(runs)} runs to do, about {minutes:.0f} min on {jobs} cores")
    sweep(plan, profile, LocalExecutor(jobs), listener=Lines(len(todo)))
    return check_estimates(runs, profile, estimates)


def write_results(table: pd.DataFrame, folder: Path) -> None:
    """Write `cost_model.csv`, and the shares beside what else `summary.json` holds."""
    write_atomic(folder / "cost_model.csv", table.to_csv(index=False))
    runs = list(table["run_id"])
    merge_summary(
        summarise(table), threads=usable_cores(), folder=folder, file="cost_model.csv", runs=runs
    )


def main(arguments: list[str] | None = None) -> int:
    """Run the measurement; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tinylm.bench.cost_model")
    parser.add_argument("--profile", default="paper", help="whose grid to train")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    options = parser.parse_args(arguments)
    home = project_root()
    try:
        runs = runs_that_differ_in_cost(options.profile, options.seeds)
        print(f"{len(runs)} runs of the {options.profile} grid, one learning rate a shape")
        os.environ["TINYLM_ROOT"] = str(
            scratch_root("cost_model")
        )  # for this process and those it starts
        table = measure(runs, options.profile, usable_cores())
    except TinyLMError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    write_results(table, home / "results" / "bench")
    print(table.to_string(index=False))
    print(json.dumps(summarise(table), indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
