# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Verdict
#
# What did we come to believe, and what would a published number have told us?
#
# Every claim that this book has measured stands here in one table: the number that was published, or known, and ours with its interval.
# After it you can say which of the famous exponents hold at a ten-thousandth of the size, and which of the differences are explained by how one fits.
#
# ```{guess} claims
# :answer: guess_claims_percent
# :scale: 0 100 1
# :unit: " %"
# How many per cent of the claims below lie within two standard errors of what was measured?
# ```
#
# ```{dropdown} More to guess
# 1. Kaplan's 0.076 and Hoffmann's 0.34 are exponents of the same thing. Can one set of runs give both?
# 2. How far off were our own predictions?
#
# The answers stand under the tables below, in this order.
# ```

# %% tags=["parameters"]
profile = "paper"  # whose records are shown

# %% tags=["hide-input"]
import pandas as pd
from IPython.display import Markdown, display

from tinylm.laws import fit_power_law
from tinylm.plots import use_style
from tinylm.store import Store
from tinylm.studies import verdict_words as words
from tinylm.studies.runs import load_runs
from tinylm.studies.verdict import size_exponents, verdicts

# %matplotlib inline
use_style()

# %% [markdown]
# ## Claim by claim
#
# How far a number lies from what was claimed says little without a measure.
# Here it is the standard error of both: ours, from our interval, and theirs, where the paper gives one; of a prediction, that of the prediction.
# Two numbers within two of these cannot be told apart.
# That is no proof of the claim, least of all where the interval is wide; and far off means that ours is another number, not that theirs is wrong where they measured.
# Where our runs do not follow the law that the number belongs to (a misfit above 3), there is nothing to compare.

# %% tags=["hide-input"]
store = Store(profile)

# %%
verdict = verdicts(store)
for one in verdict.by_distance[: min(3, len(verdict.told))]:
    print(f"{one.claim} ({one.source}): {one.distance:+.1f} standard errors")

# %% mystnb={"figure": {"name": "fig-verdict", "caption": "Every claim, our predictions first: what was measured less what was claimed, in standard errors of both together, on an axis that is logarithmic beyond two. Grey: within two."}}
words.claims_figure(verdict)

# %%
display(words.claims_table(verdict), Markdown(words.claims_said(verdict)))

# %% [markdown]
# The claims are those of {cite:t}`kaplan2020scaling`, {cite:t}`hoffmann2022training`, {cite:t}`besiroglu2024chinchilla`, {cite:t}`muennighoff2023scaling` and {cite:t}`hutter2021learning`.
# Where each was measured: sizes in {doc}`06_model_size`, data and repetition in {doc}`07_data`, compute in {doc}`08_compute`, context in {doc}`09_context_length`, tails in {doc}`10_floor`, predictions in {doc}`11_predictions`.
# Exponents of laws in size and text together are held against the law of the same form through the whole grid, not against a cut.
#
# ## Why they differ
#
# ### One set of runs, many exponents
#
# Kaplan et al. fitted no floor and counted no embeddings.
# Hoffmann et al. fitted a floor and counted everything.
# Do both to the same runs:

# %%
runs = load_runs("model_size", profile)
counts = ["n_non_embedding", "n_with_output", "n_total"]
exponents = {
    "a fitted floor": [fit_power_law(runs[n], runs["loss"]).alpha for n in counts],
    "no floor": [fit_power_law(runs[n], runs["loss"], floor=0.0).alpha for n in counts],
}
pd.DataFrame(exponents, index=counts).round(3)

# %% [markdown]
# With intervals, and for the largest sizes alone:

# %%
table = size_exponents(store)
display(words.exponents_table(table), Markdown(words.exponents_said(table)))

# %% [markdown]
# {cite:t}`pearce2024reconciling` trace most of the difference between Kaplan's law and Hoffmann's to the count of N, which matters most for small models.
# And losses that do end at a floor bend on logarithmic axes when it is left out: the top of the range is flatter than the whole, and whoever fits larger models sees a smaller exponent.
#
# ### A fitted floor is no entropy
#
# Along one axis the loss ends above the entropy: what the other axis withholds stays, and E takes it in.
# {doc}`07_data` shows it for sizes that all read one text, {doc}`10_floor` where the entropy is known.
# So no floor of a cut stands among the claims above.
# A law through both axes is the remedy, if its form is right; {doc}`08_compute` shows how much hangs on the form.
#
# ### Theories of tails
#
# Knowledge in pieces explains how the facts of a world are learnt once a model has begun to learn them.
# Small models have not: what they learn first is grammar, lists and copying, which no tail spreads.
#
# ### Our own predictions

# %%
Markdown(words.predictions_said(store))

# %% [markdown]
# ## How good is your intuition?
#
# What you guessed in this book, and what was measured; it is kept in your browser and nowhere else.
#
# ```{guesses}
# ```
#
# ## Exercises
#
# ```{exercise} Choose your exponent
# :label: ex-verdict-choose
#
# A paper reports an exponent of 0.05 for models of 10 to 100 billion parameters, without a floor.
# Does that contradict 0.34 with a floor?
# ```
#
# ```{solution} ex-verdict-choose
# :class: dropdown
#
# Not by itself.
# For $L = E + A N^{-\alpha}$ the slope on logarithmic axes is $-\alpha\,(L - E)/L$.
# With $\alpha = 0.34$ it is 0.05 where 15% of the loss lies above the floor, and it goes on falling from there.
# ```
#
# ```{exercise} Which claim would you test next?
# :label: ex-verdict-next
#
# Take one claim that lies far off, and say which run would tell whether scale, text or method is to blame.
# ```
#
# ```{solution} ex-verdict-next
# :class: dropdown
#
# Change one of the three and hold the others.
# Method costs nothing: fit the records in `results/paper/runs` the paper's way.
# Text costs a corpus: `tinylm sweep` runs an experiment on any that `data.corpus` names.
# Scale costs compute, and so comes last.
# ```
