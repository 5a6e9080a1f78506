"""What every benchmark is: a measurement that makes a table, numbers that follow, and its goals.

In `results/bench/`, NAME.csv is the table of a benchmark. `summary.json` (numbers that pages name)
and `goals.csv` are computed from all tables whenever one is written; `provenance.csv` says where,
when and at which commit each measurement was begun.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from platform import platform
from typing import Any, Literal

import pandas as pd
from matplotlib.figure import Figure

from tinylm.bench.aside import Kept, scratch
from tinylm.errors import Damaged
from tinylm.files import hold_lock, project_root, write_atomic
from tinylm.plots import save_figure
from tinylm.provenance import git_state, now, processor_name
from tinylm.records import RunRecord
from tinylm.sweeps.run import usable_cores

Findings = dict[str, Any]
SEED_NOISE = "standard deviation over seeds"  # unit of a goal


def bench_dir() -> Path:
    """`results/bench/`: tables, plots and summary of the measurements."""
    return project_root() / "results" / "bench"


@dataclass(frozen=True)
class Goal:
    """What was asked for before anything was measured."""

    measured: str  # in words
    finding: str  # its key in the summary
    at: Literal["least", "most"]
    bound: float
    unit: str  # one that begins with % goes with a bound and a finding from 0 to 1

    def row(self, summary: Findings) -> dict[str, Any]:
        """Its row in `goals.csv`; `found` and `reached` are empty where nothing was measured."""
        found, reached = summary.get(self.finding), None
        scale = 100 if self.unit.startswith("%") else 1
        if found is not None:
            reached = found >= self.bound if self.at == "least" else found <= self.bound
            found = round(scale * found, 3)
        goal = f"at {self.at} {scale * self.bound:g} {self.unit}"
        return {"measured": self.measured, "goal": goal, "found": found, "reached": reached}


@dataclass(frozen=True)
class Benchmark:
    """A measurement. `measure` does what is left of it and gives its table; it raises TinyLMError
    where it cannot be made. `findings` are for the summary, and follow from the table alone.
    """

    file: str  # in `results/bench/`: NAME.csv, or .json for a table of one row
    measure: Callable[[], pd.DataFrame]
    findings: Callable[[pd.DataFrame], Findings]
    goals: tuple[Goal, ...] = ()
    figure: Callable[[pd.DataFrame], Figure] | None = None  # for `plots/NAME.png`

    def found(self) -> Findings:
        """The findings of the table that is there; none if it was not made yet.

        Raises:
            TinyLMError: the table is damaged.
        """
        path = bench_dir() / self.file
        try:
            if not path.exists():
                return {}
            if path.suffix == ".json":
                return self.findings(pd.DataFrame([json.loads(path.read_text(encoding="utf-8"))]))
            return self.findings(pd.read_csv(path))
        except (OSError, ValueError, KeyError) as error:
            raise Damaged(f"{path} is damaged ({error!r}); delete it and measure again") from None

    def run(self) -> pd.DataFrame:
        """Measure; write the table, its figure, and where it was made.

        Raises:
            TinyLMError: it cannot be measured here, or not be written.
        """
        name, folder = Path(self.file).stem, bench_dir()
        begun = Kept(scratch(name) / "begun.json")("machine", machine)
        table = self.measure()
        begun |= {name: table[name][0] for name in ("date", "commit") if name in table}
        text = table.to_csv(index=False)
        if self.file.endswith(".json"):
            text = json.dumps(table.iloc[0].to_dict(), indent=1) + "\n"
        write_atomic(folder / self.file, text)
        if self.figure is not None:
            save_figure(self.figure(table), folder / "plots" / f"{name}.png")
        with hold_lock(folder / "summary.lock", wait=True):
            path, rows = folder / "provenance.csv", pd.DataFrame([{"file": self.file} | begun])
            if path.exists():
                others = pd.read_csv(path, dtype=str)
                rows = pd.concat([others[others["file"] != self.file], rows])
            write_atomic(path, rows.to_csv(index=False))
        return table


def publish(benchmarks: Iterable[Benchmark]) -> pd.DataFrame:
    """Compute `summary.json` and `goals.csv` from the tables; returns the goals. Under "behind" the
    summary names the file that each finding was computed from.

    Raises:
        TinyLMError: a table is damaged; both files stay as they were.
    """
    folder, summary, behind, goals = bench_dir(), Findings(), Findings(), []
    with hold_lock(folder / "summary.lock", wait=True):
        for benchmark in benchmarks:
            found = benchmark.found()
            summary |= found
            behind |= dict.fromkeys(found, benchmark.file)
            goals += [goal.row(summary) for goal in benchmark.goals]
        text = json.dumps(summary | {"behind": behind}, indent=1, allow_nan=False)
        write_atomic(folder / "summary.json", text + "\n")
        write_atomic(folder / "goals.csv", pd.DataFrame(goals).to_csv(index=False))
    return pd.DataFrame(goals)


def machine() -> dict[str, Any]:
    """Where, when and with what a measurement is made."""
    commit, clean = git_state()
    return {
        "date": now()[:10],
        "commit": commit,
        "tree": {True: "clean", False: "changed", None: "unknown"}[clean],
        "processor": processor_name(),
        "cores": usable_cores(),
        "platform": platform(terse=True),
        "torch": version("torch"),
    }


def nats(record: RunRecord) -> float:
    """The loss at a run's end; NaN if it diverged."""
    return record.validation.nats if record.validation else float("nan")


def ways_side_by_side(
    ways: Mapping[str, Sequence[RunRecord]], **columns: Callable[[RunRecord], Any]
) -> pd.DataFrame:
    """A row for each setting that was trained in several ways, which list it in the same order:
    width, tokens and seed, and of each way the columns asked for, its name before theirs.
    """
    rows = []
    for records in zip(*ways.values(), strict=True):
        one = records[0]
        row = {"d_model": one.config.model.d_model, "tokens": one.tokens, "seed": one.seed}
        for way, record in zip(ways, records, strict=True):
            row |= {f"{way}_{name}": of(record) for name, of in columns.items()}
            row |= {f"{way}_run": record.run_id}
        rows.append(row)
    return pd.DataFrame(rows).sort_values(["d_model", "tokens", "seed"], ignore_index=True)
