"""A job: the runs that one process trains, and how."""

from collections.abc import Callable
from dataclasses import dataclass

from tinylm.experiments.declare import Run
from tinylm.experiments.traces import ProgressFiles
from tinylm.records import RunRecord
from tinylm.train import Listener, RunClaimed, train


@dataclass(frozen=True)
class Job:
    """Runs that one process trains, in this order. Most jobs hold one run."""

    runs: tuple[Run, ...]

    @property
    def job_id(self) -> str:
        """The id of its first run."""
        return self.runs[0].run_id


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
    for run in job.runs:
        try:
            with ProgressFiles(profile, listener) as listen:
                record = train(
                    run.config, run.seed, profile=profile, device=device, listener=listen
                )
        except RunClaimed:
            busy(run)
        else:
            finished(run, record)
