"""Where files live, and how they are written so that no reader ever sees half of one."""

import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from tinylm.errors import InputError

PROFILES = ("smoke", "quick", "paper", "full")


def project_root() -> Path:
    """The folder that holds `data/` and `results/`.

    `TINYLM_ROOT` if set; else the checkout this package is imported from; else the current folder.
    """
    if named := os.environ.get("TINYLM_ROOT"):
        return Path(named).resolve()
    checkout = Path(__file__).resolve().parent.parent
    return checkout if (checkout / "pyproject.toml").is_file() else Path.cwd()


def data_dir() -> Path:
    """`data/`: prepared corpora, token files and tokenizers."""
    return project_root() / "data"


def results_dir(profile: str) -> Path:
    """`results/<profile>/`: records, tables, figures and models of one profile.

    Raises:
        InputError: no such profile.
    """
    if profile not in PROFILES:
        raise InputError(f"unknown profile {profile!r}; expected one of {', '.join(PROFILES)}")
    return project_root() / "results" / profile


def write_atomic(path: Path, content: str | bytes) -> None:
    """Write `content` to `path` so that the file is either absent, old or complete, also after a
    power cut: a temporary file in the same folder is synced, then renamed over the target.

    Raises:
        InputError: the disk is full or the folder cannot be written; nothing is left behind.
    """
    data = content.encode() if isinstance(content, str) else content
    temporary: str | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except OSError as error:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)
        reason = error.strerror or str(error)
        raise InputError(
            f"cannot write {path}: {reason}; free some space or choose a writable "
            f"folder with TINYLM_ROOT"
        ) from error


def sha256_file(path: Path) -> str:
    """Hex SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def hold_lock(path: Path, *, wait: bool) -> Iterator[None]:
    """Hold a lock file, which one process at a time can; the system drops it when that one ends.

    If what is done under it fails for bad input, no lock file is left, nor a folder made for it.

    Raises:
        TimeoutError: another process holds it, and `wait` is false.
        InputError: the lock file cannot be written.
    """
    lock = FileLock(path, timeout=-1 if wait else 0)
    new_folder = not path.parent.exists()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout:
        raise
    except OSError as error:
        raise InputError(
            f"cannot write {path}: {error.strerror}; free some space or choose a writable "
            f"folder with TINYLM_ROOT"
        ) from error
    try:
        yield
    except InputError:
        path.unlink(missing_ok=True)
        if new_folder:
            with suppress(OSError):  # unless something else is in it by now
                path.parent.rmdir()
        raise
    finally:
        lock.release()
