# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Context length
#
# A longer context lets a model look further back.
# It also makes every token dearer, so that the same compute buys fewer of them.
# Is it worth its price?
#
# After this chapter you can compare contexts at equal compute, split a difference in loss into what was gained and what was paid, and say whether three seeds resolve it.
#
# The runs of this chapter had the first recipe of this book ({doc}`05_recipe`), which treats wide models worse than narrow ones.
#
# ```{guess} context
# :answer: guess_context_percent
# :scale: 0 60 1
# :unit: " %"
# Four contexts, from 128 to 1,024 tokens, the same model, the same FLOPs.
# How many per cent higher is the loss of the worst than that of the best?
# ```
#
# ```{dropdown} More to guess
# Which of the four has the lowest validation loss?
# And before that: what would you need to know about the *text* to guess well?
#
# The second question is the better one.
# The section on the length of the stories answers it; the figure after it answers the first.
# ```

# %% tags=["parameters"]
profile = "paper"  # whose records are shown: smoke, quick or paper

# %% tags=["hide-input"]
import numpy as np
import pandas as pd
from IPython.display import Markdown
from scipy import stats

from tinylm.batches import validation_windows
from tinylm.corpora.token_files import prepare
from tinylm.plots import (
    missing_context_figure,
    one_length_figure,
    seen_tokens_figure,
    use_style,
)
from tinylm.store import Store
from tinylm.studies import context_words
from tinylm.studies.context import (
    Positions,
    context_scaling_figure,
    context_shares,
    context_study,
    differences_figure,
    lengths_figure,
    position_figure,
    split_change,
    split_figure,
    splits,
    welch,
)
from tinylm.studies.runs import load_runs
from tinylm.studies.shown import shown
from tinylm.sweeps.declare import load_experiment, tokens_for
from tinylm.widgets import explore

# %matplotlib inline
use_style()

# %% [markdown]
# ## The claim under test
#
# Written down before any run of this chapter was trained: **returns diminish beyond 512 tokens of context.**
# We hold two readings of it against the measurement.
#
# - The *weak* reading: the step from 512 to 1,024 gains less than the step from 256 to 512.
# - The *strong* reading: the step from 512 to 1,024 gains nothing.
#
# ## Equal compute
#
# A fair comparison must fix something.
# With fixed *tokens*, the longer context gets more compute.
# With fixed 6ND, it gets attention for nothing, because 6ND does not count it.
# Here every run spends the same exact FLOPs, attention and output layer included.
# So a longer context is paid for with training tokens.

# %%
runs = load_runs("context_length", profile)  # a row per run: D, C, loss ...
runs.groupby("context_length")[["N", "D", "C"]].first()

# %% tags=["hide-input"]
study = context_study(Store(profile))
context_words.costs_table(study)

# %% tags=["hide-input"]
Markdown(context_words.setting_said(study))

# %% [markdown]
# ## Equal judgement
#
# Every validation document is read from its beginning, and every token of it is scored once, by all models.
# A document longer than the context is read in windows that overlap by half.
# A token is scored in the first window that holds it, where it has most to look back on.
#
# Here is what that means for one long story and a context of 128.

# %%
story = prepare("fables", "bpe-512").validation.head(1)
seen = np.zeros(story.n_tokens, dtype=int)  # by each token: how many before it
for batch in validation_windows(story, 128, 0.5, rows=8):
    for row, column in np.argwhere(batch.scored):
        seen[batch.position_in_document[row, column]] += column + 1
assert (seen[:128] == np.arange(1, 129)).all()  # all at first; each token once
fewest, most = seen[128:].min(), seen[128:].max()
print(f"past token 128, from {fewest} to {most} tokens are seen")

# %% mystnb={"figure": {"name": "fig-context-windows", "caption": "How many tokens before it a model with a context of 128 sees when it predicts each token of a long document: all of them at first, then between half a context and a whole one."}}
seen_tokens_figure(
    seen,
    context=128,
    title=f"Past token 128, a context of 128 shows {fewest} to {most} tokens",
)

# %% [markdown]
# ## How long are the stories?
#
# A token at position 200 has 200 tokens before it.
# For that token, contexts of 256 and 1,024 are the same.
# **Only tokens beyond position $T$ can gain from a context longer than $T$**, and how many there are is a fact about the text, not about the model.

# %%
positions = Positions.of(study.records)  # losses by position in the document
beyond = {T: positions.beyond(T) for T in positions.contexts}  # shares of tokens
pd.Series(beyond, name="share of tokens beyond").rename_axis("position").round(3)

# %% mystnb={"figure": {"name": "fig-document-length", "caption": "Share of validation documents that are at least so long, from the number of tokens scored at each position; vertical lines mark the contexts of the experiment, with the share of all tokens that lie beyond each."}}
lengths_figure(positions)

# %% [markdown]
# Guess again, now that you know the stories.
#
# ## The measurement

# %% mystnb={"figure": {"name": "fig-context-length", "caption": "Validation loss against context length, every run spending the same exact training FLOPs: each run, and the mean and standard deviation over seeds. Dotted: the best n-gram baseline."}}
context_scaling_figure(study)

# %%
short, long = positions.contexts[:2]
one, other = (runs.loss[runs.context_length == T].to_numpy() for T in (short, long))
change = welch((1.0, other), (-1.0, one))  # spreads may differ: Welch's interval
print(f"{short} → {long}: {change.value:+.3f} ± {change.half:.3f} nats per token")

# %% tags=["hide-input"]
steps = splits(positions)
context_words.losses_table(study, steps)

# %% tags=["hide-input"]
Markdown(context_words.best_said(study))

# %% [markdown]
# An average hides who gained.
# So look at the same losses position by position.

# %% mystnb={"figure": {"name": "fig-context-positions", "caption": "Loss against the position of the token in its document, mean over seeds, for each context length. Up to position T, a context of T sees everything that a longer one sees."}}
position_figure(study)

# %% tags=["hide-input"]
Markdown(context_words.along_said(positions, context_words.best_context(study)[0]))

# %% [markdown]
# Up to position $T$ a model with context $T$ sees all there is, and a longer context shows it nothing more.
# There two models differ only in what training left them with: the longer context had fewer tokens to learn from, in longer windows and so fewer of them in a step.
# Beyond $T$ the longer context also sees more.
# To see the differences by themselves, we take the losses of the shortest context away.

# %% mystnb={"figure": {"name": "fig-context-differences", "caption": "The same losses as differences from the shortest context (mean over seeds; bands: one standard deviation of the mean). Dashed: the length of each context, from which on it no longer sees all. Below zero is better than the shortest context."}}
differences_figure(positions)

# %% [markdown]
#
# ## What was gained and what was paid
#
# The loss is a mean over tokens, so a difference between two contexts $T_1 < T_2$ splits exactly into two parts: tokens before position $T_1$, and tokens from there on.
# In the first part both see everything, and the difference is what the other training did.
# That is the price of the longer context: fewer tokens, and batches of fewer, longer windows.
# (How much each of the two costs, this experiment cannot say.)
# In the second part the longer context pays it too, and gains from seeing further.
#
# To split the second part once more takes an assumption: that the price is, per token, the same late in a document as early.
# What is left is then the gain from the tokens that only the longer context sees.


# %%
late = positions.first >= short  # where the shorter context does not see all
share = positions.beyond(short)
early_change, late_change = (
    positions.mean_loss(long, part).mean() - positions.mean_loss(short, part).mean()
    for part in (~late, late)
)  # nats per token of that part
price = early_change  # of every token, if late ones pay what early ones do
gain = share * (late_change - early_change)
print(f"price {price:+.3f}, seeing further {gain:+.3f}, sum {price + gain:+.3f}")

# %%
split = split_change(positions, short, long)  # the same, with intervals
assert np.allclose([split.price, split.gain.value], [price, gain])
assert np.isclose(split.change.value, price + gain)
steps = splits(positions)  # for each doubling
context_words.split_table(steps)

# %% mystnb={"figure": {"name": "fig-context-split", "caption": "Each doubling of the context, split into the price (fewer training tokens, in longer windows) and the effect of seeing further, assuming the same price per token at all positions, with 95% intervals of the second and of the sum. Below zero is better."}}
split_figure(steps)

# %% tags=["hide-input"]
Markdown(context_words.split_said(steps))

# %% [markdown]
# ## The claim against the measurement

# %% tags=["hide-input"]
Markdown(context_words.claim_said(study, positions))

# %% [markdown]
# ## Where the floor is known
#
# On natural text nobody can say how much of a loss is missing context, for nobody knows what the rest is.
# On `fables` the floor is known ({doc}`10_floor`): a model that sees the whole document and has learnt the source has no excess.
# So train the same model on the same number of tokens with four contexts, and split what it has above the floor.
# Up to position $T$ a context of $T$ misses nothing.
# Beyond, what it loses against the longest context, which holds whole documents, is context that was not there.

# %%
shares, note = shown(context_shares, "context_fables", profile)
shares.round(3)

# %% mystnb={"figure": {"name": "fig-context-missing", "caption": "Loss above the true floor of fables against context length, at the same number of training tokens: what is missing context, with its 95% interval, and the rest, which the model has not learnt. Means over seeds."}}
title = context_words.shares_title(shares)
missing_context_figure(shares.set_index("context_length"), title=title)

# %% tags=["hide-input"]
Markdown(note + context_words.shares_said(shares))

# %% [markdown]
# This is one budget, one width, one corpus, and one learning rate for all contexts.
# With more compute the price falls: the last tokens of a long training teach less than the first.
# With longer documents there is more to gain.
# A context that starts short and grows during training may have both {cite}`press2021shortformer`.
#
# ## What if the documents were shorter or longer?
#
# The losses by position allow a guess.
# Suppose all documents were $L$ tokens long, and like the first $L$ tokens of those we have.
# Then the loss would be the plain mean over positions 1 to $L$.

# %%
lengths = [L for L in (64, 128, 256, 512, 1024) if L in positions.first]
by_length = {L: positions.if_documents_had(L) for L in lengths}
means = pd.DataFrame(by_length).map(np.mean)  # a column per length
means.round(3).rename_axis("context")

# %%
span = means.to_numpy().min(), means.to_numpy().max()


def documents_of(length):
    """Loss against context if every document were of one length."""
    title = context_words.one_length_title(by_length[length], length)
    return one_length_figure(by_length[length], span, title=title)


explore(documents_of, "If every document were of one length", length=lengths)

# %% tags=["hide-input"]
Markdown(context_words.lengths_said(positions, lengths))

# %% [markdown]
# ## Exercises
#
# ```{exercise} The next doubling
# :label: ex-context-next
#
# How many training tokens would the same budget buy with a context of 2,048, in whole steps of 2,048 tokens?
# What share of the validation tokens could gain from it?
# ```
#
# ```{solution-start} ex-context-next
# :class: dropdown
# ```

# %%
budget = load_experiment("context_length").profiles[profile].flops
config, longest = study.records[-1].config, positions.contexts[-1]
model = config.model.model_copy(update={"context_length": 2 * longest})
longer = config.model_copy(update={"model": model, "batch_tokens": 2 * longest})
print(
    f"{tokens_for(longer, budget):,} tokens, against {config.tokens:,}\n"
    f"{100 * positions.beyond(longest):.1f} % of tokens stand beyond {longest:,}"
)

# %% [markdown]
# Fewer tokens to learn from, and next to no token that could gain.
# You need not train this model to advise against it.
#
# ```{solution-end}
# ```
#
# ```{exercise} Fixed tokens instead
# :label: ex-context-tokens
#
# Somebody repeats this experiment with the same number of training tokens for every context.
# Which way do the losses of the long contexts move against ours?
# Would the result be wrong?
# ```
#
# ```{solution} ex-context-tokens
# :class: dropdown
#
# The long contexts would see more tokens than here, so their losses would be lower, and the price would vanish from the split.
# The result would be right, and answer another question: what a longer context is worth when it costs nothing.
# ```
#
# ```{exercise} A cheaper way to look far
# :label: ex-context-window
#
# With a sliding window of 128 in every layer (chapter 2, first exercise), attention costs as much as with a context of 128.
# How far back can two such layers look?
# Where in the figure of losses by position would such a model, trained on windows of 1,024, differ from the context of 128?
# ```
#
# ```{solution} ex-context-window
# :class: dropdown
#
# Two layers reach back 2 · 127 tokens.
# So from position 128 on it could gain on the context of 128, which sees only 64 to 128 tokens there, without paying for it in training tokens.
# Before position 128 the two would be alike.
# ```
#
# ```{exercise} Paired seeds
# :label: ex-context-paired
#
# Runs of one seed share their first weights and the order of their documents.
# Compute the interval of the step from the shortest context to the next from *differences within seeds*, by Student's t.
# When would that be narrower than Welch's?
# ```
#
# ```{solution-start} ex-context-paired
# :class: dropdown
# ```

# %%
wide = runs.pivot(index="seed", columns="context_length", values="loss").dropna()
paired = (wide[long] - wide[short]).to_numpy()
half = stats.t.ppf(0.975, len(paired) - 1) * stats.sem(paired)
pairs = {"paired": (paired.mean(), half), "Welch": change}
pd.DataFrame(pairs, index=["change", "±"]).T.round(3)

# %% [markdown]
# Pairing takes out what the runs of a seed have in common.
# It pays for that with degrees of freedom: 2 for three pairs, where Student's factor is 4.3; Welch has up to 4, where it is 2.8.
# So it is narrower only if runs of one seed are alike enough.
#
# ```{solution-end}
# ```
