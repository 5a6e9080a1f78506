"""Fits the loss surface to anybody's table of runs: `tinylm fit`."""

from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tinylm.errors import InputError
from tinylm.laws.solver import Array
from tinylm.laws.surface import (
    FLOPS_PER_PARAMETER_AND_TOKEN,
    NAMES,
    Profiled,
    SurfaceWithIntervals,
    bootstrap_surface,
    profile_interval,
)

COLUMNS = ("N", "D", "C", "loss", "seed")


@dataclass(frozen=True)
class RunTable:
    """Finished runs of a table, and how many were left out."""

    N: Array
    D: Array
    loss: Array
    seed: NDArray[np.int64] | None
    left_out: int  # loss missing or not finite: diverged, or not run

    @property
    def flops(self) -> Array:
        """6·N·D of each run."""
        product: Array = FLOPS_PER_PARAMETER_AND_TOKEN * self.N * self.D
        return product


def read_table(path: Path) -> RunTable:
    """Read a CSV file with the columns loss, two of N, D and C (C = 6·N·D), and perhaps seed.

    Capitals do not matter, nor do other columns. Runs without a finite loss are left out.

    Raises:
        InputError: the file cannot be read, lacks a column, or holds something that is no number.
    """
    try:
        table = pd.read_csv(path)
    except (OSError, ValueError) as error:
        raise InputError(f"file {path} cannot be read as CSV ({error})") from None
    by_name = {str(name).strip().lower(): name for name in table.columns}
    found = {name: table[by_name[name.lower()]] for name in COLUMNS if name.lower() in by_name}
    axes = [name for name in ("N", "D", "C") if name in found]
    if "loss" not in found or len(axes) < 2:
        raise InputError(
            f"file {path} has the columns {', '.join(map(str, table.columns))}; expected loss and "
            f"two of N, D and C"
        )
    numbers = {}
    for name, column in found.items():
        values = pd.to_numeric(column, errors="coerce")
        wrong = values.isna() & column.notna() & (column.astype(str).str.lower() != "nan")
        if wrong.any():
            row = int(wrong.to_numpy().argmax())
            raise InputError(
                f"file {path} has {name} {column.iloc[row]!r} in row {row + 1}; expected a number"
            )
        numbers[name] = values.to_numpy(dtype=float)
    there = np.isfinite(numbers["loss"])
    kept = {name: values[there] for name, values in numbers.items()}
    n, d = kept.get("N"), kept.get("D")
    if n is None:
        n = kept["C"] / (FLOPS_PER_PARAMETER_AND_TOKEN * kept["D"])
    if d is None:
        d = kept["C"] / (FLOPS_PER_PARAMETER_AND_TOKEN * n)
    seed = kept["seed"].astype(np.int64) if np.isfinite(kept.get("seed", np.nan)).all() else None
    return RunTable(n, d, kept["loss"], seed, int((~there).sum()))


def fit_table(table: RunTable, floor: float | None, n_resamples: int) -> SurfaceWithIntervals:
    """The surface through a table's runs, with intervals.

    Raises:
        InputError: as bootstrap_surface.
    """
    return bootstrap_surface(
        table.N, table.D, table.seed, table.loss, floor=floor, n_resamples=n_resamples
    )


def describe(table: RunTable, fit: SurfaceWithIntervals, floor: float | None) -> str:
    """What was fitted, in lines of plain text: constants with intervals, and what they imply."""
    surface = fit.surface
    lines = [
        f"L(N, D) = E + A/N^alpha + B/D^beta, {surface.n_points} runs"
        + (f", {table.left_out} without a finite loss left out" if table.left_out else ""),
        "",
        f"{'':<15}{'value':>12}   {'95% by bootstrap':<25}   95% by profile likelihood",
    ]
    profiles = {
        name: _range(profile_interval(table.N, table.D, table.loss, name, floor))
        for name in get_args(Profiled)
        if name != "E" or floor is None
    }
    for name in (*NAMES, "size_exponent"):
        by_bootstrap = _range(fit.interval(name))
        if name == "E" and floor is not None:
            by_bootstrap = "given"
        value = f"{getattr(surface, name):.5g}"
        line = f"{name:<15}{value:>12}   {by_bootstrap:<25}   {profiles.get(name, '')}"
        lines.append(line.rstrip())
    lines += [
        "",
        "size_exponent is a of the best N, which grows as C^a; D grows as C^(1 - a), C = 6·N·D",
        f"residuals: {100 * surface.residual_rms:.2f}% (rms of log loss); intervals come from the "
        f"scatter of {fit.drawn_from}"
        + (f"; misfit {fit.misfit:.1f}" if fit.drawn_from == "seeds" else ""),
    ]
    status = surface.status
    if not status.converged:
        lines.append("WARNING: the search did not converge; do not use these constants")
    if status.bounds:
        lines.append(f"WARNING: rests on {', '.join(status.bounds)}: the runs do not tell the rest")
    if status.failed_starts or fit.failed_resamples:
        lines.append(
            f"{status.failed_starts} of {status.starts} starts and {fit.failed_resamples} of "
            f"{len(fit.resamples)} resamples did not converge"
        )
    if {"A = 0", "B = 0"} & set(status.bounds):
        return "\n".join(lines)
    lines += ["", "best use of C FLOPs (95% intervals):"]
    largest = float(table.flops.max())
    for times in (1, 10):
        best = surface.optimal(times * largest)
        n, d, loss = (
            _range((float(low), float(high)), 3)
            for low, high in (
                np.percentile(draws, (2.5, 97.5))
                for draws in fit.optimal_resamples(times * largest)
            )
        )
        lines.append(
            f"  C = {best.flops:.3g}"
            f"{' (the largest run)' if times == 1 else f' ({times} times the largest run)'}: "
            f"N = {best.N:.3g} [{n}], D = {best.D:.3g} [{d}], loss {best.loss:.4g} [{loss}], "
            f"{best.tokens_per_parameter:.3g} tokens a parameter"
        )
    return "\n".join(lines)


def _range(bounds: tuple[float, float], digits: int = 5) -> str:
    return f"{bounds[0]:.{digits}g} to {bounds[1]:.{digits}g}"
