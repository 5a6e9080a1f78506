"""What a surface through anybody's table of runs says, in plain text: `tinylm fit`."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import inf

import numpy as np

from tinylm import say
from tinylm.cost import FLOPS_PER_PARAMETER_AND_TOKEN
from tinylm.errors import BadInput
from tinylm.laws.forms import formula, make_form
from tinylm.laws.scatter import interval
from tinylm.laws.surface import NAMES, NO_OPTIMUM, Surface, SurfaceWithIntervals, fit_surface
from tinylm.laws.table import MOST, RunTable, doubts

MANY_FAILED = 0.05  # share of resamples
MANY_OFF = 0.05  # share of runs: of more, the form is to blame
FAR_OFF, LEAST_OFF = 12.0, 0.02  # medians of what runs are off, and of log loss
NO_LAW = 3.0  # a misfit beyond which a form does not hold, and its constants have no intervals
OTHER_FORMS = ("sum", "power", "kaplan")
SHOWN_WORDS = 3  # that stood for a loss


def sure(misfit: float, bounds: tuple[float, float], digits: int = 3) -> str:
    """' [0.203, 0.471]' after a constant of a law, or '' if the law does not hold."""
    return f" {say.interval(bounds, digits)}" if misfit <= NO_LAW else ""


def headline(surface: Surface) -> str:
    """The surface as a formula, and how near its runs lie."""
    miss = say.percent(surface.residual_rms, 2, "g")
    return f"{surface.n_points} runs lie {miss} from {surface.formula}"


@dataclass(frozen=True)
class Questions:
    """What is asked of a surface beside its constants."""

    predict: Sequence[tuple[float, float]] = ()  # the loss at these N and D
    budgets: Sequence[float] = ()  # the best N and D of these FLOPs


def read_questions(predict: Sequence[str], budgets: Sequence[float]) -> Questions:
    """Questions as they are asked on the command line.

    Raises:
        BadInput: a place that is not N,D, or a number that is not positive and finite.
    """
    places = []
    for text in predict:
        try:
            n, d = (float(part) for part in text.split(","))
        except ValueError:
            raise BadInput(f"--predict {text}: expected N,D, such as 1e6,2e7") from None
        if not (1 <= n <= MOST and 1 <= d <= MOST):
            raise BadInput(f"--predict {text}: expected parameters and tokens, from 1 to {MOST:g}")
        places.append((n, d))
    for flops in budgets:
        if not 0 < flops < inf:
            raise BadInput(f"--budget {flops:g}: expected a positive number of FLOPs")
    return Questions(places, budgets)


def describe(
    table: RunTable,
    fit: SurfaceWithIntervals,
    floor: float | None,
    questions: Questions | None = None,
) -> str:
    """What was fitted, in lines of plain text: constants with intervals, what they imply, and what
    other forms of the law would say.
    """
    surface, asked = fit.surface, questions or Questions()
    lines = [f"L(N, D) = {formula(surface.form)}, {surface.n_points} runs{_left_out(table)}", ""]
    lines += [*_constant_lines(fit, floor), "", *_quality_lines(table, fit)]
    if surface.has_optimum:
        lines += ["", *_optimum_lines(table, fit, asked.budgets)]
        lines += ["", *_form_lines(table, surface, floor, asked.budgets)]
    elif asked.budgets:
        lines += ["", "a law without both terms has no best N for a budget"]
    if asked.predict:
        lines += ["", *_prediction_lines(table, fit, asked.predict)]
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
    untold |= set() if surface.has_optimum else {"size_exponent", "g"}
    given = surface.form.fixed(floor)
    for name in (*NAMES, "size_exponent"):
        if name == "g" and name in given:
            continue
        if name in untold:
            yield f"{name:<15}{'-':>12}   the runs do not tell"
            continue
        shown = say.interval(fit.interval(name), 5, "g")
        if name in given:
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
    if fit.misfit > NO_LAW:
        yield (
            f"WARNING: a misfit above {NO_LAW:g}: this form does not hold on these runs, and "
            f"neither its constants nor their intervals can be trusted"
        )
    for doubt in [*doubts(table), *_far_off(table, fit)]:
        yield f"WARNING: {doubt}"
    if not status.converged:
        yield "WARNING: the search did not converge; do not use these constants"
    for bound in status.bounds:
        yield f"WARNING: {bound}, the end of what is allowed"
    if failed := fit.failed_resamples:
        warning = "WARNING: " if failed > MANY_FAILED * len(fit.resamples) else ""
        yield f"{warning}{failed} of {len(fit.resamples)} resamples did not converge"


def _far_off(table: RunTable, fit: SurfaceWithIntervals) -> Iterator[str]:
    """Runs that lie much further from the surface than most do, such as slips of the pen."""
    residual = np.log(table.loss / fit.surface.loss(table.N, table.D))
    if fit.misfit > NO_LAW:
        return  # what lies off says more of the form than of the run
    size = np.abs(residual - np.median(residual))
    far = np.flatnonzero(size > max(FAR_OFF * float(np.median(size)), LEAST_OFF))
    if len(far) > MANY_OFF * len(size):
        return
    for at in far[np.argsort(-size[far])][:SHOWN_WORDS]:
        yield (
            f"the run with N = {table.N[at]:.3g}, D = {table.D[at]:.3g} and loss "
            f"{table.loss[at]:.5g} lies {say.percent(abs(np.expm1(residual[at])), 2, 'g')} off, "
            f"far more than most; is it right?"
        )


def _optimum_lines(
    table: RunTable, fit: SurfaceWithIntervals, budgets: Sequence[float]
) -> Iterator[str]:
    """The best use of as much compute as the largest run took, and of ten times that, or of the
    budgets asked for.
    """
    largest = float(table.flops.max())
    yield "best use of C FLOPs (95 % intervals):"
    named = {largest: " (the largest run)", 10 * largest: " (10 times the largest run)"}
    for flops in budgets or named:
        best = fit.surface.optimal(flops)
        n, d, loss = (
            say.interval(interval(draws), 3, "g") for draws in fit.optimal_resamples(flops)
        )
        outside = _beyond(table, best.N, best.D)
        yield (
            f"  C = {flops:.3g}{named.get(flops, '')}: N = {best.N:.3g} {n}, D = {best.D:.3g} {d}, "
            f"loss {best.loss:.4g} {loss}, {best.tokens_per_parameter:.3g} tokens per parameter"
            + outside
        )


def _beyond(table: RunTable, n: float, d: float) -> str:
    """Which of N and D lies beyond those of all runs, if one does."""
    beyond = [
        name
        for name, value, tried in (("N", n, table.N), ("D", d, table.D))
        if not tried.min() <= value <= tried.max()
    ]
    return f"; beyond the {' and '.join(beyond)} of all runs" if beyond else ""


def _form_lines(
    table: RunTable, surface: Surface, floor: float | None, budgets: Sequence[float]
) -> Iterator[str]:
    """The same runs under other forms: how near they come, and what they say of more compute."""
    flops = max(budgets, default=10 * float(table.flops.max()))
    yield f"other forms of the law on the same runs, and their best loss at C = {flops:.3g}:"
    for name in OTHER_FORMS:
        if name == surface.form.name or (name == "kaplan" and floor):
            continue
        other = fit_surface(table.N, table.D, table.loss, floor, form=make_form(name))
        best = f"loss {other.optimal(flops).loss:.4g}" if other.has_optimum else "no best N"
        miss, bounds = say.percent(other.residual_rms, 2), list(other.status.bounds)
        doubts = bounds + ([] if other.status.converged else ["did not converge"])
        doubtful = f" ({', '.join(doubts)})" if doubts else ""
        yield f"  {name:<7} {other.formula}: residuals {miss} (rms), {best}{doubtful}"


def _prediction_lines(
    table: RunTable, fit: SurfaceWithIntervals, places: Sequence[tuple[float, float]]
) -> Iterator[str]:
    """The loss at some N and D, and whether that lies beyond the runs."""
    yield "predicted loss (mean over seeds, 95 % intervals of the law alone):"
    for n, d in places:
        low, high = fit.loss_interval(n, d)
        loss = float(fit.surface.loss(n, d))
        shown = say.interval((float(low), float(high)), 4, "g")
        times = FLOPS_PER_PARAMETER_AND_TOKEN * n * d / float(table.flops.max())
        more = f", {times:.3g} times the compute of the largest run" if times > 1 else ""
        yield f"  N = {n:.3g}, D = {d:.3g}: {loss:.4g} {shown}{more}{_beyond(table, n, d)}"
