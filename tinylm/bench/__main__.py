"""`python -m tinylm.bench`, `tinylm bench`, `make bench`: all measurements, and one table."""

import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from tinylm.bench.scratch import forget_scratch
from tinylm.bench.summary import read_summary
from tinylm.errors import BadInput, TinyLMError

# In the order in which they run, each in a process of its own; the two longest are last.
MEASUREMENTS = (
    "matmul_peak",
    "time_to_loss",
    "recipe",
    "sweep",
    "trunks",
    "batched",
    "precision",
    "cost_model",
    "coverage",
)


def run_benchmarks(names: Sequence[str] = (), *, anew: bool = False) -> int:
    """Run some measurements, or all, one after the other; returns the exit code.

    One that fails does not stop the others. `anew` first drops what earlier ones kept.

    Raises:
        TinyLMError: an unknown name; nothing is measured.
    """
    if unknown := [name for name in names if name not in MEASUREMENTS]:
        raise BadInput(
            f"unknown benchmark {unknown[0]!r}; expected one of {', '.join(MEASUREMENTS)}"
        )
    console = Console()
    if anew:
        forget_scratch()
    failed = []
    for name in [name for name in MEASUREMENTS if not names or name in names]:
        console.rule(name, align="left")
        began = time.monotonic()
        command = [sys.executable, "-m", f"tinylm.bench.{name}"]
        if subprocess.run(command, check=False).returncode:
            failed.append(name)
        console.print(f"{name}: {(time.monotonic() - began) / 60:.1f} min", highlight=False)
    console.print(summary_table(read_summary()))
    for name in failed:
        console.print(f"FAILED: {name}", highlight=False)
    return 1 if failed else 0


def summary_table(summary: dict[str, Any]) -> Table:
    """Every number of the summary, and what is behind it; the machine stands above them."""
    sources = summary.get("behind", {})
    machines = sorted({f"{e['processor']}, {e['platform']}" for e in sources.values()})
    table = Table(title="; ".join(machines) or "nothing measured yet")
    for heading in ("measured", "", "from", "threads", "date", "commit"):
        table.add_column(heading)
    for key, value in summary.items():
        if key == "behind":
            continue
        entry = sources.get(key, {})
        source = str(
            entry.get("file") or entry.get("reason") or f"{len(entry.get('runs', []))} runs"
        )
        facts = [source, str(entry.get("threads", "")), str(entry.get("date", ""))[:10]]
        facts.append(str(entry.get("commit") or "")[:10])
        for name, shown in leaves(value, (key,)):
            table.add_row(name, shown, *facts)
            facts = ["", "", "", ""]
    return table


def leaves(value: Any, names: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """Every number in nested findings under its path, texts left out; nothing measured is "-"."""
    if isinstance(value, dict):
        for key in value:
            yield from leaves(value[key], (*names, str(key)))
    elif isinstance(value, list):
        for place, item in enumerate(value, start=1):
            yield from leaves(item, (*names, str(place)))
    elif not isinstance(value, str):
        yield " ".join(names), "-" if value is None else str(value)


def main() -> int:
    """Run all measurements; returns the exit code."""
    try:
        return run_benchmarks()
    except TinyLMError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
