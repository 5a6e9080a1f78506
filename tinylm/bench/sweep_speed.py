"""How much faster a sweep is than training its runs in sequence with a plain loop.

Twelve runs: four widths, three seeds. The plain loop takes two threads; its clock leaves out
imports. The sweep takes two processes of one thread each, in which the seeds of a width train side
by side; its clock counts everything, from the start of its interpreter to the end of its last
process. Both evaluate alike. The sweep runs once in fp32 and once in bf16 where that pays, between
the two halves of the plain side, so that a machine that slows down or speeds up favours neither.

Then runs are trained by themselves, and must end with the losses of the sweep's, bit for bit.
"""

import shutil
import time
from collections.abc import Sequence
from typing import Any

import pandas as pd

from tinylm.bench.aside import Kept, in_new_process, make_run, scratch, trained
from tinylm.bench.frame import Benchmark, Findings, Goal, ways_side_by_side
from tinylm.bench.timed_steps import AT_THE_END, bench_config, plain_seconds
from tinylm.config import Run
from tinylm.corpora.token_files import prepare
from tinylm.records import RunRecord

WIDTHS, SEEDS = (128, 96, 64, 32), (0, 1, 2)  # widest first
CORES = 2  # threads of the plain loop; processes of the sweep
BF16_PAYS_FROM = 64  # d_model
SWEEPS = ("fp32", "bf16")


def runs_in(precision: str, tokens: int, batch_tokens: int) -> list[Run]:
    """The runs of a sweep; "bf16" is bf16 where it pays."""
    runs = []
    for width in WIDTHS:
        lower = precision == "bf16" and width >= BF16_PAYS_FROM
        fields: dict[str, Any] = {"tokens": tokens, "evaluation": AT_THE_END}
        config = bench_config(width, batch_tokens, precision="bf16" if lower else "fp32", **fields)
        runs += [make_run(config, seed) for seed in SEEDS]
    return runs


def halves(runs: Sequence[Run]) -> tuple[list[Run], list[Run]]:
    """Runs, the slowest first, in two parts that take about as long: in turn from both ends."""
    first = [run for place, run in enumerate(runs) if place % 4 in (0, 3)]
    return first, [run for run in runs if run not in first]


def time_sweep(precision: str, runs: Sequence[Run]) -> float:
    """Seconds of a sweep from nothing; one that was killed does not count."""
    name = f"sweep_speed/{precision}"
    shutil.rmtree(scratch(name) / "results", ignore_errors=True)
    began = time.perf_counter()
    trained(name, runs, CORES, len(SEEDS))
    return round(time.perf_counter() - began, 1)


def losses(record: RunRecord) -> dict[str, Any]:
    """Every loss in a record: of training, of validation by position, and the curve's."""
    return record.model_dump(include={"status", "train_nats", "validation", "curve"})


def measure(tokens: int = 400_000, batch_tokens: int = 512) -> pd.DataFrame:
    """Time both sides, then train runs by themselves: all of the sweep in bf16, and of the other
    one seed of each width. A quarter of an hour; every part is done once.
    """
    runs = {name: runs_in(name, tokens, batch_tokens) for name in SWEEPS}
    root = scratch("sweep_speed")
    kept = Kept(root / "seconds.json", [run.run_id for name in SWEEPS for run in runs[name]])
    prepare("fables", "bpe-512")
    first, second = halves(runs["fp32"])
    plain = kept("one half", in_new_process, root, plain_seconds, first, CORES)
    whole = {name: kept(f"sweep in {name}", time_sweep, name, runs[name]) for name in SWEEPS}
    plain = plain | kept("other half", in_new_process, root, plain_seconds, second, CORES)
    checked = [*(run for run in runs["fp32"] if run.seed == SEEDS[0]), *runs["bf16"]]
    alone = {one.run_id: losses(one) for one in trained("sweep_speed/alone", checked)}
    table = ways_side_by_side(
        {name: trained(f"sweep_speed/{name}", runs[name]) for name in SWEEPS},
        seconds=lambda record: record.timing.wall_seconds,
        equal=lambda r: losses(r) == alone[r.run_id] if r.run_id in alone else None,
    )
    table["plain_seconds"] = table["fp32_run"].map(plain)
    return table.assign(**{f"{name}_whole_sweep_seconds": whole[name] for name in SWEEPS})


def findings(table: pd.DataFrame) -> Findings:
    """Wall-clock of both sides and their ratio, and how many runs ended as by themselves."""
    seconds = {"plain": round(float(table["plain_seconds"].sum()), 1)}
    seconds |= {name: float(table[f"{name}_whole_sweep_seconds"].iloc[0]) for name in SWEEPS}
    ratios = {name: round(seconds["plain"] / seconds[name], 2) for name in SWEEPS}
    equal = pd.concat([table[f"{name}_equal"].dropna() for name in SWEEPS]).astype(bool)
    return {
        "sweep_ratio": ratios["bf16"],
        "sweep_ratio_by_precision": ratios,
        "sweep_seconds": seconds,
        "sweep_bit_equal": {"checked": len(equal), "equal": int(equal.sum())},
        "sweep_equal_share": float(equal.mean()),
    }


GOALS = (
    Goal("sweep of 12 runs", "sweep_ratio", "least", 2, "times as fast as a plain loop"),
    Goal(
        "losses of a sweep, bit for bit",
        "sweep_equal_share",
        "least",
        1,
        "% of those of the run alone",
    ),
    # No benchmark makes the next one; it waits for a GPU.
    Goal(
        "models as one GPU program, not in turn", "stacked_ratio", "least", 10, "times the tokens/s"
    ),
)
BENCHMARK = Benchmark("sweep_speed.csv", measure, findings, GOALS)
