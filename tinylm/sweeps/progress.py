"""What a run leaves besides its record: while it is under way its progress and its log, and when
every try has ended in its process's death, a note that it failed.
"""

import json
import os
import platform
import shutil
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from tinylm.errors import TinyLMError
from tinylm.files import write_atomic
from tinylm.store import Store
from tinylm.trainer import Listener, Progress

WRITE_SECONDS = 1.0  # between two writes of a run's progress
LOG_LINES = 40  # of a log, kept with the failure


def last_lines(path: Path) -> str:
    """The last lines of a log, or nothing if there is none."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - 16_384))
            text = file.read().decode(errors="replace")
    except OSError:
        return ""
    return "\n".join(text.splitlines()[-LOG_LINES:])


@dataclass(frozen=True)
class Failure:
    """Why a run has no record, although it was tried."""

    run_id: str
    reason: str
    attempts: int
    date: str  # UTC, ISO 8601; for people, nothing depends on it
    log: str  # the last lines that its process printed


def mark_failed(store: Store, run_id: str, reason: str, attempts: int, log: str) -> None:
    """Note that a run failed; a later try that succeeds removes the note.

    Raises:
        RunLocked: another process is training it by now, so that it has not failed.
        TinyLMError: the folder cannot be written.
    """
    date = datetime.now(UTC).isoformat(timespec="seconds")
    failure = Failure(run_id, reason, attempts, date, log)
    with store.lock(run_id):
        write_atomic(store.failure_path(run_id), json.dumps(asdict(failure), indent=1) + "\n")
        if log and not store.log_path(run_id).exists():  # its process ran elsewhere
            write_atomic(store.log_path(run_id), log + "\n")


def find_failure(store: Store, run_id: str) -> Failure | None:
    """The note that a run failed, or None."""
    content = _read_json(store.failure_path(run_id))
    with suppress(TypeError):
        return Failure(**content)
    return None


def tidy(store: Store, run_ids: Iterable[str]) -> None:
    """Remove what runs that have their record left behind in processes that were killed."""
    for run_id in run_ids:
        traces = [
            path(run_id) for path in (store.log_path, store.failure_path, store.progress_path)
        ]
        checkpoints = store.checkpoint_path(run_id).parent
        if not any(path.exists() for path in (*traces, checkpoints)):
            continue
        with suppress(TinyLMError, OSError), store.lock(run_id):
            if store.record_path(run_id).exists():
                store.remove_temporaries(run_id)
                shutil.rmtree(checkpoints, ignore_errors=True)
                for path in traces:
                    path.unlink(missing_ok=True)


@dataclass(frozen=True)
class Seen:
    """A run's progress, as its process wrote it last, and where that runs."""

    progress: Progress
    host: str
    pid: int


class ProgressFiles:
    """A listener that keeps a small file on each run up to date, for `tinylm status`, and passes
    on what it is told. Made and used by the process that trains.

    The files are replaced whole, but not synced: nothing depends on them, and a disk that cannot
    take them stops no training.
    """

    def __init__(self, store: Store, listener: Listener | None = None) -> None:
        self.store, self.listener = store, listener
        self.written: dict[str, float] = {}  # run id to when, in monotonic seconds

    def __call__(self, progress: Progress) -> None:
        """Write the progress, if the last time is a while ago, and pass it on."""
        now, last = time.monotonic(), self.written.get(progress.run_id)
        if last is None or now - last >= WRITE_SECONDS or progress.step == progress.n_steps:
            self.written[progress.run_id] = now
            self._write(progress)
        if self.listener:
            self.listener(progress)

    def _write(self, progress: Progress) -> None:
        path = self.store.progress_path(progress.run_id)
        content = asdict(progress) | {"host": platform.node(), "pid": os.getpid()}
        # Only who holds the run's claim writes, so one name will do, and none is left over.
        temporary = path.with_name(f".{path.name}")
        with suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            temporary.write_text(json.dumps(content), encoding="utf-8")
            os.replace(temporary, path)

    def remove(self, run_id: str) -> None:
        """Remove the file of a run that has ended."""
        if self.written.pop(run_id, None) is not None:
            with suppress(OSError):
                self.store.progress_path(run_id).unlink(missing_ok=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        for run_id in list(self.written):
            self.remove(run_id)


def read_progress(store: Store, run_id: str) -> Seen | None:
    """What a run's process wrote last, be it alive or not; None if there is nothing."""
    content = _read_json(store.progress_path(run_id))
    with suppress(KeyError, TypeError):
        host, pid = content.pop("host"), content.pop("pid")
        return Seen(Progress(**content), str(host), int(pid))
    return None


def _read_json(path: Path) -> dict[str, Any]:
    """A small file of ours, which may vanish at any moment; what is no object counts as empty."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
