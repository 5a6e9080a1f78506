"""Jobs on a Ray cluster: one task a job, results over Ray's own wires."""

import logging
import os
import platform
import socket
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tinylm.corpora import corpus_version
from tinylm.errors import BadInput, TinyLMError
from tinylm.extras import needs
from tinylm.files import project_root
from tinylm.store import Store
from tinylm.sweeps.executors.base import Ended, Executor, Finished
from tinylm.sweeps.executors.local import LocalExecutor
from tinylm.sweeps.jobs import Job
from tinylm.sweeps.progress import last_lines
from tinylm.trainer import Progress

with needs("ray"):
    import ray
    from ray.exceptions import RayError

CONNECT_SECONDS = 10.0

Event = Progress | Finished | Ended


def on_node(job: Job, store: Store, root: str, cpus: int, device: str) -> Iterator[Event]:
    """Train a job's runs in a process on the node where this is called; tells what happens.

    The project folder is the node's own TINYLM_ROOT, else the sweep's folder if the node has it,
    else the node's checkout.
    """
    if "TINYLM_ROOT" not in os.environ and Path(root).is_dir():
        os.environ["TINYLM_ROOT"] = root
    if (reason := _objection(job)) is not None:
        yield Ended(job, "refused", reason)
        return
    # The new process would import this one's main module, which is Ray's, and needs nothing of it.
    vars(sys.modules["__main__"]).pop("__file__", None)
    # A process of its own, as on one machine: it has its own peak memory, and when it dies this
    # one is still here to say how. It ends with this one.
    with LocalExecutor(1, threads=cpus, device=device) as here:
        here.start(job, store)
        while True:
            for event in here.wait(1.0):
                yield event
                if isinstance(event, Ended):
                    return


def _objection(job: Job) -> str | None:
    """Why this node cannot train the very runs that the sweep means; None if it can."""
    for run in job.runs:
        corpus = run.config.data.corpus
        if run.config.identity(run.seed, corpus_version(corpus)) != run.run_id:
            return (
                f"node {platform.node()} has another version of tinylm or of corpus {corpus!r} "
                f"than the machine that sweeps; install the same one on both"
            )
    return None


@dataclass
class _Task:
    job: Job
    store: Store
    events: Any  # Ray's generator of references to events


class RayExecutor(Executor):
    """Jobs as tasks of a Ray cluster: a running one by its address, else one of this machine,
    started here and stopped at the end.

    Nodes need no common file system: a record comes back over the wire. Checkpoints and trained
    models stay where the run was trained.

    Raises:
        TinyLMError: no cluster at the address, or no node in it that could ever run such a job.
    """

    def __init__(
        self,
        jobs: int | None = None,
        *,
        address: str | None = None,
        cpus_per_run: int = 1,
        gpus_per_run: int = 0,
    ) -> None:
        self.jobs, self.cpus, self.gpus = jobs, cpus_per_run, gpus_per_run
        self.tasks: list[_Task] = []
        _connect(address)
        try:
            self._check_resources()
        except TinyLMError:
            ray.shutdown()
            raise
        self.task = ray.remote(
            num_cpus=cpus_per_run,
            num_gpus=gpus_per_run,
            num_returns="streaming",
            max_retries=0,  # the sweep retries
            # A process that has seen one GPU cannot change to another.
            max_calls=1 if gpus_per_run else 0,
        )(on_node)

    @property
    def slots(self) -> int:
        """Jobs that the nodes there now have room for, at most as many as were asked for.

        Raises:
            TinyLMError: there is no fitting node any more.
        """
        room = self._room()
        if not room:
            self._check_resources()
        return min(room, self.jobs or room)

    def start(self, job: Job, store: Store) -> None:
        """Submit a job's task."""
        device = "cuda" if self.gpus else "cpu"
        events = self.task.remote(job, store, str(project_root()), self.cpus, device)
        self.tasks.append(_Task(job, store, events))

    def wait(self, seconds: float) -> list[Event]:
        """What the tasks have told since the last call, deaths included."""
        told: list[Event] = []
        while by_events := {task.events: task for task in self.tasks}:
            waiting = 0 if told else seconds
            ready, _ = ray.wait(list(by_events), timeout=waiting, fetch_local=False)
            if not ready:
                return told
            if (event := self._next(by_events[ready[0]])) is not None:
                told.append(event)
        return told

    def stop(self) -> None:
        """Cancel every task and leave the cluster; stops the cluster if it was started here."""
        for task in self.tasks:
            ray.cancel(task.events, force=True)
        self.tasks.clear()
        ray.shutdown()

    def _next(self, task: _Task) -> Event | None:
        """The next event of a task, with its record saved; None when it ended as it had said."""
        try:
            event: Event = ray.get(next(task.events))
        except StopIteration:
            return None
        except RayError as error:
            self.tasks.remove(task)
            # The node's log is here only if the nodes share their files; Ray's words are.
            log = f"{last_lines(task.store.log_path(task.job.job_id))}\n{error}".strip()
            return Ended(task.job, "died", _how(error), log)
        if isinstance(event, Finished) and task.store.find(event.run.run_id) is None:
            task.store.save(event.record)
        if isinstance(event, Ended):
            self.tasks.remove(task)
            event = replace(event, job=task.job)
        return event

    def _room(self) -> int:
        """Jobs for which the nodes have CPUs and GPUs, used or not."""
        rooms = []
        for node in ray.nodes():
            has = node["Resources"] if node["Alive"] else {}
            room = has.get("CPU", 0) // self.cpus
            rooms.append(min(room, has.get("GPU", 0) // self.gpus) if self.gpus else room)
        return int(sum(rooms))

    def _check_resources(self) -> None:
        """Ray would wait without a word for a resource that does not exist.

        Raises:
            TinyLMError: no node has what a run asks for.
        """
        if not self._room():
            found = "; ".join(
                f"{node['Resources'].get('CPU', 0):g} CPUs and "
                f"{node['Resources'].get('GPU', 0):g} GPUs"
                for node in ray.nodes()
                if node["Alive"]
            )
            raise BadInput(
                f"executor 'ray': a run asks for {self.cpus} CPUs and {self.gpus} GPUs, but no "
                f"node of the cluster has them; its nodes have {found}"
            )


def _connect(address: str | None) -> None:
    """Join the cluster at an address, or start one on this machine.

    Raises:
        TinyLMError: no cluster answers there, or it runs another version of Ray or Python.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    host, separator, port = (address or "").rpartition(":")
    if separator and port.isdigit():  # Ray itself would try for minutes
        try:
            socket.create_connection((host.strip("[]"), int(port)), timeout=CONNECT_SECONDS).close()
        except (OSError, OverflowError) as error:
            raise BadInput(
                f"executor 'ray': no Ray cluster answers at address {address!r}: {error}"
            ) from None
    options: dict[str, Any] = {"include_dashboard": False} if address is None else {}
    try:
        ray.init(
            address=address or "local", log_to_driver=False, logging_level=logging.ERROR, **options
        )
    except (ConnectionError, ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        raise BadInput(
            f"executor 'ray': cannot join a cluster at address {address!r}: {reason}; start one "
            f"with `ray start --head`, or leave the address out"
        ) from None


def _how(error: RayError) -> str:
    """What ended a task, in a few words."""
    words = {
        "WorkerCrashedError": "its Ray worker was killed",
        "NodeDiedError": "its node was lost",
        "ObjectLostError": "its node was lost",
        "OutOfMemoryError": "its node ran out of memory",
    }
    for kind in type(error).__mro__:
        if kind.__name__ in words:
            return words[kind.__name__]
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return f"its Ray task failed: {lines[-1]}"
