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
import numpy as np
import torch
from IPython.display import Markdown, display

from tinylm.config import ModelConfig, OptimizerConfig
from tinylm.model import GPT
from tinylm.optim import make_optimizer
from tinylm.plots import RatePanel, growth_figure, rates_figure, use_style
from tinylm.studies import rates_words as words
from tinylm.studies.rates import lowest_points, rate_study
from tinylm.studies.shown import shown

# %matplotlib inline
use_style()

# %% [markdown]
# ## Why it moves
#
# AdamW {cite:p}`loshchilov2019decoupled` moves every weight by about the learning rate $\eta$, whatever its gradient.
# A unit of a hidden layer adds up $d$ inputs, one for each unit below, and early in training their changes agree in sign more than chance.
# So one step moves what the unit says by about $\eta\, d$: at twice the width it moves twice as far.
# A wide model is therefore unstable at a rate that a narrow one needs.
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


# %%
moves = {
    name: [moved(width, base) for width in WIDTHS]
    for name, base in (("standard", None), ("maximal updates", 64))
}

# %% mystnb={"figure": {"name": "fig-rate-moves", "caption": "How far three steps of AdamW at one learning rate move the logits of an untrained model, root mean square, over its width."}}
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

# %%
study, note = shown(rate_study, "maximal_updates", profile)
used = study.used  # by the rule of the other experiments, for each width
Markdown(note + words.sweep_said(study))

# %% mystnb={"figure": {"name": "fig-rate-widths", "caption": "Validation loss at the end of short runs against their peak learning rate, a curve a width; means over seeds with bars of ± one standard deviation. Triangles at the left mark the rate that the rule of the other experiments gives each width."}}
panels = [
    RatePanel(kind, runs, used if kind == "standard" else {})
    for kind, runs in study.runs.groupby("kind", sort=False)
]
rates_figure(panels, title=words.rates_title(study))

# %% [markdown]
# The best rate of a width is the lowest point of a parabola, in the logarithm of the rate, through the lowest mean and its two neighbours.
# Where the lowest mean is the first or the last of the grid, that rate is only a bound.

# %%
for kind, rates in study.found.items():
    losses = rates.losses[study.widths[-1]]  # of the widest: mean over seeds, by rate
    log_rates = np.log(losses.index.to_numpy())
    best, place = lowest_points(log_rates, losses.to_numpy()[None])
    print(f"{kind}: {np.exp(best[0]):.2g}, {place[0]} the grid")

# %% [markdown]
# Its interval is by bootstrap over seeds.

# %%
display(words.rates_table(study), Markdown(words.rates_said(study)))

# %% [markdown]
# ## Carrying a rate over
#
# The use of it: find the rate on a narrow model, which is cheap, and train a wide one with it.
# What does that cost, against the wide model's own best?

# %%
display(words.carried_table(study), Markdown(words.carried_said(study)))

# %% [markdown]
# ## Was any size short-changed?
#
# The experiments of this book use the standard parametrisation and a rule for the rate, which {doc}`04_training` introduced.
# Here is what the rule costs each width, against the best rate of the grid.

# %%
display(words.rule_table(study), Markdown(words.rule_said(study)))

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
for kind, rates in study.found.items():
    last = rates.found[-1]
    high, low = rates.exponent_interval
    best, least, most = (last.rate * (1024 / last.width) ** -a for a in (rates.exponent, low, high))
    print(f"{kind:16} {best:.2g} [{least:.2g}, {most:.2g}]")

# %% [markdown]
# The interval is that of the exponent alone, and so too narrow: it takes the best rate at the last width as known, and the power law as going on.
#
# ```{solution-end}
# ```
