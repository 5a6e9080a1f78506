"""What earns the time to loss: each step from nanoGPT's settings to the recipe `fast`, in company.

Every run reads the same number of tokens. In the table "added" the steps are taken one after
another, from the reference's settings to the recipe; in "removed" the recipe is trained without
one of them, which says what that step gives when it is the only one missing. 3 seeds each.
`python -m tinylm.bench.recipe`: about a quarter of an hour on two cores, resumable.
"""

import argparse
import math
import sys
from collections.abc import Sequence
from typing import Any

import pandas as pd

from tinylm.bench.scratch import in_new_process, scratch_record, scratch_root, sweep_runs
from tinylm.bench.summary import bench_dir, merge_summary, run_command
from tinylm.config import Run, RunConfig, load_run_config, parse_run_config
from tinylm.corpora import corpus_version
from tinylm.files import write_atomic
from tinylm.sweeps.declare import set_path
from tinylm.sweeps.run import usable_cores

SEEDS = (0, 1, 2)
EVALUATION = {"points": 2, "curve_documents": 1, "stride_fraction": 1.0}

REFERENCE: dict[str, Any] = {  # nanoGPT's small settings, but for our initialisation
    "model.d_model": 128,
    "model.n_layers": 4,
    "model.n_heads": 4,
    "model.positions": "learned",
    "model.norm": "layernorm",
    "model.qk_norm": False,
    "model.mlp": "gelu",
    "model.shift": 0,
    "optimizer.name": "adamw",
    "optimizer.learning_rate": 1e-3,
    "optimizer.width_exponent": 0.0,
    "optimizer.beta2": 0.99,
    "optimizer.weight_decay": 0.1,
    "optimizer.schedule": "cosine",
    "optimizer.final_fraction": 0.1,
    "batch_tokens": 768,
    "precision": "fp32",
}

# Each step by its name: fields and their new values, in the order in which they are added. What a
# step does not name stays; the last one leaves nothing but the recipe.
STEPS: dict[str, dict[str, Any]] = {
    "learning rate 4e-3": {"optimizer.learning_rate": 4e-3, "optimizer.beta2": 0.95},
    "half the width and depth": {"model.d_model": 64, "model.n_layers": 2, "model.n_heads": 2},
    "rotary positions, RMSNorm": {"model.positions": "rotary", "model.norm": "rmsnorm"},
    "QK-norm": {"model.qk_norm": True},
    "linear cool-down": {"optimizer.schedule": "wsd", "optimizer.final_fraction": 0.0},
    "Muon": {
        "optimizer.name": "muon",
        "optimizer.learning_rate": 0.03,
        "optimizer.weight_decay": 0.0,
    },
    "shift": {"model.shift": 3},
    "squared ReLU": {"model.mlp": "relu2"},
    "batch of 2,048 tokens": {"batch_tokens": 2048},
    "bf16": {"precision": "bf16"},
}
# Without Muon all weights learn at AdamW's rate, for which the rule of the learning-rate experiment
# stands, the same at this width as the default.
WITHOUT_MUON = {"optimizer.name": "adamw", "optimizer.learning_rate": 0.011}


def variant(fields: dict[str, Any], tokens: int | None = None) -> RunConfig:
    """The recipe with some fields changed.

    Raises:
        TinyLMError: they do not fit together.
    """
    values = load_run_config("fast").model_dump()
    del values["model"]["vocab_size"]
    for path, value in fields.items():
        set_path(values, path, value)
    values["evaluation"] = EVALUATION
    if tokens is not None:
        values["tokens"] = tokens
    return parse_run_config(values, where="recipe")


def variants() -> dict[tuple[str, str], dict[str, Any]]:
    """Fields changed from the recipe, by (table, step)."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    fields = dict(REFERENCE)
    found["added", "reference"] = dict(fields)
    for step, changes in STEPS.items():
        fields |= changes
        found["added", step] = dict(fields)
    for step, changes in STEPS.items():
        without = {path: REFERENCE[path] for path in changes}
        found["removed", step] = WITHOUT_MUON if step == "Muon" else without
    return found


def grid(
    tokens: int | None = None, seeds: Sequence[int] = SEEDS
) -> dict[tuple[str, str], list[Run]]:
    """The runs of each variant."""
    made = {}
    for name, fields in variants().items():
        config = variant(fields, tokens)
        version = corpus_version(config.data.corpus)
        made[name] = [Run(config, seed, config.identity(seed, version)) for seed in seeds]
    return made


def measure(tokens: int | None = None, seeds: Sequence[int] = SEEDS) -> pd.DataFrame:
    """Train what is left to train; one row a variant, written to `recipe.csv`.

    Raises:
        TinyLMError: a run failed, or the corpus cannot be had.
    """
    runs = grid(tokens, seeds)
    root = scratch_root("recipe")
    unique = {run.run_id: run for some in runs.values() for run in some}
    longest_first = sorted(unique.values(), key=lambda run: -run.config.steps)
    in_new_process(root, sweep_runs, longest_first, usable_cores())
    rows = []
    for (table, step), some in runs.items():
        records = [scratch_record(root, run) for run in some]
        nats = pd.Series([r.validation.nats if r.validation else float("nan") for r in records])
        rows.append(
            {
                "table": table,
                "step": step,
                "nats": round(float(nats.mean()), 4),
                "std": round(float(nats.std()), 4),
                "seeds": len(records),
                "diverged": sum(record.status == "diverged" for record in records),
                "tokens": records[0].tokens,
                "n_non_embedding": records[0].parameters.non_embedding,
                "flops_exact": records[0].compute.exact,
                # Of processor time, evaluation included: what else the machine does hardly counts.
                "tokens_per_second": round(
                    float(pd.Series([r.tokens / r.timing.cpu_seconds for r in records]).median())
                ),
                "runs": " ".join(record.run_id for record in records),
            }
        )
    found = pd.DataFrame(rows)
    write_atomic(bench_dir() / "recipe.csv", found.to_csv(index=False))
    return found


def _number(value: float) -> float | None:
    """A number for JSON, which has none for what diverged."""
    return value if math.isfinite(value) else None


def summarise(table: pd.DataFrame) -> dict[str, Any]:
    """Losses by table and step, for `results/bench/summary.json`."""
    return {
        "recipe": {
            str(name): {
                str(row["step"]): {"nats": _number(row["nats"]), "std": _number(row["std"])}
                for _, row in part.iterrows()
            }
            for name, part in table.groupby("table")
        }
    }


def measure_and_merge() -> pd.DataFrame:
    """Measure, and put the findings into the summary."""
    table = measure()
    merge_summary(summarise(table), threads=usable_cores(), file="recipe.csv")
    return table.drop(columns="runs")


def main(arguments: list[str] | None = None) -> int:
    """Run the measurement; returns the exit code."""
    argparse.ArgumentParser(prog="python -m tinylm.bench.recipe").parse_args(arguments)
    return run_command(measure_and_merge)


if __name__ == "__main__":
    sys.exit(main())
