"""Fits the loss surface to anybody's table of runs: `tinylm fit`."""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tinylm import say
from tinylm.cost import FLOPS_PER_PARAMETER_AND_TOKEN
from tinylm.errors import BadInput
from tinylm.laws.scatter import interval
from tinylm.laws.solver import Array
from tinylm.laws.surface import (
    NAMES,
    NO_OPTIMUM,
    Profiled,
    Surface,
    SurfaceWithIntervals,
    bootstrap_surface,
    profile_interval,
)

COLUMNS = ("N", "D", "C", "loss", "seed")
MANY_FAILED = 0.05  # share of resamples
SAME_FLOPS = 0.02  # C may differ from 6·N·D by this share: steps are whole
Columns = dict[str, "pd.Series[Any]"]


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

    Capitals do not matter, nor do other columns. Runs whose loss is missing, infinite or a word
    such as "diverged" are left out. A seed may be any label.

    Raises:
        BadInput: the file cannot be read, lacks a column or has it twice; a run with a loss lacks
            a positive N, D or C, or has all three and C is not 6·N·D, or lacks a seed where others
            have one; no run has a loss.
    """
    columns = _columns(path)
    loss = _numbers(columns["loss"])
    rows = np.flatnonzero(np.isfinite(loss))
    if not len(rows):
        raise BadInput(f"file {path} has no run with a finite loss")
    n, d = _axes(path, columns, rows)
    return RunTable(n, d, loss[rows], _seeds(path, columns, rows), len(loss) - len(rows))


def _axes(path: Path, columns: Columns, rows: NDArray[np.intp]) -> tuple[Array, Array]:
    """N and D of these rows, from two of N, D and C."""
    kept = {}
    for name in [name for name in ("N", "D", "C") if name in columns]:
        values = _numbers(columns[name])[rows]
        bad = ~(np.isfinite(values) & (values > 0))
        if bad.any():
            row = rows[bad.argmax()]
            raise BadInput(
                f"file {path} has {name} {columns[name].iloc[row]} in row {row + 1}; expected a "
                f"positive number"
            )
        kept[name] = values
    if "N" not in kept:
        return kept["C"] / (FLOPS_PER_PARAMETER_AND_TOKEN * kept["D"]), kept["D"]
    if "D" not in kept:
        return kept["N"], kept["C"] / (FLOPS_PER_PARAMETER_AND_TOKEN * kept["N"])
    product = FLOPS_PER_PARAMETER_AND_TOKEN * kept["N"] * kept["D"]
    off = np.abs(kept.get("C", product) / product - 1)
    if off.max() > SAME_FLOPS:
        at = off.argmax()
        raise BadInput(
            f"file {path} has C {kept['C'][at]:g} in row {rows[at] + 1}, where 6·N·D is "
            f"{product[at]:g}; expected the same, or no C"
        )
    return kept["N"], kept["D"]


def _seeds(path: Path, columns: Columns, rows: NDArray[np.intp]) -> NDArray[np.int64] | None:
    """A number for each label of a seed; None without such a column."""
    if "seed" not in columns:
        return None
    labels = columns["seed"].iloc[rows]
    if labels.isna().any():
        row = rows[labels.isna().to_numpy().argmax()]
        raise BadInput(f"file {path} has no seed in row {row + 1}; expected one, or no column")
    return np.asarray(pd.factorize(labels)[0], dtype=np.int64)


def _columns(path: Path) -> Columns:
    """The columns that count, by their names in COLUMNS."""
    try:
        with path.open(encoding="utf-8-sig") as lines:
            header, first = lines.readline(), lines.readline()
        surplus = any(first.count(mark) > header.count(mark) for mark in ",;\t")
        table = pd.DataFrame()
        if not surplus:
            table = pd.read_csv(path, sep=None, engine="python", index_col=False)
    except (OSError, ValueError, csv.Error) as error:
        reason = " ".join(str(error).split())
        raise BadInput(f"file {path} cannot be read as CSV ({reason})") from None
    if surplus:
        raise BadInput(
            f"file {path} has more fields in its first row than columns; expected one for each"
        )
    told = f"file {path} has the columns {', '.join(map(str, table.columns))}"
    names = [str(name).strip().lower() for name in table.columns]
    found = {}
    for name in COLUMNS:
        if (times := names.count(name.lower())) > 1:
            raise BadInput(f"{told}; expected {name} once, not {times} times")
        if times:
            found[name] = table.iloc[:, names.index(name.lower())]
    if "loss" not in found or len({"N", "D", "C"} & set(found)) < 2:
        raise BadInput(f"{told}; expected loss and two of N, D and C")
    return found


def _numbers(column: "pd.Series[Any]") -> Array:
    """As floats; nan where there is no number."""
    if column.dtype == bool:
        return np.full(len(column), np.nan)
    return pd.to_numeric(column, errors="coerce").to_numpy(dtype=float)


def fit_table(table: RunTable, floor: float | None, n_resamples: int) -> SurfaceWithIntervals:
    """The surface through a table's runs, with intervals; `floor` is E where that is known.

    Raises:
        BadInput: as bootstrap_surface.
    """
    return bootstrap_surface(
        table.N, table.D, table.seed, table.loss, floor=floor, n_resamples=n_resamples
    )


def headline(surface: Surface) -> str:
    """The surface as a formula, and how near its runs lie."""
    miss = say.percent(surface.residual_rms, 2, "g")
    return (
        f"{surface.n_points} runs lie {miss} from {surface.E:.4g} + "
        f"{surface.A:.4g}/N^{surface.alpha:.3g} + {surface.B:.4g}/D^{surface.beta:.3g}"
    )


def describe(table: RunTable, fit: SurfaceWithIntervals, floor: float | None) -> str:
    """What was fitted, in lines of plain text: constants with intervals, and what they imply.

    Raises:
        BadInput: as profile_interval.
    """
    surface = fit.surface
    left_out = f", {table.left_out} without a finite loss left out" if table.left_out else ""
    lines = [f"L(N, D) = E + A/N^alpha + B/D^beta, {surface.n_points} runs{left_out}", ""]
    lines += [*_constant_lines(table, fit, floor), "", *_quality_lines(fit)]
    if surface.has_optimum:
        lines += ["", *_optimum_lines(fit, float(table.flops.max()))]
    return "\n".join(lines)


def _constant_lines(
    table: RunTable, fit: SurfaceWithIntervals, floor: float | None
) -> Iterator[str]:
    """A line a constant: its value and intervals, or that the runs do not tell it."""
    yield f"{'':<15}{'value':>12}   {'95 % by bootstrap':<25}   95 % by profile likelihood"
    surface, bounds = fit.surface, fit.surface.status.bounds
    untold = {"alpha"} if "A = 0" in bounds else set()
    untold |= {"beta"} if "B = 0" in bounds else set()
    untold |= set() if surface.has_optimum else {"size_exponent"}
    profiled = set(get_args(Profiled)) - (set() if floor is None else {"E"})
    for name in (*NAMES, "size_exponent"):
        if name in untold:
            yield f"{name:<15}{'-':>12}   the runs do not tell"
            continue
        by_bootstrap, by_profile = say.interval(fit.interval(name), 5, "g"), ""
        if name == "E" and floor is not None:
            by_bootstrap = "given"
        elif f"{name} = 0" in NO_OPTIMUM.intersection(bounds):
            by_bootstrap = "on its bound"
        if name in profiled:
            profile = profile_interval(table.N, table.D, table.loss, cast(Profiled, name), floor)
            by_profile = say.interval(profile, 5, "g")
        value = f"{getattr(surface, name):.5g}"
        yield f"{name:<15}{value:>12}   {by_bootstrap:<25}   {by_profile}".rstrip()


def _quality_lines(fit: SurfaceWithIntervals) -> Iterator[str]:
    """How well the surface fits, and all that should make a reader careful."""
    status = fit.surface.status
    misfit = f"; misfit {fit.misfit:.1f}" if fit.drawn_from == "seeds" else ""
    yield "size_exponent is a of the best N, which grows as C^a; D grows as C^(1 - a), C = 6·N·D"
    yield (
        f"residuals: {say.percent(fit.surface.residual_rms, 2)} (rms of log loss); intervals come "
        f"from the scatter of {fit.drawn_from}{misfit}"
    )
    if not status.converged:
        yield "WARNING: the search did not converge; do not use these constants"
    for bound in status.bounds:
        yield f"WARNING: {bound}, the end of what is allowed"
    if failed := fit.failed_resamples:
        warning = "WARNING: " if failed > MANY_FAILED * len(fit.resamples) else ""
        yield f"{warning}{failed} of {len(fit.resamples)} resamples did not converge"


def _optimum_lines(fit: SurfaceWithIntervals, largest: float) -> Iterator[str]:
    """The best use of as much compute as the largest run took, and of ten times that."""
    yield "best use of C FLOPs (95 % intervals):"
    for flops, name in ((largest, "the largest run"), (10 * largest, "10 times the largest run")):
        best = fit.surface.optimal(flops)
        n, d, loss = (
            say.interval(interval(draws), 3, "g") for draws in fit.optimal_resamples(flops)
        )
        yield (
            f"  C = {flops:.3g} ({name}): N = {best.N:.3g} {n}, D = {best.D:.3g} {d}, "
            f"loss {best.loss:.4g} {loss}, {best.tokens_per_parameter:.3g} tokens per parameter"
        )
