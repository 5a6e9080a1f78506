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
# After this chapter you can fit a law to sizes and texts together, choose its form by what it says of runs that it has not seen, read the best size off the runs themselves, and say why two famous papers disagree about it.
#
# ```{guess} hundredfold
# :answer: guess_hundredfold_size
# :scale: 1 100 log
# :unit: " times"
# A hundred times the compute: how many times the size makes the best use of it, counted without embeddings?
# ```
#
# ```{dropdown} More to guess
# 1. How far from the runs is the best law with four to six constants: 0.5, 2 or 10 % of the loss?
# 2. Kaplan et al. let the size grow as $C^{0.73}$, Hoffmann et al. as $C^{0.49}$. Can one set of runs give both?
#
# The answers stand under the figures below, in this order.
# ```

# %% tags=["parameters"]
profile = "paper"  # whose records are shown

# %% tags=["hide-input"]
import numpy as np
import pandas as pd
from IPython.display import Markdown, display

from tinylm.laws import fit_isoflops, fit_surface
from tinylm.laws.planning import expected_errors
from tinylm.laws.published import WIDER_CLAIMS
from tinylm.plots import (
    budget_figure,
    counts_figure,
    grid_figure,
    isoflop_figure,
    misses_figure,
    short,
    use_style,
)
from tinylm.studies import grid_words as words
from tinylm.studies.grid import (
    COUNTS,
    forms,
    grid_study,
    news_study,
    read_off,
    settings_of_runs,
    unigram_loss,
)
from tinylm.studies.plans import plans_said, plans_table
from tinylm.studies.shown import shown
from tinylm.widgets import explore

# %matplotlib inline
use_style()

# %% [markdown]
# ## A full grid
#
# Cuts along one axis, such as all sizes at one amount of text, leave open how size and text work together.
# Here every size meets every amount, by the recipe of {doc}`05_recipe` without its last step, keys that start as queries.
# Every run has its own schedule, which ends with it.

# %%
study, note = shown(grid_study, "grid", profile)
runs = study.runs  # a row a run: N (without embeddings), D, C (exact FLOPs), seed, loss ...
Markdown(note + words.runs_said(study))

# %%
runs.pivot_table(index="N", columns="asked", values="loss").round(3)  # means over seeds

# %% tags=["hide-input"]
Markdown(words.range_said(study))

# %% [markdown]
# ## The form of the law
#
# How should the two terms, what the size withholds and what the text withholds, become a loss?
# With $Q = A/N^\alpha + B/D^\beta$ there are five proposals:
#
# - the **sum** of Hoffmann et al. {cite:p}`hoffmann2022training`, $L = E + Q$;
# - the sum **raised to a power** {cite:p}`busbridge2025distillation`, $L = E + Q^g$;
# - **Kaplan's** form {cite:p}`kaplan2020scaling`, $L = Q^g$ with $\beta = 1$: no floor;
# - a law with **two ends**, $\frac{1}{L - E} = \frac{1}{U - E} + \frac{1}{Q}$: no model can be worse than one that knows only how frequent each token is, and the loss $U$ of that one can be counted;
# - **both**, $\frac{1}{L - E} = \frac{1}{U - E} + \frac{1}{Q^g}$, which came last, after the others had been seen to fail on one text or another.
#
# A fit of each takes less than a second.

# %%
U = unigram_loss(study.ngrams)
fitted = study.fitted  # the runs of study.since tokens or more
for name, form in forms(U).items():
    law = fit_surface(fitted.N, fitted.D, fitted.loss, form=form)
    print(f"{name:7} {law.formula}, rms {100 * law.residual_rms:.2f} %")

# %% [markdown]
# Every form describes the runs that it was fitted to more or less; the BIC weighs how closely against the number of constants.
# The harder test: hide the settings that took most compute, fit again, and see.

# %%
display(words.forms_table(study), Markdown(words.forms_said(study)))

# %% [markdown]
# That is the law of this chapter from here on.
# At first the form with the lowest BIC was the law of this book, and larger models were predicted by it.
# Those predictions failed, and those of the form that comes nearest to hidden settings held ({doc}`11_predictions`); since then that is the judge.

# %% mystnb={"figure": {"name": "fig-compute-misses", "caption": "How far the mean of each setting lies from the law in each form, against the exact training FLOPs of a run. Grey: ± two standard errors of such a mean by its seeds."}}
misses_figure(words.called(study.misses), noise=study.noise, title=words.misses_title(study))

# %% mystnb={"figure": {"name": "fig-compute-grid", "caption": "Validation loss against model size for each amount of text, means over seeds with bars of ± one standard deviation, and the law of the best form, where it is fitted. Dotted: the best n-gram of the same text."}}
grid_figure(
    runs,
    study.best.surface,
    study.floors,
    title=words.grid_title(study),
    since=study.since,
)

# %% [markdown]
# ## What the constants say
#
# Their intervals are by bootstrap over seeds, widened by the misfit where that is more than chance.
# That takes minutes, and is done once, by `tinylm report`.

# %%
display(words.constants_table(study), Markdown(words.constants_said(study)))

# %% [markdown]
# And from where on one fits moves them, the exponent of the text most:

# %%
words.starts_table(study)

# %% [markdown]
# ## On news
#
# Is any of this true of another text?
# Five sizes and the same amounts of AG News, by the recipe as it is: no rate was tuned on news ({doc}`05_recipe` tells what that costs).

# %%
news, note = shown(news_study, "grid_ag_news", profile)
display(Markdown(note + words.runs_said(news)), words.forms_table(news))

# %% mystnb={"figure": {"name": "fig-compute-news", "caption": "Loss against model size for each amount of AG News, means over seeds with bars of ± one standard deviation, and the law of the form that comes nearest to hidden settings. Dotted: the best n-gram."}}
grid_figure(
    news.runs, news.best.surface, news.floors, title=words.grid_title(news), since=news.since
)

# %%
display(
    words.constants_table(news),
    Markdown(f"{words.forms_said(news)}\n\n{words.beside_said(study, news)}"),
)

# %% [markdown]
# ## How sure could it be?
#
# That need not be found out by training.
# If the law is true and runs scatter as they do, the derivatives $J$ of $\log L$ by the constants, one row a setting, tell their covariance beforehand: $(J^\top J/\sigma^2)^{-1}$, where $\sigma$ is the standard error of a setting's mean.

# %%
best = study.best.surface
means = fitted.groupby(["N", "asked"], as_index=False).loss.agg(["mean", "count"])
noise = settings_of_runs(fitted).noise_at(best.loss(means.N, means.asked))  # of a run
told = expected_errors(best, means.N, means.asked, noise / np.sqrt(means["count"]))
print({name: f"± {1.96 * error:.3f}" for name, error in told.items()})

# %% [markdown]
# So one can shop for a grid before paying for it.
# Half the width of each 95% interval, by the law of this chapter:

# %%
display(plans_table(study), Markdown(plans_said(study)))

# %% [markdown]
# ## The best size, read off the runs
#
# Training a model costs about $C = 6ND$ floating-point operations: each parameter that takes part in a matrix product costs a multiply-add forward and two backward for each token.
# Hoffmann et al. gave models of many sizes the same $C$, fitted a parabola in $\log N$ and took its lowest point.
# On a grid nothing has to be trained anew for that: at a budget, each size has its $D$, and the loss there lies between two that were measured.

# %%
count = "n_with_output"  # parameters that take part in products, the output layer among them
points = pd.DataFrame(read_off(fitted, count), columns=["n", "tokens", "seed", "nats"])
points["budget"] = (6 * points.n * points.tokens).round(-3)
parabolas = fit_isoflops(points.n, points.tokens, points.nats)
print(f"the best N grows as C^{parabolas.exponent:.2f}")

# %% mystnb={"figure": {"name": "fig-compute-isoflops", "caption": "Loss against size at each compute budget, read off the grid, means over seeds with bars of ± one standard deviation. Solid: a parabola in log N and its lowest point. Dotted: the law of the best form through all runs."}}
isoflop_figure(points, parabolas, study.with_output.surface, title=words.isoflops_title(study))

# %%
display(
    words.optima_table(study),
    Markdown(words.tokens_said(study)),
)

# %% [markdown]
# ## Kaplan's exponent and Hoffmann's, from the same runs
#
# Kaplan et al. did not count the embedding and the output layer, neither in $N$ nor in $C = 6ND$; Hoffmann et al. did.
# In large models it makes no difference.
# In small ones the output layer can be most of the arithmetic, and the smaller the model, the more of it.
# Nothing else is changed here: the same runs, the same losses, another column for $N$.

# %%
for name, label in COUNTS.items():
    read = pd.DataFrame(read_off(fitted, name), columns=["n", "d", "seed", "loss"])
    print(f"{label:22} N ∝ C^{fit_isoflops(read.n, read.d, read.loss).exponent:.2f}")

# %% mystnb={"figure": {"name": "fig-compute-counts", "caption": "Exponent of the best size by each approach and each count of N, with 95% intervals by bootstrap over seeds where the form holds, and the published values (dashed)."}}
claims = {claim.source.partition(" ")[0]: claim.exponent for claim in WIDER_CLAIMS}
shown_sizes = words.named(study.sizes)
counts_figure(shown_sizes, claims, title=words.counts_title(study))

# %%
display(words.counts_table(study), Markdown(words.counts_said(study)))

# %% [markdown]
# {cite:t}`pearce2024reconciling` derived this from the formulas, and {cite:t}`porian2024resolving` found two more causes in how the models of Kaplan et al. were trained, the warm-up and the rates, which this grid holds still.
#
# ## Look around
#
# Choose a model and how much it reads.
# The curves are the law at the compute that this takes, with its band, and at a tenth and ten times of it; the points are all runs, at the size and loss they have.

# %%
seen = runs.rename(columns={count: "n"})


def place(N, D):
    """A model of N parameters that reads D tokens, at the compute that takes."""
    fit = study.with_output
    loss, best = fit.surface.loss(N, D), fit.surface.optimal(6.0 * N * D)
    title = f"{loss:.2f} nats; best for this compute: "
    title += f"N = {short(best.N)}, {best.loss:.2f} nats"
    return budget_figure(N, D, seen, fit, fit.surface.E, title=title)


# %%
sizes = [10_000, 30_000, 100_000, 300_000, 1_000_000]
tokens = [250_000, 1_000_000, 4_000_000]
explore(place, "A model and what it reads", N=sizes, D=tokens)

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
# The power $g$ and the upper end change nothing: where $Q$ is least, so is the loss.
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
# By the law, for the same loss as at the largest budget:

# %%
law = study.with_output.surface
best = law.optimal(parabolas.flops[-1])
q = law.A / best.N**law.alpha + law.B / best.D**law.beta  # what both withhold, at that loss
n = np.geomspace(best.N / 30, 10 * best.N, 4000)
left = q - law.A * n**-law.alpha  # what may be withheld for want of text
n, left = n[left > 0], left[left > 0]
d = (left / law.B) ** (-1 / law.beta)
used = (6 * n * d + 2 * n * 10 * best.D).argmin()
print(f"N = {short(n[used])} instead of {short(best.N)}, trained on {d[used] / best.D:.1f} times D")

# %% [markdown]
# ```{solution-end}
# ```
#
# ```{exercise} Your own count
# :label: ex-compute-count
#
# Count the input embedding as well, which is a look-up and costs no arithmetic (`n_total`).
# Here it is the same matrix as the output layer.
# What would the exponent be if both were counted separately?
# ```
#
# ```{solution-start} ex-compute-count
# :class: dropdown
# ```

# %%
twice = fitted.assign(n_twice=2 * fitted.n_with_output - fitted.n_non_embedding)
read = pd.DataFrame(read_off(twice, "n_twice"), columns=["n", "d", "seed", "loss"])
print(f"N ∝ C^{fit_isoflops(read.n, read.d, read.loss).exponent:.2f}")

# %% [markdown]
# Smaller still: the more is counted that grows as the width only, and not as its square, the less a larger model seems to be larger.
#
# ```{solution-end}
# ```
