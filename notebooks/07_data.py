# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Data, and the same again
#
# Text runs out before compute does.
# What is more text worth, and what is reading the same text once more?
#
# After this chapter you can say what a doubling of the text is worth to a small model and to a large one, tell the floor of a cut from the entropy of a text, and say how many epochs pay and how surely.
#
# ```{guess} epochs
# :answer: guess_twice_epochs
# :scale: 1 16 0.1
# :unit: " epochs"
# How many epochs of a text are worth as much as twice the text, read once?
# ```
#
# ```{dropdown} More to guess
# 1. Twice the text: does a model of 6 thousand parameters gain more of its loss by it, or one of 900 thousand?
# 2. Fit $L = E + B\,D^{-\beta}$ to each size alone. All of them read the same text. Will $E$ be the same?
# 3. Reading a text four times, against reading four times as much text once: how many nats worse?
#
# The answers stand under the figures below, in this order.
# ```

# %% tags=["parameters"]
profile = "paper"  # whose records are shown

# %% tags=["hide-input"]
import numpy as np
from IPython.display import Markdown, display

from tinylm.laws import fit_power_law, fit_repetition
from tinylm.plots import grid_figure, repetition_figure, use_style
from tinylm.studies import amounts_words
from tinylm.studies import epochs_words as words
from tinylm.studies.amounts import amounts_study
from tinylm.studies.epochs import repeat_study
from tinylm.studies.shown import shown

# %matplotlib inline
use_style()

# %% [markdown]
# ## More text, read once
#
# The runs are those of {doc}`08_compute`: every size with every amount of text, by the recipe of {doc}`05_recipe`.
# Here they are looked at along $D$.

# %%
amounts, note = shown(amounts_study, "grid", profile)
grid = amounts.grid.runs  # a row a run: N, D, asked, seed, loss ...
grid.pivot_table(index="N", columns="asked", values="loss").round(3)  # means over seeds

# %% mystnb={"figure": {"name": "fig-data-amounts", "caption": "Validation loss against training tokens for each model size (N, without embeddings), means over seeds with bars of ± one standard deviation. Lines are the law of the grid, one for all sizes, where it is fitted. Dotted: the best n-gram of the same text."}}
grid_figure(
    grid,
    amounts.grid.best.surface,
    amounts.grid.floors,
    title=amounts_words.amounts_title(amounts),
    since=amounts.grid.since,
    along="asked",
)

# %% [markdown]
# How steep is it, without any law?
# The local exponent is $-\Delta \log L / \Delta \log D$ between neighbouring amounts.

# %%
display(
    amounts_words.slopes_table(amounts),
    Markdown(note + amounts_words.slopes_said(amounts)),
)

# %% [markdown]
# ### A law for each size
#
# Now fit $L = E + B\,D^{-\beta}$ to each size alone, from where on laws are fitted to the grid.

# %%
fitted = amounts.grid.fitted
for n, runs_of_size in fitted.groupby("N"):
    cut = fit_power_law(runs_of_size.D, runs_of_size.loss)
    print(f"N = {n:7,}: L = {cut.E:.2f} + {cut.A:.3g} / D^{cut.alpha:.2f}")

# %%
display(amounts_words.cuts_table(amounts), Markdown(amounts_words.cuts_said(amounts)))

# %% [markdown]
# Published exponents in $D$ are of laws with one $\beta$ for all sizes, as the grid's is, or of one large model.
# The papers' models are larger by a factor of thousands, and read text of another kind.

# %%
amounts_words.exponents_table(amounts)

# %% [markdown]
# ## The same again
#
# Read once, $D$ tokens give $L = E + B\,D^{-\beta}$, at one size.
# Read again, they are worth less.
# Muennighoff et al. {cite:p}`muennighoff2023scaling` say how much less with one more constant.
# Of $U$ unique tokens, read once and then repeated $R$ times,
#
# $$D' = U + U\,R^*\left(1 - e^{-R/R^*}\right)$$
#
# count.
# The first repetitions are worth nearly as much as new text, and all repetitions together at most $R^*$ times the unique text.
# That every repetition is worth a fixed share less than the one before is an assumption; the runs will tell.
#
# The runs of this section had the first recipe of this book ({doc}`05_recipe`).
# The weight decay of the later one was tuned on text that is read at most twice; how much decay more epochs need is another experiment.
#
# A text, twice, four, eight and sixteen times as much, each read as often as the largest budget allows.
# Every run has its own schedule, that ends with it.

# %%
study, note = shown(repeat_study, "data_epochs", profile)
runs = study.runs  # unique_tokens, tokens, epochs, seed, nats, ...
Markdown(
    note + f"{len(runs)} runs of {runs['n_non_embedding'].iloc[0]:,} parameters in their blocks."
)

# %% [markdown]
# For any $R^*$ the best $E$, $B$ and $\beta$ are those of a power law in $D'$, so that the fit searches over $R^*$ alone.

# %%
law = fit_repetition(runs["unique_tokens"], runs["tokens"], runs["nats"])
print(f"L = {law.E:.3f} + {law.B:.0f} / D'^{law.beta:.3f}, R* = {law.R_star:.2f}")
print(f"runs lie {100 * law.residual_rms:.1f} % from it")

# %% mystnb={"figure": {"name": "fig-data-repeats", "caption": "Validation loss against training tokens for several numbers of unique tokens, means over seeds with bars of ± one standard deviation. Lines are the law fitted to all of them at once; dashed is what it says of text that is never read twice."}}
repetition_figure(runs, study.law, title=words.repeats_title(study))

# %%
display(words.losses_table(study), Markdown(words.losses_said(study)))

# %% [markdown]
# ### What epochs are worth

# %%
display(Markdown(words.repeats_said(study)), words.worth_table(study))

# %% [markdown]
# ### A prediction of the most epochs
#
# A law is to be judged on runs that it was not fitted on.
# So fit it again without those that repeat most, and let it say what they gave.

# %%
words.held_out_table(study)

# %% [markdown]
# ## Learning by heart
#
# What happens to the model meanwhile shows in the distance between the loss on the text that it reads and on text that it has never seen.

# %%
gaps = runs.assign(gap=runs["nats"] - runs["train_nats"])
shortest = gaps[gaps["unique_tokens"] == gaps["unique_tokens"].min()]
display(shortest.groupby("tokens")[["epochs", "train_nats", "nats", "gap"]].mean().round(2))
Markdown(words.by_heart_said(study))

# %% [markdown]
# The training loss is taken on batches as they are read, so it lags behind and is noisier.
#
# ## Exercises
#
# ```{exercise} An entropy from one model
# :label: ex-data-entropy
#
# Somebody trains one model on more and more text, fits $L = E + B\,D^{-\beta}$ and publishes $E$ as the entropy of that text.
# What would a second model size show?
# Which way is the published number off?
# ```
#
# ```{solution} ex-data-entropy
# :class: dropdown
#
# Another $E$, lower for a larger model: each size ends at the entropy and what that size withholds, $E + A\,N^{-\alpha}$ in the sum of two powers.
# So one cut gives an upper bound of the entropy, as any model's loss does, and the smaller the model, the further off it is.
# ```
#
# ```{exercise} Half of new text
# :label: ex-data-half
#
# After how many epochs is one more worth half of what new text would be?
# ```
#
# ```{solution-start} ex-data-half
# :class: dropdown
# ```
#
# $\mathrm{d}D'/\mathrm{d}(UR) = e^{-R/R^*}$ is one half at $R = R^* \ln 2$ repetitions.

# %%
print(f"after {1 + law.R_star * np.log(2):.1f} epochs")

# %% [markdown]
# ```{solution-end}
# ```
#
# ```{exercise} Twice the text
# :label: ex-data-twice
#
# How many epochs are worth as much as twice the text read once?
# When can no number of epochs do that?
# ```
#
# ```{solution-start} ex-data-twice
# :class: dropdown
# ```
#
# $R^*(1 - e^{-R/R^*}) = 1$ gives $R = -R^* \ln(1 - 1/R^*)$, which exists if $R^* > 1$.

# %%
if law.R_star > 1:
    print(f"{1 - law.R_star * np.log(1 - 1 / law.R_star):.2f} epochs")

# %% [markdown]
# ```{solution-end}
# ```
