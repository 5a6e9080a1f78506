# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Model size
#
# If I make the model ten times larger, what do I gain?
#
# After this chapter you can fit a scaling law with intervals, tell how well it describes the runs, judge it by a prediction, and say what a fitted exponent means and what it does not.

# %% tags=["parameters"]
profile = "paper"  # whose records are shown: smoke, quick or paper

# %% tags=["hide-input"]
import numpy as np
import pandas as pd
from IPython.display import Markdown

from tinylm.laws import fit_power_law, local_exponents
from tinylm.laws.table_words import sure
from tinylm.plots import fixed_floor_figure, use_style
from tinylm.store import Store
from tinylm.studies import size_words
from tinylm.studies.runs import load_runs
from tinylm.studies.shown import shown_profile
from tinylm.studies.size import (
    Bend,
    held_out_figure,
    size_figure,
    size_study,
    slopes_between_sizes_figure,
)
from tinylm.widgets import explore

# %matplotlib inline
use_style()

# %% [markdown]
# ## The claims under test
#
# These were written down before any run of this chapter was trained.
# Kaplan et al. {cite}`kaplan2020scaling` describe the loss of models that have enough data by a pure power law, $L = (N_c/N)^{\alpha}$.
# Hoffmann et al. {cite}`hoffmann2022training` put a floor $E$ under it, $L = E + A/N^{\alpha}$, with a second such term for the data.
# Besiroglu et al. {cite}`besiroglu2024chinchilla` fitted the second law again to the points of Hoffmann's figure and corrected its constants.

# %% tags=["hide-input"]
size_words.claims_table()

# %% [markdown]
# ```{guess} tenfold
# :answer: guess_tenfold_percent
# :scale: 0 60 1
# :unit: " %"
# By how many per cent does ten times the size lower the loss?
# ```
#
# ```{dropdown} More to guess
# Our models are thousands of times smaller than most of those, and each sees the same short stretch of children's stories.
#
# 1. Will one power law without a floor describe all our sizes?
# 2. Will our exponents agree with the published ones?
#
# The answers stand under the figures below, in this order.
# ```
#
# ## The runs
#
# Width grows; depth (2 layers), heads, context, data and number of steps stay as they are.
# Everything else is the recipe of {doc}`05_recipe` without its last step, keys that start as queries.
# Every model sees the same number of tokens, and is judged on the same validation stories.

# %%
runs = load_runs("model_size", profile)  # a row per run: N, D, C, loss, seed ...
study = size_study(Store(profile))  # what `tinylm report` found of them, read
runs.groupby("N").loss.agg(["mean", "std", "count"]).round(3)

# %% tags=["hide-input"]
Markdown(size_words.runs_said(study))

# %%
law = fit_power_law(runs.N, runs.loss)  # L = E + A/N^alpha, in milliseconds
pure = fit_power_law(runs.N, runs.loss, floor=0.0)  # L = A/N^alpha
print(law, pure, sep="\n")

# %% [markdown]
# An exponent without an interval is not a measurement.
# The intervals take thousands of fits more, so `tinylm report` makes them once, and they are read here; `sure` leaves them out where the law does not hold (its misfit, told below, is above 3).

# %%
assert np.isclose(study.law.law.alpha, law.alpha)
print(f"α = {law.alpha:.3f}" + sure(study.law.misfit, study.law.alpha_interval))

# %% mystnb={"figure": {"name": "fig-size-scaling", "caption": "Left: validation loss against model size, every run and the mean and standard deviation over seeds, with the fitted law L = E + A/N^α, its 95% band, and the best n-gram baseline (dotted). Right: the loss above the fitted E on logarithmic axes, where a power law is a straight line; dashed, the slope that Hoffmann et al. found for far larger models."}}
size_figure(study)

# %% tags=["hide-input"]
Markdown(size_words.gain_said(study))

# %% [markdown]
# ## The fit
#
# The law has three constants: a floor $E$ that no size goes below, an exponent $\alpha$, and a scale $A$.
# They are found by minimising Huber's loss of the residuals of $\log L$, which follows the runs closely and is not dragged along by one bad run {cite}`hoffmann2022training`.
# Beside it stands the pure power law, which is the same with $E = 0$.
#
# The intervals come from a bootstrap.
# The law is fitted again to 1,000 imitations of the experiment, in which it holds and every run gets a new deviation, drawn from the deviations that the seeds showed.
#
# Seeds know nothing of how far the *law* is wrong.
# So the table has a **misfit**: how far the means of the sizes lie from the law, over what seeds explain.
# It is about 1 for a law that holds.
# If it is larger than chance makes it in one study of twenty, the imitations keep the means of the sizes instead of the law, and their deviations are multiplied by it.
# Widening cannot repair a wrong law, though: where the misfit is above 3 the law does not hold, and its constants have no intervals.

# %% tags=["hide-input"]
size_words.laws_table(study).set_index("with 95% intervals")

# %% tags=["hide-input"]
Markdown(size_words.misfit_said(study))

# %% [markdown]
# ## Does one power law describe it?
#
# A pure power law is a straight line on log–log axes: its local exponent, $-d \log L / d \log N$, is the same everywhere.
# That can be measured without fitting any law, from the means of neighbouring sizes.

# %%
local_exponents(runs.N, runs.seed, runs.loss).round(3)  # x: between two sizes

# %% mystnb={"figure": {"name": "fig-local-exponents", "caption": "Local exponent between neighbouring sizes, from the means over seeds; bars are 95% intervals from the spread of seeds. A pure power law would be a horizontal line. The curve is the local exponent of the fitted law with a floor."}}
slopes_between_sizes_figure(study)

# %% [markdown]
# How much the line bends can be tested too: fit $\log L$ by a parabola in $\log N$.
# The coefficient of its square is 0 for a power law.

# %%
curvature = np.polyfit(np.log(runs.N), np.log(runs.loss), deg=2)[0]
bend = Bend.of(runs)  # the same, with an interval from the spread of the seeds
assert np.isclose(bend.value, curvature)
low, high = bend.interval
print(f"{curvature:.4f}, 95% interval [{low:.4f}, {high:.4f}]")

# %% tags=["hide-input"]
Markdown(size_words.bend_said(study))

# %% [markdown]
# ## Judged on a size that it was not fitted on
#
# A curve with three constants follows many things.
# The test is a prediction: we fit the law again without the largest size, and see what it says of it.

# %%
last = runs.N.eq(runs.N.max())
without_last = fit_power_law(runs.N[~last], runs.loss[~last])
said, measured = float(without_last.loss(runs.N.max())), runs.loss[last].mean()
print(f"predicted {said:.3f}, measured {measured:.3f} nats per token")

# %% mystnb={"figure": {"name": "fig-size-held-out", "caption": "Residuals of the law that was fitted without the largest size, in per cent of the loss, and its prediction for that size with the 95% interval for the mean of its runs."}}
held_out_figure(study)

# %% tags=["hide-input"]
Markdown(size_words.held_out_said(study))

# %% [markdown]
# Whoever chose that law had seen the largest size all the same.
# A harder test is a run that nobody has made yet: {doc}`11_predictions`.
#
# ## What E and α trade
#
# Move the floor and fit the rest.
# A higher floor leaves less loss to explain, so the remainder must fall faster, with a larger $\alpha$.
# Inside the measured sizes the curves are hard to tell apart; beyond them they part.

# %%
floors = np.linspace(0, 0.95 * runs.loss.min(), 25).round(2).tolist()
alphas = {E: fit_power_law(runs.N, runs.loss, floor=E).alpha for E in floors}

# %%
explore(
    lambda E: fixed_floor_figure(runs, E, alphas, study.law.E_interval),
    "The law with its floor held fixed",
    E=floors[::3],
)

# %% tags=["hide-input"]
Markdown(size_words.trade_said(study))

# %% [markdown]
# ## The claims against our intervals

# %% tags=["hide-input"]
size_words.verdict_table(study)

# %% tags=["hide-input"]
Markdown(size_words.verdict_said(study))

# %% [markdown]
# Neither agreement nor disagreement means that somebody is wrong.
# The numbers answer different questions.
#
# - **Scale.** The published fits rest on models of up to 16 billion parameters. An exponent is a slope where it was measured.
# - **Data.** Each of our sizes sees the same tokens, and few of them. Kaplan's law is for models that have enough; Hoffmann's has a term for the data, $B/D^{\beta}$. At one $D$ that term is a constant, and our fit cannot tell it from the floor: our $E$ is the entropy of the text *plus* what the short training costs. If that cost depends on the size, it also bends the curve.
# - **The floor itself.** Nobody knows the entropy of these stories, so $E$ cannot be checked. It is where this law would end, not what the best possible model would reach.
# - **Text.** Simple stories in tokens of two or three bytes are not web text in tokens of four.
# - **Shape.** Only the width grows here. The published models grew in width and depth.
# - **What N counts.** That one can be measured.
#
# ## What N counts
#
# In a small model the embedding is a large part of all weights; it also scores the tokens at the output, and so it does work.
# Kaplan et al. leave it out, Hoffmann et al. count it, and Pearce and Song {cite}`pearce2024reconciling` show that this accounts for much of the difference between their exponents.
# Here are our runs, fitted again with each count.

# %%
alphas_by_count = {
    count: {
        "α with a floor": fit_power_law(runs[count], runs.loss).alpha,
        "α without": fit_power_law(runs[count], runs.loss, floor=0.0).alpha,
    }
    for count in ("n_non_embedding", "n_with_output", "n_total")
}
pd.DataFrame(alphas_by_count).T.round(3)

# %% tags=["hide-input"]
size_words.counts_table(study)

# %% tags=["hide-input"]
Markdown(size_words.counts_said(study))

# %% [markdown]
# ## Width against depth
#
# In all these runs only the width grows.
# Is it size that counts, or its shape?
# Here N is held, and spread over one, two, four or eight layers, with heads of about one width.

# %%
from_first = shown_profile("shape", profile)
shapes, sizes = load_runs("shape", from_first), load_runs("model_size", from_first)
by_shape = shapes.groupby(["n_layers", "d_model"])
by_shape.agg(
    N=("N", "first"),
    C=("C", "first"),
    loss=("loss", "mean"),
    std=("loss", "std"),
).round(3)

# %% tags=["hide-input"]
Markdown(size_words.shapes_said(shapes, sizes))

# %% [markdown]
# ## Exercises
#
# ```{exercise} Without the smallest two
# :label: ex-size-smallest
#
# Perhaps the smallest models are too small to follow any law.
# Refit both laws without the smallest two sizes.
# Which exponent moves more, and what would you expect if the pure power law were true?
# ```
#
# ```{solution-start} ex-size-smallest
# :class: dropdown
# ```

# %%
sizes = np.sort(runs.N.unique())
smallest = sizes[min(2, len(sizes) - 4)]  # a law with a floor needs four sizes
kept = runs[runs.N.ge(smallest)]
alphas_of = {
    f"from N = {some.N.min():,} on": {
        "α with a floor": fit_power_law(some.N, some.loss).alpha,
        "α without": fit_power_law(some.N, some.loss, floor=0.0).alpha,
    }
    for some in (runs, kept)
}
pd.DataFrame(alphas_of).T.round(3)

# %% [markdown]
# If a pure power law were true, leaving out sizes would move its exponent only by noise.
# An exponent that drifts with the range is the sign of a bend.
# The law with a floor has the bend built in, but with fewer sizes less is left to fix three constants.
#
# ```{solution-end}
# ```
#
# ```{exercise} One size further
# :label: ex-size-twice
#
# Predict the loss of a model of twice the largest size, by both laws, with intervals.
# Do the intervals overlap, and what does that tell you about intervals?
# ```
#
# ```{solution-start} ex-size-twice
# :class: dropdown
# ```

# %%
twice = 2 * runs.N.max()
fits = {"with a floor": study.law, "without": study.pure}
said = {
    name: {
        "nats per token": float(fit.loss(twice)),
        "95% low": float(fit.loss_interval(twice)[0]),
        "95% high": float(fit.loss_interval(twice)[1]),
    }
    for name, fit in fits.items()
}
pd.DataFrame(said).T.round(3)

# %% [markdown]
# Each interval is right *if its law holds*.
# It knows the noise of the seeds and, through the misfit, how far the law strays inside the measured sizes.
# It does not know that the law may be the wrong one beyond them.
# Where two laws disagree by more than their intervals, believe the difference between the laws, and train the model.
#
# ```{solution-end}
# ```
#
# ```{exercise} Had there been one seed
# :label: ex-size-one-seed
#
# Fit the law to the runs of each seed alone.
# How far apart are the exponents?
# ```
#
# ```{solution-start} ex-size-one-seed
# :class: dropdown
# ```

# %%
fits = {"all": law}
for seed, mine in runs.groupby("seed"):
    fits[seed] = fit_power_law(mine.N, mine.loss)
constants = {seed: {"E": fit.E, "α": fit.alpha} for seed, fit in fits.items()}
pd.DataFrame(constants).T.rename_axis("seed").round(3)

# %% [markdown]
# Each of these fits would have looked convincing by itself.
# A paper with one seed reports one of these lines, and cannot know which.
#
# ```{solution-end}
# ```
