"""Where files live, and that none is ever seen half written."""

import errno
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any, NoReturn

import pytest
from tiny_runs import python_environment, tree

from tinylm.errors import TinyLMError
from tinylm.files import (
    check_writable,
    data_dir,
    project_root,
    remove_temporaries,
    sha256_file,
    write_atomic,
)
from tinylm.store import Store


def test_the_root_is_the_one_named_or_the_checkout(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TINYLM_ROOT", str(tmp_path))
    assert project_root() == tmp_path
    assert data_dir() == tmp_path / "data"
    assert Store("smoke").folder == tmp_path / "results" / "smoke"
    monkeypatch.delenv("TINYLM_ROOT")
    assert (project_root() / "tinylm" / "files.py").is_file()


@pytest.mark.parametrize("profile", ["nope", "", "..", "../paper", "Paper"])
def test_an_unknown_profile_is_refused(profile: str) -> None:
    with pytest.raises(TinyLMError, match=r"unknown profile .*expected one of smoke, quick, paper"):
        Store(profile)


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "file"
    write_atomic(path, "Ünïcode\n")
    assert path.read_bytes() == "Ünïcode\n".encode()
    write_atomic(path, b"\x00\xff")
    assert path.read_bytes() == b"\x00\xff"
    assert list(path.parent.iterdir()) == [path]
    assert path.stat().st_mode & 0o777 == 0o644
    assert sha256_file(path) == "06eb7d6a69ee19e5fbdf749018d3d2abfa04bcbd1365db312eb86dc7169389b8"


@pytest.mark.parametrize("call", ["fsync", "replace", "chmod"])
def test_a_full_disk_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    def full(*arguments: Any) -> NoReturn:
        raise OSError(errno.ENOSPC, "No space left on device")

    path = tmp_path / "file"
    write_atomic(path, "old")
    before = tree(tmp_path)
    monkeypatch.setattr(os, call, full)
    with pytest.raises(TinyLMError, match=r"cannot write .*file: No space left on device"):
        write_atomic(path, "new")
    assert tree(tmp_path) == before


def test_what_a_killed_writer_left_is_removed_by_who_holds_the_lock(tmp_path: Path) -> None:
    program = (
        "import os, signal, sys; from pathlib import Path; from tinylm.files import write_atomic\n"
        "os.replace = lambda *names: os.kill(os.getpid(), signal.SIGKILL)\n"
        "write_atomic(Path(sys.argv[1]), b'new')"
    )
    path, other = tmp_path / "a.json", tmp_path / "a.json.txt"
    write_atomic(path, "old")
    for victim in (path, path, other):
        command = [sys.executable, "-c", program, str(victim)]
        assert subprocess.run(command, env=python_environment(tmp_path)).returncode == -9
    assert len(list(tmp_path.iterdir())) == 4
    remove_temporaries(other)
    assert len(list(tmp_path.iterdir())) == 3
    remove_temporaries(path)
    assert list(tmp_path.iterdir()) == [path]
    assert path.read_text() == "old"


def test_a_folder_is_writable_or_that_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    check_writable(tmp_path / "new" / "folder")
    assert list((tmp_path / "new" / "folder").iterdir()) == []

    def full(descriptor: int) -> NoReturn:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(
        TinyLMError, match=r"cannot write .*new: No space left on device; free some"
    ):
        check_writable(tmp_path / "new")
    (tmp_path / "file").write_text("")
    with pytest.raises(TinyLMError, match=r"cannot write .*file"):
        check_writable(tmp_path / "file")


def test_a_file_size_limit_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    """The operating system's own refusal, in the middle of a write."""
    path = tmp_path / "file"
    write_atomic(path, "old")
    before = tree(tmp_path)
    program = (
        "import resource, sys; from pathlib import Path; from tinylm.files import write_atomic\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))\n"
        "try: write_atomic(Path(sys.argv[1]), b'x' * 50_000)\n"
        "except ValueError as error: print(error)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(path)],
        env=python_environment(tmp_path),
        capture_output=True,
        text=True,
        check=True,
    )
    assert f"cannot write {path}: File too large" in done.stdout
    assert tree(tmp_path) == before


def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "results").write_text("a file where a folder should be")
    before = tree(tmp_path)
    with pytest.raises(TinyLMError, match=r"cannot write .*x\.json: Not a directory$"):
        write_atomic(tmp_path / "results" / "runs" / "x.json", "{}")
    assert tree(tmp_path) == before


@pytest.mark.parametrize(
    ("number", "advice"),
    [(errno.ENOSPC, "; free some space"), (errno.EROFS, "; choose a folder that may be written")],
)
def test_advice_is_of_what_helps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, advice: str
) -> None:
    def refuse(*paths: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setenv("TINYLM_ROOT", str(tmp_path / "project"))
    monkeypatch.setattr(os, "replace", refuse)
    elsewhere = ", or another place for data and results with TINYLM_ROOT"
    for path, whole in ((tmp_path / "x", advice), (tmp_path / "project" / "x", advice + elsewhere)):
        with pytest.raises(TinyLMError, match=rf"cannot write .*x: .*{whole}$"):
            write_atomic(path, "{}")


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may write anywhere")
def test_a_read_only_folder_is_one_sentence(tmp_path: Path) -> None:
    folder = tmp_path / "results"
    folder.mkdir()
    folder.chmod(0o500)
    with pytest.raises(TinyLMError, match=r"cannot write .*Permission denied"):
        write_atomic(folder / "x.json", "{}")
    assert list(folder.iterdir()) == []


def test_a_reader_sees_old_or_new_while_writers_write(tmp_path: Path) -> None:
    path = tmp_path / "file"
    contents = [bytes([letter]) * 200_000 for letter in b"abc"]
    write_atomic(path, contents[0])

    def write() -> None:
        for _ in range(15):
            for content in contents:
                write_atomic(path, content)

    writers = [threading.Thread(target=write) for _ in range(2)]
    for writer in writers:
        writer.start()
    seen = set()
    while any(writer.is_alive() for writer in writers):
        seen.add(path.read_bytes())
    assert seen <= set(contents)
    assert list(tmp_path.iterdir()) == [path]
