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
# ```{dropdown} Guess before you read on
# Four contexts, 128, 256, 512 and 1,024 tokens, the same model, the same FLOPs.
# Which has the lowest validation loss?
# And before that: what would you need to know about the *text* to guess well?
#
# The second question is the better one.
# The section on the length of the stories answers it; the figure after it answers the first.
# ```

# %% tags=["parameters"]
profile = "paper"  # whose records are shown: smoke, quick or paper

# %% tags=["hide-input"]
import math
from itertools import pairwise

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from IPython.display import Markdown, display
from matplotlib.figure import Figure
from scipy import stats

from tinylm.batches import prepare, validation_windows
from tinylm.laws.published import CONTEXT_CLAIM
from tinylm.plots import (
    BLUE,
    GREEN,
    INK,
    NATS,
    PALETTE,
    QUIET,
    VERMILION,
    missing_context_figure,
    use_style,
)
from tinylm.studies.context import context_shares
from tinylm.studies.figures import context_scaling_figure, position_figure
from tinylm.studies.size import context_study
from tinylm.sweeps.declare import load_experiment, shown, tokens_for
from tinylm.widgets import explore

# %matplotlib inline
use_style()


def say(text: str) -> None:
    """Show a sentence with numbers that were measured above."""
    display(Markdown(text))


def signed(change, half=None, digits=3):
    """A change with its sign, and half its interval if given."""
    text = f"{change:+.{digits}f}".replace("-", "−")
    return text if half is None else f"{text}\u00a0±\u00a0{half:.{digits}f}"


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

# %% tags=["hide-input"]
study = context_study(profile)
contexts = study.by("context_length")
records = [record for record in study.records if record.validation is not None]
config = {record.config.model.context_length: record.config for record in study.records}
lengths = sorted(config)
steps = {record.config.model.context_length: record.steps for record in study.records}
sample = study.records[0]
n_layers, d_model = sample.config.model.n_layers, sample.config.model.d_model

rows = {}
for row in contexts.itertuples():
    per_token = row.flops_exact / row.tokens
    attention = 6.0 * n_layers * d_model * (row.context_length + 1)
    rows[row.context_length] = {
        "FLOPs a token": f"{per_token:,.0f}",
        "of it attention (%)": f"{100 * attention / per_token:.0f}",
        "training tokens": f"{row.tokens:,}",
        "steps": f"{steps[row.context_length]:,}",
        "sequences a step": config[row.context_length].batch_size,
        "FLOPs in all": f"{row.flops_exact:.3g}",
    }
display(pd.DataFrame(rows).T.rename_axis("context (tokens)"))
first, last = contexts.iloc[0], contexts.iloc[-1]
say(
    f"Profile `{profile}`, corpus `{study.corpus}`, N = {first['n_non_embedding']:,.0f} in every "
    f"run: a context does not change the number of parameters. "
    f"A step always holds {sample.config.batch_tokens:,} tokens. "
    f"A context of {lengths[-1]:,} leaves {100 * last['tokens'] / first['tokens']:.0f}% of the "
    f"tokens that a context of {lengths[0]:,} can afford."
)

# %% [markdown]
# ## Equal judgement
#
# Every validation document is read from its beginning, and every token of it is scored once, by all models.
# A document longer than the context is read in windows that overlap by half.
# A token is scored in the first window that holds it, where it has most to look back on.
#
# Here is what that means for one long story and a context of 128.

# %% mystnb={"figure": {"name": "fig-context-windows", "caption": "How many tokens before it a model with a context of 128 sees when it predicts each token of a long document: all of them at first, then between half a context and a whole one."}} tags=["hide-input"]
fables = prepare("fables", "bpe-512").validation
one_story = fables.head(1)
available = {}
for batch in validation_windows(one_story, 128, 0.5, rows=8):
    for row in range(len(batch.inputs)):
        for column in np.flatnonzero(batch.scored[row]):
            position = int(batch.position_in_document[row, column])
            assert position not in available  # scored once
            available[position] = int(column) + 1
assert len(available) == one_story.n_tokens  # and none left out

figure, axes = plt.subplots(figsize=(6.6, 2.6))
places = np.array(sorted(available)) + 1
axes.plot(places, places, color=QUIET, linewidth=1, label="all there is")
axes.plot(places, [available[p - 1] for p in places], color=BLUE, label="seen with context 128")
axes.set_ylim(0, 300)
axes.set_xlabel("position in the document (tokens)")
axes.set_ylabel("tokens seen")
axes.set_title(
    f"Past token 128, a context of 128 shows {min(v for p, v in available.items() if p >= 128)} "
    f"to 128 tokens",
    loc="left",
    fontweight="bold",
)
axes.legend(loc="upper right")
plt.show()

# %% [markdown]
# ## How long are the stories?
#
# A token at position 200 has 200 tokens before it.
# For that token, contexts of 256 and 1,024 are the same.
# **Only tokens beyond position $T$ can gain from a context longer than $T$**, and how many there are is a fact about the text, not about the model.

# %% tags=["hide-input"]
bins = pd.DataFrame([part.model_dump() for part in records[0].validation.by_position])
for record in records:  # all runs are judged on the same tokens
    assert [part.tokens for part in record.validation.by_position] == bins["tokens"].tolist()
n_documents, n_tokens = records[0].validation.documents, int(bins["tokens"].sum())
width = bins["last"] - bins["first"] + 1
reaching = bins["tokens"] / width / n_documents  # share of documents, mean over a bin
position = np.sqrt(bins["first"] * bins["last"])
beyond = {T: bins.loc[bins["first"] >= T, "tokens"].sum() / n_tokens for T in lengths}

# %% mystnb={"figure": {"name": "fig-document-length", "caption": "Share of validation documents that are at least so long, from the number of tokens scored at each position; vertical lines mark the contexts of the experiment, with the share of all tokens that lie beyond each."}} tags=["hide-input"]
figure, axes = plt.subplots(figsize=(6.6, 3.0))
axes.step(position, 100 * reaching, where="mid", color=INK)
for colour, T in zip(PALETTE, lengths, strict=False):
    label = f"beyond {T:,}: {100 * beyond[T]:.1f}% of tokens"
    axes.axvline(T, color=colour, linestyle=(0, (4, 2)), linewidth=1.4, label=label)
axes.set_xscale("log", base=2)
ticks = [t for t in (16, 32, 64, 128, 256, 512, 1024, 2048) if t <= bins["last"].max()]
axes.set_xticks(ticks, [f"{t:,}" for t in ticks])
axes.legend(loc="lower left")
axes.set_xlim(16, max(float(bins["last"].max()), 1.05 * lengths[-1]))
axes.set_xlabel("length of the document (tokens)")
axes.set_ylabel("documents at least\nso long (%)")
axes.set_title(
    f"Only {100 * beyond[lengths[-2]]:.0f}% of all tokens stand beyond position {lengths[-2]:,}"
    if beyond[lengths[-2]] < 0.25
    else f"{100 * beyond[lengths[-2]]:.0f}% of all tokens stand beyond position {lengths[-2]:,}",
    loc="left",
    fontweight="bold",
)
plt.show()

# %% [markdown]
# Guess again, now that you know the stories.
#
# ## The measurement

# %% mystnb={"figure": {"name": "fig-context-length", "caption": "Validation loss against context length, every run spending the same exact training FLOPs: each run, and the mean and standard deviation over seeds. Dotted: the best n-gram baseline."}} tags=["hide-input"]
context_scaling_figure(study)

# %% tags=["hide-input"]


def welch(*terms):
    """Sum of weight · mean(group), and half of its 95% interval, by Welch and Satterthwaite."""
    estimate = sum(weight * group.mean() for weight, group in terms)
    parts = np.array([weight**2 * group.var(ddof=1) / len(group) for weight, group in terms])
    shares = parts**2 / np.array([len(group) - 1 for _, group in terms])
    freedom = parts.sum() ** 2 / shares.sum()
    return estimate, stats.t.ppf(0.975, freedom) * math.sqrt(parts.sum())


def verdict(change, half):
    """In a word or two: what an interval of a difference says."""
    if abs(change) <= half:
        return "not resolved"
    return "falls" if change < 0 else "rises"


done = study.finished
by_context = {T: part["nats"].to_numpy() for T, part in done.groupby("context_length")}
pairs = list(pairwise(lengths))
changes = {(a, b): welch((1.0, by_context[b]), (-1.0, by_context[a])) for a, b in pairs}

floor = study.best_floor
table = pd.DataFrame(
    {
        "training tokens": contexts["tokens"].map("{:,}".format),
        "loss (nats a token)": [
            f"{m:.3f}\u00a0±\u00a0{s:.3f}"
            for m, s in zip(contexts["nats"], contexts["nats_std"], strict=True)
        ],
        "bits per byte": contexts["bits_per_byte"].map("{:.3f}".format),
        "change from the context before (95%)": [
            "",
            *(signed(*change) for change in changes.values()),
        ],
        "the loss": ["", *(verdict(*value) for value in changes.values())],
    },
)
table.index = pd.Index([f"{T:,}" for T in contexts["context_length"]], name="context (tokens)")
display(table)

best = int(contexts.loc[contexts["nats"].idxmin(), "context_length"])
rivals = [
    T
    for T in lengths
    if best != T and verdict(*welch((1.0, by_context[T]), (-1.0, by_context[best]))) != "rises"
]
against = (
    "and the seeds set it apart from each of the others"
    if not rivals
    else f"but the seeds do not set it apart from {' and '.join(f'{T:,}' for T in rivals)}"
)
say(
    f"**At this budget the lowest mean loss is that of a context of {best:,}**, {against} "
    f"(Welch's interval for the difference of two means, 95% each, "
    f"{contexts['n_seeds'].min()} seeds a context). "
    f"The best n-gram baseline, of order {floor.order}, has {floor.nats_per_token:.3f} nats; "
    f"it looks back on {floor.order - 1} tokens."
)

# %% [markdown]
# An average hides who gained.
# So look at the same losses position by position.

# %% mystnb={"figure": {"name": "fig-context-positions", "caption": "Loss against the position of the token in its document, mean over seeds, for each context length. Up to position T, a context of T sees everything that a longer one sees."}} tags=["hide-input"]
position_figure(study)

# %% tags=["hide-input"]


def mean_between(record, low, high):
    """Mean loss of the tokens at positions from low to high (nats a token)."""
    inside = [b for b in record.validation.by_position if low <= b.first and b.last <= high]
    return np.average([b.nats for b in inside], weights=[b.tokens for b in inside])


winning = [record for record in records if record.config.model.context_length == best]
opening, start, end = (
    np.array([mean_between(record, low, high) for record in winning])
    for low, high in ((1, 7), (16, 63), (256, 10**9))
)
along, along_half = welch((1.0, end), (-1.0, start))
easier = "easier" if opening.mean() < start.mean() else "harder"
trend = {
    "falls": "Further along, the loss falls: there is more to look back on, and the model uses it",
    "rises": "Further along, the loss rises, although there is more to look back on: stories open "
    "alike and then part, and only the long ones get there",
    "not resolved": "Further along, no change is resolved: what more there is to look back on does "
    "not show",
}[verdict(along, along_half)]
say(
    f"With the best context, {best:,}, the first seven tokens of a document are {easier} than "
    f"what follows: {opening.mean():.2f} nats a token against {start.mean():.2f} at positions 16 "
    f"to 63. {trend} ({signed(along, along_half, 2)} nats from there to positions beyond 255)."
)

# %% [markdown]
# Up to position $T$ a model with context $T$ sees all there is, and a longer context shows it nothing more.
# There two models differ only in what training left them with: the longer context had fewer tokens to learn from, in longer windows and so fewer of them in a step.
# Beyond $T$ the longer context also sees more.
# To see the differences by themselves, we take the losses of the shortest context away.

# %% mystnb={"figure": {"name": "fig-context-differences", "caption": "The same losses as differences from the shortest context (mean over seeds; bands: one standard deviation of the mean). Dashed: the length of each context, from which on it no longer sees all. Below zero is better than the shortest context."}} tags=["hide-input"]
by_position = {
    T: np.array(
        [
            [b.nats for b in r.validation.by_position]
            for r in records
            if r.config.model.context_length == T
        ]
    )
    for T in lengths
}  # (seeds, bins)
figure, axes = plt.subplots(figsize=(7.2, 3.6))
base = by_position[lengths[0]]
axes.axhline(0, color=PALETTE[0], label=f"context {lengths[0]:,}")
for colour, T in zip(PALETTE[1:], lengths[1:], strict=False):
    group = by_position[T]
    change = group.mean(axis=0) - base.mean(axis=0)
    error = np.sqrt(group.var(axis=0, ddof=1) / len(group) + base.var(axis=0, ddof=1) / len(base))
    axes.plot(position, change, color=colour, marker="o", markersize=3, label=f"context {T:,}")
    axes.fill_between(
        position, change - error, change + error, color=colour, alpha=0.2, linewidth=0
    )
for colour, T in zip(PALETTE, lengths, strict=False):
    axes.axvline(T, color=colour, linestyle=(0, (4, 2)), linewidth=1)
axes.set_xscale("log", base=2)
ticks = [t for t in (1, 4, 16, 64, 128, 256, 512, 1024, 2048) if t <= bins["last"].max()]
axes.set_xticks(ticks, [f"{t:,}" for t in ticks])
axes.set_xlabel("position in the document (tokens)")
axes.set_ylabel(f"loss against context {lengths[0]:,}\n(nats a token)")
axes.legend(ncols=4, loc="lower left", bbox_to_anchor=(0, 1.0), borderaxespad=0.3)


def best_where(part):
    """The context with the lowest mean loss over the tokens of some bins."""
    weights = bins["tokens"][part]
    return min(
        lengths, key=lambda T: np.average(by_position[T].mean(axis=0)[part], weights=weights)
    )


early, late = best_where(bins["first"] < lengths[0]), best_where(bins["first"] >= CONTEXT_CLAIM)
figure.suptitle(
    f"Lowest loss before token {lengths[0]:,}: context {early:,}; from token {CONTEXT_CLAIM:,} on: "
    f"context {late:,}",
    x=0.01,
    ha="left",
    fontsize=11,
    fontweight="bold",
)
plt.show()

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
def parts(record, T1):
    """Contributions to the mean loss of tokens before position T1 and from there on (nats)."""
    late = (bins["first"] >= T1).to_numpy()
    nats = np.array([part.nats for part in record.validation.by_position])
    weighted = nats * bins["tokens"].to_numpy() / n_tokens
    assert math.isclose(weighted.sum(), record.validation.nats, rel_tol=1e-9)
    return weighted[~late].sum(), weighted[late].sum()


split = {}
for T1, T2 in pairs:
    of = {
        T: np.array([parts(r, T1) for r in records if r.config.model.context_length == T])
        for T in (T1, T2)
    }  # (seeds, 2)
    early = welch((1.0, of[T2][:, 0]), (-1.0, of[T1][:, 0]))
    late = welch((1.0, of[T2][:, 1]), (-1.0, of[T1][:, 1]))
    rate = beyond[T1] / (1 - beyond[T1])  # late tokens to each early one
    terms = [(1.0, of[T2] @ [-rate, 1.0]), (-1.0, of[T1] @ [-rate, 1.0])]
    seeing = welch(*terms)
    split[T1, T2] = {"early": early, "late": late, "price": early[0] / (1 - beyond[T1])}
    split[T1, T2]["gain"] = seeing

# %% tags=["hide-input"]


rows = {
    f"{a:,}\u00a0→\u00a0{b:,}": {
        "change (nats)": signed(*changes[a, b]),
        "of it before T₁": signed(*split[a, b]["early"]),
        "from T₁ on": signed(*split[a, b]["late"]),
        "price": signed(split[a, b]["price"]),
        "seeing further": signed(*split[a, b]["gain"]),
    }
    for a, b in pairs
}
pd.DataFrame(rows).T.rename_axis("T₁ → T₂")

# %% mystnb={"figure": {"name": "fig-context-split", "caption": "Each doubling of the context, split into the price (fewer training tokens, in longer windows) and the effect of seeing further, assuming the same price per token at all positions, with 95% intervals of the second and of the sum. Below zero is better."}} tags=["hide-input"]
figure, axes = plt.subplots(figsize=(6.6, 3.4))
at = np.arange(len(pairs))
price = np.array([split[pair]["price"] for pair in pairs])
gained = np.array([split[pair]["gain"][0] for pair in pairs])
gained_half = np.array([split[pair]["gain"][1] for pair in pairs])
total = np.array([changes[pair][0] for pair in pairs])
total_half = np.array([changes[pair][1] for pair in pairs])
axes.bar(at - 0.26, price, 0.24, color=VERMILION, label="price (training)")
axes.bar(at, gained, 0.24, yerr=gained_half, color=GREEN, capsize=3, label="seeing further")
axes.bar(at + 0.26, total, 0.24, yerr=total_half, color=INK, ecolor=QUIET, capsize=3, label="sum")
axes.axhline(0, color=INK, linewidth=0.8)
axes.set_xticks(at, [f"{a:,} → {b:,}" for a, b in pairs])
axes.set_xlabel("context (tokens)")
axes.set_ylabel("change of the loss\n(nats a token)")
axes.legend(ncols=3, loc="lower left", bbox_to_anchor=(0, 1.0), borderaxespad=0.3)
paying = [f"{a:,} → {b:,}" for a, b in pairs if verdict(*changes[a, b]) == "falls"]
losing = [f"{a:,} → {b:,}" for a, b in pairs if verdict(*changes[a, b]) == "rises"]
rest = "costs more than it brings" if len(losing) == 1 else "cost more than they bring"
finding = f"{len(paying)} of {len(pairs)} doublings pay for themselves, {len(losing)} {rest}"
figure.suptitle(finding, x=0.01, ha="left", fontsize=11, fontweight="bold")
plt.show()

# %% tags=["hide-input"]
lines = []
for a, b in pairs:
    change, half = changes[a, b]
    seen, seen_half = split[a, b]["gain"]
    saw = (
        "what is seen further back brings no gain that the seeds resolve"
        if abs(seen) <= seen_half
        else f"what is seen further back changes it by {signed(seen)}"
    )
    result = {
        "falls": "together the loss falls",
        "rises": "together the loss rises",
        "not resolved": "the sum is not resolved from 0",
    }[verdict(change, half)]
    lines.append(
        f"- **{a:,} → {b:,}**: the other training changes the loss by "
        f"{signed(split[a, b]['price'])} nats; {saw}; {result} ({signed(change, half)})."
    )
say("\n".join(lines))

# %% [markdown]
# ## The claim against the measurement

# %% tags=["hide-input"]
half_claim, double_claim = CONTEXT_CLAIM // 2, 2 * CONTEXT_CLAIM
before, after = changes[half_claim, CONTEXT_CLAIM], changes[CONTEXT_CLAIM, double_claim]
bend = welch(
    (1.0, by_context[double_claim]),
    (-2.0, by_context[CONTEXT_CLAIM]),
    (1.0, by_context[half_claim]),
)
strong = verdict(*after)
weak = {
    "rises": "holds: the second step gains less, or costs more",
    "falls": "fails: the second step gains more, or costs less",
    "not resolved": "is not decided: the two steps differ by no more than the seeds do",
}[verdict(*bend)]
strongly = {
    "rises": "holds, and more: the loss rises",
    "falls": "fails: the loss falls",
    "not resolved": "is consistent with these runs: no change is resolved",
}[strong]
say(
    f"From {half_claim} to {CONTEXT_CLAIM} tokens the loss changes by {signed(*before)} nats, "
    f"from {CONTEXT_CLAIM} to {double_claim:,} by {signed(*after)}.\n\n"
    f"- The weak reading {weak} (difference of the steps: {signed(*bend)}).\n"
    f"- The strong reading {strongly}."
)
if best < CONTEXT_CLAIM:
    earlier = (
        "the turn comes earlier than the claim says"
        if CONTEXT_CLAIM not in rivals
        else "the turn may come earlier than the claim says, though the seeds do not settle it"
    )
    say(
        f"At this budget and on this text {earlier}: the lowest mean loss is already at {best}, "
        f"and {100 * beyond[CONTEXT_CLAIM]:.0f}% of the tokens stand beyond {CONTEXT_CLAIM}."
    )
elif best == CONTEXT_CLAIM:
    say("The lowest loss is where the claim puts the turn.")
else:
    say(
        f"The lowest loss is beyond the turn that the claim names; "
        f"{100 * beyond[CONTEXT_CLAIM]:.0f}% of the tokens stand beyond {CONTEXT_CLAIM}."
    )

# %% [markdown]
# ## Where the floor is known
#
# On natural text nobody can say how much of a loss is missing context, for nobody knows what the rest is.
# On `fables` the floor is known ({doc}`07_floor`): a model that sees the whole document and has learnt the source has no excess.
# So train the same model on the same number of tokens with four contexts, and split what it has above the floor.
# Up to position $T$ a context of $T$ misses nothing.
# Beyond, what it loses against the longest context, which holds whole documents, is context that was not there.

# %% tags=["hide-input"]
shares, note = shown(context_shares, "context_fables", profile)
if note:
    say(note)
title = ""
if shares is not None:
    shares = shares.set_index("context_length")
    part = shares["missing"] / shares["excess"]
    short, long = shares.index[0], shares.index[-2]
    resolved = shares["low"] > 0
    most = shares["high"] / shares["excess"]
    title = (
        f"With a context of {short}, {part[short]:.0%} of the excess is missing context; "
        f"with {long}, {part[long]:.0%}"
        if resolved[short]
        else f"Missing context is {most[short]:.0%} of the excess at most with a context of {short}, "
        f"{most[long]:.0%} with {long}"
    )

# %% mystnb={"figure": {"name": "fig-context-missing", "caption": "Loss above the true floor of fables against context length, at the same number of training tokens: what is missing context, with its 95% interval, and the rest, which the model has not learnt. Means over seeds."}} tags=["hide-input"]
if shares is not None:
    display(missing_context_figure(shares, title=title))

# %% tags=["hide-input"]
if shares is not None:
    steps = -shares["missing"].diff().dropna()
    say(
        "Doubling the context takes away "
        + ", ".join(f"{step:.3f} nats (to {length:,})" for length, step in steps.items())
        + " of missing context. "
        + (
            "Each doubling brings less than the one before: returns diminish, also where nothing "
            "is paid for the context."
            if (np.diff(steps) < 0).all()
            else "They do not diminish from each doubling to the next."
        )
        + (
            ""
            if resolved.iloc[:-1].any()
            else " But the seeds tell none of it from nothing. A model of this size has hardly begun "
            "to use what was said long before (chapter 7 shows how little it copies), so it has "
            "little to lose with it: **what is missing at these sizes is learning, not context.**"
        )
    )

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

# %% tags=["hide-input", "nbval-ignore-output"]
choices = [L for L in (64, 128, 256, 512, 1024) if (bins["first"] == L).any()]


def loss_of_length(record, L):
    """Mean loss over positions below L, each position counting once (nats a token)."""
    short = (bins["first"] < L).to_numpy()
    nats = np.array([part.nats for part in record.validation.by_position])
    return np.average(nats[short], weights=width[short])


by_length = {
    L: {
        T: np.array([loss_of_length(r, L) for r in records if r.config.model.context_length == T])
        for T in lengths
    }
    for L in choices
}
every = np.concatenate([group for groups in by_length.values() for group in groups.values()])


def documents_of(length: int) -> Figure:
    """Loss against context if every document were of one length."""
    groups = by_length[length]
    means = {T: group.mean() for T, group in groups.items()}
    winner = min(means, key=means.__getitem__)
    figure = Figure(figsize=(6.6, 3.3), layout="constrained")
    axes = figure.subplots()
    for T, group in groups.items():
        axes.plot([T] * len(group), group, "o", color=BLUE, alpha=0.4, markersize=4)
    axes.errorbar(
        list(means),
        list(means.values()),
        yerr=[group.std(ddof=1) for group in groups.values()],
        color=BLUE,
        marker="o",
        markerfacecolor="none",
        capsize=3,
    )
    axes.plot([winner], [means[winner]], "o", color=VERMILION, markersize=9)
    axes.set_xscale("log", base=2)
    axes.set_xticks(lengths, [f"{T:,}" for T in lengths])
    axes.set_ylim(every.min() - 0.02, every.max() + 0.02)
    axes.set_xlabel("context length (tokens), at fixed training compute")
    axes.set_ylabel(NATS)
    axes.set_title(
        f"Documents of {length:,} tokens: lowest mean at a context of {winner:,}",
        loc="left",
        fontweight="bold",
    )
    return figure


explore(documents_of, "If every document were of one length", length=choices)

# %% tags=["hide-input"]
winners = {L: min(groups, key=lambda T: groups[T].mean()) for L, groups in by_length.items()}
distinct = sorted(set(winners.values()))
if len(distinct) > 1:
    say(
        f"The winner depends on the text: a context of {winners[choices[0]]:,} for documents of "
        f"{choices[0]:,} tokens, of {winners[choices[-1]]:,} for documents of {choices[-1]:,}."
    )
else:
    say(
        f"A context of {distinct[0]:,} has the lowest mean whatever the length: at this budget "
        f"what training leaves outweighs what can be seen."
    )

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
longest = config[lengths[-1]]
longer = longest.model_copy(
    update={
        "model": longest.model.model_copy(update={"context_length": 2 * lengths[-1]}),
        "batch_tokens": 2 * lengths[-1],
    }
)
D = tokens_for(longer, budget)
print(
    f"{D:,} tokens, against {longest.tokens:,} with a context of {lengths[-1]:,}\n"
    f"{100 * beyond[lengths[-1]]:.1f}% of validation tokens stand beyond {lengths[-1]:,}"
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
a, b = lengths[:2]
wide = done.pivot(index="seed", columns="context_length", values="nats").dropna()
difference = (wide[b] - wide[a]).to_numpy()
half = stats.t.ppf(0.975, len(difference) - 1) * stats.sem(difference)
print(f"paired: {signed(difference.mean(), half)}\nWelch:  {signed(*changes[a, b])}")

# %% [markdown]
# Pairing takes out what the runs of a seed have in common.
# It pays for that with degrees of freedom: 2 for three pairs, where Student's factor is 4.3; Welch has up to 4, where it is 2.8.
# So it is narrower only if runs of one seed are alike enough.
#
# ```{solution-end}
# ```
