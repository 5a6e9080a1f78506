# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # The best size for a budget
#
# You have so much compute, and no more.
# A large model for a short while, or a small one for long?
#
# After this chapter you can find the best size three ways, say how surely each of them does, and tell what a rule such as "twenty tokens for each parameter" rests on.
#
# ```{dropdown} Guess before you read on
# 1. How many tokens for each parameter are best at this scale: 2, 20 or 200?
# 2. A hundred times the compute: how many times the size?
# 3. A model three times too large for its budget: how much worse is it, and one three times too small?
#
# The answers stand under the figures below, in this order.
# ```

# %% tags=["parameters"]
profile = "paper"  # whose records are shown

# %% tags=["hide-input"]
from contextlib import suppress

import numpy as np
import pandas as pd
from IPython.display import Markdown, display
from matplotlib.figure import Figure

from tinylm.errors import TinyLMError
from tinylm.laws.scatter import interval
from tinylm.plots import (
    BLUE,
    INK,
    NATS,
    VERMILION,
    BestSizes,
    best_sizes_figure,
    isoflop_figure,
    pareto_figure,
    short,
    use_style,
)
from tinylm.studies.compute import compute_study, pareto, surface_of_cuts
from tinylm.sweeps.declare import shown
from tinylm.widgets import explore

# %matplotlib inline
use_style()


def say(text: str) -> None:
    """Show a sentence with numbers that were measured above."""
    display(Markdown(text))


# %% [markdown]
# ## What is counted
#
# A parameter that takes part in a matrix product costs a multiply-add forward and two backward for each token, so training costs $C = 6ND$ floating-point operations.
# Which parameters are counted matters at this scale, where the output layer can do more arithmetic than all blocks.
# Kaplan et al. left it out, Hoffmann et al. did not, and much of the difference between their laws is this {cite:p}`kaplan2020scaling,hoffmann2022training,pearce2024reconciling`.
# In this chapter $N$ has the output layer.
#
# ## The runs
#
# Several budgets, several sizes in each, and several seeds, on `fables`, whose true floor is known.
# Every run has its own schedule, that ends with it.

# %% tags=["hide-input"]
study, note = shown(compute_study, "isoflops", profile)
if note:
    say(note)
title = ""
if study:
    top = study.budgets[-1]
    smallest = study.runs.loc[study.runs["n"].idxmin()]
    say(
        f"{len(study.budgets)} budgets over a factor of {top / study.budgets[0]:.0f}, "
        f"{study.runs['n'].nunique()} sizes and {study.runs['seed'].nunique()} seeds: "
        f"{len(study.runs)} runs. In the smallest model, of width {smallest['d_model']}, the output "
        f"layer has {smallest['n'] / smallest['n_non_embedding'] - 1:.0f} times the weights of the "
        f"blocks."
    )
    best = study.known.surface.optimal(top)
    ratios = interval(top / 6 / study.known.optimal_resamples(np.array([top]))[0][:, 0] ** 2)
    lowest_point = float(study.parabolas.frontier.optimal_size(np.array([top]))[0])
    title = (
        f"At {short(top)} FLOPs {top / 6 / lowest_point**2:.0f} tokens for each parameter are best "
        f"by the parabolas, {best.tokens_per_parameter:.0f} by the surface"
    )

# %% mystnb={"figure": {"name": "fig-compute-isoflops", "caption": "Validation loss against size at each compute budget, means over seeds with bars of ± one standard deviation. Solid: a parabola in log N through the runs of the budget, and its lowest point. Dotted: one surface through all runs, with E at the true floor."}} tags=["hide-input"]
if study:
    display(isoflop_figure(study.runs, study.parabolas.frontier, study.known.surface, title=title))

# %% tags=["hide-input"]
if study:
    rows = []
    for budget in study.budgets:
        optimum = study.known.surface.optimal(budget)
        sizes, tokens, losses = study.known.optimal_resamples(np.array([budget]))
        share = interval(tokens[:, 0] / sizes[:, 0])
        off = {
            times: float(
                study.known.surface.loss(optimum.N * times, optimum.D / times) - optimum.loss
            )
            for times in (3, 1 / 3)
        }
        rows.append(
            {
                "C": short(budget),
                "best N": short(optimum.N),
                "best D": short(optimum.D),
                "tokens a parameter": f"{optimum.tokens_per_parameter:.1f} [{share[0]:.1f} to {share[1]:.1f}]",
                "loss there": f"{optimum.loss:.3f}",
                "three times too large": f"+{off[3]:.3f}",
                "three times too small": f"+{off[1 / 3]:.3f}",
            }
        )
    display(pd.DataFrame(rows).set_index("C"))
    said = study.known.surface.loss(
        study.runs["n"].to_numpy(float), study.runs["tokens"].to_numpy(float)
    )
    off_by = (study.runs.assign(off=said - study.runs["nats"])).groupby("budget")["off"].mean()
    straight = study.known.misfit < 3
    left_out = study.parabolas.frontier.left_out
    say(
        "By the surface with E at the true floor; losses in nats a token. "
        f"Its misfit is {study.known.misfit:.1f}: settings scatter about it by so many times what "
        f"seeds explain."
        + (
            f" The parabolas of {', '.join(short(c) for c in left_out)} FLOPs have their lowest "
            f"point outside the sizes tried and are left out."
            if left_out
            else ""
        )
    )
    if not straight:
        say(
            "**No surface of this form fits these runs.** It is "
            + ", ".join(
                f"{abs(value):.2f} nats too {'high' if value > 0 else 'low'} at {short(budget)}"
                for budget, value in off_by.items()
            )
            + " on average. A sum of two power laws supposes that what size withholds and what text "
            "withholds simply add up. On this text both together teach what neither does alone: the "
            "loss falls slowly, then fast. "
            "Where the lowest points lie, the surface and the parabolas agree; how low the loss is "
            "there, only runs can tell."
        )

# %% [markdown]
# ## Three approaches
#
# Hoffmann et al. found the best size in three ways.
#
# 1. Draw the learning curves of all sizes, and see whose is lowest at each amount of compute.
# 2. Give all sizes the same compute, fit a parabola, and take its lowest point.
# 3. Fit $L = E + A/N^\alpha + B/D^\beta$ to everything, and reckon.
#
# The first is the cheapest, since every run serves many budgets, and the least honest: in the middle of a run the learning rate has not come down yet.
# The second asks no formula, and is biased by its own.
# The third uses all runs, and believes in a formula.
# Here are all of them on the same runs.

# %% tags=["hide-input"]
title = ""
if study:
    said = {one.name: one.exponent for one in study.approaches}
    title = (
        f"The best size grows as C to the power {min(said.values()):.2f} to {max(said.values()):.2f}, "
        f"by {len(said)} approaches on the same runs"
    )

# %% mystnb={"figure": {"name": "fig-compute-approaches", "caption": "Best size against compute by each approach, with 95% intervals by bootstrap over seeds."}} tags=["hide-input"]
if study:
    flops = np.geomspace(study.budgets[0], 10 * study.budgets[-1], 40)
    display(
        best_sizes_figure(
            flops,
            [
                BestSizes(one.name, one.size(flops), *one.size_interval(flops))
                for one in study.approaches
            ],
            study.parabolas.frontier,
            title=title,
        )
    )

# %% tags=["hide-input"]
if study:
    rows = []
    for one in study.approaches:
        (size,), ((low,), (high,)) = one.size(top), one.size_interval(top)
        rows.append(
            {
                "approach": one.name,
                "exponent a of N ∝ C^a": f"{one.exponent:.3f}",
                "95% interval": "{:.3f} to {:.3f}".format(*one.exponent_interval),
                f"best N at {short(top)}": f"{short(size)} [{short(low)} to {short(high)}]",
                "tokens a parameter": f"{top / 6 / size**2:.1f}",
            }
        )
    display(pd.DataFrame(rows).set_index("approach"))
    say(
        f"Hoffmann et al. have a = 0.50, 0.49 and 0.46 by the three, at budgets hundreds of millions "
        f"of times these. A hundred times the compute wants "
        f"{100**study.known.surface.size_exponent:.0f} times the size here."
    )

# %% [markdown]
# ### A race
#
# Hide the largest budget from all of them.
# What do they say of it?

# %% tags=["hide-input"]
if study and len(study.race):
    here = study.runs[study.runs["budget"] == top].groupby("n")["nats"].agg(["mean", "std"])
    lowest = here["mean"].idxmin()
    rows = []
    for one in study.race.itertuples():
        rows.append(
            {
                "approach": one.approach,
                "best N, predicted": f"{short(one.size)} [{short(one.low)} to {short(one.high)}]",
                "loss there, predicted": (
                    f"{one.loss:.3f} [{one.loss_low:.3f} to {one.loss_high:.3f}]"
                    if np.isfinite(one.loss)
                    else "names none"
                ),
            }
        )
    display(pd.DataFrame(rows).set_index("approach"))
    say(
        f"Measured: of the sizes tried, {short(lowest)} has the lowest loss, "
        f"{here.loc[lowest, 'mean']:.3f} ± {here.loc[lowest, 'std']:.3f}. "
        + "Of the approaches that name a loss, "
        + ", ".join(
            f"the {one.approach.partition(': ')[2]}, is off by {100 * (one.loss / here.loc[lowest, 'mean'] - 1):+.0f}%"
            for one in study.race.dropna(subset="loss").itertuples()
        )
        + " in loss, and the sizes are off by a factor of "
        + ", ".join(f"{max(r, 1 / r):.2f}" for r in study.race["size"] / lowest)
        + ", in the order of the table."
    )

# %% [markdown]
# ## E against the truth

# %% tags=["hide-input"]
if study:
    low, high = study.free.interval("E")
    say(
        f"The surface with E fitted has E = {study.free.surface.E:.3f}, 95% interval {low:.3f} to "
        f"{high:.3f}. The true floor is {study.floor:.3f}, "
        + ("inside." if low <= study.floor <= high else "**outside**.")
        + f" With E known, α = {study.known.surface.alpha:.3f} "
        f"[{study.known.interval('alpha')[0]:.3f} to {study.known.interval('alpha')[1]:.3f}] and "
        f"β = {study.known.surface.beta:.3f} "
        f"[{study.known.interval('beta')[0]:.3f} to {study.known.interval('beta')[1]:.3f}]."
    )

# %% [markdown]
# ## Look around
#
# Choose a model and how much it reads.
# The curves are a surface at the compute that this takes, with its band, and at a tenth and ten times of it; the points are all runs, at the size and loss they have.
# The surface of `fables` has the true floor and goes through all runs above.
# That of TinyStories has a fitted one and goes through two cuts only, the sizes of {doc}`05_model_size` and the texts of {doc}`09_data` that are read once; so it is less sure, as its band shows.

# %% tags=["hide-input"]
SIZES, TEXTS = (30_000, 100_000, 300_000, 1_000_000), (200_000, 1_000_000, 6_000_000)


def place(text, N, D):
    """A model of N parameters that reads D tokens, on the isoFLOP curve of what that takes."""
    fit, runs, floor = surfaces[text]
    flops = 6.0 * N * D
    n = np.geomspace(1e4, 3e6, 80)
    figure = Figure(figsize=(6.6, 3.4), layout="constrained")
    axes = figure.subplots()
    low, high = fit.loss_interval(n, flops / 6 / n)
    axes.fill_between(n, low, high, color=BLUE, alpha=0.2, linewidth=0)
    axes.plot(runs["n"], runs["nats"], "o", color=VERMILION, markersize=3, label="runs")
    for times, style in ((0.1, ":"), (1.0, "-"), (10.0, "--")):
        curve = fit.surface.loss(n, times * flops / 6 / n)
        name = f"{short(times * flops)} FLOPs"
        axes.plot(n, curve, style, color=BLUE, linewidth=1.2, label=name)
    loss, best = float(fit.surface.loss(N, D)), fit.surface.optimal(flops)
    axes.plot([N], [loss], "*", color=INK, markersize=12, label="this one")
    axes.axhline(floor, color=INK, linestyle=(0, (1, 2)), linewidth=1)
    axes.set_xscale("log")
    axes.set_ylim(0, 6)
    axes.set_xlabel("N, parameters with the output layer")
    axes.set_ylabel(NATS)
    axes.legend(loc="upper right", fontsize="small")
    axes.set_title(
        f"{loss:.2f} nats; best for this compute: N = {short(best.N)}, {best.loss:.2f} nats",
        loc="left",
        fontweight="bold",
    )
    return figure


if study:
    surfaces = {"fables": (study.known, study.runs, study.floor)}
    with suppress(TinyLMError):
        told, other = surface_of_cuts(study.profile)
        surfaces[told["corpus"].iloc[0]] = other, told, other.surface.E
    explore(place, "A model and what it reads", text=list(surfaces), N=list(SIZES), D=list(TEXTS))

# %% [markdown]
# ## What compute buys

# %% tags=["hide-input"]
title = ""
if study:
    front = pareto(study.runs)
    fall = (front["nats"].iloc[0] - study.floor) / (front["nats"].iloc[-1] - study.floor)
    more = front["flops_exact"].iloc[-1] / front["flops_exact"].iloc[0]
    title = f"{more:.0f} times the compute, well spent, lowers the excess loss {fall:.1f}-fold"

# %% mystnb={"figure": {"name": "fig-compute-pareto", "caption": "Loss above the true floor against exact training FLOPs, attention included, of every run; the line joins the settings (means over seeds) that no cheaper one beats."}} tags=["hide-input"]
if study:
    display(pareto_figure(study.runs, front, study.floor, title=title))

# %% [markdown]
# ## Exercises
#
# ```{exercise} Half the exponent
# :label: ex-compute-half
#
# If $\alpha = \beta$, how do the best $N$ and $D$ grow with $C$?
# Which of the two grows faster if $\alpha > \beta$?
# ```
#
# ```{solution} ex-compute-half
# :class: dropdown
#
# The best $N$ is $\propto C^{\beta/(\alpha+\beta)}$, so with equal exponents both grow as $\sqrt{C}$, and the number of tokens a parameter is the same at every budget.
# If $\alpha > \beta$, size is the quicker to pay off, so less of it is needed: $N$ grows more slowly than $D$.
# ```
#
# ```{exercise} A model that is used
# :label: ex-compute-used
#
# The model will read ten times as many tokens when it is in use as it does in training, at $2N$ FLOPs each.
# Is the best size larger or smaller than the one above?
# ```
#
# ```{solution-start} ex-compute-used
# :class: dropdown
# ```
#
# Smaller: every parameter now costs more, and training longer makes up for size.
# By the surface, for the same loss as at the largest budget:

# %%
if study:
    surface = study.known.surface
    n = np.geomspace(best.N / 30, best.N * 10, 4000)
    left = best.loss - surface.E - surface.A * n**-surface.alpha
    d = np.where(left > 0, (np.maximum(left, 1e-12) / surface.B) ** (-1 / surface.beta), np.inf)
    total = 6 * n * d + 2 * n * 10 * best.D
    smallest = n[total.argmin()]
    print(
        f"N = {short(smallest)} instead of {short(best.N)}, trained {d[total.argmin()] / best.D:.1f} times as long"
    )

# %% [markdown]
# ```{solution-end}
# ```
