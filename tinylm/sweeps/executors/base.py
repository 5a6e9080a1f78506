"""The one interface between a sweep and whatever trains its runs."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Literal, Self

from tinylm.config import Run
from tinylm.records import RunRecord
from tinylm.sweeps.jobs import Job
from tinylm.train import Progress


@dataclass(frozen=True)
class Finished:
    """A run has its record (done or diverged)."""

    run: Run
    record: RunRecord


@dataclass(frozen=True)
class Ended:
    """A job is no longer under way. Its runs that did not finish are the sweep's to deal with."""

    job: Job
    how: Literal["done", "busy", "refused", "died"]  # busy: another process trains a run of it
    reason: str = ""  # refused: the sentence of the input error; died: signal, exit code, lost node
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
    def start(self, job: Job, profile: str) -> None:
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
