"""How this process keeps the memory that it has freed."""

import ctypes
import platform

TRIM_THRESHOLD, TOP_PAD, MMAP_THRESHOLD = -1, -2, -3  # mallopt's names for them (malloc.h)


def keep_freed_memory() -> None:
    """Make glibc reuse the memory of freed tensors instead of handing it back to the system.

    By default every tensor of a few hundred kilobytes is mapped anew, and each of its pages costs
    a fault when it is first written: thousands a training step. Elsewhere this does nothing.
    """
    if platform.libc_ver()[0] != "glibc":
        return
    mallopt = ctypes.CDLL(None).mallopt
    mallopt(MMAP_THRESHOLD, 1 << 30)
    mallopt(TRIM_THRESHOLD, (1 << 31) - 1)
    mallopt(TOP_PAD, 1 << 26)
