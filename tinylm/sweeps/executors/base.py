"""The one interface between a sweep and whatever trains its runs."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Literal, Self

from tinylm.config import Run
from tinylm.errors import CannotWrite
from tinylm.records import RunRecord
from tinylm.store import Store
from tinylm.sweeps.jobs import Job
from tinylm.trainer import Progress

# busy: another process trains a run of it; refused: a run cannot be trained as it is asked for;
# unwritable: nor can any other, for results cannot be written.
How = Literal["done", "busy", "refused", "unwritable", "died"]


def how_refused(error: Exception) -> How:
    """How a job ends that raised this error."""
    return "unwritable" if isinstance(error, CannotWrite) else "refused"


@dataclass(frozen=True)
class Finished:
    """A run has its record (done or diverged)."""

    run: Run
    record: RunRecord


@dataclass(frozen=True)
class Ended:
    """A job is no longer under way. Its runs that did not finish are the sweep's to deal with."""

    job: Job
    how: How
    reason: str = (
        ""  # refused, unwritable: the error's sentence; died: signal, exit code, lost node
    )
    log: str = ""  # died: the last lines that its process printed


class Executor(ABC):
    """Starts jobs somewhere and tells what becomes of them; it decides nothing.

    The sweep keeps `slots` jobs under way, retries those that died, and counts the records. An
    executor is a context manager: leaving it ends what is under way (checkpoints stay).
    """

    @property
    @abstractmethod
    def slots(self) -> int:
        """Jobs that may be under way at a time."""

    @abstractmethod
    def start(self, job: Job, store: Store) -> None:
        """Start a job; returns at once."""

    @abstractmethod
    def wait(self, seconds: float) -> list[Progress | Finished | Ended]:
        """What has happened since the last call, waiting up to `seconds` for something to."""

    @abstractmethod
    def stop(self) -> None:
        """End whatever is under way and free what it holds."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()
