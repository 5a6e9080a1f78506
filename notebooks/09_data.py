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
import pandas as pd
from IPython.display import Markdown, display

from tinylm.laws.published import DATA_CLAIMS, REPEATS_CLAIM
from tinylm.plots import repetition_figure, short, use_style
from tinylm.studies.epochs import repeat_study, worth
from tinylm.sweeps.declare import shown

# %matplotlib inline
use_style()


def say(text: str) -> None:
    """Show a sentence with numbers that were measured above."""
    display(Markdown(text))


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

# %% tags=["hide-input"]
study, note = shown(repeat_study, "data_epochs", profile)
if note:
    say(note)
title = ""
if study:
    runs = study.runs
    most = runs["tokens"].max()
    ends = runs[runs["tokens"] == most].groupby("unique_tokens")["nats"].agg(["mean", "std"])
    four, four_low, four_high = worth(study.law, 4)
    title = f"Four epochs are worth {four:.1f} times the text, sixteen {worth(study.law, 16)[0]:.1f} times"

# %% mystnb={"figure": {"name": "fig-data-repeats", "caption": "Validation loss against training tokens for several numbers of unique tokens, means over seeds with bars of ± one standard deviation. Lines are the law fitted to all of them at once; dashed is what it says of text that is never read twice."}} tags=["hide-input"]
if study:
    display(repetition_figure(runs, study.law, title=title))

# %% tags=["hide-input"]
if study:
    table = runs.assign(
        unique=runs["unique_tokens"].map(short), D=runs["tokens"], epochs=runs["epochs"].round(1)
    )
    shown = table.groupby(["unique_tokens", "D"])["nats"].agg(["mean", "std"]).reset_index()
    shown["text"] = [f"{m:.3f} ± {s:.3f}" for m, s in zip(shown["mean"], shown["std"], strict=True)]
    wide = shown.pivot_table(index="unique_tokens", columns="D", values="text", aggfunc="first")
    wide.columns = [f"D = {short(d)}" for d in wide.columns]
    wide.index = [short(u) for u in wide.index]
    display(wide.rename_axis("unique tokens").fillna(""))
    say(
        f"Losses in nats a token, mean ± standard deviation over {runs['seed'].nunique()} seeds. "
        f"At {short(most)} tokens the loss is {ends['mean'].iloc[0]:.3f} from {short(ends.index[0])} "
        f"unique tokens, and {ends['mean'].iloc[-1]:.3f} from {short(ends.index[-1])}."
        + (f" {study.diverged} runs diverged and are left out." if study.diverged else "")
    )

# %% [markdown]
# ## More text, read once

# %% tags=["hide-input"]
if study and study.fresh:
    law = study.fresh.law
    rows = [
        {
            "law": "these runs, read once: L = E + B/D^β",
            "exponent": f"{law.alpha:.3f}",
            "95% interval": "{:.3f} to {:.3f}".format(*study.fresh.alpha_interval),
        },
        {
            "law": "these runs, all of them, by D′",
            "exponent": f"{study.law.law.beta:.3f}",
            "95% interval": "{:.3f} to {:.3f}".format(*study.law.interval("beta")),
        },
        *(
            {"law": f"{claim.source}: {claim.form}", "exponent": f"{claim.exponent:.3f}"}
            for claim in DATA_CLAIMS
        ),
    ]
    display(pd.DataFrame(rows).fillna("").set_index("law"))
    say(
        "The papers' models are larger by a factor of thousands, and read text of another kind. "
        "At one model size E holds also what the size withholds, so this is no entropy of the text."
    )

# %% [markdown]
# ## The same again

# %% tags=["hide-input"]
if study:
    low, high = study.law.interval("R_star")
    inside = low <= REPEATS_CLAIM <= high
    say(
        f"**R\\* = {study.law.law.R_star:.1f}**, 95% interval {low:.1f} to {high:.1f}; Muennighoff et "
        f"al. found {REPEATS_CLAIM}, which lies {'inside' if inside else 'outside'}. "
        f"The misfit of the law is {study.law.misfit:.1f}: its settings scatter about it by so many "
        f"times what seeds explain."
    )
    rows = [
        {
            "epochs": epochs,
            "worth, in unique texts": f"{value:.2f}",
            "95% interval": f"{least:.2f} to {greatest:.2f}",
            "the last epoch, of new text": f"{np.exp(-(epochs - 1) / study.law.law.R_star):.0%}",
        }
        for epochs in (1, 2, 4, 8, 16)
        for value, least, greatest in [worth(study.law, epochs)]
    ]
    display(pd.DataFrame(rows).set_index("epochs"))

# %% [markdown]
# ### A prediction of the most epochs
#
# A law is to be judged on runs that it was not fitted on.
# So fit it again without those that repeat most, and let it say what they gave.

# %% tags=["hide-input"]
if study:
    held = study.held_out
    rows = [
        {
            "unique tokens": short(row.unique_tokens),
            "D": short(row.tokens),
            "epochs": f"{row.epochs:.1f}",
            "predicted": f"{row.predicted:.3f} [{row.low:.3f} to {row.high:.3f}]",
            "measured": f"{row.nats:.3f} ± {row.std:.3f}",
            "error": f"{100 * (row.predicted / row.nats - 1):+.1f} %",
        }
        for row in held.itertuples()
    ]
    display(pd.DataFrame(rows).set_index("unique tokens"))

# %% [markdown]
# ## Learning by heart
#
# What happens to the model meanwhile shows in the distance between the loss on the text that it reads and on text that it has never seen.

# %% tags=["hide-input"]
if study:
    gaps = runs.assign(gap=runs["nats"] - runs["train_nats"])
    by_epochs = gaps.groupby(["unique_tokens", "tokens"])[["epochs", "gap", "nats"]].mean()
    smallest = by_epochs.loc[by_epochs.index[0][0]]
    rises = smallest["nats"].iloc[-1] > smallest["nats"].min()
    say(
        f"With {short(by_epochs.index[0][0])} unique tokens, the validation loss is "
        + ", ".join(
            f"{abs(gap):.2f} nats {'above' if gap > 0 else 'below'} the training loss after "
            f"{epochs:.0f} epoch{'s' if epochs > 1.5 else ''}"
            for epochs, gap in zip(smallest["epochs"], smallest["gap"], strict=True)
        )
        + ". The validation loss "
        + (
            "is lowest before the last of these, and then rises: the model has begun to learn by heart."
            if rises
            else "has not risen yet: a model of this size has little room to learn by heart."
        )
    )

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
if study:
    print(f"after {1 + study.law.law.R_star * np.log(2):.1f} epochs")

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
if study and study.law.law.R_star > 1:
    R_star = study.law.law.R_star
    print(f"{1 - R_star * np.log(1 - 1 / R_star):.2f} epochs")

# %% [markdown]
# ```{solution-end}
# ```
