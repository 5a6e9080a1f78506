"""What a surface through anybody's table of runs says, in plain text: `tinylm fit`."""

from collections import Counter
from collections.abc import Iterator

from tinylm import say
from tinylm.laws.scatter import interval
from tinylm.laws.surface import NAMES, NO_OPTIMUM, Surface, SurfaceWithIntervals
from tinylm.laws.table import RunTable, doubts

MANY_FAILED = 0.05  # share of resamples
SHOWN_WORDS = 3  # that stood for a loss


def headline(surface: Surface) -> str:
    """The surface as a formula, and how near its runs lie."""
    miss = say.percent(surface.residual_rms, 2, "g")
    return (
        f"{surface.n_points} runs lie {miss} from {surface.E:.4g} + "
        f"{surface.A:.4g}/N^{surface.alpha:.3g} + {surface.B:.4g}/D^{surface.beta:.3g}"
    )


def describe(table: RunTable, fit: SurfaceWithIntervals, floor: float | None) -> str:
    """What was fitted, in lines of plain text: constants with intervals, and what they imply."""
    surface = fit.surface
    lines = [f"L(N, D) = E + A/N^alpha + B/D^beta, {surface.n_points} runs{_left_out(table)}", ""]
    lines += [*_constant_lines(fit, floor), "", *_quality_lines(table, fit)]
    if surface.has_optimum:
        lines += ["", *_optimum_lines(fit, float(table.flops.max()))]
    return "\n".join(lines).replace(say.NO_BREAK, " ")  # for a terminal, and for other programs


def _left_out(table: RunTable) -> str:
    """How many rows were left out, and what they had for a loss."""
    if not (total := table.left_out.total()):
        return ""
    words = Counter(repr(word) if word else "nothing" for word in table.left_out.elements())
    said = [f"{n} with {word}" for word, n in words.most_common(SHOWN_WORDS)]
    more = ["others"] if len(words) > SHOWN_WORDS else []
    return f", {total} without a finite loss left out ({', '.join(said + more)})"


def _constant_lines(fit: SurfaceWithIntervals, floor: float | None) -> Iterator[str]:
    """A line a constant: its value and interval, or that the runs do not tell it."""
    yield f"{'':<15}{'value':>12}   95 % interval"
    surface, bounds = fit.surface, fit.surface.status.bounds
    untold = {"alpha"} if "A = 0" in bounds else set()
    untold |= {"beta"} if "B = 0" in bounds else set()
    untold |= set() if surface.has_optimum else {"size_exponent"}
    for name in (*NAMES, "size_exponent"):
        if name in untold:
            yield f"{name:<15}{'-':>12}   the runs do not tell"
            continue
        shown = say.interval(fit.interval(name), 5, "g")
        if name == "E" and floor is not None:
            shown = "given"
        elif f"{name} = 0" in NO_OPTIMUM.intersection(bounds):
            shown = "on its bound"
        yield f"{name:<15}{getattr(surface, name):>12.5g}   {shown}"


def _quality_lines(table: RunTable, fit: SurfaceWithIntervals) -> Iterator[str]:
    """How well the surface fits, and all that should make a reader careful."""
    status = fit.surface.status
    yield "size_exponent is a of the best N, which grows as C^a; D grows as C^(1 - a), C = 6·N·D"
    residuals = f"residuals: {say.percent(fit.surface.residual_rms, 2)} (rms of log loss)"
    if fit.drawn_from == "seeds":
        yield (
            f"{residuals}; intervals come from the scatter of seeds (bootstrap), misfit "
            f"{fit.misfit:.1f}"
        )
    else:
        yield f"{residuals}; intervals come from random weights on the (N, D) (bootstrap)"
        if table.seed is not None:
            yield (
                "WARNING: seeds tell no noise: there are too few repeats, or they are copies of "
                "one run"
            )
    for doubt in doubts(table):
        yield f"WARNING: {doubt}"
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
