"""The sweep: train every run of some experiments that has no record yet, on all cores.

A run is a process of its own with one thread, so that runs neither share memory nor slow each
other, and a run that dies takes nothing with it. A run is claimed by a lock on a file, which the
operating system drops when its process ends, however it ends; so any number of sweeps can share
the work, and none repeats what another has done.
"""

import multiprocessing
import os
import platform
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkServerContext, SpawnContext
from multiprocessing.process import BaseProcess

import torch

from tinylm.batches import prepare
from tinylm.errors import InputError
from tinylm.experiments.declare import Run
from tinylm.experiments.estimate import estimate_runs
from tinylm.records import RunRecord, find_record
from tinylm.train import Progress, RunClaimed, train

RETRY_SECONDS = 1.0  # how often a run that another sweep is training is looked at again


@dataclass(frozen=True)
class Plan:
    """What a sweep would do."""

    runs: list[Run]
    done: dict[str, RunRecord]
    todo: list[Run]  # longest first, so that no long run is left alone at the end
    seconds: dict[str, float]  # estimate of each run to do, on one core
    memory: dict[str, int] = field(default_factory=dict)  # and of the bytes its process will hold

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

    def failed(self, run: Run, reason: str) -> None:
        """A run's process ended without a record."""


def plan_sweep(
    runs: Sequence[Run], profile: str, *, jobs: int | None = None, estimate: bool = True
) -> Plan:
    """Check every record that exists, prepare the data, and estimate what is left to do.

    Raises:
        InputError: the data cannot be had, or a record is damaged; nothing has been trained.
    """
    unique = list({run.run_id: run for run in runs}.values())
    done = {}
    for run in unique:
        if (record := find_record(profile, run.run_id)) is not None:
            done[run.run_id] = record
    todo = [run for run in unique if run.run_id not in done]
    for corpus, tokenizer in sorted(
        {(run.config.data.corpus, run.config.data.tokenizer) for run in todo}
    ):
        prepare(corpus, tokenizer)
    estimates = estimate_runs(todo, jobs or usable_cores()) if estimate else {}
    seconds = {r.run_id: estimates[r.run_id].seconds if estimate else 0.0 for r in todo}
    todo.sort(key=lambda run: -seconds[run.run_id])
    memory = {run_id: each.memory_bytes for run_id, each in estimates.items()}
    return Plan(unique, done, todo, seconds, memory)


def _train_one(run: Run, profile: str, messages: Connection) -> None:
    """Body of a run's process: train it, tell the sweep. Ends with the sweep."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the sweep's to handle
    torch.set_num_threads(1)
    last = time.monotonic()

    def listen(progress: Progress) -> None:
        nonlocal last
        if time.monotonic() - last > 0.5:
            last = time.monotonic()
            messages.send(progress)  # fails when the sweep is gone, which ends this run too

    try:
        record = train(run.config, run.seed, profile=profile, device="cpu", listener=listen)
        messages.send(record)
    except RunClaimed:
        messages.send("busy")
    except (InputError, OSError) as error:
        try:
            messages.send(InputError(str(error)))
        except OSError:
            os._exit(1)  # the sweep is gone; the checkpoint keeps what was done


def _context() -> ForkServerContext | SpawnContext:
    """Processes that start in milliseconds, with torch already imported, where that is safe."""
    if platform.system() == "Linux":
        context = multiprocessing.get_context("forkserver")
        # An optimiser imports torch._dynamo when it is made: seconds, if every run did it anew.
        context.set_forkserver_preload(["tinylm.train", "torch._dynamo"])
        return context
    return multiprocessing.get_context("spawn")


@dataclass
class _Worker:
    run: Run
    process: BaseProcess
    messages: Connection
    ended: bool = False


class _Pool:
    """At most `jobs` run processes at a time."""

    def __init__(self, profile: str, jobs: int, listener: SweepListener) -> None:
        self.profile, self.jobs, self.listener = profile, jobs, listener
        self.context = _context()
        self.workers: list[_Worker] = []
        self.outcome = Outcome()
        self.busy: list[tuple[float, Run]] = []  # when to look again at runs of other sweeps

    def start(self, run: Run) -> None:
        receiver, sender = self.context.Pipe(duplex=False)
        process = self.context.Process(target=_train_one, args=(run, self.profile, sender))
        process.start()
        sender.close()  # so that the receiver sees the end when the process dies
        self.workers.append(_Worker(run, process, receiver))

    def receive(self, worker: _Worker) -> None:
        try:
            message = worker.messages.recv()
        except (EOFError, OSError):
            worker.process.join()
            if not worker.ended:
                code = worker.process.exitcode or 0
                how = f"signal {-code}" if code < 0 else f"exit code {code}"
                self.fail(
                    worker,
                    f"its process ended with {how}; the next sweep goes on from its "
                    f"last checkpoint",
                )
            worker.messages.close()
            self.workers.remove(worker)
            return
        if isinstance(message, Progress):
            self.listener.progressed(message)
            return
        worker.ended = True
        if isinstance(message, RunRecord):
            self.outcome.trained.append(message)
            self.listener.finished(worker.run, message)
        elif isinstance(message, InputError):
            self.fail(worker, str(message))
        else:
            self.busy.append((time.monotonic() + RETRY_SECONDS, worker.run))

    def fail(self, worker: _Worker, reason: str) -> None:
        worker.ended = True
        self.outcome.failed[worker.run.run_id] = reason
        self.listener.failed(worker.run, reason)

    def stop(self) -> None:
        for worker in self.workers:
            worker.process.terminate()
        for worker in self.workers:
            worker.process.join()

    def run(self, todo: list[Run]) -> Outcome:
        queue = list(todo)
        try:
            while queue or self.workers or self.busy:
                now = time.monotonic()
                queue += [run for when, run in self.busy if when <= now]
                self.busy = [(when, run) for when, run in self.busy if when > now]
                while queue and len(self.workers) < self.jobs:
                    self.start(queue.pop(0))
                by_connection = {worker.messages: worker for worker in self.workers}
                for ready in wait(list(by_connection), timeout=0.2):
                    if isinstance(ready, Connection):
                        self.receive(by_connection[ready])
                if not self.workers:
                    time.sleep(0.05)
        finally:
            self.stop()
        return self.outcome


def sweep(
    plan: Plan, profile: str, *, jobs: int | None = None, listener: SweepListener | None = None
) -> Outcome:
    """Train what a plan has left to do and return what came of it.

    It can be killed at any time and started again: records stay, and a run that was under way
    goes on from its checkpoint.
    """
    cores = jobs or usable_cores()
    return _Pool(profile, cores, listener or SweepListener()).run(plan.todo)


def usable_cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def load_runs(runs: Sequence[Run], profile: str) -> list[RunRecord]:
    """The records of runs, all of which must exist.

    Raises:
        InputError: one is missing; the sentence says how to make it.
    """
    found = [find_record(profile, run.run_id) for run in runs]
    records = [record for record in found if record is not None]
    if len(records) < len(runs):
        raise InputError(
            f"{len(runs) - len(records)} of {len(runs)} runs have no record in "
            f"results/{profile}/runs; run `make reproduce PROFILE={profile}` to train them"
        )
    return records
