"""A job: the runs that one process trains, and how."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from tinylm.config import Run
from tinylm.records import RunRecord
from tinylm.speed.choose import choose_steps, shape, train_together
from tinylm.store import Store
from tinylm.sweeps.progress import ProgressFiles
from tinylm.train import train_runs
from tinylm.trainer import Listener, evaluation_steps
from tinylm.trunks import Trunk, branch_step, family, make_trunk


@dataclass(frozen=True)
class Job:
    """Runs that one process trains: one after another; or batched, their steps taken together; or
    as a family, the later ones branching off the first. Most jobs hold one run.
    """

    runs: tuple[Run, ...]
    kind: Literal["solo", "batched", "family"] = "solo"

    @property
    def job_id(self) -> str:
        """The id of its first run."""
        return self.runs[0].run_id


def group_runs(runs: Sequence[Run], size: int) -> list[Job]:
    """Runs as jobs: up to `size` runs of one shape batched together, in the order given; without
    batching (size 1), runs that share their first steps as one job, the longest first.

    A run that has no other of its kind is a job of its own.
    """
    groups: dict[object, list[Run]] = {}
    for run in runs:
        key: object = shape(run.config)
        if size == 1:
            key = family(run.config, run.seed) if branch_step(run.config) else run.run_id
        groups.setdefault(key, []).append(run)
    jobs = []
    for alike in groups.values():
        if size == 1:
            alike.sort(key=lambda run: -run.config.steps)
            jobs.append(Job(tuple(alike), "family" if branch_step(alike[0].config) else "solo"))
            continue
        for begin in range(0, len(alike), size):
            some = tuple(alike[begin : begin + size])
            jobs.append(Job(some, "batched" if len(some) > 1 else "solo"))
    return jobs


def remainder(job: Job, left: Sequence[Run]) -> Job:
    """The job that trains those runs of a job that are left."""
    batched_alone = job.kind == "batched" and len(left) == 1
    return Job(tuple(left), "solo" if batched_alone else job.kind)


def family_trunk(job: Job, store: Store) -> Trunk | None:
    """Where the runs of a family share their first steps; None for other jobs."""
    if job.kind != "family":
        return None
    configs = [run.config for run in job.runs]
    evaluations = {step for config in configs for step in evaluation_steps(config)}
    return make_trunk(store, configs, job.runs[0].seed, evaluations)


def carry_out(
    job: Job,
    store: Store,
    *,
    device: str,
    listener: Listener | None,
    finished: Callable[[Run, RunRecord], None],
    busy: Callable[[Run], None],
) -> None:
    """Train a job's runs in this process; tells of each whether it has its record or another
    process is training it. Leaves the runs' progress where `tinylm status` finds it.

    Raises:
        TinyLMError: a run's config does not fit its data, or a file is damaged or not writable.
    """
    with ProgressFiles(store, listener) as listen:

        def told(run: Run, record: RunRecord) -> None:
            listen.remove(run.run_id)
            finished(run, record)

        ways: dict[str, Any] = {"store": store, "device": device, "listener": listen}
        ways |= {"finished": told, "busy": busy}
        if job.kind == "batched":
            train_together(job.runs, **ways)
            return
        trunk = family_trunk(job, store)
        for run in job.runs:
            train_runs([run], trunk=trunk, choose=choose_steps, **ways)
        if trunk:
            trunk.remove()
