"""Runs in processes of this machine.

A job is a process of its own, by default with one thread, so that runs neither share memory nor
slow each other, and a process that dies takes nothing else with it.
"""

import faulthandler
import os
import signal
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path

import torch

from tinylm.config import Run
from tinylm.errors import BadInput, TinyLMError
from tinylm.records import RunRecord
from tinylm.speed.memory import keep_freed_memory
from tinylm.store import Store
from tinylm.sweeps import processes
from tinylm.sweeps.executors.base import Ended, Executor, Finished, how_refused
from tinylm.sweeps.jobs import Job, carry_out
from tinylm.sweeps.progress import last_lines
from tinylm.trainer import Progress, pick_device

TELL_SECONDS = 0.5  # between two words of a process on its progress
STOP_SECONDS = 5.0  # for a process to end when asked to


def _keep_log(path: Path) -> None:
    """Send all that this process prints to a file, a crash of the interpreter included."""
    sys.stdout.flush()
    sys.stderr.flush()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    except OSError:  # training will say what is wrong with the disk
        descriptor = os.open(os.devnull, os.O_WRONLY)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    os.close(descriptor)
    faulthandler.enable()


def _train(job: Job, store: Store, threads: int, device: str, messages: Connection) -> None:
    """Body of a job's process: train its runs, tell the sweep. Ends with the sweep."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the sweep's to handle
    processes.end_with_parent()
    _keep_log(store.log_path(job.job_id))
    torch.set_num_threads(threads)
    keep_freed_memory()
    told: dict[str, float] = {}
    busy: list[Run] = []

    def tell(message: Progress | Finished | Ended) -> None:
        try:
            messages.send(message)
        except OSError:
            os._exit(1)  # the sweep is gone

    def progressed(progress: Progress) -> None:
        now, last = time.monotonic(), told.get(progress.run_id)
        if last is None or now - last >= TELL_SECONDS or progress.step == progress.n_steps:
            told[progress.run_id] = now
            tell(progress)

    def finished(run: Run, record: RunRecord) -> None:
        tell(Finished(run, record))

    try:
        carry_out(
            job, store, device=device, listener=progressed, finished=finished, busy=busy.append
        )
    except (TinyLMError, OSError) as error:
        tell(Ended(job, how_refused(error), str(error)))
    else:
        tell(Ended(job, "busy" if busy else "done"))


@dataclass
class _Worker:
    job: Job
    process: BaseProcess
    messages: Connection
    log: Path
    ended: bool = False  # it has said how


class LocalExecutor(Executor):
    """One process a job, `jobs` of them at a time."""

    def __init__(self, jobs: int, *, threads: int = 1, device: str = "cpu") -> None:
        """Raises TinyLMError if `jobs` is not positive, or there is no such device."""
        if jobs < 1:
            raise BadInput(f"jobs {jobs}: expected at least 1 run at a time")
        pick_device(device)
        self.jobs, self.threads, self.device = jobs, threads, device
        self.context = processes.process_context()
        self.workers: list[_Worker] = []

    @property
    def slots(self) -> int:
        """Jobs that may be under way at a time."""
        return self.jobs

    def start(self, job: Job, store: Store) -> None:
        """Start a job's process."""
        receiver, sender = self.context.Pipe(duplex=False)
        arguments = (job, store, self.threads, self.device, sender)
        process = processes.project_process(self.context, _train, *arguments)
        process.start()
        sender.close()  # so that the receiver sees the end when the process dies
        self.workers.append(_Worker(job, process, receiver, store.log_path(job.job_id)))

    def wait(self, seconds: float) -> list[Progress | Finished | Ended]:
        """What the processes have told since the last call, deaths included."""
        by_connection = {worker.messages: worker for worker in self.workers}
        if not by_connection:
            time.sleep(seconds)
        told = []
        for ready in wait(list(by_connection), timeout=seconds):
            assert isinstance(ready, Connection)
            if (message := self._receive(by_connection[ready])) is not None:
                told.append(message)
        return told

    def _receive(self, worker: _Worker) -> Progress | Finished | Ended | None:
        """The next message of a process, or how it died; None when it ended as it had said."""
        try:
            message: Progress | Finished | Ended = worker.messages.recv()
        except (EOFError, OSError):
            worker.process.join()
            worker.messages.close()
            self.workers.remove(worker)
            if worker.ended:
                return None
            log = last_lines(worker.log)
            return Ended(worker.job, "died", _how(worker.process.exitcode or 0), log)
        worker.ended = isinstance(message, Ended)
        return message

    def stop(self) -> None:
        """End every process; checkpoints keep what they had done."""
        for worker in self.workers:
            worker.process.terminate()
        for worker in self.workers:
            worker.process.join(STOP_SECONDS)
            worker.process.kill()
            worker.process.join()
            worker.messages.close()
        self.workers.clear()


def _how(code: int) -> str:
    """How a process ended, from its exit code."""
    if code >= 0:
        return f"its process ended with exit code {code}"
    name = ""
    with suppress(ValueError):
        name = f" ({signal.Signals(-code).name})"
    memory = ", as when memory runs out" if -code == signal.SIGKILL else ""
    return f"its process ended with signal {-code}{name}{memory}"
