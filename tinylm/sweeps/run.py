"""The sweep: train every run of some experiments that has no record yet, wherever an executor
trains them.

A run is claimed by a lock on a file, which the operating system drops when its process ends,
however it ends; so any number of sweeps can share the work, and none repeats what another has
done. A process that dies is started again, and goes on from its checkpoint; after the third death
its runs are marked failed, and the rest goes on.
"""

import os
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from tinylm.config import Run
from tinylm.corpora.token_files import prepare
from tinylm.cost import flops_exact
from tinylm.errors import CannotWrite, Damaged
from tinylm.files import check_writable
from tinylm.records import RunRecord
from tinylm.store import RunLocked, Store
from tinylm.sweeps.estimate import estimate_runs
from tinylm.sweeps.executors.base import Ended, Executor, Finished
from tinylm.sweeps.jobs import Job, group_runs, remainder
from tinylm.sweeps.progress import mark_failed, tidy
from tinylm.texts import check_records
from tinylm.trainer import Progress

ATTEMPTS = 3  # of a run whose process dies
BUSY_SECONDS = 1.0  # how often a run that another sweep is training is looked at again
WAIT_SECONDS = 0.2
AGAIN = "the next sweep goes on from its last checkpoint"


Timing = Literal["tried", "rough", "unknown"]


@dataclass(frozen=True)
class Plan:
    """What a sweep would do."""

    runs: list[Run]
    done: dict[str, RunRecord]
    todo: list[Run]  # longest first, so that no long run is left alone at the end
    seconds: dict[str, float]  # estimate of each run to do, on one core; if unknown, its FLOPs
    memory: dict[str, int] = field(default_factory=dict)  # and of the bytes its process will hold
    timing: Timing = "tried"

    def hours_left(self, jobs: int) -> float:
        """Estimated wall-clock hours for what is left, on `jobs` cores."""
        total, longest = sum(self.seconds.values()), max(self.seconds.values(), default=0.0)
        return max(total / jobs, longest) / 3600


@dataclass
class Outcome:
    """What a sweep did."""

    trained: list[RunRecord] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)  # run id to what happened


class SweepListener:
    """Told what happens in a sweep; the base class keeps quiet."""

    def progressed(self, progress: Progress) -> None:
        """A run has taken some steps."""

    def finished(self, run: Run, record: RunRecord) -> None:
        """A run has its record."""

    def retried(self, run: Run, reason: str) -> None:
        """A run's process died; it will be tried again."""

    def failed(self, run: Run, reason: str) -> None:
        """A run cannot be trained, or its process died too often; it has no record."""

    def waited(self) -> None:
        """Called a few times a second."""


def plan_sweep(
    runs: Sequence[Run], store: Store, *, jobs: int | None = None, timing: Timing = "tried"
) -> Plan:
    """Check every record that exists, prepare the data, and estimate what is left to do.

    `timing` is how: "tried", by training each shape for an instant in `jobs` processes of this
    machine; "rough", by what was tried within the last hour and by FLOPs; or "unknown", for runs
    that will train on other machines or on a GPU.

    Raises:
        TinyLMError: the data cannot be had, or a record is damaged or of another text; nothing has
            been trained.
    """
    unique = list({run.run_id: run for run in runs}.values())
    done = {}
    for run in unique:
        if (record := store.find(run.run_id)) is not None:
            done[run.run_id] = record
    check_records(done.values(), preparing=timing == "tried")
    todo = [run for run in unique if run.run_id not in done]
    for corpus, tokenizer in sorted(
        {(run.config.data.corpus, run.config.data.tokenizer) for run in todo}
    ):
        prepare(corpus, tokenizer)
    if timing == "unknown":
        seconds = {run.run_id: flops_exact(run.config.model, run.config.tokens) for run in todo}
        memory = {}
    else:
        estimates = estimate_runs(todo, jobs or usable_cores(), trials=timing == "tried")
        seconds = {run_id: each.seconds for run_id, each in estimates.items()}
        memory = {run_id: each.memory_bytes for run_id, each in estimates.items()}
    todo.sort(key=lambda run: -seconds[run.run_id])
    return Plan(unique, done, todo, seconds, memory, timing)


class _Sweep:
    """A sweep under way: which jobs are to start, which run, and what came of the others."""

    def __init__(
        self,
        plan: Plan,
        store: Store,
        executor: Executor,
        listener: SweepListener,
        batched: int = 1,
    ) -> None:
        self.store, self.executor, self.listener = store, executor, listener
        self.queue = group_runs(plan.todo, batched)
        self.under_way = 0
        self.later: list[tuple[float, Job]] = []  # when to look again at runs of other sweeps
        self.deaths: Counter[str] = Counter()  # by run id
        self.ended: set[str] = set()  # run ids
        self.outcome = Outcome()

    def run(self) -> Outcome:
        """Keep the executor busy until every run has ended."""
        while self.queue or self.under_way or self.later:
            now = time.monotonic()
            self.queue += [job for when, job in self.later if when <= now]
            self.later = [(when, job) for when, job in self.later if when > now]
            while self.queue and self.under_way < self.executor.slots:
                self.begin(self.queue.pop(0))
            if self.under_way:
                for event in self.executor.wait(WAIT_SECONDS):
                    self.take(event)
            else:
                time.sleep(min(WAIT_SECONDS, BUSY_SECONDS))
            self.listener.waited()
        return self.outcome

    def begin(self, job: Job) -> None:
        """Start a job, unless other sweeps have trained its runs by now, or are training them."""
        left = [run for run in job.runs if not self.is_settled(run)]
        held = [run for run in left if self.store.is_locked(run.run_id)]
        free = [run for run in left if run not in held]
        if held and job.kind != "batched":  # the others go on from what these leave
            held, free = left, []
        if held:
            self.later.append((time.monotonic() + BUSY_SECONDS, remainder(job, held)))
        if free:
            self.executor.start(remainder(job, free), self.store)
            self.under_way += 1

    def take(self, event: Progress | Finished | Ended) -> None:
        """Act on what the executor tells."""
        if isinstance(event, Progress):
            self.listener.progressed(event)
        elif isinstance(event, Finished):
            self.finish(event.run, event.record)
        else:
            self.under_way -= 1
            self.end(event)

    def finish(self, run: Run, record: RunRecord) -> None:
        """A run has its record."""
        if run.run_id in self.ended:
            return
        self.ended.add(run.run_id)
        self.outcome.trained.append(record)
        self.store.failure_path(run.run_id).unlink(missing_ok=True)
        self.store.log_path(run.run_id).unlink(missing_ok=True)
        self.listener.finished(run, record)

    def end(self, ended: Ended) -> None:
        """A job is no longer under way: what becomes of its runs that have not finished?"""
        left = [run for run in ended.job.runs if not self.is_settled(run)]
        if not left:
            return
        if ended.how == "busy":
            self.later.append((time.monotonic() + BUSY_SECONDS, remainder(ended.job, left)))
        elif ended.how == "unwritable":
            raise CannotWrite(ended.reason)
        elif ended.how == "refused":
            if len(left) > 1:  # one of them is to blame; each by itself shows which
                self.queue += [Job((run,)) for run in left]
            else:
                self.fail(left[0], ended.reason, ended.log)
        else:
            self.deaths.update(run.run_id for run in left)
            reason = ended.reason or "its process ended without a record"
            again = [run for run in left if self.deaths[run.run_id] < ATTEMPTS]
            for run in left:
                if run in again:
                    self.listener.retried(run, reason)
                else:
                    self.fail(run, f"{reason}, {ATTEMPTS} times; {AGAIN}", ended.log)
            last_try = any(self.deaths[run.run_id] == ATTEMPTS - 1 for run in again)
            # Each alone: a batch takes more memory, and of a family only one may be to blame.
            if ended.job.kind == "batched" or last_try:
                self.queue += [Job((run,)) for run in again]
            elif again:  # after the others: if memory ran out, there may be more of it then
                self.queue.append(remainder(ended.job, again))

    def is_settled(self, run: Run) -> bool:
        """Whether a run has ended, told of or not: its process may have died just after it had
        written the record.
        """
        if run.run_id in self.ended:
            return True
        try:
            record = self.store.find(run.run_id)
        except Damaged as error:
            self.fail(run, str(error), "")
            return True
        if record is not None:
            self.finish(run, record)
        return record is not None

    def fail(self, run: Run, reason: str, log: str) -> None:
        """Give a run up, unless another sweep is training it by now."""
        attempts = max(1, self.deaths[run.run_id])
        try:
            mark_failed(self.store, run.run_id, reason, attempts, log)
        except RunLocked:
            self.later.append((time.monotonic() + BUSY_SECONDS, Job((run,))))
            return
        except CannotWrite:  # the reason counts, not that it cannot be written down
            pass
        self.ended.add(run.run_id)
        self.outcome.failed[run.run_id] = reason
        self.listener.failed(run, reason)


def sweep(
    plan: Plan,
    store: Store,
    executor: Executor,
    *,
    listener: SweepListener | None = None,
    batched: int = 1,
) -> Outcome:
    """Train what a plan has left to do and return what came of it. Stops the executor at the end.
    Up to `batched` runs of one shape train together.

    It can be killed at any time and started again: records stay, and a run that was under way
    goes on from its checkpoint.

    Raises:
        TinyLMError: the results cannot be written, or the executor cannot do what it is asked.
    """
    with executor:
        if plan.todo:
            check_writable(store.folder)
            tidy(store, plan.done)
        return _Sweep(plan, store, executor, listener or SweepListener(), batched).run()


def usable_cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
