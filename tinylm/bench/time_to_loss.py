"""Time to loss: how much sooner the trainer reaches what a plain training ends with.

On each corpus and seed the reference (`tinylm.bench.reference`) is trained to its end, and so
is one run of ours, of a length fixed beforehand. Both losses are taken by `tinylm.evaluate` on all
validation documents, in windows of 64 characters. The clock runs while they train: starting
Python, preparing the data and evaluating count on neither side. The recipe was found on
TinyStories V2 and is used on AG News as it is.

`python -m tinylm.bench.time_to_loss`: a quarter of an hour on a quiet machine, resumable.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import pandas as pd
import torch

from tinylm.batches import PreparedData, prepare
from tinylm.bench.reference import ReferenceConfig, train_reference
from tinylm.bench.scratch import scratch_root
from tinylm.bench.summary import bench_dir, merge_summary, run_command
from tinylm.config import RunConfig, load_run_config
from tinylm.evaluate import evaluate
from tinylm.files import write_atomic
from tinylm.model import GPT
from tinylm.sweeps.run import usable_cores
from tinylm.trainer import Trainer

CORPORA = ("tinystories-v2", "ag_news")  # the recipe was found on the first
SEEDS = (0, 1, 2)
STRIDE = 1.0  # validation windows do not overlap, as in nanoGPT
SIDES = ("reference", "tinylm")


def time_reference(data: PreparedData, seed: int, threads: int, steps: int) -> dict[str, Any]:
    """Train and evaluate the reference on all cores."""
    torch.set_num_threads(threads)
    config = ReferenceConfig(data.tokenizer.vocab_size, steps=steps)
    model, seconds = train_reference(config, data.train, seed)
    losses = evaluate(cast(GPT, model), data.validation, STRIDE)  # it has all that this asks of one
    tokens = config.steps * config.batch_size * config.context_length
    return {"seconds": seconds, "nats": losses.nats, "tokens": tokens, "threads": threads}


def time_recipe(config: RunConfig, data: PreparedData, seed: int, threads: int) -> dict[str, Any]:
    """Train and evaluate our recipe."""
    torch.set_num_threads(threads)
    trainer = Trainer(config, seed, data, Path("no checkpoint"), torch.device("cpu"))
    began = time.perf_counter()
    for _ in range(config.steps):
        trainer.take_step()
        trainer.state.step += 1
    seconds = time.perf_counter() - began
    losses = evaluate(trainer.model, data.validation, STRIDE)
    tokens = config.steps * config.batch_tokens
    return {"seconds": seconds, "nats": losses.nats, "tokens": tokens, "threads": threads}


def measure(
    config: RunConfig,
    *,
    corpora: Sequence[str] = CORPORA,
    seeds: Sequence[int] = SEEDS,
    reference_steps: int = ReferenceConfig.steps,
) -> pd.DataFrame:
    """Train both sides in turn on every corpus and seed; rows that are there already are kept.

    Raises:
        TinyLMError: a corpus cannot be had.
    """
    path = scratch_root("time-to-loss") / "time_to_loss.csv"
    rows: list[dict[str, Any]] = []
    if path.exists():
        rows = [{str(k): v for k, v in row.items()} for row in pd.read_csv(path).to_dict("records")]
    done = {(row["corpus"], row["seed"], row["side"]) for row in rows}
    for corpus in corpora:
        data = prepare(corpus, config.data.tokenizer)
        for seed in seeds:
            for side in SIDES:
                if (corpus, seed, side) in done:
                    continue
                if side == "reference":
                    found = time_reference(data, seed, usable_cores(), reference_steps)
                else:
                    found = time_recipe(config, data, seed, threads=1)
                rows.append({"corpus": corpus, "seed": seed, "side": side, **found})
                print(f"{corpus}, seed {seed}, {side}: {found['seconds']:.1f} s, "
                      f"{found['nats']:.4f} nats a character", flush=True)  # fmt: skip
                write_atomic(path, pd.DataFrame(rows).to_csv(index=False))
    table = pd.DataFrame(rows)
    write_atomic(bench_dir() / "time_to_loss.csv", table.to_csv(index=False))
    return table


def summarise(table: pd.DataFrame) -> dict[str, Any]:
    """The ratio of mean times on each corpus, and what is behind it.

    `time_to_loss_ratio` is that of the corpus where it is smallest, or None if on one of them our
    mean loss is above the reference's: then it was not reached.
    """
    corpora: dict[str, Any] = {}
    for corpus, part in table.groupby("corpus", sort=False):
        reference, ours = (part[part["side"] == side] for side in SIDES)
        corpora[str(corpus)] = {
            "ratio": round(float(reference["seconds"].mean() / ours["seconds"].mean()), 2),
            "reached": bool(ours["nats"].mean() <= reference["nats"].mean()),
            "reference_seconds": round(float(reference["seconds"].mean()), 1),
            "tinylm_seconds": round(float(ours["seconds"].mean()), 2),
            "reference_nats": round(float(reference["nats"].mean()), 4),
            "reference_nats_std": round(float(reference["nats"].std()), 4),
            "tinylm_nats": round(float(ours["nats"].mean()), 4),
            "tinylm_nats_std": round(float(ours["nats"].std()), 4),
            "seeds": len(ours),
        }
    reached = all(each["reached"] for each in corpora.values())
    ratio = min(each["ratio"] for each in corpora.values()) if reached else None
    return {
        "time_to_loss_ratio": ratio,
        "time_to_loss": corpora,
    }


def measure_and_merge() -> pd.DataFrame:
    """Measure, and put the findings into the summary."""
    table = measure(load_run_config("fast"))
    merge_summary(summarise(table), threads=usable_cores(), file="time_to_loss.csv")
    return table


def main(arguments: list[str] | None = None) -> int:
    """Measure, print and write `results/bench/time_to_loss.csv` and its keys of summary.json."""
    argparse.ArgumentParser(prog="python -m tinylm.bench.time_to_loss").parse_args(arguments)
    return run_command(measure_and_merge)


if __name__ == "__main__":
    sys.exit(main())
