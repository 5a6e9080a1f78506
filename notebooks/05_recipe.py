# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # The recipe
#
# A comparison of sizes is fair only if each size is trained as well as it can be.
# Is there one rule for the learning rates, the batch and the decay that is good for every size and every amount of text?
#
# After this chapter you can say why a good rate moves with the width and how that is prevented, find the best of several values by moving one at a time, and tell what a recipe costs where it is not the best.
#
# ```{guess} rule
# :answer: guess_recipe_percent
# :scale: 0 20 0.5
# :unit: " %"
# One rule sets rates, batch and decay for all sizes.
# On sizes and amounts of text that it was not tuned on, how many per cent of the loss does it cost at most?
# ```
#
# ```{dropdown} More to guess
# 1. One rate is twice or half of its best: does that cost 0.2, 2 or 10 % of the loss?
# 2. Sixteen times the text: is the best batch the same, four times or sixteen times as large?
# 3. A model sixty times as large: is its best rate for Muon the same, a third, or a tenth?
#
# The answers stand under the figures below, in this order.
# ```

# %% tags=["parameters"]
profile = "paper"  # whose records are shown

# %% tags=["hide-input"]
import pandas as pd
import torch
from IPython.display import Markdown, display

from tinylm.config import ModelConfig, OptimizerConfig
from tinylm.model import GPT
from tinylm.optim import make_optimizer
from tinylm.plots import (
    RatePanel,
    gains_figure,
    growth_figure,
    rates_figure,
    rule_cost_figure,
    sweep_figure,
    use_style,
)
from tinylm.store import Store
from tinylm.studies import rates_words, recipe_words
from tinylm.studies.mistuning import recipe_study
from tinylm.studies.noise_scale import noise_scales
from tinylm.studies.rates import rate_study
from tinylm.studies.recipe_check import recipe_check
from tinylm.studies.recipe_steps import steps_study
from tinylm.studies.shown import shown
from tinylm.sweeps.recipe import recipe

# %matplotlib inline
use_style()

# %% [markdown]
# ## Why a good rate moves with the width
#
# AdamW {cite:p}`loshchilov2019decoupled` moves every weight by about the learning rate $\eta$, whatever its gradient.
# A unit of a hidden layer adds up $d$ inputs, one for each unit below, and early in training their changes agree in sign more than chance.
# So one step moves what the unit says by about $\eta\, d$: at twice the width it moves twice as far.
# A wide model is therefore unstable at a rate that a narrow one needs.
#
# There are two ways out.
# The maximal-update parametrisation {cite:p}`yang2021tuning` divides rates, logits and scores by powers of the width so that a step moves every layer's output by as much at every width.
# Muon {cite:p}`jordan2024muon` replaces the step of a matrix by the nearest matrix all of whose singular values are one: such a step moves an output by as much as the inputs, at every width, without any factor.
#
# That can be seen before any training worth the name.
# Three steps at one rate, and how far the logits have moved:

# %%
WIDTHS = (16, 32, 64, 128, 256)
tokens = torch.randint(0, 64, (8, 33), generator=torch.Generator().manual_seed(0))


def moved(width, base=None, name="adamw", rate=0.0005, steps=3):
    """Root mean square change of the logits by a few steps."""
    model = GPT(ModelConfig(vocab_size=64, context_length=32, d_model=width, mup_base=base))
    rates = {"learning_rate": rate if name == "adamw" else 1e-9, "matrix_learning_rate": 10 * rate}
    optimizer = make_optimizer(model, OptimizerConfig(name=name, width_exponent=0.0, **rates))
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
    "AdamW": [moved(width) for width in WIDTHS],
    "AdamW, maximal updates": [moved(width, base=64) for width in WIDTHS],
    "Muon on the blocks": [moved(width, name="muon") for width in WIDTHS],
}

# %% mystnb={"figure": {"name": "fig-rate-moves", "caption": "How far three steps at one learning rate move the logits of an untrained model, root mean square, over its width. Muon moves the matrices of the blocks alone here."}}
growth = {name: values[-1] / values[0] for name, values in moves.items()}
growth_figure(
    WIDTHS,
    moves,
    xlabel="width (d_model)",
    ylabel="change of the logits",
    title=(
        f"From width {WIDTHS[0]} to {WIDTHS[-1]} a step of AdamW grows {growth['AdamW']:.1f}-fold, "
        f"one of Muon {growth['Muon on the blocks']:.1f}-fold"
    ),
)

# %% [markdown]
# ## The rule
#
# The recipe of this book has Muon for the matrices of the blocks and AdamW for embeddings and gains, and one head in two an induction head ({doc}`02_attention`).
# The batch and AdamW's rate follow from the size and the number of tokens, each by a power; Muon's rate and the decay are the same everywhere.

# %%
rows = {}
for n, width in ((6_272, 16), (98_816, 64), (885_888, 192)):
    for n_tokens in (250_000, 1_000_000, 4_000_000):
        rule = recipe(n, n_tokens, context_length=256)
        row = {"batch_tokens": rule["batch_tokens"]} | rule["optimizer"]
        columns = ["batch_tokens", "learning_rate", "matrix_learning_rate", "weight_decay"]
        rows[width, f"{n_tokens:,}"] = {name: row[name] for name in columns}
pd.DataFrame(rows).T.rename_axis(["width", "tokens"]).astype({"batch_tokens": int})

# %% [markdown]
# ## A sweep about a guess
#
# Four values at many places make too many combinations to try.
# But near a lowest point everything is a parabola, and if a first guess is near it, it is enough to move one value at a time.
# The rule above was put where this sweep says.

# %%
study, note = shown(recipe_study, "recipe", profile)
Markdown(note + recipe_words.sweep_said(study))

# %% mystnb={"figure": {"name": "fig-recipe-sweep", "caption": "Validation loss over that of the guess, in per cent, where one value is moved and the others stay: a row an amount of text, a column a value, a colour a width. Dashed: where the recipe is. Curves: one regression through all runs, in which each parabola's slope is linear in log N and log D and its curvature is the same everywhere."}}
sweep_figure(
    list(recipe_words.panels(study)),
    xlabels=recipe_words.XLABELS,
    ylabel="loss over that of the guess (%)",
    title=recipe_words.sweep_title(study),
)

# %% [markdown]
# One run at each point is enough because all runs share the noise of finding the parabolas: a slope may change with $\log N$ and $\log D$, and with nothing else, and a curvature is the same everywhere.
# Where is the best of each value?

# %%
recipe_words.best_table(study)

# %% tags=["hide-input"]
Markdown(recipe_words.moves_said(study))

# %% [markdown]
# ## What the rule costs
#
# A rule need not be the best anywhere, only good everywhere.
# At each place it costs $\sum_i s_i^2 / 4 c_i$ of the log loss, with $s_i$ the slope of the $i$-th parabola at the rule and $c_i$ its coefficient of the square.

# %% mystnb={"figure": {"name": "fig-recipe-cost", "caption": "What the recipe costs against the best of all four values, in per cent of the loss, with 95% intervals of the regression. Dashed: the aim."}}
rule_cost_figure(
    recipe_words.cost_lines(study),
    limit=recipe_words.AIM,
    xlabel="N, non-embedding parameters",
    ylabel="cost of the recipe (% of the loss)",
    title=recipe_words.cost_title(study),
)

# %% tags=["hide-input"]
Markdown(recipe_words.cost_said(study))

# %% [markdown]
# ## How large could a batch be?
#
# The mean gradient of $B$ rows is the true one and noise, of variance $\operatorname{tr}\Sigma / B$.
# The two are alike at the *noise scale* $B_\mathrm{noise} = \operatorname{tr}\Sigma / |G|^2$ {cite:p}`mccandlish2018empirical`: below it a larger batch makes a step better, above it hardly.
# It takes no sweep, only the gradients of some rows:


# %%
def noise_scale(gradients):
    """tr Σ / |G|², from the gradients of some rows, a row each."""
    n, mean = len(gradients), gradients.mean(0)
    spread = (gradients - mean).square().sum() / (n - 1)
    return (spread / (mean.square().sum() - spread / n)).item()


planted = 1 + 3 * torch.randn(4000, 100, generator=torch.Generator().manual_seed(0))
print(f"variance 9, squared mean 1, in each of 100 directions: {noise_scale(planted):.1f} rows")

# %%
noise, note = shown(noise_scales, "recipe", profile)
Markdown(note + recipe_words.noise_said(noise))

# %% mystnb={"figure": {"name": "fig-recipe-noise", "caption": "Noise scale against the tokens seen so far, along runs of a million tokens by the recipe, a line a width, until the cool-down begins: gradients of 256 rows at each point."}}
growth_figure(
    recipe_words.noise_lines(noise, "tokens"),
    recipe_words.noise_lines(noise, "noise_scale"),
    xlabel="tokens seen",
    ylabel="noise scale (tokens)",
    title=recipe_words.noise_title(noise),
)

# %% [markdown]
# ## Where nothing was swept
#
# A regression can be right at its own runs and wrong between and beyond them.
# So the recipe's values were halved and doubled once more, at sizes and amounts of text that lie between those above, in a model of four layers, and on two texts for which none of these values was tuned.

# %%
drawn = recipe_check(Store("second"))  # keys of induction heads drawn apart from their queries
display(recipe_words.check_table(drawn), Markdown(recipe_words.check_said(drawn)))

# %% [markdown]
# Each number is what that value costs, in per cent of the loss, by a parabola through the runs at its sides.
# Slope and curvature are the place's own; the curvature, which three values tell badly, is held near that of the regression above.
#
# Smaller batches take more steps from the same text.
# What needs so many steps that it is worth a worse gradient?
# One thing is learnt late and all at once: induction ({doc}`02_attention`).
# If that is what the small batches pay for, then models that need not learn it should want the batch of the rule.
# So the keys of induction heads were started as their queries, and the same runs made once more:

# %%
check, note = shown(recipe_check, "recipe_check", profile)
display(recipe_words.check_table(check), Markdown(note + recipe_words.check_said(check)))

# %% tags=["hide-input"]
Markdown(recipe_words.matched_said(drawn, check) + " " + recipe_words.halving_said(noise))

# %% [markdown]
# This is the recipe from here on.
# The sweep above, the runs of chapters 6 to 8 and 11, and your own of chapter 6 under the profile `quick`, have all of it but this.
#
# ## What each part earns
#
# The first experiments of this book had another recipe: AdamW for everything, batches of 512 tokens, GELU, a cool-down over the whole run, no shift and no induction head.
# Eight steps lead from there to this one.
# Each was added alone to the first recipe, and each taken alone from this one.

# %% tags=["hide-input"]
steps, note = shown(steps_study, "recipe_steps", profile)
Markdown(note + recipe_words.steps_said(steps))

# %% mystnb={"figure": {"name": "fig-recipe-steps", "caption": "Left: how much the loss falls when one step is added to the first recipe. Right: how much it rises when one is taken from this one. Per cent, with 95% intervals of differences within seeds."}}
gains_figure(
    recipe_words.steps_columns(steps),
    xlabel="of the loss (%)",
    title=recipe_words.steps_title(steps),
)

# %% [markdown]
# A step that earns much alone and is hardly missed does what another one does too.
# Rates were not tuned again for each: a step that is missed may be missed less by one who tunes the rest to its absence.
#
# ## The first recipe, width by width
#
# A recipe that suits some sizes better than others bends every law that is fitted to its runs.
# The first one had a rule for AdamW's rate, a power of the width.
# This is what it cost, against the best rate of the grid and against maximal updates:

# %%
first, note = shown(rate_study, "maximal_updates", profile)
Markdown(note + rates_words.sweep_said(first))

# %% mystnb={"figure": {"name": "fig-rate-widths", "caption": "Validation loss at the end of short runs against their peak learning rate, a curve a width; means over seeds with bars of ± one standard deviation. Triangles at the left mark the rate that the rule of the first recipe gives each width."}}
used = first.used  # by the rule, for each width
rate_panels = [
    RatePanel(kind, runs, used if kind == "standard" else {})
    for kind, runs in first.runs.groupby("kind", sort=False)
]
rates_figure(rate_panels, title=rates_words.rates_title(first))

# %%
display(rates_words.rates_table(first), Markdown(rates_words.rates_said(first)))

# %%
display(rates_words.rule_table(first), Markdown(rates_words.rule_said(first)))

# %% [markdown]
# The larger the model, the worse it was treated: a fitted exponent is then too small, and a prediction for a larger model too low.
# {doc}`06_model_size` and {doc}`08_compute` rest on the new recipe.
# {doc}`07_data`, {doc}`09_context_length` and {doc}`10_floor` still rest on runs of the old one.
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
# ```{exercise} Why not one run a factor?
# :label: ex-recipe-cross
#
# Moving one value at a time finds the lowest point only if the values do not lean on each other.
# Which two of the four would you expect to, and which run would show it?
# ```
#
# ```{solution} ex-recipe-cross
# :class: dropdown
#
# The batch and the rates: a batch twice as large has a gradient with less noise, and bears a larger step.
# A run with twice the batch *and* larger rates shows it: if it is better than the parabolas add up to, the two lean on each other.
# Near the lowest point that changes where the best of one lies given the other, but the cost of the rule only by the product of two small distances.
# ```
#
# ```{exercise} A place that was not swept
# :label: ex-recipe-place
#
# What does the regression say of width 96 with 2M tokens, and of ten times the largest model?
# Which of the two do you believe?
# ```
#
# ```{solution-start} ex-recipe-place
# :class: dropdown
# ```

# %%
for n, d in ((221_000, 2e6), (10 * study.runs["n_non_embedding"].max(), 4e6)):
    cost, (low, high) = study.fit.cost(n, d)
    print(
        f"N = {n:9,}, D = {d:9,.0f}: {100 * cost.sum():.2f} % [{100 * low:.2f}, {100 * high:.2f}]"
    )

# %% [markdown]
# The first lies among the runs, the second beyond them, where a line in $\log N$ is a guess.
#
# ```{solution-end}
# ```
