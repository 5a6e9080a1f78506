"""A profile's results: one folder that holds the records, models, checkpoints, locks and findings
of its runs.

    results/<profile>/
      runs/<run_id>.json                          its record, written last of all
      models/<run_id>/                            weights and tokenizer of a finished run
      checkpoints/<run_id>/checkpoint.safetensors while it trains
      locks/<run_id>.lock                         held by the process that trains it
      logs/ failed/ progress/                     what a sweep knows of a run under way
      floors/                                     baselines, measured once
      findings/                                   what studies found; see `tinylm.studies.findings`
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tinylm.config import ModelConfig, Run
from tinylm.errors import BadInput, Damaged, Missing, TinyLMError
from tinylm.files import hold_lock, is_locked, project_root, remove_temporaries, write_atomic
from tinylm.records import RunRecord, read_record
from tinylm.texts import texts_of
from tinylm.tokenizers import Tokenizer

if TYPE_CHECKING:
    from tinylm.model import GPT

PROFILES = ("smoke", "quick", "paper", "full", "first", "second", "next", "own")


class RunLocked(TinyLMError):
    """Another process is training this run."""


@dataclass(frozen=True)
class Store:
    """The results of one profile, in `results/<profile>/` of the project this process works in."""

    profile: str

    def __post_init__(self) -> None:
        """Raises BadInput for an unknown profile."""
        if self.profile not in PROFILES:
            raise BadInput(
                f"unknown profile {self.profile!r}; expected one of {', '.join(PROFILES)}"
            )

    # --- paths ---

    @property
    def folder(self) -> Path:
        """`results/<profile>/`."""
        return project_root() / "results" / self.profile

    def record_path(self, run_id: str) -> Path:
        """Where a run's record is kept."""
        return self.folder / "runs" / f"{run_id}.json"

    def model_dir(self, run_id: str) -> Path:
        """Where a finished run's weights and tokenizer are."""
        return self.folder / "models" / run_id

    def checkpoint_path(self, run_id: str) -> Path:
        """A run's checkpoint, alone in its folder, until the run has its record."""
        return self.folder / "checkpoints" / run_id / "checkpoint.safetensors"

    def lock_path(self, run_id: str) -> Path:
        """The lock file that whoever trains a run holds."""
        return self.folder / "locks" / f"{run_id}.lock"

    def log_path(self, run_id: str) -> Path:
        """What a run's process printed, over all tries; gone when the run has its record."""
        return self.folder / "logs" / f"{run_id}.log"

    def failure_path(self, run_id: str) -> Path:
        """The note that a run failed."""
        return self.folder / "failed" / f"{run_id}.json"

    def progress_path(self, run_id: str) -> Path:
        """How far a run has come; it counts only while the run is locked."""
        return self.folder / "progress" / f"{run_id}.json"

    # --- records ---

    def save(self, record: RunRecord) -> Path:
        """Write a record atomically; returns its path."""
        path = self.record_path(record.run_id)
        write_atomic(path, record.model_dump_json(indent=1) + "\n")
        return path

    def find(self, run_id: str) -> RunRecord | None:
        """A run's record, or None if the run has not ended.

        Raises:
            Damaged: there is one, but it cannot be used.
        """
        path = self.record_path(run_id)
        return read_record(path) if path.exists() else None

    def found(self, runs: Sequence[Run]) -> list[RunRecord]:
        """The records of those runs that have ended, each once."""
        records = {run.run_id: self.find(run.run_id) for run in runs}
        ended = [record for record in records.values() if record is not None]
        texts_of(ended)
        return ended

    def load(self, runs: Sequence[Run]) -> list[RunRecord]:
        """The records of runs, all of which must have ended, in their order.

        Raises:
            Missing: one has no record; the sentence says how to make it.
        """
        records = [record for run in runs if (record := self.find(run.run_id)) is not None]
        if len(records) < len(runs):
            raise Missing(
                f"{len(runs) - len(records)} of {len(runs)} runs have no record in "
                f"results/{self.profile}/runs; run `make reproduce PROFILE={self.profile}` to "
                f"train them"
            )
        texts_of(records)
        return records

    def load_model(self, record: RunRecord) -> tuple["GPT", Tokenizer]:
        """The model and the tokenizer that a run left.

        Raises:
            TinyLMError: it left none, they are not on this machine, damaged, or not this run's.
        """
        if record.status != "done":
            raise Missing(f"run {record.run_id} {record.status} and left no model")
        from tinylm.checkpoints import load_model  # not above: records are read without PyTorch

        folder = self.model_dir(record.run_id)
        model, tokenizer = load_model(folder, record.run_id)
        if model.config != record.config.model:
            raise Damaged(
                f"the weights in {folder} are not of run {record.run_id}: they have "
                f"{_changes(record.config.model, model.config)}"
            )
        if tokenizer.name != record.config.data.tokenizer:
            raise Damaged(
                f"the tokenizer in {folder} is {tokenizer.name}; run {record.run_id} was trained "
                f"with {record.config.data.tokenizer}"
            )
        return model, tokenizer

    # --- locks ---

    @contextmanager
    def lock(self, run_id: str) -> Iterator[None]:
        """Hold a run while it trains, so that no other process trains it too.

        The operating system drops the lock when its process ends, however it ends.

        Raises:
            RunLocked: another process holds it.
            CannotWrite: the folder cannot be written.
        """
        with ExitStack() as stack:  # so that a TimeoutError of the caller's own passes through
            try:
                stack.enter_context(hold_lock(self.lock_path(run_id), wait=False))
            except TimeoutError:
                raise RunLocked(
                    f"run {run_id} is being trained by another process; wait for its record"
                ) from None
            yield

    def is_locked(self, run_id: str) -> bool:
        """Whether some process is training a run."""
        return is_locked(self.lock_path(run_id))

    def remove_temporaries(self, run_id: str) -> None:
        """Remove half-written files of processes that were killed; only for who has the lock."""
        for path in (
            self.checkpoint_path(run_id),
            self.model_dir(run_id) / "model.safetensors",
            self.model_dir(run_id) / "tokenizer.json",
            self.record_path(run_id),
        ):
            remove_temporaries(path)


def _changes(expected: ModelConfig, found: ModelConfig) -> str:
    """Fields of a model's shape that are others than expected."""
    pairs = zip(expected.model_dump().items(), found.model_dump().values(), strict=True)
    return ", ".join(f"{name} {b}, not {a}" for (name, a), b in pairs if a != b)


def find_run(run_id: str) -> tuple[Store, RunRecord]:
    """The store and record of a run named by its id or a unique beginning of it.

    Raises:
        BadInput: no id.
        Missing: no record of it, or more than one.
    """
    if len(run_id) < 4 or not set(run_id) <= set("0123456789abcdef"):
        raise BadInput(f"run {run_id!r}: expected at least 4 hexadecimal digits of a run id")
    found = sorted((project_root() / "results").glob(f"*/runs/{run_id}*.json"))
    if len(found) != 1:
        what = "no record" if not found else f"{len(found)} records"
        raise Missing(f"run {run_id!r}: {what} under results/*/runs; expected exactly one")
    return Store(found[0].parent.parent.name), read_record(found[0])
