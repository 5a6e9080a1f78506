"""The titles, tables and sentences of the chapter on compute budgets."""

import numpy as np
import pandas as pd

from tinylm import say
from tinylm.cost import FLOPS_PER_PARAMETER_AND_TOKEN
from tinylm.laws.scatter import interval
from tinylm.plots import short
from tinylm.say import NO_BREAK
from tinylm.studies.compute import ComputeStudy, pareto

HOLDS = 3.0  # a misfit from which on a surface is said not to fit


def _tokens_per_parameter(flops: float, size: float) -> float:
    return flops / FLOPS_PER_PARAMETER_AND_TOKEN / size**2


def runs_said(study: ComputeStudy) -> str:
    """What was run."""
    runs, budgets = study.runs, study.budgets
    smallest = runs.sort_values("n").iloc[0]
    return (
        f"{len(budgets)} budgets over a factor of {budgets[-1] / budgets[0]:.0f}, "
        f"{runs['n'].nunique()} sizes and {runs['seed'].nunique()} seeds: {len(runs)} runs. "
        f"In the smallest model, of width {smallest['d_model']}, the output layer has "
        f"{smallest['n'] / smallest['n_non_embedding'] - 1:.0f} times the weights of the blocks."
    )


def isoflops_title(study: ComputeStudy) -> str:
    """How many tokens for each parameter are best at the largest budget."""
    top = float(study.budgets[-1])
    lowest = float(study.parabolas.frontier.optimal_size(top))
    return (
        f"At {short(top)} FLOPs {_tokens_per_parameter(top, lowest):.0f} tokens for each parameter "
        f"are best by the parabolas, "
        f"{study.known.surface.optimal(top).tokens_per_parameter:.0f} by the surface"
    )


def optima_table(study: ComputeStudy) -> pd.DataFrame:
    """The best use of each budget by the surface, and what another size costs."""
    surface, rows = study.known.surface, []
    for budget in study.budgets:
        best = surface.optimal(float(budget))
        sizes, tokens, _ = study.known.optimal_resamples(budget)
        large, small = (
            float(surface.loss(best.N * times, best.D / times)) - best.loss for times in (3, 1 / 3)
        )
        share = say.interval(interval(tokens / sizes), 1)
        rows.append(
            {
                "C": short(budget),
                "best N": short(best.N),
                "best D": short(best.D),
                "tokens per parameter": f"{best.tokens_per_parameter:.1f} {share}",
                "loss there": f"{best.loss:.3f}",
                "three times too large": f"+{large:.3f}",
                "three times too small": f"+{small:.3f}",
            }
        )
    return pd.DataFrame(rows).set_index("C")


def surface_said(study: ComputeStudy) -> str:
    """How well the surface fits, which parabolas have no lowest point, and that no surface of this
    form fits where none does.
    """
    said = (
        "By the surface with E at the true floor; losses in nats per token. "
        f"Its misfit is {study.known.misfit:.1f}: settings scatter about it by so many times what "
        "seeds explain."
    )
    if left_out := study.parabolas.frontier.left_out:
        said += (
            f" The parabolas of {', '.join(short(flops) for flops in left_out)} FLOPs have their "
            f"lowest point outside the sizes tried and are left out."
        )
    if study.known.misfit < HOLDS:
        return said
    surface, runs = study.known.surface, study.runs
    off = surface.loss(runs["n"], runs["tokens"]) - runs["nats"]
    parts = [
        f"{abs(value):.2f} nats too {'high' if value > 0 else 'low'} at {short(float(budget))}"
        for budget, value in off.groupby(runs["budget"]).mean().items()
    ]
    return (
        f"{said}\n\n**No surface of this form fits these runs.** It is {', '.join(parts)} on "
        f"average. A sum of two power laws supposes that what size withholds and what text "
        f"withholds simply add up. On this text both together teach what neither does alone: the "
        f"loss falls slowly, then fast. Where the lowest points lie, the surface and the parabolas "
        f"agree; how low the loss is there, only runs can tell."
    )


def approaches_title(study: ComputeStudy) -> str:
    """How far apart the exponents of the approaches are."""
    exponents = [one.exponent for one in study.approaches]
    return (
        f"The best size grows as C to the power {min(exponents):.2f} to {max(exponents):.2f}, by "
        f"{len(exponents)} approaches on the same runs"
    )


def approaches_table(study: ComputeStudy) -> pd.DataFrame:
    """Exponent, best size and tokens per parameter at the largest budget: a row an approach."""
    top, rows = float(study.budgets[-1]), []
    for one in study.approaches:
        (size,), ((low,), (high,)) = one.size(top), one.size_interval(top)
        rows.append(
            {
                "approach": one.name,
                "exponent a of N ∝ C^a": f"{one.exponent:.3f}",
                "95% interval": say.interval(one.exponent_interval),
                f"best N at {short(top)}": _size(size, low, high),
                "tokens per parameter": f"{_tokens_per_parameter(top, size):.1f}",
            }
        )
    return pd.DataFrame(rows).set_index("approach")


def _size(size: float, low: float, high: float) -> str:
    return f"{short(size)} [{short(low)},{NO_BREAK}{short(high)}]"


def approaches_said(study: ComputeStudy) -> str:
    """The published exponents beside these."""
    growth = 100**study.known.surface.size_exponent
    said = (
        f"Hoffmann et al. have a = 0.50, 0.49 and 0.46 by the three, at budgets hundreds of "
        f"millions of times these. A hundred times the compute wants {growth:.0f} times the size "
        f"here."
    )
    if study.envelope is None:
        said += " Too few sizes compete for an envelope of the curves."
    return said


def race_table(study: ComputeStudy) -> pd.DataFrame:
    """What each approach, without the largest budget, says of it."""
    rows = [
        {
            "approach": one["approach"],
            "best N, predicted": _size(one["size"], one["low"], one["high"]),
            "loss there, predicted": (
                f"{one['loss']:.3f} {say.interval((one['loss_low'], one['loss_high']))}"
                if np.isfinite(one["loss"])
                else "names none"
            ),
        }
        for one in study.race.to_dict("records")
    ]
    columns = ["approach", "best N, predicted", "loss there, predicted"]
    return pd.DataFrame(rows, columns=columns).set_index("approach")


def race_said(study: ComputeStudy) -> str:
    """What came at the largest budget, and how far off each approach is."""
    if study.race.empty:
        return "A race needs three budgets; this profile has fewer."
    runs = study.runs
    here = runs[runs["budget"] == study.budgets[-1]].groupby("n")["nats"].agg(["mean", "std"])
    lowest = here["mean"].idxmin()
    mean, std = here.loc[lowest]
    losses = [
        f"the {one['approach'].partition(': ')[2]}, is off by "
        f"{100 * (one['loss'] / mean - 1):+.0f}{NO_BREAK}%"
        for one in study.race.dropna(subset="loss").to_dict("records")
    ]
    factors = [f"{max(ratio, 1 / ratio):.2f}" for ratio in study.race["size"] / lowest]
    return (
        f"Measured: of the sizes tried, {short(float(lowest))} has the lowest loss, "
        f"{say.mean_and_spread(mean, std)}. Of the approaches that name a loss, "
        f"{', '.join(losses)} in loss, "
        f"and the sizes are off by a factor of {', '.join(factors)}, in the order of the table."
    )


def floor_said(study: ComputeStudy) -> str:
    """The fitted E against the true floor, and the exponents with E known."""
    bounds, surface = study.free.interval("E"), study.known.surface
    place = say.within(bounds, study.floor)
    return (
        f"The surface with E fitted has E = {study.free.surface.E:.3f}, 95% interval "
        f"{say.interval(bounds)}. The true floor is {study.floor:.3f}, "
        f"{place if place == 'inside' else '**outside**'}. "
        f"With E known, α = {surface.alpha:.3f} {say.interval(study.known.interval('alpha'))} and "
        f"β = {surface.beta:.3f} {say.interval(study.known.interval('beta'))}."
    )


def pareto_title(study: ComputeStudy) -> str:
    """What compute buys, well spent."""
    front = pareto(study.runs)
    first, last = front.iloc[0], front.iloc[-1]
    fall = (first["nats"] - study.floor) / (last["nats"] - study.floor)
    return (
        f"{last['flops_exact'] / first['flops_exact']:.0f} times the compute, well spent, lowers "
        f"the excess loss {fall:.1f}-fold"
    )
