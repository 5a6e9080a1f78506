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
import numpy as np
from IPython.display import Markdown, display

from tinylm.laws import fit_isoflops, fit_surface
from tinylm.plots import (
    BestSizes,
    best_sizes_figure,
    budget_figure,
    isoflop_figure,
    pareto_figure,
    short,
    use_style,
)
from tinylm.studies import compute_words as words
from tinylm.studies.compute import compute_study, pareto, surface_of_cuts
from tinylm.studies.shown import shown
from tinylm.widgets import explore

# %matplotlib inline
use_style()

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

# %%
study, note = shown(compute_study, "isoflops", profile)
runs = study.runs  # n (with the output layer), tokens, budget, seed, nats, ...
Markdown(note + words.runs_said(study))

# %% [markdown]
# A parabola in $\log N$ for each budget, and one surface $L = E + A/N^\alpha + B/D^\beta$ through all runs, with $E$ at the true floor.
# Both fits take less than a second.
# Their intervals are by bootstrap over seeds, a thousand resamples of each: that takes minutes, and is done once, by `tinylm report`.

# %%
parabolas = fit_isoflops(runs["n"], runs["tokens"], runs["nats"])
surface = fit_surface(runs["n"], runs["tokens"], runs["nats"], floor=study.floor)
print(f"parabolas: best N grows as C^{parabolas.exponent:.3f}")
print(f"surface:   best N grows as C^{surface.size_exponent:.3f}")

# %% mystnb={"figure": {"name": "fig-compute-isoflops", "caption": "Validation loss against size at each compute budget, means over seeds with bars of ± one standard deviation. Solid: a parabola in log N through the runs of the budget, and its lowest point. Dotted: one surface through all runs, with E at the true floor."}}
isoflop_figure(runs, parabolas, surface, title=words.isoflops_title(study))

# %%
display(words.optima_table(study), Markdown(words.surface_said(study)))

# %% [markdown]
# ## Three approaches
#
# Hoffmann et al. found the best size in three ways.
#
# 1. Draw the learning curves of all sizes, and see whose is lowest at each amount of compute.
#    Points on a curve are on the same few validation documents; the last of a run, on all of them, is left out.
# 2. Give all sizes the same compute, fit a parabola, and take its lowest point.
# 3. Fit $L = E + A/N^\alpha + B/D^\beta$ to everything, and reckon.
#
# The first is the cheapest, since every run serves many budgets, and the least honest: in the middle of a run the learning rate has not come down yet.
# The second asks no formula, and is biased by its own.
# The third uses all runs, and believes in a formula.
# Here are all of them on the same runs.

# %%
flops = np.geomspace(study.budgets[0], 10 * study.budgets[-1], 40)
lines = [
    BestSizes(one.name, one.size(flops), *one.size_interval(flops)) for one in study.approaches
]

# %% mystnb={"figure": {"name": "fig-compute-approaches", "caption": "Best size against compute by each approach, with 95% intervals by bootstrap over seeds."}}
best_sizes_figure(flops, lines, parabolas, title=words.approaches_title(study))

# %%
display(words.approaches_table(study), Markdown(words.approaches_said(study)))

# %% [markdown]
# ### A race
#
# Hide the largest budget from all of them.
# What do they say of it?

# %%
display(words.race_table(study), Markdown(words.race_said(study)))

# %% [markdown]
# ## E against the truth

# %%
Markdown(words.floor_said(study))

# %% [markdown]
# ## Look around
#
# Choose a model and how much it reads.
# The curves are a surface at the compute that this takes, with its band, and at a tenth and ten times of it; the points are all runs, at the size and loss they have.
# The surface of `fables` has the true floor and goes through all runs above.
# That of TinyStories has a fitted one and goes through two cuts only, the sizes of {doc}`05_model_size` and the texts of {doc}`09_data` that are read once; so it is less sure, as its band shows.

# %%
cuts, of_cuts = surface_of_cuts(study.store)
surfaces = {
    "fables": (study.known, runs, study.floor),
    cuts["corpus"].iloc[0]: (of_cuts, cuts, of_cuts.surface.E),
}


def place(text, N, D):
    """A model of N parameters that reads D tokens, on the isoFLOP curve of what that takes."""
    fit, points, floor = surfaces[text]
    loss, best = fit.surface.loss(N, D), fit.surface.optimal(6.0 * N * D)
    title = f"{loss:.2f} nats; best for this compute: N = {short(best.N)}, {best.loss:.2f} nats"
    return budget_figure(N, D, points, fit, floor, title=title)


# %%
sizes, texts = [30_000, 100_000, 300_000, 1_000_000], [200_000, 1_000_000, 6_000_000]
explore(place, "A model and what it reads", text=list(surfaces), N=sizes, D=texts)

# %% [markdown]
# ## What compute buys

# %% mystnb={"figure": {"name": "fig-compute-pareto", "caption": "Loss above the true floor against exact training FLOPs, attention included, of every run; the line joins the settings (means over seeds) that no cheaper one beats."}}
front = pareto(runs)  # settings that no cheaper one beats
pareto_figure(runs, front, study.floor, title=words.pareto_title(study))

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
# The best $N$ is $\propto C^{\beta/(\alpha+\beta)}$, so with equal exponents both grow as $\sqrt{C}$, and the number of tokens per parameter is the same at every budget.
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
best = surface.optimal(study.budgets[-1])
n = np.geomspace(best.N / 30, 10 * best.N, 4000)
left = best.loss - surface.E - surface.A * n**-surface.alpha  # what may be lost for want of text
n, left = n[left > 0], left[left > 0]
d = (left / surface.B) ** (-1 / surface.beta)
used = (6 * n * d + 2 * n * 10 * best.D).argmin()
print(f"N = {short(n[used])} instead of {short(best.N)}, trained on {d[used] / best.D:.1f} times D")

# %% [markdown]
# ```{solution-end}
# ```
