"""Where measurements train: projects of their own beside the records of the book, and processes
that know no other project.
"""

import os
import shutil
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import ParamSpec, TypeVar

from tinylm.config import Run
from tinylm.errors import BadInput
from tinylm.files import data_dir, project_root
from tinylm.records import RunRecord, read_record
from tinylm.sweeps.executors.local import LocalExecutor
from tinylm.sweeps.processes import end_with_parent
from tinylm.sweeps.run import SweepListener, plan_sweep, sweep

PROFILE = "quick"  # of scratch projects, unless they measure another one
P = ParamSpec("P")
T = TypeVar("T")


def scratch_root(name: str) -> Path:
    """A project `results/bench-scratch/<name>/` that shares the data of this one; made if new."""
    root = project_root() / "results" / "bench-scratch" / name
    root.mkdir(parents=True, exist_ok=True)
    data_dir().mkdir(exist_ok=True)
    if not (root / "data").exists():
        (root / "data").symlink_to(data_dir(), target_is_directory=True)
    return root


def forget_scratch() -> None:
    """Remove every scratch project, so that all is measured anew."""
    shutil.rmtree(project_root() / "results" / "bench-scratch", ignore_errors=True)


def in_new_process(
    root: Path, function: Callable[P, T], *arguments: P.args, **named: P.kwargs
) -> T:
    """What a function returns in an interpreter of its own whose project is `root`.

    Raises:
        BaseException: whatever it raises there.
    """
    with ProcessPoolExecutor(
        1, mp_context=get_context("spawn"), initializer=_work_in, initargs=(root,)
    ) as pool:
        return pool.submit(function, *arguments, **named).result()


def _work_in(root: Path) -> None:
    end_with_parent()
    os.environ["TINYLM_ROOT"] = str(root)  # also for processes that this one starts


class Lines(SweepListener):
    """A line for each run that ends."""

    def __init__(self, total: int) -> None:
        self.total, self.ended = total, 0

    def _say(self, run: Run, what: str) -> None:
        self.ended += 1
        model = run.config.model
        shape = f"d_model {model.d_model}, context {model.context_length}"
        print(f"[{self.ended}/{self.total}] {run.run_id}  {shape}: {what}", flush=True)

    def finished(self, run: Run, record: RunRecord) -> None:
        """A run has its record."""
        timing = record.timing
        self._say(run, f"{timing.wall_seconds:.1f} s, {timing.peak_memory_bytes / 1e6:.0f} MB")

    def failed(self, run: Run, reason: str) -> None:
        """A run has none."""
        self._say(run, f"FAILED: {reason}")


def sweep_runs(runs: Sequence[Run], processes: int, batched: int = 1) -> None:
    """Sweep what has no record yet of some runs, in the current project, in the order given, up to
    `batched` of one shape together.

    Raises:
        TinyLMError: one failed.
    """
    plan = plan_sweep(runs, PROFILE, estimate=False)
    listener = Lines(len(plan.todo))
    outcome = sweep(plan, PROFILE, LocalExecutor(processes), listener=listener, batched=batched)
    for run_id, reason in outcome.failed.items():
        raise BadInput(f"{len(outcome.failed)} runs failed, the first {run_id}: {reason}")


def scratch_record(root: Path, run: Run) -> RunRecord:
    """The record of a run in a scratch project.

    Raises:
        TinyLMError: it has none.
    """
    return read_record(root / "results" / PROFILE / "runs" / f"{run.run_id}.json")
