"""How much faster a sweep is than training its runs in sequence with a plain loop.
`python -m tinylm.bench.sweep`, on a quiet machine of two cores or more.

Twelve runs: four widths, three seeds. The plain side is the readable model in eager fp32 on two
threads, one run after the other; its clock counts building the model, training and evaluation, and
leaves out imports. The other side is the sweep, two processes of one thread each, in which the
seeds of a width train side by side; its clock counts everything, from the start of its interpreter
to the end of its last process: imports, process starts, checkpoints, records, models. Both evaluate
alike: early in the run on one document and at its end on all. The sweep runs once in fp32 and once
in bf16 where that pays, between the two halves of the plain side, so that a machine that slows down
or speeds up favours neither.

Then runs are trained by themselves, and must end with the losses of the sweep's, bit for bit.

Killed and started again it goes on with the part it was at, in `results/bench-scratch/sweep/`.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from tinylm.batches import prepare
from tinylm.bench.scratch import (
    PROFILE,
    in_new_process,
    scratch_record,
    scratch_root,
)
from tinylm.bench.steps import bench_config, plain_model, plain_step
from tinylm.bench.summary import bench_dir, merge_summary, run_command
from tinylm.config import Run, RunConfig
from tinylm.corpora import corpus_version
from tinylm.errors import BadInput
from tinylm.evaluate import evaluate
from tinylm.files import write_atomic
from tinylm.records import RunRecord
from tinylm.train import train
from tinylm.trainer import evaluation_steps

WIDTHS, SEEDS = (32, 64, 96, 128), (0, 1, 2)
TOKENS = 400_000  # of each run
CORES = 2  # threads of the plain loop; processes of the sweep
BF16_PAYS_FROM = 64  # d_model
EVALUATION = {"points": 2, "curve_documents": 1, "stride_fraction": 1.0}
SWEEPS = ("fp32", "bf16")


@dataclass(frozen=True)
class Grid:
    """The runs of the benchmark; the published one by default."""

    widths: tuple[int, ...] = WIDTHS
    seeds: tuple[int, ...] = SEEDS
    tokens: int = TOKENS
    batch_tokens: int = 512
    bf16_pays_from: int = BF16_PAYS_FROM

    def runs(self, precision: str) -> list[Run]:
        """The runs of a sweep, widest first; "bf16" is bf16 where it pays."""
        version, found = corpus_version("fables"), []
        for width in sorted(self.widths, reverse=True):
            lower = precision == "bf16" and width >= self.bf16_pays_from
            config = bench_config(
                width,
                self.batch_tokens,
                precision="bf16" if lower else "fp32",
                tokens=self.tokens,
                evaluation=EVALUATION,
            )
            found += [Run(config, seed, config.identity(seed, version)) for seed in self.seeds]
        return found

    def halves(self) -> tuple[list[Run], list[Run]]:
        """The runs in two parts that take about as long: every other one, in turn from one end and
        from the other.
        """
        runs = self.runs("fp32")
        first = [run for place, run in enumerate(runs) if place % 4 in (0, 3)]
        return first, [run for run in runs if run not in first]


def train_plainly(config: RunConfig, seed: int) -> float:
    """Train a run with the plain loop; returns the seconds it took."""
    data = prepare(config.data.corpus, config.data.tokenizer)
    few = data.validation.head(config.evaluation.curve_documents)
    began = time.perf_counter()
    model = plain_model(config, seed)
    step, looks = plain_step(config, model, seed), evaluation_steps(config)
    for number in range(1, config.steps + 1):
        step(number)
        if number in looks:
            documents = data.validation if number == config.steps else few
            evaluate(model, documents, config.evaluation.stride_fraction)
    return time.perf_counter() - began


def plain_seconds(runs: Sequence[Run], threads: int) -> dict[str, float]:
    """Seconds of each run with the plain loop, in sequence, by run id."""
    torch.set_num_threads(threads)
    return {run.run_id: train_plainly(run.config, run.seed) for run in runs}


def train_swept(root: Path, grid: Grid, precision: str, cores: int) -> None:
    """Sweep a grid's runs in the project `root`, by the command `tinylm.bench.swept`.

    Raises:
        TinyLMError: a run failed.
    """
    module = "tinylm.bench.swept"
    command = [sys.executable, "-m", module, json.dumps(asdict(grid)), precision, str(cores)]
    environment = os.environ | {"TINYLM_ROOT": str(root)}
    if subprocess.run(command, env=environment, check=False).returncode:
        raise BadInput("a run of the sweep failed; see above")


def train_alone(runs: Sequence[Run]) -> None:
    """Train some runs in the current project, on one thread, in sequence."""
    torch.set_num_threads(1)
    for run in runs:
        train(run.config, run.seed, profile=PROFILE, device="cpu")


class Stages:
    """The parts of the measurement that have been done, kept in a file."""

    def __init__(self, path: Path, settings: Any) -> None:
        """Starts anew where what is kept was measured with other settings."""
        self.path = path
        self.kept: dict[str, Any] = {"settings": settings}
        if path.exists():
            found = json.loads(path.read_text(encoding="utf-8"))
            if found["settings"] == settings:
                self.kept = found

    def __call__(self, name: str, work: Callable[[], Any]) -> dict[str, Any]:
        """What a part gave when it was done, now or before."""
        if name not in self.kept:
            print(f"{name} ...", flush=True)
            began = time.perf_counter()
            result = work()
            seconds = round(time.perf_counter() - began, 3)
            self.kept[name] = {"seconds": seconds, "result": result}
            write_atomic(self.path, json.dumps(self.kept, indent=1) + "\n")
        done: dict[str, Any] = self.kept[name]
        print(f"{name}: {done['seconds']:.1f} s", flush=True)
        return done


def measure(grid: Grid | None = None, cores: int = CORES) -> dict[str, Any]:
    """Do what is left of the measurement, write `sweep.csv` and the summary; returns the findings.

    Raises:
        TinyLMError: a run failed.
    """
    grid = grid or Grid()
    home = scratch_root("sweep")
    settings = [*(run.run_id for run in grid.runs("fp32")), *(r.run_id for r in grid.runs("bf16"))]
    stages = Stages(home / "stages.json", settings)
    prepare("fables", "bpe-512")

    def swept(precision: str) -> Callable[[], None]:
        def work() -> None:
            root = scratch_root(f"sweep/{precision}")
            shutil.rmtree(root / "results", ignore_errors=True)  # one that was killed counts not
            train_swept(root, grid, precision, cores)

        return work

    def plainly(half: int) -> Callable[[], dict[str, float]]:
        return lambda: in_new_process(home, plain_seconds, grid.halves()[half], cores)

    plain = stages("plain loop, one half", plainly(0))["result"]
    seconds = {name: stages(f"sweep in {name}", swept(name))["seconds"] for name in SWEEPS}
    plain |= stages("plain loop, other half", plainly(1))["result"]
    alone = scratch_root("sweep/alone")
    stages("runs by themselves", lambda: in_new_process(alone, train_alone, checked_runs(grid)))
    table = compare(grid, plain)
    findings = summarise(table, plain, seconds)
    write_atomic(bench_dir() / "sweep.csv", table.to_csv(index=False))
    merge_summary(findings, threads=cores, file="sweep.csv", runs=list(table["run_id"].unique()))
    return findings


def checked_runs(grid: Grid) -> list[Run]:
    """The runs that are also trained by themselves: of the bf16 sweep all, of the other a seed."""
    return [*grid.runs("bf16"), *(run for run in grid.runs("fp32") if run.seed == grid.seeds[0])]


def compare(grid: Grid, plain: dict[str, float]) -> pd.DataFrame:
    """A row a run of each sweep: its loss and time, and whether it ended as it does by itself."""
    rows = []
    for name in SWEEPS:
        for run, fp32 in zip(grid.runs(name), grid.runs("fp32"), strict=True):
            swept, alone = scratch_record(scratch_root(f"sweep/{name}"), run), None
            if run in checked_runs(grid):
                alone = scratch_record(scratch_root("sweep/alone"), run)
            rows.append(
                {
                    "sweep": name,
                    "run_id": run.run_id,
                    "d_model": run.config.model.d_model,
                    "seed": run.seed,
                    "precision": run.config.precision,
                    "tokens": swept.tokens,
                    "plain_seconds": round(plain[fp32.run_id], 3),
                    "sweep_run_seconds": swept.timing.wall_seconds,
                    "sweep_nats": swept.validation.nats if swept.validation else None,
                    "equal": None if alone is None else losses(alone) == losses(swept),
                    "commit": swept.provenance.commit,
                }
            )
    return pd.DataFrame(rows)


def losses(record: RunRecord) -> dict[str, Any]:
    """Every loss in a record: of training, of validation by position, and the curve's."""
    return record.model_dump(include={"status", "train_nats", "validation", "curve"})


def summarise(
    table: pd.DataFrame, plain: dict[str, float], seconds: dict[str, float]
) -> dict[str, Any]:
    """What `results/bench/summary.json` holds of it."""
    total = sum(plain.values())
    ratios = {name: round(total / seconds[name], 3) for name in SWEEPS}
    checked = table["equal"].dropna()
    return {
        "sweep_ratio": ratios["bf16"],
        "sweep_ratio_by_precision": ratios,
        "sweep_seconds": {"plain": round(total, 1)} | {n: round(seconds[n], 1) for n in SWEEPS},
        "sweep_bit_equal": {"checked": len(checked), "equal": int(checked.sum())},
    }


def main(arguments: list[str] | None = None) -> int:
    """Run the measurement; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tinylm.bench.sweep")
    parser.add_argument("--tokens", type=int, default=TOKENS, help="of each run")
    options = parser.parse_args(arguments)
    return run_command(lambda: measure(Grid(tokens=options.tokens)))


if __name__ == "__main__":
    sys.exit(main())
