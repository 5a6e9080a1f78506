"""Freed memory is kept where glibc is."""

import platform
import sys

import pytest
from tiny_runs import run_python

from tinylm.speed.memory import keep_freed_memory

FAULTS = """
import resource, torch
from tinylm.speed.memory import keep_freed_memory
KEEP
def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(50):
        some = [torch.ones(1 << 18) for _ in range(8)]
        del some
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
faults()
print(faults())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc has mallopt")
def test_tensors_reuse_memory_without_page_faults(tmp_path: object) -> None:
    from pathlib import Path

    kept = run_python(["-c", FAULTS.replace("KEEP", "keep_freed_memory()")], Path(str(tmp_path)))
    assert kept.returncode == 0, kept.stderr
    assert int(kept.stdout) < 500  # 50 times 8 tensors of 256 pages


def test_it_does_nothing_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "libc_ver", lambda: ("", ""))
    monkeypatch.setitem(sys.modules, "ctypes", None)
    keep_freed_memory()
