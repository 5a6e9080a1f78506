"""`tinylm bench`: some measurements, or all, and the goals that they reach or miss."""

import time
from collections.abc import Sequence
from concurrent.futures.process import BrokenProcessPool
from importlib import import_module

from tinylm.bench.aside import forget
from tinylm.bench.frame import Benchmark, publish
from tinylm.errors import BadInput, TinyLMError

# Modules of this package, in the order in which they run and their goals are shown.
NAMES = (
    *("time_to_loss", "fast_steps", "matmul_peak", "step_profile", "bf16_loss", "sweep_speed"),
    *("branching", "cost_model", "coverage", "times"),
)


def benchmarks() -> dict[str, Benchmark]:
    """Every benchmark by its name."""
    return {name: import_module(f"tinylm.bench.{name}").BENCHMARK for name in NAMES}


def run_benchmarks(names: Sequence[str], *, anew: bool = False) -> bool:
    """Run those named, or all; returns whether all of them worked. One that fails does not stop the
    others. `anew` first drops what was kept of them.

    Raises:
        TinyLMError: an unknown name; nothing is measured. Or a damaged table.
    """
    if unknown := [name for name in names if name not in NAMES]:
        raise BadInput(f"unknown benchmark {unknown[0]!r}; expected one of {', '.join(NAMES)}")
    failed, known = {}, benchmarks()
    for name in names or NAMES:
        print(f"--- {name}", flush=True)
        began = time.monotonic()
        if anew:
            forget(name)
        try:
            print(known[name].run().to_string(index=False))
        except (TinyLMError, BrokenProcessPool) as error:
            failed[name] = error
        print(f"{name}: {(time.monotonic() - began) / 60:.1f} min")
    print(publish(known.values()).to_string(index=False, na_rep="-"))
    for name, reason in failed.items():
        print(f"FAILED {name}: {reason}")
    return not failed
