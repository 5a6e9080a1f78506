"""What branches off a trunk save, and that they lose nothing.

For each seed, runs on D, 2D, 4D and 8D tokens under a warm-up-stable-decay schedule: once as a
family, whose longest run is the trunk of the others, and once each from scratch. A third set
trains from scratch with the linear schedule of the other experiments, which cannot be branched.
"""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from tinylm.bench.aside import make_run, trained
from tinylm.bench.frame import SEED_NOISE, Benchmark, Findings, Goal, nats, ways_side_by_side
from tinylm.bench.timed_steps import STORIES, bench_config
from tinylm.config import Run
from tinylm.records import RunRecord

MULTIPLES = (8, 4, 2, 1)
WSD = {"schedule": "wsd", "warmup_steps": 20, "decay_fraction": 0.3}
LINEAR = {"schedule": "linear", "warmup_steps": 20}


def from_scratch(name: str, runs: Sequence[Run]) -> list[RunRecord]:
    """Records of runs, one length at a time: no two runs of a family in one sweep."""
    lengths = dict.fromkeys(run.config.tokens for run in runs)
    parts = [[run for run in runs if run.config.tokens == tokens] for tokens in lengths]
    return [record for part in parts for record in trained(f"branching/{name}", part)]


def measure(
    tokens: int = 204_800, seeds: Sequence[int] = (0, 1, 2), width: int = 64, **fields: Any
) -> pd.DataFrame:
    """Train all three sets: ten minutes."""
    shared = {"data": STORIES, "precision": "bf16"} | fields

    def grid(optimizer: dict[str, Any]) -> list[Run]:
        lengths = [{"tokens": multiple * tokens, "optimizer": optimizer} for multiple in MULTIPLES]
        configs = [bench_config(width, **shared | length) for length in lengths]
        return [make_run(config, seed) for config in configs for seed in seeds]

    ways = {
        "branched": trained("branching/branched", grid(WSD)),
        "scratch": from_scratch("scratch", grid(WSD)),
        "linear": from_scratch("linear", grid(LINEAR)),
    }
    table = ways_side_by_side(
        ways,
        nats=nats,
        steps=lambda record: record.steps - (record.provenance.branched_at or 0),
        cpu_seconds=lambda record: record.timing.cpu_seconds,
    )
    table["equal"] = table["branched_nats"] == table["scratch_nats"]
    return table.assign(wsd_minus_linear_nats=table["scratch_nats"] - table["linear_nats"])


def findings(table: pd.DataFrame) -> Findings:
    """What branching saves, and how far branched losses are from those from scratch.

    The share is of training steps, all of one cost, over all lengths.
    """
    total = table.sum(numeric_only=True)
    difference = float((table["branched_nats"] - table["scratch_nats"]).abs().max())
    noise = float(table.groupby("tokens")["scratch_nats"].std().min())
    cpu_seconds = total["branched_cpu_seconds"] / total["scratch_cpu_seconds"]
    return {
        "branch_compute_share": round(1 - total["branched_steps"] / total["scratch_steps"], 4),
        "branch_cpu_share": round(1 - cpu_seconds, 4),
        "branch_equal": {"runs": len(table), "equal": int(table["equal"].sum())},
        "branch_over_noise": round(difference / noise, 3),
    }


GOAL = Goal("loss of a branch, less that from scratch", "branch_over_noise", "most", 1, SEED_NOISE)
BENCHMARK = Benchmark("branching.csv", measure, findings, (GOAL,))
