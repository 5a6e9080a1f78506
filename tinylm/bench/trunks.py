"""Run reuse: what branches off a trunk save, and that they lose nothing.

For each seed, runs on D, 2D, 4D and 8D tokens under a warm-up-stable-decay schedule: once as a
family, whose longest run is the trunk of the others, and once each from scratch. A third set
trains from scratch with the linear schedule of the other experiments, which cannot be branched.
`python -m tinylm.bench.trunks`: ten minutes on two cores, resumable.
"""

import argparse
import sys
from collections.abc import Sequence
from typing import Any

import pandas as pd

from tinylm.bench.precision import best_corpus
from tinylm.bench.scratch import in_new_process, scratch_record, scratch_root, sweep_runs
from tinylm.bench.summary import bench_dir, merge_summary, run_command
from tinylm.config import Run, parse_run_config
from tinylm.corpora import corpus_version
from tinylm.files import write_atomic
from tinylm.records import RunRecord
from tinylm.sweeps.run import usable_cores

SEEDS = (0, 1, 2)
TOKENS = 204_800  # D of the shortest run
MULTIPLES = (1, 2, 4, 8)
WSD = {"schedule": "wsd", "warmup_steps": 20, "decay_fraction": 0.3}
LINEAR = {"schedule": "linear", "warmup_steps": 20}


def grid(
    optimizer: dict[str, Any], tokens: int, corpus: str, seeds: Sequence[int], **fields: Any
) -> list[Run]:
    """Every length and seed under one schedule."""
    runs = []
    for seed in seeds:
        for multiple in MULTIPLES:
            values: dict[str, Any] = {
                "model": {"d_model": 64, "n_layers": 2, "n_heads": 2, "context_length": 256},
                "data": {"corpus": corpus, "tokenizer": "bpe-512"},
                "optimizer": optimizer,
                "tokens": multiple * tokens,
                "batch_tokens": 512,
                "precision": "bf16",
            }
            config = parse_run_config(values | fields, where="trunks")
            runs.append(Run(config, seed, config.identity(seed, corpus_version(corpus))))
    return runs


def _losses(records: Sequence[RunRecord]) -> dict[str, Any]:
    return {
        "nats": [
            record.validation.nats if record.validation else float("nan") for record in records
        ],
        "cpu_seconds": [record.timing.cpu_seconds for record in records],
        "steps_trained": [r.steps - (r.provenance.branched_at or 0) for r in records],
        "run_id": [record.run_id for record in records],
    }


def measure(
    tokens: int = TOKENS, seeds: Sequence[int] = SEEDS, corpus: str | None = None, **fields: Any
) -> pd.DataFrame:
    """Train what is left to train; one row a run and way, written to `trunks.csv`.

    Raises:
        TinyLMError: a run failed.
    """
    corpus, cores = corpus or best_corpus(), usable_cores()
    family = grid(WSD, tokens, corpus, seeds, **fields)
    linear = grid(LINEAR, tokens, corpus, seeds, **fields)
    ways = {"branched": family, "from scratch": family, "linear schedule": linear}
    parts = []
    for way, runs in ways.items():
        root = scratch_root("trunks-" + way.replace(" ", "-"))
        if way == "branched":
            in_new_process(root, sweep_runs, runs, cores)
        else:  # one length at a time: no two runs of a family in one sweep
            for multiple in reversed(MULTIPLES):
                some = [run for run in runs if run.config.tokens == multiple * tokens]
                in_new_process(root, sweep_runs, some, cores)
        table = pd.DataFrame(_losses([scratch_record(root, run) for run in runs]))
        table.insert(0, "seed", [run.seed for run in runs])
        table.insert(0, "tokens", [run.config.tokens for run in runs])
        table.insert(0, "way", way)
        parts.append(table)
    found = pd.concat(parts, ignore_index=True)
    write_atomic(bench_dir() / "trunks.csv", found.to_csv(index=False))
    return found


def summarise(table: pd.DataFrame) -> dict[str, Any]:
    """What branching saves, and how far branched and linear losses are from those from scratch.

    The share is of training steps, all of one cost, over all lengths; differences in nats.
    """
    by_way = {str(way): part.set_index(["tokens", "seed"]) for way, part in table.groupby("way")}
    branched, scratch, linear = (
        by_way[way] for way in ("branched", "from scratch", "linear schedule")
    )
    saved = 1 - branched["steps_trained"].sum() / scratch["steps_trained"].sum()
    difference = (branched["nats"] - scratch["nats"]).abs()
    to_linear = (scratch["nats"] - linear["nats"]).groupby("tokens")
    return {
        "branch_compute_share": round(float(saved), 4),
        "branching": {
            "largest_difference_nats": float(difference.max()),
            "equal_bit_for_bit": int((difference == 0).sum()),
            "runs": len(branched),
            "cpu_seconds_share": round(
                float(1 - branched["cpu_seconds"].sum() / scratch["cpu_seconds"].sum()), 4
            ),
            "seed_std_nats": {
                str(tokens): round(float(std), 4)
                for tokens, std in scratch["nats"].groupby("tokens").std().items()
            },
            "wsd_minus_linear_nats": {
                str(tokens): round(float(mean), 4) for tokens, mean in to_linear.mean().items()
            },
            "wsd_minus_linear_std": {
                str(tokens): round(float(std), 4) for tokens, std in to_linear.std().items()
            },
        },
    }


def measure_and_merge() -> pd.DataFrame:
    """Measure, and put the findings into the summary."""
    table = measure()
    merge_summary(summarise(table), threads=usable_cores(), file="trunks.csv")
    return table


def main(arguments: list[str] | None = None) -> int:
    """Run the measurement; returns the exit code."""
    argparse.ArgumentParser(prog="python -m tinylm.bench.trunks").parse_args(arguments)
    return run_command(measure_and_merge)


if __name__ == "__main__":
    sys.exit(main())
