# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # The learning rate across widths
#
# A comparison of sizes is fair only if each size trains at a rate that suits it.
# Does the best rate move with the width, and can that be prevented?
#
# After this chapter you can find the best rate with an interval, say how it moves under the standard parametrisation and why, and carry a rate from a narrow model to a wide one.
#
# ```{dropdown} Guess before you read on
# 1. A model twelve times as wide: is its best rate the same, a third, or a twelfth?
# 2. Under a parametrisation made for it, by what factor does the best rate still move?
# 3. Each at its own best rate: which parametrisation has the lower loss?
#
# The answers stand under the figures below, in this order.
# ```

# %% tags=["parameters"]
profile = "paper"  # whose records are shown

# %% tags=["hide-input"]
import math

import pandas as pd
import torch
from IPython.display import Markdown, display

from tinylm.config import ModelConfig, OptimizerConfig
from tinylm.model import GPT
from tinylm.optim import make_optimizer, peak_learning_rate
from tinylm.plots import RatePanel, growth_figure, rates_figure, use_style
from tinylm.records import to_table
from tinylm.store import Store
from tinylm.studies.rates import best_rates
from tinylm.studies.size import size_study
from tinylm.sweeps.declare import expand, load_experiment, shown, shown_profile

# %matplotlib inline
use_style()


def say(text: str) -> None:
    """Show a sentence with numbers that were measured above."""
    display(Markdown(text))


# %% [markdown]
# ## Why it moves
#
# AdamW {cite:p}`loshchilov2019decoupled` moves every weight by about the learning rate $\eta$, whatever its gradient.
# A unit of a hidden layer adds up $d$ inputs, one for each unit below, and early in training their changes agree in sign more than chance.
# So one step moves what the unit says by about $\eta\, d$: twice the width, twice the stir.
# A wide model therefore shakes at a rate that a narrow one needs.
#
# The maximal-update parametrisation {cite:p}`yang2021tuning` is the set of factors under which a step moves every layer's output by as much at every width.
# With $m$ the width over a base width, in this model:
#
# | | standard | maximal updates |
# |---|---|---|
# | rate of the blocks' matrices | $\eta$ | $\eta / m$ |
# | rate of the embedding and the gains | $\eta$ | $\eta$ |
# | spread of the embedding's first values | $1/\sqrt{d}$ | $1/\sqrt{\text{base}}$ |
# | logits | $W h$ | $W h / m$ |
# | attention scores | $q \cdot k / \sqrt{d_\text{head}}$ | times $1/\sqrt{m}$ |
#
# At the base width, 64 here, both are the same model.
# In the package it is one field, `model.mup_base`.
#
# That can be seen before any training worth the name.
# Three steps at one rate, and how far the logits have moved:

# %%
WIDTHS = (16, 32, 64, 128, 256)
tokens = torch.randint(0, 64, (8, 33), generator=torch.Generator().manual_seed(0))


def moved(width, base, rate=0.0005, steps=3):
    """Root mean square change of the logits by a few steps of AdamW."""
    torch.manual_seed(0)
    model = GPT(ModelConfig(vocab_size=64, context_length=32, d_model=width, mup_base=base))
    optimizer = make_optimizer(model, OptimizerConfig(learning_rate=rate, width_exponent=0.0))
    with torch.no_grad():
        before = model(tokens[:, :-1])
    for _ in range(steps):
        optimizer.zero_grad()
        model.loss(tokens[:, :-1], tokens[:, 1:]).backward()
        optimizer.step()
    with torch.no_grad():
        return (model(tokens[:, :-1]) - before).square().mean().sqrt().item()


moves = {
    name: [moved(width, base) for width in WIDTHS]
    for name, base in (("standard", None), ("maximal updates", 64))
}

# %% mystnb={"figure": {"name": "fig-rate-moves", "caption": "How far three steps of AdamW at one learning rate move the logits of an untrained model, root mean square, over its width."}} tags=["hide-input"]
growth = {name: values[-1] / values[0] for name, values in moves.items()}
growth_figure(
    WIDTHS,
    moves,
    xlabel="width (d_model)",
    ylabel="change of the logits",
    title=(
        f"From width {WIDTHS[0]} to {WIDTHS[-1]} a step grows {growth['standard']:.1f}-fold, "
        f"with maximal updates {growth['maximal updates']:.1f}-fold"
    ),
)

# %% [markdown]
# ## The sweep
#
# Now training.
# Every width at every rate, under both parametrisations, three seeds, short runs.

# %% tags=["hide-input"]
NAMES = {True: "standard", False: "maximal updates"}


def sweep_of(profile):
    """The runs of the sweep under a profile, all of which must have records."""
    records = Store(profile).load(expand(load_experiment("maximal_updates"), profile))
    kinds = [NAMES[record.config.model.mup_base is None] for record in records]
    return to_table(records).assign(kind=kinds)


runs, note = shown(sweep_of, "maximal_updates", profile)
if note:
    say(note)
tables = {} if runs is None else dict(tuple(runs.groupby("kind", sort=False)))
found = {name: best_rates(part) for name, part in tables.items()}
rule = (
    size_study(shown_profile("maximal_updates", profile)).records[0].config.optimizer
)  # of the other experiments
widths = [one.width for one in found["standard"].found] if found else []
used = {width: peak_learning_rate(rule, width) for width in widths}

# %% mystnb={"figure": {"name": "fig-rate-widths", "caption": "Validation loss at the end of short runs against their peak learning rate, a curve a width; means over seeds with bars of ± one standard deviation. Triangles at the left mark the rate that the rule of the other experiments gives each width."}} tags=["hide-input"]
if found:
    ratio = {name: rates.found[0].rate / rates.found[-1].rate for name, rates in found.items()}
    moved_by = ratio["maximal updates"]
    display(
        rates_figure(
            [
                RatePanel(name, tables[name], used if name == "standard" else {})
                for name in NAMES.values()
            ],
            title=(
                f"From width {widths[0]} to {widths[-1]} the best rate falls "
                f"{ratio['standard']:.1f}-fold; with maximal updates "
                f"it moves by a factor of {max(moved_by, 1 / moved_by):.1f}"
            ),
        )
    )

# %% tags=["hide-input"]
if found:
    rows = {
        width: {
            f"{name}: {what}": text
            for name, rates in found.items()
            for one in rates.found
            if one.width == width
            for what, text in (
                (
                    "best rate",
                    f"{one.text} [{one.interval[0]:.2g}\u00a0to\u00a0{one.interval[1]:.2g}]",
                ),
                ("loss there", f"{one.loss:.3f}\u00a0±\u00a0{one.std:.3f}"),
            )
        }
        for width in widths
    }
    display(pd.DataFrame(rows).T.rename_axis("d_model"))
    for name, rates in found.items():
        low, high = rates.exponent_interval
        edges = [one.width for one in rates.found if one.place != "inside"]
        say(
            f"**{name.capitalize()}**: best rate ∝ width^{-rates.exponent:.2f}, 95% interval of the "
            f"exponent {-high:.2f} to {-low:.2f}"
            + (
                f"; at width {', '.join(map(str, edges))} the best rate of the grid is its end, "
                f"which bounds it."
                if edges
                else "."
            )
            + (f" {rates.diverged} runs diverged and are left out." if rates.diverged else "")
        )

# %% [markdown]
# ## Carrying a rate over
#
# The use of it: find the rate on a narrow model, which is cheap, and train a wide one with it.
# What does that cost, against the wide model's own best?

# %% tags=["hide-input"]
if found:
    rows = []
    for name, rates in found.items():
        narrow = rates.found[0]
        rows.append(
            {
                "parametrisation": name,
                f"best rate at width {narrow.width}": narrow.text,
                **{
                    f"cost at width {one.width} (nats)": f"{rates.cost(one.width, narrow.rate):.3f}"
                    for one in rates.found[1:]
                },
            }
        )
    display(pd.DataFrame(rows).set_index("parametrisation"))
    differences = [
        (a.width, b.loss - a.loss, math.hypot(a.std, b.std))
        for a, b in zip(found["standard"].found, found["maximal updates"].found, strict=True)
    ]
    say(
        "Each at its own best rate, maximal updates end "
        + ", ".join(
            f"{abs(gap):.3f} nats {'lower' if gap < 0 else 'higher'} at width {width} "
            f"({abs(gap) / spread:.1f} standard deviations of a difference)"
            for width, gap, spread in differences
        )
        + "."
    )

# %% [markdown]
# ## Was any size short-changed?
#
# The experiments of this book use the standard parametrisation and a rule for the rate, which {doc}`04_training` introduced.
# Here is what the rule costs each width, against the best rate of the grid.

# %% tags=["hide-input"]
if found:
    standard = found["standard"]
    rows = {
        one.width: {
            "rule": f"{used[one.width]:.2g}",
            "best rate": one.text,
            "rule's loss over the best (nats)": f"{standard.cost(one.width, used[one.width]):.3f}",
            "std over seeds (nats)": f"{one.std:.3f}",
        }
        for one in standard.found
    }
    display(pd.DataFrame(rows).T.rename_axis("d_model"))
    worst = max(standard.found, key=lambda one: standard.cost(one.width, used[one.width]))
    cost = standard.cost(worst.width, used[worst.width])
    smallest, largest = standard.found[0], standard.found[-1]
    say(
        f"It costs most at width {worst.width}: {cost:.3f} nats, {cost / worst.std:.1f} standard "
        f"deviations of a run. From the smallest width to the largest the loss falls by "
        f"{smallest.loss - largest.loss:.3f} nats, so a slope in size is off by at most "
        f"{100 * cost / (smallest.loss - largest.loss):.0f}% for this."
    )

# %% tags=["hide-input"]
if found:
    width, gap, spread = differences[-1]
    say(
        f"**So no width is short-changed by its rate. But by its parametrisation one is:** at width "
        f"{width} the best rate under maximal updates ends {-gap:.3f} nats below the best one of the "
        f"standard parametrisation. The sizes of chapter 5 are all trained the standard way, and what "
        f"that does to wide models is looked at there."
        if gap < -2 * spread
        else "So no width is short-changed by its rate, and at the largest width neither "
        "parametrisation is better than the other by more than the seeds differ."
    )

# %% [markdown]
# What stays open: these runs are short, and longer training may want smaller rates.
#
# ## Exercises
#
# ```{exercise} The embedding keeps its rate
# :label: ex-rate-embedding
#
# Under maximal updates the matrices of the blocks step less as the model widens, but the embedding does not.
# Why?
# ```
#
# ```{solution} ex-rate-embedding
# :class: dropdown
#
# A token picks one row of the embedding.
# Each number of the residual stream comes from one weight, however wide the model is, so a step of $\eta$ moves it by $\eta$.
# Nothing is added up over the width, and nothing has to be divided.
# As the output layer the same matrix does add up over the width; that is what dividing the logits by $m$ is for.
# ```
#
# ```{exercise} A wider model
# :label: ex-rate-wider
#
# Predict the best rate at width 1,024 under both parametrisations.
# How sure are you?
# ```
#
# ```{solution-start} ex-rate-wider
# :class: dropdown
# ```

# %%
lines = []
for name, rates in found.items():
    last = rates.found[-1]
    low, high = rates.exponent_interval
    at = [last.rate * (1024 / last.width) ** -power for power in (rates.exponent, high, low)]
    lines.append(f"{name:16} {at[0]:.2g}, from {at[1]:.2g} to {at[2]:.2g}")
print("\n".join(lines) or "This profile has no records of the sweep.")

# %% [markdown]
# The interval is that of the exponent alone, and so too narrow: it takes the best rate at the last width as known, and the power law as going on.
#
# ```{solution-end}
# ```
