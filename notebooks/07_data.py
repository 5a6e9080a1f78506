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
# After this chapter you can fit a law in tokens, say how many epochs pay and how surely, and tell a model that has run out of text from one that has not.
#
# The runs of this chapter had the first recipe of this book ({doc}`05_recipe`), which treats wide models worse than narrow ones.
#
# ```{dropdown} Guess before you read on
# One model, 98 thousand parameters in its blocks.
#
# 1. Reading a text four times, against reading four times as much text once: how many nats worse?
# 2. How many epochs of a text are worth as much as twice the text?
# 3. At fifteen epochs, has the validation loss begun to rise?
#
# The answers stand under the figures below, in this order.
# ```

# %% tags=["parameters"]
profile = "paper"  # whose records are shown

# %% tags=["hide-input"]
import numpy as np
from IPython.display import Markdown, display

from tinylm.laws import fit_power_law, fit_repetition
from tinylm.plots import repetition_figure, use_style
from tinylm.studies import epochs_words as words
from tinylm.studies.epochs import repeat_study
from tinylm.studies.shown import shown

# %matplotlib inline
use_style()

# %% [markdown]
# ## The law to be tested
#
# Read once, $D$ tokens give $L = E + B\,D^{-\beta}$.
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
# ## The runs
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
# ## More text, read once

# %%
once = runs[runs["epochs"] <= 1]
fresh = fit_power_law(once["tokens"], once["nats"])
print(f"L = {fresh.E:.3f} + {fresh.A:.0f} / D^{fresh.alpha:.3f}")
words.data_laws_table(study)

# %% [markdown]
# The papers' models are larger by a factor of thousands, and read text of another kind.
# At one model size $E$ holds also what the size withholds, so this is no entropy of the text.
#
# ## The same again

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
