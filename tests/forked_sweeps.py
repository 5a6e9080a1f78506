"""Many sweeps in a few seconds: python forked_sweeps.py kill KILLS SEED, or: share SWEEPS RUNS,
or: crash, disk, clock.

This process imports torch once and forks every sweep, and a sweep forks its workers. It is the
reaper of all of them, so that none can outlive it unnoticed. Prints one line of JSON.
"""

import ctypes
import itertools
import json
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

import psutil
from tiny_runs import tree
from tiny_sweep import tiny_run

import tinylm.sweeps.run as sweep_module
import tinylm.train as train_module
import tinylm.trainer as trainer_module
from tinylm.config import Run
from tinylm.errors import TinyLMError
from tinylm.store import Store
from tinylm.sweeps import processes
from tinylm.sweeps.executors import LocalExecutor
from tinylm.sweeps.run import plan_sweep, sweep
from tinylm.train import train
from tinylm.trainer import Trainer

PR_SET_CHILD_SUBREAPER = 36
LIFE_SECONDS = 0.2  # a sweep is killed within so many seconds after its first run has begun


def prepare() -> None:
    """Everything slow or frequent, made fast or frequent; all imports, once for all children."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    processes.process_context = lambda: multiprocessing.get_context("fork")
    sweep_module.WAIT_SECONDS, sweep_module.BUSY_SECONDS = 0.02, 0.1
    trainer_module.CHECK_EVERY = 1
    train_module.CHECKPOINT_SECONDS = 0.0  # a checkpoint each step
    train(tiny_run(tokens=256).config, 0, store=Store("full"))


def run_number(number: int) -> Run:
    return tiny_run(seed=number, tokens=40 * 256)


def unfinished(runs: list[Run]) -> list[Run]:
    return [run for run in runs if not Store("smoke").record_path(run.run_id).exists()]


def in_child(work: Callable[[], Any]) -> int:
    """Do some work in a child that leads a process group of its own."""
    child = os.fork()
    if not child:
        os.setpgid(0, 0)
        try:
            work()
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    with suppress(OSError):  # as the child does: whoever comes first
        os.setpgid(child, child)
    return child


def sweep_runs(runs: list[Run], profile: str = "smoke", jobs: int = 2) -> None:
    plan = plan_sweep(runs, Store(profile), timing="unknown")
    outcome = sweep(plan, Store(profile), LocalExecutor(jobs))
    assert not outcome.failed, outcome.failed
    assert len(outcome.trained) == len(plan.todo)


def wait_for_group(group: int) -> None:
    """Until every process of a group is gone, by itself or killed, and reaped."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        try:
            if os.waitpid(-group, os.WNOHANG)[0] == 0:
                time.sleep(0.002)
        except ChildProcessError:
            return
    os.killpg(group, signal.SIGKILL)
    raise AssertionError("a process outlived its sweep")


def die_in_a_write(chance: random.Random, whole: bool, token: int) -> None:
    """In this process and its children: the one that takes the token dies within a write."""
    name = chance.choice(["fsync", "replace", "chmod"])
    left, real = chance.randrange(25), getattr(os, name)

    def deadly(*arguments: Any, **named: Any) -> Any:
        nonlocal left
        left -= 1
        if left < 0:
            try:
                os.read(token, 1)
            except BlockingIOError:  # another has died of it
                return real(*arguments, **named)
            if whole:
                os.killpg(0, signal.SIGKILL)
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*arguments, **named)

    setattr(os, name, deadly)


def is_taken(reader: int, writer: int) -> bool:
    """Whether the token has gone; while looking nobody else can take it."""
    try:
        os.write(writer, os.read(reader, 1))
    except BlockingIOError:
        return True
    return False


class Killer:
    """Kills sweeps, or processes of them, until it has killed so often."""

    def __init__(self, kills: int, seed: int) -> None:
        self.left, self.random = kills, random.Random(seed)
        self.runs: list[Run] = []
        self.records: dict[str, bytes] = {}
        self.by_kind: dict[str, int] = {}
        self.kinds = itertools.cycle(["all", "sweep", "worker", "write, worker", "write, all"])

    def kill_all(self) -> None:
        while self.left > 0:
            while len(unfinished(self.runs)) < 3:
                self.runs.append(run_number(len(self.runs)))
            self.one_life()
            self.check_records()

    def one_life(self) -> None:
        kind = next(self.kinds)
        chance = random.Random(self.random.random())
        reader, writer = os.pipe()
        os.set_blocking(reader, False)
        os.write(writer, b"!")

        def work() -> None:
            if kind.startswith("write"):
                die_in_a_write(chance, kind.endswith("all"), reader)
            sweep_runs(self.runs)

        group = in_child(work)
        if kind == "worker":
            self.kill_workers(group)
        elif kind != "write, all":
            if kind == "write, worker":
                self.wait_for(group, lambda: is_taken(reader, writer))
            self.sleep(group)
            if os.waitpid(group, os.WNOHANG)[0] == 0:
                (os.kill if kind == "sweep" else os.killpg)(group, signal.SIGKILL)
                self.count("sweep" if kind == "sweep" else "all")
        wait_for_group(group)
        if kind.startswith("write") and is_taken(reader, writer):
            self.count(kind)
        os.close(reader)
        os.close(writer)

    def kill_workers(self, group: int) -> None:
        """Kill up to three workers, one after the other, then the sweep."""
        for _ in range(3):
            self.sleep(group)
            try:
                worker = self.random.choice(psutil.Process(group).children())
                worker.kill()
            except (IndexError, psutil.NoSuchProcess):
                break
            self.count("worker")
        if psutil.pid_exists(group):
            os.kill(group, signal.SIGKILL)
            self.count("sweep")

    def sleep(self, group: int) -> None:
        """Some time, from when the sweep has a worker."""
        self.wait_for(group, lambda: bool(psutil.Process(group).children()))
        time.sleep(self.random.uniform(0, LIFE_SECONDS))

    def wait_for(self, group: int, happened: Callable[[], bool]) -> None:
        """Until something has happened or the sweep has ended."""
        with suppress(psutil.NoSuchProcess):
            while psutil.Process(group).status() != psutil.STATUS_ZOMBIE and not happened():
                time.sleep(0.002)

    def count(self, kind: str) -> None:
        self.left -= 1
        self.by_kind[kind] = self.by_kind.get(kind, 0) + 1

    def check_records(self) -> None:
        """A record that is there stays as it is."""
        for path in Store("smoke").record_path("x").parent.glob("*.json"):
            content = path.read_bytes()
            assert self.records.setdefault(path.name, content) == content, f"{path} was rewritten"


def kill(kills: int, seed: int) -> dict[str, Any]:
    """Kill sweeps; then let one finish, and train the same runs once more without a disturbance."""
    killer = Killer(kills, seed)
    killer.kill_all()
    train_module.CHECKPOINT_SECONDS = 30.0
    for profile in ("smoke", "quick"):
        group = in_child(partial(sweep_runs, killer.runs, profile))
        assert os.waitpid(group, 0)[1] == 0
    killer.check_records()
    return {"runs": [run.run_id for run in killer.runs], "kills": killer.by_kind}


def share(sweeps: int, n_runs: int) -> dict[str, Any]:
    """Several sweeps of the same runs at once; counts how often a record was written."""
    reader, writer = os.pipe()
    runs = [run_number(number) for number in range(n_runs)]

    save = Store.save

    def counted(store: Store, record: Any) -> Any:
        os.write(writer, b".")
        return save(store, record)

    setattr(Store, "save", counted)  # noqa: B010
    train_module.CHECKPOINT_SECONDS = 30.0
    groups = [in_child(lambda: sweep_runs(runs, jobs=1)) for _ in range(sweeps)]
    ends = [os.waitpid(group, 0)[1] for group in groups]
    os.close(writer)
    return {"runs": [run.run_id for run in runs], "ends": ends, "trained": len(os.read(reader, 99))}


def crash() -> dict[str, Any]:
    """One of three runs crashes the interpreter in its tenth step, every time it comes to it."""
    runs = [run_number(number) for number in range(3)]
    whole = Trainer.set_rates

    def crashing(trainer: Trainer) -> None:
        if trainer.seed == 1 and trainer.state.step == 10:
            print("about to crash", flush=True)
            os.abort()
        whole(trainer)

    setattr(Trainer, "set_rates", crashing)  # noqa: B010
    plan = plan_sweep(runs, Store("smoke"), timing="unknown")
    outcome = sweep(plan, Store("smoke"), LocalExecutor(2))
    return {"runs": [run.run_id for run in runs], "failed": outcome.failed}


def disk() -> list[dict[str, Any]]:
    """Sweeps with results/ on a disk of its own: until it is full, again, with the disk read-only,
    and with room enough. Of each: the sweep's sentence, the runs done, the files before and after.
    """
    runs = [run_number(number) for number in range(8)]
    told = []
    for options in ("size=400k", "size=400k", "size=10m,ro", "size=10m,rw"):
        mount = ["mount", "-t", "tmpfs", "-o", f"remount,{options}", "tmpfs"]
        subprocess.run([*mount, Store("smoke").folder.parent], check=True)
        before, said = tree(Store("smoke").folder), ""
        try:
            plan = plan_sweep(runs, Store("smoke"), timing="unknown")
            sweep(plan, Store("smoke"), LocalExecutor(1))
        except TinyLMError as error:
            said = str(error)
        done = [run.run_id for run in runs if Store("smoke").find(run.run_id)]
        after = tree(Store("smoke").folder)
        told.append({"said": said, "done": done, "before": before, "after": after})
    return told


def clock() -> dict[str, Any]:
    """A sweep is cut off; all its files are of the future by the time that the next one goes on,
    and while it does the clock jumps back again and again.
    """
    runs = [run_number(number) for number in range(4)]
    group = in_child(lambda: sweep_runs(runs))
    while not list(Store("smoke").folder.glob("checkpoints/*/checkpoint.safetensors")):
        time.sleep(0.002)
    os.killpg(group, signal.SIGKILL)
    wait_for_group(group)
    future = time.time() + 1e9
    for path in Store("smoke").folder.rglob("*"):
        os.utime(path, (future, future))
    jumps = itertools.count()
    time.time = lambda: future - 1e8 * next(jumps)
    sweep_runs(runs)
    sweep_runs(runs, "quick")
    return {"runs": [run.run_id for run in runs]}


if __name__ == "__main__":
    prepare()
    work: Callable[..., Any] = globals()[sys.argv[1]]
    print(json.dumps(work(*map(int, sys.argv[2:]))))
