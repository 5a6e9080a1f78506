"""How far the cost model is off: train every shape of the paper profile's smaller experiments, and
compare with what was predicted before. Of runs that differ only in their optimiser one is trained:
it hardly changes the cost.
"""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import pandas as pd

from tinylm.bench.aside import Kept, in_new_process, scratch, trained
from tinylm.bench.frame import Benchmark, Findings, Goal
from tinylm.config import Run
from tinylm.records import RunRecord
from tinylm.sweeps.declare import expand, load_experiment
from tinylm.sweeps.estimate import Estimate, estimate_runs
from tinylm.sweeps.run import usable_cores

EXPERIMENTS = ("context_length", "model_size")  # minutes, not hours
QUANTITIES = ("wall_seconds", "cpu_seconds", "memory_mb")


def runs_that_differ_in_cost(profile: str = "paper") -> list[Run]:
    """The first seed of a profile's grid in EXPERIMENTS, each cost once."""
    found: dict[str, Run] = {}
    for name in EXPERIMENTS:
        for run in expand(load_experiment(name), profile):
            if run.seed == 0:
                found.setdefault(run.config.model_dump_json(exclude={"optimizer"}), run)
    return list(found.values())


def predict(runs: Sequence[Run], jobs: int) -> dict[str, dict[str, Any]]:
    """The estimate of each run, by its id."""
    return {run_id: asdict(estimate) for run_id, estimate in estimate_runs(runs, jobs).items()}


def row_of(record: RunRecord, estimate: Estimate) -> dict[str, Any]:
    """What was predicted of a run, what its record says, and how far the first is off."""
    timing, shape = record.timing, record.config.model
    row = {"run_id": record.run_id, "d_model": shape.d_model, "tokens": record.tokens}
    row["context_length"] = shape.context_length
    predicted = estimate.training_seconds, estimate.cpu_seconds, estimate.memory_bytes / 1e6
    measured = timing.wall_seconds, timing.cpu_seconds, timing.peak_memory_bytes / 1e6
    for name, told, found in zip(QUANTITIES, predicted, measured, strict=True):
        row |= {f"predicted_{name}": round(told, 1), name: round(found, 1)}
        row[f"{name}_off_percent"] = round(100 * (told / found - 1), 1)
    return row


def measure(runs: Sequence[Run] | None = None) -> pd.DataFrame:
    """Predict once, before the first run; train, the longest first; compare: half an hour."""
    runs, root = runs or runs_that_differ_in_cost(), scratch("cost_model")
    kept = Kept(root / "estimates.json", [run.run_id for run in runs])
    told = kept("estimates", in_new_process, root, predict, runs, usable_cores())
    longest_first = sorted(runs, key=lambda run: -float(told[run.run_id]["seconds"]))
    records = {record.run_id: record for record in trained("cost_model", longest_first)}
    ids = [run.run_id for run in runs]
    return pd.DataFrame(row_of(records[run_id], Estimate(**told[run_id])) for run_id in ids)


def findings(table: pd.DataFrame) -> Findings:
    """Shares (0 to 1) of runs within 25 %, of wall-clock and memory at once and of each; misses in
    percent.
    """
    off = {name: table[f"{name}_off_percent"].abs() for name in QUANTITIES}
    both = pd.concat([off["wall_seconds"], off["memory_mb"]], axis=1).max(axis=1)
    found: dict[str, Any] = {"runs": len(table)}
    for name, misses in off.items():
        within = round(float((misses <= 25).mean()), 3)
        worst = {"median_miss": round(float(misses.median()), 1), "largest_miss": misses.max()}
        found[name] = {"within_25_percent": within} | worst
    share = round(float((both <= 25).mean()), 3)
    return {"cost_model_within_25_percent": share, "cost_model": found}


WORDS = "predicted time and memory of a run, within 25 %"
GOAL = Goal(WORDS, "cost_model_within_25_percent", "least", 0.9, "% of runs")
BENCHMARK = Benchmark("cost_model.csv", measure, findings, (GOAL,))
