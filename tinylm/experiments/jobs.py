"""A job: the runs that one process trains, and how."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from tinylm.config import RunConfig
from tinylm.ensemble import shape, train_together
from tinylm.experiments.declare import Run
from tinylm.experiments.traces import ProgressFiles
from tinylm.records import RunRecord
from tinylm.train import Listener, RunClaimed, train


@dataclass(frozen=True)
class Job:
    """Runs that one process trains: one after another, or batched, together as one program. Most
    jobs hold one run.
    """

    runs: tuple[Run, ...]
    kind: Literal["solo", "batched"] = "solo"

    @property
    def job_id(self) -> str:
        """The id of its first run."""
        return self.runs[0].run_id


def group_runs(runs: Sequence[Run], size: int) -> list[Job]:
    """Runs as jobs: up to `size` runs of one shape batched together, in the order given.

    A run that has no other of its shape trains alone.
    """
    groups: dict[RunConfig, list[Run]] = {}
    for run in runs:
        groups.setdefault(shape(run.config), []).append(run)
    jobs = []
    for alike in groups.values():
        for begin in range(0, len(alike), size):
            some = tuple(alike[begin : begin + size])
            jobs.append(Job(some, "batched" if len(some) > 1 else "solo"))
    return jobs


def carry_out(
    job: Job,
    profile: str,
    *,
    device: str | None,
    listener: Listener | None,
    finished: Callable[[Run, RunRecord], None],
    busy: Callable[[Run], None],
) -> None:
    """Train a job's runs in this process; tells of each whether it has its record or another
    process is training it. Leaves the runs' progress where `tinylm status` finds it.

    Raises:
        InputError: a run's config does not fit its data, or a file is damaged or not writable.
    """
    with ProgressFiles(profile, listener) as listen:
        if job.kind == "batched":
            train_together(
                job.runs,
                profile=profile,
                device=device,
                listener=listen,
                finished=finished,
                busy=busy,
            )
            return
        for run in job.runs:
            try:
                record = train(
                    run.config, run.seed, profile=profile, device=device, listener=listen
                )
            except RunClaimed:
                busy(run)
            else:
                listen.remove(run.run_id)
                finished(run, record)
