"""Where and when a run was made: the commit, the processor, the packages, the memory.

PyTorch is imported only where a process trains: reading records and drawing figures do without.
"""

import platform
import resource
import subprocess
import sys
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tinylm.records import Provenance, Segment

if TYPE_CHECKING:
    import torch

PACKAGES = ("torch", "numpy", "tokenizers", "datasets")  # named in a record, where installed


def _git(*arguments: str) -> str | None:
    try:
        return subprocess.run(
            ["git", *arguments],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            check=True,
            timeout=10,
        ).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None


@cache
def git_state() -> tuple[str | None, bool | None]:
    """The commit of the package, and whether nothing in it has changed since; None: no checkout. As
    it was when this process first asked, which is nearer to the code that it has imported.
    """
    changes = _git("status", "--porcelain", "--", ".")
    return _git("rev-parse", "HEAD"), None if changes is None else not changes


def now() -> str:
    """The date and time, UTC, ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def processor_name() -> str:
    """The processor's name, as the operating system tells it, and which instructions PyTorch uses:
    a virtual machine's name often tells little, and bf16 is fast on some only.
    """
    import torch

    name = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        for line in cpuinfo.read_text(errors="replace").splitlines():
            if line.startswith("model name"):
                name = line.split(":", 1)[1].strip()
                break
    return f"{name} ({torch.backends.cpu.get_cpu_capability()})"


def this_segment(device: "torch.device", steps: str, first_step: int) -> Segment:
    """A segment that begins here and now."""
    import torch

    commit, clean = git_state()
    return Segment(
        first_step=first_step,
        last_step=first_step,
        commit=commit,
        clean=clean,
        date=now(),
        processor=processor_name(),
        device=torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
        threads=torch.get_num_threads(),
        steps=steps,
    )


def make_provenance(
    segments: list[Segment], corpus: dict[str, Any], train_sha256: str, validation_sha256: str
) -> Provenance:
    """The provenance of a run that ends here and now, after these segments."""
    first = segments[0]
    return Provenance(
        commit=first.commit,
        clean=first.clean,
        date=now(),
        python=platform.python_version(),
        packages={name: version(name) for name in PACKAGES if find_spec(name)},
        processor=first.processor,
        device=first.device,
        threads=first.threads,
        corpus=corpus,
        train_sha256=train_sha256,
        validation_sha256=validation_sha256,
        segments=segments,
    )


def forget_peak_memory(device: "torch.device") -> None:
    """Let `peak_memory` of a GPU begin anew. That of a process cannot."""
    if device.type == "cuda":
        import torch

        torch.cuda.reset_peak_memory_stats(device)


def peak_memory(device: "torch.device") -> int:
    """Bytes at the highest: of the device with CUDA, else of this process."""
    if device.type == "cuda":
        import torch

        return int(torch.cuda.max_memory_allocated(device))
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
