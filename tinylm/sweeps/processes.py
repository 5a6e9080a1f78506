"""How processes that train are started, and how they end. Imports nothing that takes long."""

import multiprocessing
import os
import platform
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing import forkserver, resource_tracker
from multiprocessing.context import ForkContext, ForkServerContext, SpawnContext
from multiprocessing.process import BaseProcess
from typing import Any

from tinylm.files import project_root


def process_context() -> ForkServerContext | SpawnContext | ForkContext:
    """Processes that start in milliseconds, with torch already imported, where that is safe."""
    if platform.system() == "Linux":
        context = multiprocessing.get_context("forkserver")
        # An optimiser imports torch._dynamo when it is made: seconds, if every run did it anew.
        modules = ["tinylm.sweeps.executors.local", "torch._dynamo"]
        context.set_forkserver_preload(modules)
        return context
    return multiprocessing.get_context("spawn")


def project_process(
    context: ForkServerContext | SpawnContext | ForkContext,
    target: Callable[..., None],
    *arguments: Any,
) -> BaseProcess:
    """A process, not started yet, that works in the project of this one. By itself it would work in
    that of the moment when the server of processes started.
    """
    return context.Process(target=_in_project, args=(str(project_root()), target, arguments))


def _in_project(root: str, target: Callable[..., None], arguments: Sequence[Any]) -> None:
    os.environ["TINYLM_ROOT"] = root
    target(*arguments)


def start_early() -> None:
    """Have the server of `process_context` import torch while this process does. For commands that
    will train, to be called before they import anything else. Ctrl-C in a terminal is for this
    process alone.
    """
    if isinstance(process_context(), ForkServerContext):
        resource_tracker.ensure_running()  # which lets the signal through when it has started
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # the server keeps it blocked
        try:
            forkserver.ensure_running()
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


@contextmanager
def interruptible() -> Iterator[None]:
    """Within it Ctrl-C is a KeyboardInterrupt, to be ended well, and not the end at once."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def end_with_parent() -> None:
    """End this process as soon as the one that started it is gone, however that ended."""
    parent = multiprocessing.parent_process()
    assert parent is not None

    def watch() -> None:
        parent.join()
        os._exit(1)  # checkpoints keep what was done

    threading.Thread(target=watch, daemon=True).start()
