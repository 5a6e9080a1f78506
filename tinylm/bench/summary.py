"""`results/bench/summary.json`: what every measurement found, and what is behind it.

Beside its findings it holds, under "behind", an entry for each key: machine, date, commit, and the
files in this folder or the run ids that the finding was computed from.
"""

import json
import platform
import sys
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd

from tinylm.errors import BadInput, Damaged, TinyLMError
from tinylm.files import hold_lock, project_root, write_atomic
from tinylm.records import git_state, now, processor_name


def bench_dir() -> Path:
    """`results/bench/`: the tables, plots and summary of the measurements."""
    return project_root() / "results" / "bench"


def read_summary(folder: Path | None = None) -> dict[str, Any]:
    """What has been measured so far; nothing yet is an empty summary.

    Raises:
        TinyLMError: the file is damaged.
    """
    path = (folder or bench_dir()) / "summary.json"
    try:
        content = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    except (OSError, ValueError) as error:
        raise Damaged(f"{path} is damaged ({error}); delete it and measure again") from None
    if not isinstance(content, dict):
        raise BadInput(f"{path}: expected a JSON object, got {type(content).__name__}")
    return content


def merge_summary(
    findings: Mapping[str, Any], *, threads: int, folder: Path | None = None, **behind: Any
) -> None:
    """Put findings into the summary, atomically; those of other measurements stay.

    `behind` names what they were computed from, as `file="sweep.csv"` or `runs=[...]`; `threads`
    is how many worked in all.

    Raises:
        TinyLMError: the summary is damaged, or cannot be written.
    """
    folder = folder or bench_dir()
    with hold_lock(folder / "summary.lock", wait=True):
        summary = read_summary(folder)
        sources = summary.pop("behind", {})
        entry = machine(threads) | behind
        summary |= findings
        sources |= dict.fromkeys(findings, entry)
        text = json.dumps({**summary, "behind": sources}, indent=1, allow_nan=False)
        write_atomic(folder / "summary.json", text + "\n")


def machine(threads: int) -> dict[str, Any]:
    """Where, when and with what a measurement is made."""
    commit, clean = git_state()
    return {
        "date": now(),
        "commit": commit,
        "clean": clean,
        "processor": processor_name(),
        "platform": platform.platform(terse=True),
        "threads": threads,
        "torch": version("torch"),
    }


def run_command(measure: Callable[[], Mapping[str, Any] | pd.DataFrame]) -> int:
    """What every measurement's command does: run it, print what it found; the exit code."""
    try:
        found = measure()
    except TinyLMError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    if isinstance(found, pd.DataFrame):
        print(found.to_string(index=False))
    else:
        print(json.dumps(found, indent=1))
    return 0
