"""Who trains a run: a claim on it, and what only the holder of one may touch."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tinylm.errors import TinyLMError
from tinylm.files import hold_lock, remove_temporaries, results_dir
from tinylm.records import record_path


class RunClaimed(TinyLMError):
    """Another process is training this run."""


def claim_path(profile: str, run_id: str) -> Path:
    """The lock file that whoever trains a run holds."""
    return results_dir(profile) / "claims" / f"{run_id}.lock"


@contextmanager
def claim(profile: str, run_id: str) -> Iterator[None]:
    """Hold a run while it trains, so that no other process trains it too.

    The operating system drops the claim when its process ends, however it ends.

    Raises:
        RunClaimed: another process holds it.
        TinyLMError: the folder cannot be written.
    """
    with ExitStack() as stack:
        try:
            stack.enter_context(hold_lock(claim_path(profile, run_id), wait=False))
        except TimeoutError:
            raise RunClaimed(
                f"run {run_id} is being trained by another process; wait for its record"
            ) from None
        yield


def checkpoint_dir(profile: str, run_id: str) -> Path:
    """Where a run's checkpoint lies until it has its record."""
    return results_dir(profile) / "checkpoints" / run_id


def remove_leftovers(profile: str, run_id: str) -> None:
    """Remove the half-written files of processes that were killed; only for who has the claim."""
    models = results_dir(profile) / "models" / run_id
    for path in (
        checkpoint_dir(profile, run_id) / "checkpoint.safetensors",
        models / "model.safetensors",
        models / "tokenizer.json",
        record_path(profile, run_id),
    ):
        remove_temporaries(path)
