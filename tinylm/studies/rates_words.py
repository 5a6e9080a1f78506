"""The tables and sentences of the chapter on learning rates."""

import math

import pandas as pd

from tinylm import say
from tinylm.say import NO_BREAK
from tinylm.studies.rates import MAXIMAL, STANDARD, BestRates, RateStudy

CLEAR = 2.0  # standard deviations of a difference: below it, neither side is called better


def sweep_said(study: RateStudy) -> str:
    """What was run."""
    runs = study.runs
    return (
        f"{len(study.widths)} widths, {runs['learning_rate'].nunique()} rates, "
        f"{len(study.found)} parametrisations and {runs['seed'].nunique()} seeds: {len(runs)} runs "
        f"of {runs['tokens'].max():,} tokens."
    )


def rates_title(study: RateStudy) -> str:
    """How far the best rate moves from the smallest width to the largest."""
    ratio = {kind: one.found[0].rate / one.found[-1].rate for kind, one in study.found.items()}
    moved = max(ratio[MAXIMAL], 1 / ratio[MAXIMAL])
    return (
        f"From width {study.widths[0]} to {study.widths[-1]} the best rate falls "
        f"{ratio[STANDARD]:.1f}-fold; with maximal updates it moves by a factor of {moved:.1f}"
    )


def rates_table(study: RateStudy) -> pd.DataFrame:
    """Best rate and the loss there: a row a width, two columns a parametrisation."""
    rows: dict[int, dict[str, str]] = {width: {} for width in study.widths}
    for kind, rates in study.found.items():
        for one in rates.found:
            rows[one.width] |= {
                f"{kind}: best rate": f"{one.text} {say.interval(one.interval, 2, 'g')}",
                f"{kind}: loss there": say.mean_and_spread(one.loss, one.std),
            }
    return pd.DataFrame(rows).T.rename_axis("d_model")


def rates_said(study: RateStudy) -> str:
    """The power of the width with which the best rate moves, a paragraph a parametrisation."""
    return "\n\n".join(_power_said(kind, rates) for kind, rates in study.found.items())


def _power_said(kind: str, rates: BestRates) -> str:
    low, high = rates.exponent_interval
    said = (
        f"**{kind.capitalize()}**: best rate ∝ width^{-rates.exponent:z.2f}, 95% interval of the "
        f"exponent {say.interval((-high, -low), 2)}"
    )
    edges = [str(one.width) for one in rates.found if one.place != "inside"]
    if edges:
        said += (
            f"; at width {', '.join(edges)} the best rate of the grid is its end, which bounds it"
        )
    return f"{said}." + (
        f" {rates.diverged} runs diverged and are left out." if rates.diverged else ""
    )


def rule_table(study: RateStudy) -> pd.DataFrame:
    """What the rule of the other experiments costs each width, against the grid's best rate."""
    rates, used = study.found[STANDARD], study.used
    rows = {
        one.width: {
            "rule": f"{used[one.width]:.2g}",
            "best rate": one.text,
            "rule's loss over the best (nats)": f"{rates.cost(one.width, used[one.width]):.3f}",
            "std over seeds (nats)": f"{one.std:.3f}",
        }
        for one in rates.found
    }
    return pd.DataFrame(rows).T.rename_axis("d_model")


def rule_said(study: RateStudy) -> str:
    """Where the rule costs most, what that does to a slope in size, and whether a width is
    short-changed by its rate or by its parametrisation.
    """
    rates, used = study.found[STANDARD], study.used
    costs = {one.width: rates.cost(one.width, used[one.width]) for one in rates.found}
    worst = max(rates.found, key=lambda one: costs[one.width])
    cost, fall = costs[worst.width], rates.found[0].loss - rates.found[-1].loss
    said = (
        f"It costs most at width {worst.width}: {cost:.3f} nats, {cost / worst.std:.1f} standard "
        f"deviations of a run. From the smallest width to the largest the loss falls by "
        f"{fall:.3f} nats, so a slope in size is off by at most "
        f"{100 * cost / fall:.0f}{NO_BREAK}% for this."
    )
    standard, maximal = (study.found[kind].found[-1] for kind in (STANDARD, MAXIMAL))
    gap = maximal.loss - standard.loss
    if gap < -CLEAR * math.hypot(standard.std, maximal.std):
        return (
            f"{said}\n\n**So no width is short-changed by its rate. But by its parametrisation one "
            f"is:** at width {standard.width} the best rate under maximal updates ends {-gap:.3f} "
            f"nats below the best one of the standard parametrisation."
        )
    return (
        f"{said}\n\nSo no width is short-changed by its rate, and at the largest width neither "
        f"parametrisation is better than the other by more than the seeds differ."
    )
