"""Run pytest as a lesser processor would: one machine stands for several.

numpy, OpenBLAS, torch, oneDNN and MKL choose among their kernels by what the processor can do, and
each kernel adds in another order. Told to use none above those that every x86-64 has, they give
other last bits on any machine, and what compares those bits fails here and not at a stranger's.

    python tests/lesser_processor.py -m "numerical or notebook"
"""

import os
import platform
import sys
from typing import Any, cast

import numpy as np


def lesser_environment() -> dict[str, str]:
    """Variables that hold the libraries to their least kernels; none but on x86-64.

    numpy refuses to do without what it was compiled for, so only those are named that it chose at
    run time. OpenBLAS has nothing below Prescott; Haswell and Zen are what a machine without
    AVX-512 uses anyhow. torch asks oneDNN whether it can pack factors for AMX, and with its own
    kernels held lower it then fails in them, unless oneDNN is held as low.
    """
    if platform.machine().lower() not in ("x86_64", "amd64"):
        return {}
    extensions = cast(dict[str, Any], np.show_config(mode="dicts"))["SIMD Extensions"]
    return {
        "NPY_DISABLE_CPU_FEATURES": ",".join(extensions.get("found", [])),
        "OPENBLAS_CORETYPE": "Prescott",
        "ATEN_CPU_CAPABILITY": "default",
        "ONEDNN_MAX_CPU_ISA": "SSE41",
        "MKL_CBWR": "COMPATIBLE",
    }


def main(arguments: list[str]) -> None:
    """Run pytest with these arguments and variables in place of this process."""
    variables = lesser_environment()
    if not variables:
        print(f"No lesser kernels are known for {platform.machine()}: nothing was run again.")
        return
    print("As a lesser processor:", *(f"{name}={value}" for name, value in variables.items()))
    sys.stdout.flush()
    command = [sys.executable, "-m", "pytest", *arguments]
    os.execve(sys.executable, command, os.environ | variables)


if __name__ == "__main__":
    main(sys.argv[1:])
