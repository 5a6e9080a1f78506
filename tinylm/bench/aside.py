"""Where benchmarks work: in projects of their own beside the records of the book, in processes
that know no other project, and so that what was killed goes on.
"""

import json
import os
import shutil
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from tinylm.errors import Missing
from tinylm.files import data_dir, project_root, write_atomic
from tinylm.sweeps.processes import end_with_parent, start_early

if TYPE_CHECKING:  # they take seconds to import, which the clock of a sweep should count once
    from tinylm.config import Run, RunConfig
    from tinylm.records import RunRecord

PROFILE = "quick"  # of the projects aside
T = TypeVar("T")


def scratch(name: str) -> Path:
    """A project `results/bench-scratch/<name>/` that shares the data of this one; made if new."""
    root = project_root() / "results" / "bench-scratch" / name
    root.mkdir(parents=True, exist_ok=True)
    data_dir().mkdir(exist_ok=True)
    if not (root / "data").exists():
        (root / "data").symlink_to(data_dir(), target_is_directory=True)
    return root


def forget(name: str) -> None:
    """Remove what a benchmark kept, so that all of it is measured anew."""
    shutil.rmtree(project_root() / "results" / "bench-scratch" / name, ignore_errors=True)


class Kept:
    """What the parts of a measurement gave, in a JSON file, so that none is done twice."""

    def __init__(self, path: Path, settings: Any = None) -> None:
        """Starts anew where the file was written under other settings."""
        self.path = path
        self.content: dict[str, Any] = {"settings": settings, "parts": {}}
        if path.exists():
            found = json.loads(path.read_text(encoding="utf-8"))
            self.content = found if found["settings"] == settings else self.content

    def __call__(self, part: str, work: Callable[..., T], *arguments: Any) -> T:
        """What a part gave when it was done, now or before; made of what JSON knows."""
        parts: dict[str, T] = self.content["parts"]
        if part not in parts:
            parts[part] = work(*arguments)
            write_atomic(self.path, json.dumps(self.content, indent=1) + "\n")
        return parts[part]


def _begin(root: Path | None) -> None:
    end_with_parent()
    if root is not None:
        os.environ["TINYLM_ROOT"] = str(root)  # also for processes that this one starts
        start_early()


def pool(processes: int, root: Path | None = None) -> ProcessPoolExecutor:
    """Interpreters of their own that end with this one, in the project `root` if it is given."""
    return ProcessPoolExecutor(processes, get_context("spawn"), _begin, (root,))


def in_new_process(root: Path, function: Callable[..., T], *arguments: Any) -> T:
    """What a function returns, or raises, in an interpreter of its own whose project is `root`;
    BrokenProcessPool if that one dies.
    """
    with pool(1, root) as one:
        return one.submit(function, *arguments).result()


def make_run(config: "RunConfig", seed: int) -> "Run":
    """A run of a config, with its id."""
    from tinylm.config import Run
    from tinylm.corpora import corpus_version

    return Run(config, seed, config.identity(seed, corpus_version(config.data.corpus)))


def trained(
    name: str, runs: "Sequence[Run]", jobs: int = 0, batched: int = 1, device: str = "cpu"
) -> "list[RunRecord]":
    """The records of runs, in their order, trained in the project `scratch(name)` if they are not
    there: by a sweep of so many processes (0: one per core), each of up to `batched` runs together.

    Raises:
        TinyLMError: one failed, or its data cannot be had.
    """
    return in_new_process(scratch(name), _sweep, runs, jobs, batched, device)


def _sweep(runs: "Sequence[Run]", jobs: int, batched: int, device: str) -> "list[RunRecord]":
    from tinylm.sweeps.executors.local import LocalExecutor
    from tinylm.sweeps.run import load_runs, plan_sweep, sweep, usable_cores

    plan = plan_sweep(runs, PROFILE, estimate=False)
    print(f"{len(plan.todo)} of {len(plan.runs)} runs to do", flush=True)
    executor = LocalExecutor(jobs or usable_cores(), device=device)
    for run_id, reason in sweep(plan, PROFILE, executor, batched=batched).failed.items():
        raise Missing(f"run {run_id} of the benchmark failed: {reason}")
    return load_runs(runs, PROFILE)
