"""Where files live, and how they are written so that no reader ever sees half of one."""

import errno
import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from tinylm.errors import CannotWrite, TinyLMError

LOOK_SECONDS = 0.1  # longer than `is_locked` holds a lock


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


def write_atomic(path: Path, content: str | bytes) -> None:
    """Write `content` to `path` so that the file is either absent, old or complete, also after a
    power cut: a temporary file in the same folder is synced, then renamed over the target.

    Raises:
        TinyLMError: the disk is full or the folder cannot be written; nothing is left behind.
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
        _sync_folder(path.parent)
    except OSError as error:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)
        raise _cannot_write(path, error) from error


def _cannot_write(path: Path, error: OSError) -> CannotWrite:
    advice = ""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        advice = "; free some space"
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        advice = "; choose a folder that may be written"
    if advice and path.resolve().is_relative_to(project_root()):
        advice += ", or another place for data and results with TINYLM_ROOT"
    return CannotWrite(f"cannot write {path}: {error.strerror or error}{advice}")


def check_writable(folder: Path) -> None:
    """Make sure that some 64 kB can be written to a folder; nothing is left there.

    Raises:
        TinyLMError: the disk is full or the folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(bytes(1 << 16))
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise _cannot_write(folder, error) from error


def _sync_folder(folder: Path) -> None:
    """Make a rename last, where the file system can: whatever is deleted next, it came first."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def remove_temporaries(path: Path) -> None:
    """Remove what `write_atomic` left beside `path` in processes that were killed.

    Only for who holds the lock under which `path` is written: no other process is writing it now.
    """
    for temporary in path.parent.glob(f".{path.name}.*"):
        temporary.unlink(missing_ok=True)


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
        TinyLMError: the lock file cannot be written.
    """
    lock = FileLock(path, timeout=-1 if wait else LOOK_SECONDS)
    new_folder = not path.parent.exists()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout:
        raise
    except OSError as error:
        raise _cannot_write(path, error) from error
    try:
        yield
    except TinyLMError:
        path.unlink(missing_ok=True)
        if new_folder:
            with suppress(OSError):  # unless something else is in it by now
                path.parent.rmdir()
        raise
    finally:
        lock.release()


def is_locked(path: Path) -> bool:
    """Whether a process holds a lock file. A free one is held while looking, for an instant."""
    if not path.exists():
        return False
    try:
        with FileLock(path, timeout=0):
            return False
    except Timeout:
        return True
    except OSError:  # not ours to write, so nobody here holds it
        return False
