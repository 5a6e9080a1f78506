"""How long the two commands take that a reader starts with, in a fresh clone of this checkout."""

import os
import subprocess
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd

from tinylm.bench.aside import Kept, scratch
from tinylm.bench.frame import Benchmark, Findings, Goal, machine
from tinylm.errors import Missing
from tinylm.files import project_root

OURS = ("TINYLM_ROOT", "PYTHONPATH", "VIRTUAL_ENV", "MAKEFLAGS", "MAKELEVEL", "MFLAGS")


def seconds_of(target: str, checkout: Path) -> float:
    """Wall-clock of a make target in a checkout, as if it had been typed there.

    Raises:
        TinyLMError: it failed.
    """
    environment = {name: value for name, value in os.environ.items() if name not in OURS}
    began = time.monotonic()
    if subprocess.run(["make", target], cwd=checkout, env=environment, check=False).returncode:
        raise Missing(f"no time of make {target}: it failed in a clone of the checkout; see above")
    return round(time.monotonic() - began, 1)


def measure() -> pd.DataFrame:
    """`make reproduce` from nothing, the installation included, and then `make test`, both of the
    commit that is checked out; what has changed since is not there.
    """
    here = machine()
    kept = Kept(scratch("times") / "seconds.json", here["commit"])
    with TemporaryDirectory(prefix="tinylm-") as folder:
        clone = Path(folder) / "clone"
        command = ["git", "clone", "--quiet", "--no-hardlinks", str(project_root()), str(clone)]
        if subprocess.run(command, check=False).returncode:
            raise Missing(f"{project_root()} cannot be cloned; times are those of a fresh clone")
        seconds = {"reproduce_seconds": kept("reproduce", seconds_of, "reproduce", clone)}
        seconds_of("setup", clone)  # nothing to do, unless `reproduce` was timed before a kill
        seconds["test_seconds"] = kept("test", seconds_of, "test", clone)
    processor, _, instructions = here["processor"].rpartition(" (")
    shown = {"processor": processor, "cores": here["cores"], "instructions": instructions[:-1]}
    end = {"machine": shown, "date": here["date"], "commit": here["commit"]}
    return pd.DataFrame([{**seconds, **end}])


def findings(table: pd.DataFrame) -> Findings:
    """In minutes."""
    names = ("reproduce", "test")
    return {f"{name}_minutes": round(table[f"{name}_seconds"][0] / 60, 1) for name in names}


GOALS = (
    Goal("`make reproduce` in a bare clone", "reproduce_minutes", "most", 10, "minutes"),
    Goal("`make test` after it", "test_minutes", "most", 5, "minutes"),
)
BENCHMARK = Benchmark("times.json", measure, findings, GOALS)
