"""Whether training in bf16 costs any loss: the same runs in fp32 and in bf16, seed by seed.
`python -m tinylm.bench.precision`.

Both runs of a pair start from the same weights and read the same batches. The mean of their
differences over seeds is held against the standard deviation over seeds of the fp32 losses.

Records are kept in `results/bench-scratch/precision/`: killed and started again, it goes on.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from tinylm.batches import prepare
from tinylm.bench.scratch import in_new_process, scratch_record, scratch_root, sweep_runs
from tinylm.bench.steps import bench_config
from tinylm.bench.summary import bench_dir, merge_summary, run_command
from tinylm.config import Run
from tinylm.corpora import corpus_version
from tinylm.errors import TinyLMError
from tinylm.files import write_atomic
from tinylm.sweeps.run import usable_cores

WIDTHS, SEEDS, TOKENS = (128, 256), (0, 1, 2), 1_000_000
PRECISIONS = ("fp32", "bf16")
EVALUATION = {"points": 2, "curve_documents": 1}  # what counts is the loss at the end


def best_corpus() -> str:
    """TinyStories V2 where it can be had, else the embedded corpus."""
    try:
        prepare("tinystories-v2", "bpe-512")
    except TinyLMError as error:
        print(f"with fables instead of tinystories-v2: {error}")
        return "fables"
    return "tinystories-v2"


def grid(corpus: str, widths: Sequence[int], tokens: int, **fields: Any) -> list[Run]:
    """Every width and seed in both precisions, widest first; `fields` are other config fields."""
    version, runs = corpus_version(corpus), []
    for width in sorted(widths, reverse=True):
        for precision in PRECISIONS:
            config = bench_config(
                width,
                data={"corpus": corpus, "tokenizer": "bpe-512"},
                precision=precision,
                tokens=tokens,
                **{"evaluation": EVALUATION} | fields,
            )
            runs += [Run(config, seed, config.identity(seed, version)) for seed in SEEDS]
    return runs


def collect(runs: Sequence[Run], root: Path) -> pd.DataFrame:
    """One row a run: width, seed, precision, and the loss of its record."""
    rows = []
    for run in runs:
        record = scratch_record(root, run)
        rows.append(
            {
                "run_id": run.run_id,
                "corpus": run.config.data.corpus,
                "d_model": run.config.model.d_model,
                "seed": run.seed,
                "precision": run.config.precision,
                "tokens": record.tokens,
                "nats": record.validation.nats if record.validation else float("nan"),
                "wall_seconds": record.timing.wall_seconds,
                "commit": record.provenance.commit,
            }
        )
    return pd.DataFrame(rows)


def compare(table: pd.DataFrame) -> dict[str, dict[str, Any]]:
    """By width: the differences bf16 - fp32 over seeds, beside the spread of the fp32 losses.

    A run that diverged in bf16 only makes its width harmful.
    """
    found = {}
    for width, rows in table.groupby("d_model"):
        nats = rows.pivot(index="seed", columns="precision", values="nats")
        differences = nats["bf16"] - nats["fp32"]
        noise = float(nats["fp32"].std())
        found[str(width)] = {
            "harmless": bool(abs(differences.mean(skipna=False)) <= noise),
            "mean_difference_nats": round(float(differences.mean()), 5),
            "std_of_differences_nats": round(float(differences.std()), 5),
            "seed_std_nats": round(noise, 5),
            "fp32_nats": round(float(nats["fp32"].mean()), 4),
            "seeds": len(nats),
        }
    return found


def measure(
    widths: Sequence[int] = WIDTHS, tokens: int = TOKENS, corpus: str | None = None, **fields: Any
) -> dict[str, Any]:
    """Train what is left to train, write `precision.csv` and the summary; returns the findings.

    Raises:
        TinyLMError: a run failed.
    """
    runs = grid(corpus or best_corpus(), widths, tokens, **fields)
    root, cores = scratch_root("precision"), usable_cores()
    in_new_process(root, sweep_runs, runs, cores)
    table = collect(runs, root)
    findings = {"bf16_harmless": compare(table)}
    write_atomic(bench_dir() / "precision.csv", table.to_csv(index=False))
    merge_summary(findings, threads=cores, file="precision.csv", runs=list(table["run_id"]))
    return findings


def main(arguments: list[str] | None = None) -> int:
    """Run the measurement; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tinylm.bench.precision")
    parser.add_argument("--widths", type=int, nargs="+", default=list(WIDTHS))
    parser.add_argument("--tokens", type=int, default=TOKENS, help="of each run")
    options = parser.parse_args(arguments)
    return run_command(lambda: measure(options.widths, options.tokens))


if __name__ == "__main__":
    sys.exit(main())
