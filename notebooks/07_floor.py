# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # A floor you can stand on
#
# Every scaling law has a loss that no model goes below, and nobody can look it up.
# What if we could?
#
# In this chapter the text is written by a grammar that knows the probability of every document it writes.
# So the floor is a fact, the loss above it is measured and not fitted, and a fitted floor can be wrong in public.
# After it you can say how far a model, an n-gram or a compressor stands above the entropy of its text, read an exponent off a line whose end you know, and tell which characters of a story a model has not learnt.
#
# ```{dropdown} Guess before you read on
# 1. A compressor reads thousands of these stories. How many times the true entropy does the best one need: 1.1, 2 or 4 times?
# 2. From the smallest model to the largest, by what factor does the loss *above the floor* fall?
# 3. Fit the floor E instead of knowing it. Will the interval hold the truth?
#
# The answers stand under the figures below, in this order.
# ```

# %% tags=["parameters"]
profile = "paper"  # whose records are shown: smoke, quick or paper

# %% tags=["hide-input"]
import textwrap
from html import escape

import numpy as np
import pandas as pd
from IPython.display import HTML, Markdown, display

from tinylm.corpora.fables import CORPORA, VARIANTS, document, entropy, information
from tinylm.corpora.fables.source import HEAD
from tinylm.corpora.fables.text import PLOTS
from tinylm.plots import (
    ExcessPanel,
    KnowledgePanel,
    SlopePanel,
    bits_figure,
    excess_figure,
    exponents_figure,
    growth_figure,
    knowledge_figure,
    loss_by_position_figure,
    short,
    slopes_figure,
    use_style,
)
from tinylm.store import Store
from tinylm.studies.excess import (
    HEROES,
    KINDS,
    RANKS,
    fact_exponents,
    knowledge_by_tokens,
    leftover,
    share_known,
    tail_knowledge,
)
from tinylm.studies.floor import (
    AXES,
    MET,
    compressed,
    default_cuts,
    fables_study,
    story,
    tail_exponents,
    tail_gaps,
)
from tinylm.studies.size import loss_by_position, size_study
from tinylm.sweeps.declare import expand, load_experiment
from tinylm.widgets import explore

# %matplotlib inline
use_style()


def say(text: str) -> None:
    """Show a sentence with numbers that were measured above."""
    display(Markdown(text))


def between(bounds, digits=3):
    """An interval, as it is printed."""
    low, high = bounds
    return f"{low:.{digits}f} to {high:.{digits}f}"


# %% [markdown]
# ## A text that knows its own probability
#
# A fable is made by choices: which plot, which character, which wording, which fruit.
# The grammar is unambiguous, so from the text alone one can read back every choice, and the probability of the text is the product of theirs.
# Here is the beginning of a document, and what its characters cost someone who knows the grammar and the world.

# %%
text = document("validation", 1)
nats = information(text)
for line in text.split("\n")[:3]:
    print(textwrap.fill(line, 70))
print(f"\n{len(text):,} characters, {nats.sum():.1f} nats in all")
print(f"{(nats == 0).mean():.0%} of the characters cost nothing")
who, where = VARIANTS["default"].n_characters, VARIANTS["default"].n_places
print(f"the world: {who:,} characters, {where:,} places")
print(f"the grammar: {len(PLOTS)} plots")

# %% [markdown]
# Most characters could be foreseen: the rest of a word that has begun, a sentence that the plot wants, and facts.
# Facts are free.
# Once the hero is named, who knows the world can foresee what creature it is, where it lives, and what it fears.
# A model has to have read that somewhere.
# The world has thousands of such characters, most of them rarely met, and the more of them a model has learnt, the nearer it comes to the floor.
#
# The entropy of a document is found exactly, by adding up over the grammar, not by sampling.

# %% tags=["hide-input"]
rows = [
    {
        "corpus": corpus,
        "tail exponent a": VARIANTS[variant].tail,
        "nats a document": f"{entropy(variant).nats:.1f}",
        "bytes a document": f"{entropy(variant).bytes:,.0f}",
        "bits a byte": f"{entropy(variant).bits_per_byte:.4f}",
    }
    for corpus, variant in CORPORA.items()
]
display(pd.DataFrame(rows).set_index("corpus"))
kinds = entropy("default").nats_by_kind
share = {kind: part / entropy("default").nats for kind, part in kinds.items()}
say(
    f"Where does it come from? Of a document's entropy, {share['words']:.0%} is the choice of words "
    f"from lists, {share['wordings']:.0%} the choice among wordings, {share['names']:.0%} who and "
    f"which place is met, and {share['plots']:.0%} the plots."
)

# %% [markdown]
# That is below natural text: Shannon found 0.6 to 1.3 bits a letter in printed English {cite:p}`shannon1951prediction`.
# Sentences come from templates here.
#
# ## Does anything go below it?
#
# If the floor is right, nothing can.
# Three general compressors read one long text; n-gram models and our GPTs read the training documents and are judged on the validation documents.
# One predictor below the line would mean that the grammar is ambiguous or that somebody counted wrongly.

# %% tags=["hide-input"]
study = fables_study(profile)
squeezed = compressed(profile)
best_ngram = study.best_ngram
by_size = study.cuts["N"].runs.groupby("x")["bits_per_byte"].mean()
groups = {"compressor": dict(squeezed["bits_per_byte"])}
groups["n-gram"] = {f"{best_ngram.order}-gram": best_ngram.bits_per_byte}
if len(by_size):
    shown = by_size.iloc[[0, len(by_size) // 2, -1]] if len(by_size) > 2 else by_size
    groups["GPT"] = {f"GPT, N = {int(n):,}": float(value) for n, value in shown.items()}
everyone = {name: value for group in groups.values() for name, value in group.items()}
nearest = min(everyone, key=everyone.get)
below = [name for name, value in everyone.items() if value < study.floor.bits_per_byte]

# %% mystnb={"figure": {"name": "fig-floor-bits", "caption": "Bits a byte of general compressors, of the best n-gram model and of GPTs, above the exact floor of the validation documents. Means over seeds."}} tags=["hide-input"]
bits_figure(
    groups,
    study.floor.bits_per_byte,
    title=(
        f"{'Something goes' if below else 'Nothing goes'} below the floor; {nearest} comes nearest, "
        f"at {everyone[nearest] / study.floor.bits_per_byte:.2f} times the entropy"
    ),
)

# %% tags=["hide-input"]
best = min(squeezed["bits_per_byte"], key=squeezed["bits_per_byte"].get)
say(
    f"The compressors read {squeezed['bytes'] / 1e6:.1f} MB, {squeezed['documents']:,} documents, "
    f"whose own exact code length is {squeezed['floor_bits_per_byte']:.4f} bits a byte. "
    f"The best of them, `{best}`, needs {squeezed['bits_per_byte'][best]:.3f}: "
    f"{squeezed['bits_per_byte'][best] / squeezed['floor_bits_per_byte']:.1f} times as many. "
    f"The floor of the validation documents is {study.floor.bits_per_byte:.4f} bits a byte, or "
    f"{study.floor.nats:.4f} nats a token. "
    f"N-grams of orders 1 to {study.ngrams[-1].order} were counted; the {best_ngram.order}-gram is "
    f"the best"
    + (
        ", and longer ones might be better still."
        if best_ngram.order == study.ngrams[-1].order
        else "."
    )
)

# %% [markdown]
# ## Two cuts through the loss surface
#
# Now the scaling law, with its floor known.
# One cut makes the model larger on the most tokens; the other gives the largest model more tokens.
# The context holds a whole document, so nothing but learning is missing.
# On logarithmic axes the loss above the floor should be a straight line, and its slope is the exponent: no floor has to be fitted.
#
# Each cut holds the other axis where it is, and what that withholds does not vanish.
# So every cut must leave its line somewhere and end above the floor; the question is whether it does within our range.

# %% tags=["hide-input"]
cuts = study.cuts
LABELS = {"N": "N, non-embedding parameters", "D": "D, training tokens"}
shown_cuts = {name: cut for name, cut in cuts.items() if cut.fold}
finding = ", ".join(
    f"{cut.fold:.1f}-fold over the range of {name}" for name, cut in shown_cuts.items()
)

# %% mystnb={"figure": {"name": "fig-floor-cuts", "caption": "Loss above the true floor against model size at the largest number of tokens, and against tokens at the largest size, every run. Solid: the power law fitted with E at the true floor, with its exponent and 95% interval. Dashed: the slope that a theory, told below, gives for this corpus."}} tags=["hide-input"]
excess_figure(
    [
        ExcessPanel(LABELS[name], cut.runs, cut.law, cut.predicted)
        for name, cut in shown_cuts.items()
    ],
    study.floor.nats,
    title=f"Loss above the true floor falls {finding}",
)

# %% tags=["hide-input"]
for name, cut in cuts.items():
    if len(cut.runs) < cut.wanted:
        say(
            f"**Not all of it is measured yet:** {len(cut.runs)} of {cut.wanted} runs of the cut in "
            f"{name} have ended without diverging. What follows is about these."
        )
rows = [
    {
        "cut": name,
        "exponent": f"{cut.law.law.alpha:.3f}" if cut.law else "not yet measured",
        "95% interval": between(cut.law.alpha_interval) if cut.law else "",
        "points": cut.runs["x"].nunique(),
        "misfit": f"{cut.law.misfit:.1f}" if cut.law else "",
    }
    for name, cut in cuts.items()
]
display(pd.DataFrame(rows).set_index("cut"))
bent = [name for name, cut in cuts.items() if cut.law and cut.law.widening > 1]
if bent:
    say(
        f"Along {' and '.join(bent)} the points leave the line by more than seeds explain, so one "
        f"exponent is a summary there and no law."
    )
elif any(cut.law for cut in cuts.values()):
    say("The lines are as straight as seeds can tell.")

# %% [markdown]
# ### What binds where
#
# Between two neighbours on a cut an exponent can be had without any law.
# Where both cuts end, at the largest model on the most tokens, the two last ones say what would help more: size or text.

# %% tags=["hide-input"]
slopes = {name: cut.slopes for name, cut in cuts.items() if cut.slopes is not None}
corner = {name: table.iloc[-1] for name, table in slopes.items()}
binding = ""
if len(corner) == 2:
    size, text_side = corner["N"], corner["D"]
    more, less = ("tokens", "size") if text_side.exponent > size.exponent else ("size", "tokens")
    apart = text_side.low > size.high or size.low > text_side.high
    binding = (
        f"At the largest model on the most tokens, more {more} would help more than more {less}"
        if apart
        else "At the largest model on the most tokens, size and tokens would help alike"
    )

# %% mystnb={"figure": {"name": "fig-floor-slopes", "caption": "Exponent of the loss above the true floor between neighbouring points of each cut, from the means over seeds, with 95% intervals from their spread; the line is the exponent of the one law that was fitted above."}} tags=["hide-input"]
if binding:
    display(
        slopes_figure(
            [
                SlopePanel(LABELS[name], slopes[name], cut.law.law.alpha if cut.law else None)
                for name, cut in cuts.items()
            ],
            title=binding,
        )
    )

# %% tags=["hide-input"]
if binding:

    def twice(entry):
        """What doubling does, by an exponent and its interval."""
        fall = [100 * (1 - 2**-power) for power in (entry.exponent, entry.low, entry.high)]
        return f"by {fall[0]:.0f}% ({fall[1]:.0f} to {fall[2]:.0f})"

    say(
        f"There, twice the size would lower the excess {twice(corner['N'])}, and twice the tokens "
        f"{twice(corner['D'])}, if the last step of each cut went on."
    )
    steepest = {name: table["exponent"].max() for name, table in slopes.items()}
    if all(corner[name].high < steepest[name] / 2 for name in corner):
        say(
            "Further left on both cuts the same doubling did more than twice as much. "
            "So there is something at the corner that neither size nor text is quick to mend."
        )

# %% [markdown]
# ### What is left there
#
# The loss above the floor can be told apart by the words that it falls on.
# Some are names or facts that the story has told already, and could be copied; some are names of somebody who is met; some are facts told for the first time, the lasting traits, homes and friends of those who are named; the rest is grammar, plot and lists.

# %% tags=["hide-input"]
parts = leftover(profile)
ours = parts.kinds[parts.kinds["run_id"].isin([record.run_id for record in study.records])]
most = ours["tokens"].max()
along = ours[ours["tokens"] == most]
by_kind = along.groupby(["n_non_embedding", "kind"])["excess"].mean().unstack()
left_over = ""
if len(by_kind) > 1:
    by_kind = by_kind[list(KINDS)]
    last, falls = by_kind.iloc[-1], by_kind.iloc[0] / by_kind.iloc[-1]
    slowest = falls.idxmin()
    left_over = (
        f"From N = {by_kind.index[0]:,} to {by_kind.index[-1]:,}, {falls.idxmax()} fall "
        f"{falls.max():.1f}-fold and {slowest} {falls.min():.1f}-fold"
    )

# %% mystnb={"figure": {"name": "fig-floor-leftover", "caption": "Nats a document above the floor on the most tokens, by what the words are, against model size; means over seeds, of the models whose weights were at hand."}} tags=["hide-input"]
if left_over:
    display(
        growth_figure(
            list(by_kind.index),
            {kind: by_kind[kind].tolist() for kind in KINDS},
            xlabel=LABELS["N"],
            ylabel="excess (nats a document)",
            title=left_over,
        )
    )

# %% tags=["hide-input"]
if left_over:
    spread = along.groupby(["n_non_embedding", "kind"])["excess"].std().unstack()
    rows = [
        {
            "N": f"{n:,}",
            **{
                kind: f"{by_kind.loc[n, kind]:.0f}\u00a0±\u00a0{spread.loc[n, kind]:.0f}"
                if np.isfinite(spread.loc[n, kind])
                else f"{by_kind.loc[n, kind]:.0f}"
                for kind in KINDS
            },
            "in all": f"{by_kind.loc[n].sum():.0f}",
        }
        for n in by_kind.index
    ]
    display(pd.DataFrame(rows).set_index("N"))
    biggest = last.idxmax()
    shape = study.records[0].config.model
    say(
        f"At N = {by_kind.index[-1]:,}, words of the kind '{biggest}' make "
        f"{last.max() / last.sum():.0%} of what is left, and new facts "
        f"{last['new facts'] / last.sum():.0%}. "
        + (
            "What the story has told needs no knowledge, only attention that finds it and copies "
            f"it, piece by piece. These models have {shape.n_layers} layers of "
            f"{shape.n_heads} heads at every size, and copying is what growing them helps least. "
            f"**The line is bent by a skill that is missing more than by facts that are.**"
            if biggest == slowest == KINDS[0]
            else ""
        )
    )

# %% [markdown]
# ## Where does the exponent come from?
#
# A theory says that knowledge comes in pieces, the piece of rank $r$ being needed with probability $\propto r^{-(1+a)}$.
# A model that holds the first $n \propto N$ pieces misses $\sum_{r>n} r^{-(1+a)} \propto N^{-a}$.
# With plenty of size and few data, a piece is learnt once it has been met often enough, which after $D$ tokens is true up to rank $n \propto D^{1/(1+a)}$, and the rest is $\propto D^{-a/(1+a)}$ {cite:p}`hutter2021learning,maloney2022solvable,michaud2023quantization`.
# Here $a$ is known, because we chose it, and we can choose it again: three corpora differ in nothing else.
# On each the same two cuts are made, shorter than those above so that all can be had.
#
# ```{dropdown} Guess again
# In `fables-heavy` rare characters are met more often than in `fables`, in `fables-light` less often.
# On which of the three does the excess fall fastest as models grow?
# ```
#
# That theory has endless knowledge in mind, and our world ends.
# Where all characters are known but a few thousand, what is left shrinks faster than the power law says, and the first few dozen ranks are flatter than one, so that no single character tells it all.
# Both can be reckoned: the slope of the share of meetings that are with somebody unknown.

# %% tags=["hide-input"]
exponents = tail_exponents(study)
known, meetings = MET["N"], MET["D"]
say(
    f"In the figure, the band is the range of that slope between {known[0]:,} and {known[1]:,} "
    f"characters known (for N) and between {meetings[0]:,} and {meetings[1]:,} meetings (for D). "
    f"Both ranges are a choice: how many a model knows is looked at below, and a document tells of "
    f"two at length and of a few more in passing. Elsewhere the slope is another."
)
measured = exponents.dropna(subset="measured")
runs, wanted = int(exponents["runs"].sum()), int(exponents["wanted"].sum())
if runs < wanted:
    say(
        f"**Not all of it is measured yet:** the cuts on the three tails want {wanted} losses and "
        f"have {runs}."
    )
elif not wanted:
    say(f"The `{profile}` profile does not train on the other tails; `paper` does.")


gaps = tail_gaps(study).set_index("axis")

# %% mystnb={"figure": {"name": "fig-floor-exponents", "caption": "Exponents of the excess loss on the three corpora, over the tail exponent that was chosen for each: measured with E at the true floor, with 95% interval; as the theory says; and as it says in a world of this size."}} tags=["hide-input"]
exponents_figure(
    exponents.assign(axis=exponents["axis"].map(LABELS)),
    title=(
        "From the heaviest tail to the lightest the exponent changes by "
        + ", ".join(
            f"{row.gap:+.2f} in {name} (theory: {row.predicted:+.2f})"
            for name, row in gaps.iterrows()
        )
        if len(gaps)
        else "Theory says that a lighter tail has a larger exponent"
        + ("; our measurements are not complete" if wanted else "")
    ),
)

# %% tags=["hide-input"]
rows = [
    {
        "corpus": row.corpus,
        "cut": row.axis,
        "theory": f"{row.predicted:.3f}",
        "in this world": between((row.world_low, row.world_high), 2),
        "measured": "not yet" if np.isnan(row.measured) else f"{row.measured:.3f}",
        "95% interval": "" if np.isnan(row.measured) else between((row.low, row.high)),
        "misfit": "" if np.isnan(row.measured) else f"{row.misfit:.1f}",
        "fall": "" if np.isnan(row.measured) else f"{row.fold:.1f}-fold",
    }
    for row in exponents.itertuples()
]
if len(measured):
    display(pd.DataFrame(rows).set_index(["corpus", "cut"]))
    holds = measured[
        (measured["low"] <= measured["predicted"]) & (measured["predicted"] <= measured["high"])
    ]
    here = measured[
        (measured["low"] <= measured["world_high"]) & (measured["world_low"] <= measured["high"])
    ]
    say(
        f"The simple theory's number lies in {len(holds)} of these {len(measured)} intervals; "
        f"{len(here)} of them meet the band of a world with an end."
    )
if len(gaps):
    straighter = gaps["misfit"].max() < measured["misfit"].min()
    say(
        (
            "The intervals are wide because no cut is quite a line. "
            "But all tails bend much alike, and the ratio of two of them is nearer to a line "
            f"(misfit {gaps['misfit'].max():.1f} at most) and known better: the"
            if straighter
            else "The"
        )
        + " exponent of the lightest tail is above that of the heaviest by "
        + " and ".join(
            f"{row.gap:.3f} ({between((row.low, row.high))}) in {name}, where the simple theory "
            f"says {row.predicted:.3f}"
            for name, row in gaps.iterrows()
        )
        + "."
    )

# %% [markdown]
# ### Whom does a model know?
#
# The theory counts characters that are known and characters that are not, and that can be looked at.
# Give everybody in a validation document, and every place, a name that no fable has, and leave the facts.
# Under a stranger's name a model has to guess them from their lists.
# What it saves under the true name is what it knows of this character.

# %% tags=["hide-input"]
ranks = parts.ranks[parts.ranks["run_id"].isin(ours["run_id"])]
largest = ranks["n_non_embedding"].max()


def knowledge(table, axis):
    """A line for each value of an axis: mean and spread over seeds in every bin of ranks."""
    column = AXES[axis]
    by_seed = share_known(table, [column, "x", "seed"])
    return {
        f"{axis} = {short(value)}": of.groupby("x")["share"]
        .agg(share="mean", std="std")
        .reset_index()
        for value, of in by_seed.groupby(column)
    }


knows = ""
if len(ranks):
    at_most = ranks[ranks["tokens"] == most]
    sides = {
        f"{short(most)} tokens": knowledge(at_most, "N"),
        f"N = {short(largest)}": knowledge(ranks[ranks["n_non_embedding"] == largest], "D"),
    }
    by_size = share_known(at_most, ["n_non_embedding"]).set_index("n_non_embedding")["share"]
    best = at_most[at_most["n_non_embedding"] == by_size.index[-1]]
    parted = best.assign(part=np.digitize(best["first"], [RANKS[2], RANKS[-3]]))
    of_part = share_known(parted, ["part"]).set_index("part")["share"]
    knows = f"N = {short(by_size.index[-1])} knows " + ", ".join(
        f"{round(share, 2) + 0:.0%} of the facts of "
        + (
            f"the {RANKS[2] - 1} characters met most",
            f"ranks {RANKS[2]} to {RANKS[-3] - 1}",
            f"rank {RANKS[-3]} and beyond",
        )[part]
        for part, share in of_part.items()
    )

# %% mystnb={"figure": {"name": "fig-floor-known", "caption": "Share of the facts of characters of a rank that a model knows: of the price under strangers' names, what true names save. Mean and standard deviation over seeds. Left: models of several sizes on the most tokens. Right: the largest model on several numbers of tokens."}} tags=["hide-input"]
if knows:
    display(
        knowledge_figure(
            [KnowledgePanel(name, lines) for name, lines in sides.items() if len(lines) > 1],
            title=knows,
        )
    )

# %% tags=["hide-input"]
if knows:
    say(
        f"Of all facts told of characters for the first time, N = {by_size.index[0]:,} knows "
        f"{round(by_size.iloc[0], 2) + 0:.0%} and N = {by_size.index[-1]:,} "
        f"{round(by_size.iloc[-1], 2) + 0:.0%}. "
        f"How often a rank is met falls off as a power beyond the first {HEAD}, whose differences "
        "are smaller. Seldom met is not never told of: everybody comes with a friend of any rank."
    )

# %% tags=["hide-input"]
top = tail_knowledge(parts, profile).set_index("corpus")
if len(top):
    display(
        pd.DataFrame(
            {
                "N": top["n_non_embedding"].map("{:,}".format),
                "D": top["tokens"].map("{:,}".format),
                "facts known": top["share"].map("{:.0%}".format),
                "as if it knew": top["characters"].map("the first {:.0f}".format),
                "theory there": top["exponent"].map("{:.2f}".format),
                "theory, endless": top["tail"].map("{:.2f}".format),
            }
        )
    )
    say(
        "Of each corpus that is the model of these cuts that knows most. "
        "*As if it knew* says how many characters, the most met first, one would have to know by "
        "heart, and no others, to save as much. "
        "*Theory there* is the exponent in N that the theory gives for one who knows so many, in a "
        f"world with an end and with a head of {HEAD} ranks that is flatter than the power law."
    )
    if (top["exponent"] < top["tail"] / 2).all() and top["share"].max() < 0.5:
        say(
            "**So these models stand at the door of the regime that the theory is about.** "
            "Of the many characters of the tail they know next to nothing, and the exponents above "
            "are those of what is learnt first: grammar, lists and copying."
        )

# %% tags=["hide-input"]
alone = fact_exponents(parts, profile)
if len(alone):
    say(
        "And the exponents of the excess on new facts alone. "
        + (
            "Since few characters are known, most of what falls here is the price of the lists that "
            "facts come from, which all three tails share:"
            if top["share"].max() < 0.5
            else ""
        )
    )
    display(
        pd.DataFrame(
            {
                "corpus": alone["corpus"],
                "cut": alone["axis"].map(LABELS),
                "new facts alone": alone["exponent"].map("{:.3f}".format),
                "95% interval": [
                    between(pair) for pair in zip(alone["low"], alone["high"], strict=True)
                ],
                "misfit": alone["misfit"].map("{:.1f}".format),
            }
        ).set_index(["corpus", "cut"])
    )

# %% [markdown]
# ### Through the door
#
# What is behind it takes a GPU: larger models, on more text, of which the source of the stories does not run out.
# The recipe is the same but for larger batches and the rate that suits them; the floor is the same, since the validation documents are.

# %% tags=["hide-input"]
further = {} if profile == "smoke" else default_cuts("full")
further = {name: cut for name, cut in further.items() if cut.fold}
beyond = leftover("full") if further else None
if not further:
    say(f"The `{profile}` profile shows no runs of a GPU here; `paper` does.")
elif profile not in {"paper", "full"}:
    say("These runs are those of the published book.")

# %% mystnb={"figure": {"name": "fig-floor-further", "caption": "Loss above the true floor of models trained on a GPU: against model size at one number of tokens, and against tokens at the largest size, every run. Solid: the power law with E at the true floor. Dashed: the slope of the theory without an end."}} tags=["hide-input"]
if further:
    display(
        excess_figure(
            [
                ExcessPanel(LABELS[name], cut.runs, cut.law, cut.predicted)
                for name, cut in further.items()
            ],
            study.floor.nats,
            title="On a GPU the loss above the true floor falls "
            + ", ".join(f"{cut.fold:.1f}-fold in {name}" for name, cut in further.items()),
        )
    )

# %% tags=["hide-input"]
if further:
    for name, cut in further.items():
        if len(cut.runs) < cut.wanted:
            say(f"The cut in {name} has {len(cut.runs)} of the {cut.wanted} runs that it asks for.")
    ends = {name: cut.runs["x"].max() for name, cut in further.items()}
    cut_at = beyond.runs.groupby("tokens")["n_non_embedding"].nunique().idxmax()
    say(
        f"These go to {ends['N'] / cuts['N'].runs['x'].max():.0f} times the size and "
        f"{ends['D'] / cuts['D'].runs['x'].max():.0f} times the tokens of the cuts above; the cut in N "
        f"is made at {cut_at:,} tokens. "
        f"The lowest loss above the floor is now "
        f"{min(cut.runs['excess'].min() for cut in further.values()):.3f} nats a token, where the "
        f"models above end at {min(cut.runs['excess'].min() for cut in cuts.values()):.3f}."
    )
    known = knowledge_by_tokens(
        beyond,
        float(np.mean([r.validation.tokens / r.validation.documents for r in study.records])),
        VARIANTS["default"],
    )
    display(
        pd.DataFrame(
            {
                "D": known["tokens"].map("{:,}".format),
                "seeds": known["seeds"],
                "facts known": known["share"].map("{:.0%}".format),
                "as if it knew": known["characters"].map("the first {:,.0f}".format),
                "excess on new facts": known["excess"].map("{:.1f} nats a document".format),
                "exponent to the next": known["exponent"].map("{:.2f}".format).replace("nan", ""),
                "theory there": known["theory"].map("{:.2f}".format).replace("nan", ""),
            }
        ).set_index("D")
    )
    repeated = known[known["seeds"].gt(1) & known["seeds"].shift(-1).gt(1)]
    apart = (repeated["exponent"] - repeated["theory"]).abs()
    say(
        f"Of the largest size, means over seeds. *Theory there* takes this world as it is, with its "
        f"end and its flat head, and {HEROES} meetings a document. "
        + (
            f"**Behind the door the theory does well**: where both ends have more than one seed, "
            f"measured and reckoned exponents differ by {apart.max():.2f} at most, and both grow as "
            f"the world is used up."
            if apart.max() < 0.15 and repeated["exponent"].iloc[-1] > repeated["exponent"].iloc[0]
            else f"Measured and reckoned exponents differ by up to {apart.max():.2f}."
        )
    )
    sizes = beyond.runs[beyond.runs["tokens"] == cut_at].groupby("n_non_embedding")["share"].mean()
    say(
        f"In N it is another matter. From {sizes.index[0]:,} parameters to {sizes.index[1]:,} the "
        f"facts known rise from {sizes.iloc[0]:.0%} to {sizes.iloc[1]:.0%}, but "
        f"from {sizes.index[-2]:,} to {sizes.index[-1]:,} only from {sizes.iloc[-2]:.0%} to "
        f"{sizes.iloc[-1]:.0%}: there it is the tokens that bind, for who has not been read "
        f"about cannot be known, at any size."
    )

# %% tags=["hide-input"]
tried = Store("full").found(expand(load_experiment("fables_rates"), "full"))
if further and tried:
    used = Store("full").found(expand(load_experiment("fables_size"), "full"))[0].config.optimizer

    def pair(optimizer):
        """The two rates: Muon's and AdamW's."""
        return optimizer.matrix_learning_rate, optimizer.learning_rate

    costs = []
    for width in sorted({record.config.model.d_model for record in tried}):
        losses = {
            pair(r.config.optimizer): r.validation.nats
            for r in tried
            if r.config.model.d_model == width
        }
        costs.append(f"{losses[pair(used)] - min(losses.values()):.3f} nats at width {width}")
    say(
        f"Were the rates right? {len(tried)} short runs, of one seed, tried "
        f"{len(losses)} pairs of rates at two widths. The pair used costs {' and '.join(costs)} "
        f"against the best of them"
        + (
            "; it has the largest of AdamW's rates tried, so a larger one might be better still."
            if used.learning_rate == max(rate for _, rate in losses)
            else "."
        )
    )

# %% [markdown]
# What does the simple theory leave out?
# It knows one kind of knowledge.
# These texts have at least four: the spelling of words, the order of sentences, the lists that words come from, and the facts of characters and places.
# The first three are met in every document, are not spread like the ranks of characters, and come first.
# And it has no skills, such as copying a name from a few lines above.
# It also takes each piece as learnt at once, at equal cost, by an optimiser that never runs out of steps.
#
# ## A fitted floor, in public
#
# Fit the law again to the very same runs, as one has to where the floor is unknown, and look where E lands.

# %% tags=["hide-input"]
rows = []
fitted = cuts | {f"{name}, on a GPU": cut for name, cut in further.items()}
for name, cut in fitted.items():
    if cut.free:
        low, high = cut.free.E_interval
        rows.append(
            {
                "cut": name,
                "true floor": f"{study.floor.nats:.3f}",
                "fitted E": f"{cut.free.law.E:.3f}",
                "95% interval of E": between((low, high)),
                "truth": "inside" if low <= study.floor.nats <= high else "outside",
                "exponent": f"{cut.free.law.alpha:.3f}",
                "with the true floor": f"{cut.law.law.alpha:.3f}",
            }
        )
if rows:
    display(pd.DataFrame(rows).set_index("cut"))
    missed = [row["cut"] for row in rows if row["truth"] == "outside"]
    say(
        f"The interval misses the truth along {' and '.join(missed)}. "
        f"A cut along one axis does not end at the entropy: what the other axis withholds stays, "
        f"and E takes it in."
        if missed
        else "The intervals hold the truth. Look at their widths before you praise them."
    )
else:
    say("Too few runs have ended for this fit.")

# %% [markdown]
# ## Is this a stand-in for natural text?
#
# No: it is a corpus whose answer is known, and it is worth having for that.
# How far it is from natural text shows in the law that chapter 5 fits to the other corpus, in the same way, with a free floor.

# %% tags=["hide-input"]
other = size_study(profile)
rows = []
for name, fit, wide in (
    (f"`{other.corpus}`, chapter 5", other.law, other.by("d_model")),
    ("`fables`, this chapter", study.cuts["N"].free, None),
):
    table = study.cuts["N"].runs if wide is None else wide
    x = table["x" if wide is None else "n_non_embedding"]
    largest_d = max((r.tokens for r in study.records), default=0)
    rows.append(
        {
            "corpus": name.replace("`", ""),
            "sizes": x.nunique(),
            "N": f"{x.min():,} to {x.max():,}",
            "D": f"{largest_d if wide is None else wide['tokens'].iloc[0]:,}",
            "exponent in N": f"{fit.law.alpha:.3f} [{between(fit.alpha_interval)}]" if fit else "—",
            "fitted E": f"{fit.law.E:.2f} [{between(fit.E_interval, 2)}]" if fit else "—",
        }
    )
display(pd.DataFrame(rows).set_index("corpus"))

# %% [markdown]
# The two differ in more than the text: in tokenizer, context, optimiser and tokens.
# So the table says what was found on each, and not why.
#
# ## Where in a document is the gap?
#
# The exact information is known at every place, so the loss by position can be split into what cannot be known and what has not been learnt.

# %% tags=["hide-input"]
floor_bins = study.floor.by_position
floor_bins = floor_bins[floor_bins["first"] > 1]  # every document begins with the same token
middle = np.sqrt(floor_bins["first"] * floor_bins["last"]).to_numpy()
by_compute = sorted(study.records, key=lambda record: record.compute.exact)
curves = {}
for one in (by_compute[0], by_compute[-1]):
    alike = [record for record in study.records if record.compute.exact == one.compute.exact]
    nats = loss_by_position(alike, "d_model")["nats"].to_numpy()[1:]
    curves[f"N = {one.parameters.non_embedding:,}, D = {one.tokens:,}"] = (middle, nats)
gap = nats - floor_bins["nats"].to_numpy()
curves["exact floor"] = (middle, floor_bins["nats"].to_numpy())
early, late = gap[floor_bins["last"] <= 31].mean(), gap[floor_bins["first"] > 128].mean()

# %% mystnb={"figure": {"name": "fig-floor-positions", "caption": "Loss by position in the document, mean over seeds, and the exact floor at that position. The distance between a curve and the floor is what the model has not learnt. The first token is left out: it is the same in every document, costs nothing at the floor, and costs a model up to many nats, since a training window seldom begins with a document."}} tags=["hide-input"]
loss_by_position_figure(
    curves,
    title=(
        f"The run of most compute stands {early:.2f} nats above the floor up to token 31 and "
        f"{late:.2f} after token 128"
    ),
)

# %% [markdown]
# ## What the model has not learnt
#
# One validation story, character by character.
# The menu chooses what is coloured: what the story tells that nobody could foresee, what the largest model pays, or the difference, which is what it could still learn.

# %% tags=["hide-input"]
told = story(study)


def coloured(values, colour):
    """The story with a background that grows with nats a character."""
    parts, last, run = [], None, ""
    for character, value in zip(told["text"], values, strict=True):
        level = min(6, round(4 * value**0.5))
        if level != last and run:
            parts.append((last, run))
            run = ""
        last, run = level, run + character
    parts.append((last, run))
    spans = "".join(
        f'<span style="background: rgba({colour}, {level / 10:.1f})">{escape(piece)}</span>'
        if level
        else escape(piece)
        for level, piece in parts
    )
    style = "white-space: pre-wrap; line-height: 1.7; max-height: 30rem; overflow: auto"
    return f'<div style="{style}" tabindex="0" role="region" aria-label="Story">{spans}</div>'


if told is None:
    say("No model of this profile has been kept, so there is no story to colour yet.")
else:
    known, paid = np.array(told["floor"]), np.array(told["loss"])
    views = {
        "what cannot be foreseen": (known, "0, 114, 178"),
        "what the model pays": (paid, "213, 94, 0"),
        "what it has not learnt": (np.maximum(0, paid - known), "0, 158, 115"),
    }

    def draw(show):
        """One view of the story."""
        return HTML(coloured(*views[show]))

    explore(draw, "A story in colours", show=list(views))
    say(
        f"The model has {told['n_non_embedding']:,} parameters and read {told['tokens']:,} tokens. "
        f"The story costs {known.sum():.0f} nats at the floor; the model pays {paid.sum():.0f}."
    )

# %% [markdown]
# The model's loss comes by the token; each character of a token has an equal share of it.
# The floor comes by the character, so a difference in single characters says less than one in words.
#
# ## Exercises
#
# ```{exercise} A swap that costs nothing
# :label: ex-floor-swap
#
# Exchange one fruit for another in a document.
# By how much does its probability change?
# And if you exchange the dish that a character loves?
# ```
#
# ```{solution} ex-floor-swap
# :class: dropdown
#
# Fruits are drawn evenly from a list, so the new text is exactly as likely, if you exchange the fruit everywhere it comes back.
# The dish is a fact of the character.
# No choice was made there, no other word can stand there, and the new text has probability 0: `log_probability` raises an error.
# ```
#
# ```{exercise} The price of a name
# :label: ex-floor-name
#
# What does it cost to name the character of rank 1, and that of rank 10,000?
# The weight of rank $r$ is $(r + h)^{-(1+a)}$; the code has $h$, $a$ and the number of characters.
# ```
#
# ```{solution-start} ex-floor-name
# :class: dropdown
# ```

# %%
world = VARIANTS["default"]
weight = (np.arange(1, world.n_characters + 1) + HEAD) ** -(1 + world.tail)
p = weight / weight.sum()
for rank in (1, 10_000):
    print(f"rank {rank:>6,}: {-np.log(p[rank - 1]):5.2f} nats")
print(f"on average {-(p * np.log(p)).sum():5.2f} nats")

# %% [markdown]
# ```{solution-end}
# ```
#
# ```{exercise} Below the floor
# :label: ex-floor-below
#
# On the validation documents, could an honest model have a loss below the *entropy*?
# And below the floor that this chapter uses?
# ```
#
# ```{solution} ex-floor-below
# :class: dropdown
#
# Below the entropy, yes: these documents may happen to be likelier than most.
# The floor of this chapter is the mean exact code length of these very documents.
# A model could beat it on a few documents by luck, by giving them more than their true probability, but then it gives others less; over many documents nothing can.
# ```
