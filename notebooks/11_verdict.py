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
# ```{dropdown} Guess before you read on
# 1. Of the claims below, how many hold: most, half, or few?
# 2. Kaplan's 0.076 and Hoffmann's 0.34 are exponents of the same thing. Can one set of runs give both?
# 3. How far off were our own predictions?
#
# The answers stand under the tables below, in this order.
# ```

# %% tags=["parameters"]
profile = "paper"  # whose records are shown

# %% tags=["hide-input"]
import pandas as pd
from IPython.display import Markdown, display

from tinylm.studies.predictions import FITTED, read_prediction, score
from tinylm.studies.verdict import size_exponents, verdicts


def say(text: str) -> None:
    """Show a sentence with numbers that were measured above."""
    display(Markdown(text))


def number(value):
    """A number as the table prints it."""
    return f"{value:.1f}" if abs(value) >= 5 else f"{value:.3f}"


# %% [markdown]
# ## Claim by claim
#
# *Inside* means that the claimed number lies in our 95% interval.
# That is no proof of the claim, least of all where the interval is wide; *outside* means that ours is another number, not that theirs is wrong where they measured.

# %% tags=["hide-input"]
found = verdicts(profile)
display(
    pd.DataFrame(
        {
            "claim": one.claim,
            "by": one.source,
            "claimed or true": number(one.claimed),
            "ours": f"{number(one.measured)} [{number(one.interval[0])} to {number(one.interval[1])}]",
            "it lies": one.holds,
        }
        for one in found
    ).set_index("claim")
)
inside = [one for one in found if one.holds == "inside"]
say(f"Of {len(found)} claims {len(inside)} lie inside.")

# %% [markdown]
# The claims are those of {cite:t}`kaplan2020scaling`, {cite:t}`hoffmann2022training`, {cite:t}`besiroglu2024chinchilla`, {cite:t}`muennighoff2023scaling` and {cite:t}`hutter2021learning`.
# Where each was measured: sizes and predictions in {doc}`05_model_size`, context in {doc}`06_context_length`, floors and tails in {doc}`07_floor`, data and repetition in {doc}`09_data`, compute in {doc}`10_compute`.
#
# ## Why they differ
#
# ### One set of runs, many exponents
#
# Kaplan et al. fitted no floor and counted no embeddings.
# Hoffmann et al. fitted a floor and counted everything.
# Do both to the same runs:

# %% tags=["hide-input"]
exponents = size_exponents(profile)
display(
    pd.DataFrame(
        {
            "floor E": exponents["floor"],
            "fitted to": exponents["sizes"] + " sizes",
            "N counts": exponents["count"],
            "exponent": [
                f"{row.exponent:.3f} [{row.low:.3f}\u00a0to\u00a0{row.high:.3f}]"
                for row in exponents.itertuples()
            ],
        }
    ).set_index(["floor E", "fitted to"])
)
least, most = (
    exponents.loc[getattr(exponents["exponent"], which)()] for which in ("idxmin", "idxmax")
)


def described(row):
    """How an exponent of the table was fitted."""
    floor = "a fitted floor" if row["floor"] == "fitted" else "no floor"
    return f"{floor}, the {row['sizes']} sizes and N {row['count']}".replace("the all", "all")


say(
    f"**The same losses have exponents from {least['exponent']:.3f} ({described(least)}) to "
    f"{most['exponent']:.3f} ({described(most)}).** "
    f"So an exponent without the way it was fitted says little, and the papers' differ in just these "
    f"ways."
)

# %% [markdown]
# {cite:t}`pearce2024reconciling` trace most of the difference between Kaplan's law and Hoffmann's to the count of N, which matters most for small models.
# And losses that do end at a floor bend on logarithmic axes when it is left out: the top of the range is flatter than the whole, and whoever fits larger models sees a smaller exponent.
#
# ### A fitted floor is no entropy
#
# Along one axis the loss ends above the entropy: what the other axis withholds stays, and E takes it in.
# {doc}`07_floor` shows it where the entropy is known.
# A surface through both axes is the remedy, if its formula is right; {doc}`10_compute` holds that against the truth, too.
#
# ### Theories of tails
#
# Knowledge in pieces explains how the facts of a world are learnt once a model has begun to learn them.
# Small models have not: what they learn first is grammar, lists and copying, which no tail spreads.
#
# ### Our own predictions

# %% tags=["hide-input"]
for experiment in FITTED:
    prediction = read_prediction(profile, experiment)
    scores = score(prediction, profile).dropna(subset="error") if prediction else pd.DataFrame()
    if len(scores):
        worst = scores.groupby("method")["error"].apply(lambda error: 100 * error.abs().max())
        say(
            f"Written down before the runs of `{experiment}`, the best of the methods is "
            f"{worst.min():.1f}% off at worst ({worst.idxmin()}), and the one-line power law "
            f"{worst['A/N^α']:.1f}%. "
            + (
                "We had hoped for one percent. "
                "All of them foresaw lower losses than came; chapter 5 asks why."
                if worst.min() > 1 and (scores["error"] < 0).all()
                else ""
            )
        )
    else:
        say(f"The profile `{profile}` has none that can be scored yet.")

# %% [markdown]
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
# Take one claim that lies outside, and say which run would tell whether scale, text or method is to blame.
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
