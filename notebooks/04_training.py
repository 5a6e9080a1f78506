# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Training
#
# A new GPT knows nothing: it gives each of 512 tokens about the same chance.
# What turns it into a teller of stories, and how do you know that the training is right?
#
# After this chapter you can write a training loop in twenty lines, test it before you trust it, choose a learning rate by measurement, and say whether a loss is good and whether a difference is real.
#
# ```{dropdown} Guess before you read on
# 1. What is the loss of the new model, in nats a token?
# 2. A model is trained again and again on one batch of 256 tokens. Where does its loss end?
# 3. A model three times as wide: does it want a larger learning rate, a smaller one, or the same?
#
# The first answer needs hardly any measurement: a chance of 1/512 costs $\ln 512 = 6.24$ nats, and a new model loses a little more, because it is not quite even-handed.
# The other two are measured below.
# ```

# %% tags=["parameters"]
profile = "paper"  # whose records are shown: smoke, quick or paper
n_steps = 1000  # of the training that runs live on this page

# %% tags=["hide-input"]
import html
import math
from itertools import pairwise
from pathlib import Path
from unittest.mock import patch

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from IPython.display import Markdown, display
from scipy import stats

from tinylm.batches import TrainingBatches, prepare
from tinylm.config import ModelConfig, OptimizerConfig, RunConfig
from tinylm.errors import TinyLMError
from tinylm.evaluate import evaluate
from tinylm.generate import generate
from tinylm.model import GPT
from tinylm.ngrams import ngram_floors
from tinylm.optim import peak_learning_rate, schedule_factor
from tinylm.plots import (
    QUIET,
    RatePanel,
    learning_curves_figure,
    rates_figure,
    use_style,
)
from tinylm.records import to_table
from tinylm.store import Store
from tinylm.studies.figures import floor_labels
from tinylm.studies.rates import best_rates
from tinylm.studies.size import learning_curves, load_study
from tinylm.sweeps.declare import expand, load_experiment
from tinylm.tokenizers import END_OF_TEXT
from tinylm.trainer import Trainer
from tinylm.widgets import explore

use_style()


def say(text: str) -> None:
    """Show a sentence with numbers that were measured above."""
    display(Markdown(text))


# %% [markdown]
# ## The loop
#
# Training is one thought, repeated.
# Predict the next tokens of a batch; measure how wrong that was; ask in which direction each weight should move; move all of them a little.
#
# First the size of a step.
# It rises from 0 over the first steps, while AdamW {cite}`loshchilov2019decoupled` learns how large each weight's gradients are, and falls to 0 at the end.


# %%
def learning_rate(step, config):
    """Linear warm-up to the peak, then linear to 0 at the last step."""
    o = config.optimizer
    narrower = o.base_width / config.model.d_model
    peak = o.learning_rate * narrower**o.width_exponent
    warmup = math.ceil(o.warmup_fraction * config.steps)
    if step < warmup:
        return peak * ((step + 1) / warmup)
    return peak * (1 - (step - warmup) / (config.steps - 1 - warmup))


# %% [markdown]
# Then the loop.
# `get_batch(step)` gives inputs and targets, two arrays of tokens (B, T), the targets one place ahead.


# %%
def fit(config, seed, get_batch, watch=None):
    """Train a new GPT; returns it and the loss of each step (nats a token)."""
    o = config.optimizer
    model = GPT(config.model, seed=seed)
    matrices = [p for p in model.parameters() if p.dim() >= 2]
    vectors = [p for p in model.parameters() if p.dim() < 2]  # norms: no decay
    groups = [
        {"params": matrices, "weight_decay": o.weight_decay},
        {"params": vectors, "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, betas=(o.beta1, o.beta2), fused=True)
    losses = []
    for step in range(config.steps):
        if watch:
            watch(step, model)
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, config)
        inputs, targets = (torch.from_numpy(a) for a in get_batch(step))
        loss = model.loss(inputs, targets)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), o.gradient_clip)
        optimizer.step()
        losses.append(float(loss.detach()))
    return model, losses


# %% [markdown]
# The package's trainer does the same and more: it evaluates, saves checkpoints, goes on after a crash, stops when a run diverges, and writes the record.
# Do both take the same steps?
# We give them the same seed and the same data, the embedded corpus `fables`, and compare.

# %%
data = prepare("fables", "bpe-512")
vocab_size = data.tokenizer.vocab_size
shape = ModelConfig(d_model=48, context_length=256, vocab_size=vocab_size)


def run_of(steps):
    """A run of so many steps, each of 512 tokens."""
    return RunConfig(model=shape, batch_tokens=512, tokens=512 * steps)


short = run_of(8)
batches = TrainingBatches(data.train, 256, short.batch_size, seed=0)
_, ours = fit(short, seed=0, get_batch=batches.batch)

trainer = Trainer(short, 0, data, Path("no-checkpoint"), torch.device("cpu"))
theirs = []
for _ in range(short.steps):
    loss, _ = trainer.take_step()
    trainer.state.step += 1
    theirs.append(float(loss))

assert np.allclose(ours, theirs, rtol=0, atol=1e-5)

# %% tags=["hide-input", "nbval-ignore-output"]
gap = max(abs(a - b) for a, b in zip(ours, theirs, strict=True))
same = "to the last bit" if gap == 0 else f"to {gap:.0e} nats"
say(
    f"The losses of all {short.steps} steps agree {same}, from {ours[0]:.2f} nats a token at the "
    f"first step to {ours[-1]:.2f} at the last."
)

# %% [markdown]
# ## Test it before you trust it
#
# A training loop with a mistake in it rarely crashes.
# It trains, a little worse than it should.
# Two tests take seconds and find most mistakes.
#
# **The first loss.**
# Equal chances for all tokens would cost $\ln 512 = 6.24$ nats.
# The scores (logits) of a new model are noise with a standard deviation of about 1, and noise costs half its variance: so expect about 6.7.
# Much more means that it starts out sure of nonsense; less than 6.24 means that it sees the answer.
#
# **One batch, again and again.**
# A model with far more weights than the batch has tokens can learn it by heart, so the loss must go to almost 0.
# If it does not, gradients do not reach some weights, or targets do not belong to inputs.

# %%
window = data.train.tokens[: 4 * 64 + 1].astype(np.int64)
one_batch = window[:-1].reshape(4, 64), window[1:].reshape(4, 64)

_, memorised = fit(run_of(200), seed=0, get_batch=lambda step: one_batch)

assert 0 < memorised[0] - math.log(512) < 1
assert memorised[-1] < 0.05

# %% mystnb={"figure": {"name": "fig-overfit", "caption": "Loss on one batch of 4 × 64 tokens that the model sees at every step. The dotted line is ln 512, a uniform guess."}} tags=["hide-input", "nbval-ignore-output"]
figure, axes = plt.subplots(figsize=(6.6, 2.8))
axes.semilogy(range(1, len(memorised) + 1), memorised)
axes.axhline(math.log(512), color=QUIET, linestyle=":", linewidth=1)
axes.set_xlabel("step")
axes.set_ylabel("loss on the batch\n(nats a token)")
axes.set_title(
    f"After {len(memorised)} steps the model knows its batch by heart: {memorised[-1]:.4f} nats",
    loc="left",
    fontweight="bold",
)
plt.show()

# %% [markdown]
# The test has a second half.
# If the loss falls to 0 within a few steps, and on *new* batches too, the model is copying: it can see its targets.
#
# ## The learning rate over time
#
# Large steps learn fast and end in noise; small steps end well and take forever.
# A schedule takes large ones first and small ones last.
# The experiments of this book use `linear`.
# `wsd` (warm-up, stable, decay) has a practical charm: as long as it is on its plateau, nobody has to know when training will end.

# %% mystnb={"figure": {"name": "fig-schedules", "caption": "The four schedules of the package, as a share of the peak learning rate, over a run of 1,000 steps with a warm-up of 5%."}} tags=["hide-input"]
figure, axes = plt.subplots(figsize=(6.6, 2.8))
for schedule in ("constant", "cosine", "linear", "wsd"):
    optimizer = OptimizerConfig(schedule=schedule)
    factors = [schedule_factor(optimizer, step, 1000) for step in range(1000)]
    axes.plot(factors, label=schedule, linewidth=2.6 if schedule == "linear" else 1.5)
axes.set_xlabel("step")
axes.set_ylabel("share of the peak rate")
axes.set_title("Three schedules end at 0, after a common warm-up", loc="left", fontweight="bold")
axes.legend(loc="lower left", bbox_to_anchor=(0.06, 0.0))
plt.show()

# %% [markdown]
# ## Watch one learn
#
# Now the real thing, live: a small GPT on fables.
# Before some of the steps we stop, measure its loss on stories that it never sees, and let it write.

# %% tags=["nbval-ignore-output"]
run = run_of(n_steps)
unseen = data.validation.head(16)
prompt = torch.tensor([[END_OF_TEXT, *data.tokenizer.encode("Long ago a")]])
grid = np.geomspace(10, n_steps, 7).round().astype(int)
stops = sorted({0, *grid.tolist()})
seen, heard = {}, {}


def watch(step, model):
    """At each stop: the loss on unseen stories, and sixty tokens of a story."""
    if step in stops:
        seen[step] = evaluate(model, unseen, stride_fraction=0.5).nats
        told = generate(model, prompt, 60, temperature=0.7, stop=END_OF_TEXT, seed=1)
        words = [token for token in told[0].tolist() if token != END_OF_TEXT]
        heard[step] = data.tokenizer.decode(words)


model, losses = fit(run, seed=0, get_batch=batches.batch, watch=watch)
watch(n_steps, model)  # after the last step

# %% tags=["hide-input", "nbval-ignore-output"]
floors = ngram_floors(data.train, unseen, (1, 2, 3, 4))


def page(steps: int) -> str:
    """What the model writes after so many steps, and its loss then."""
    told = html.escape(heard[steps])
    passed = [floor.order for floor in floors if seen[steps] < floor.nats_per_token]
    rank = f"better than the {max(passed)}-gram" if passed else "worse than the 1-gram"
    return (
        f'<blockquote style="min-height:7.5em"><p>{told} …</p></blockquote>'
        f"<p>{steps * run.batch_tokens:,} tokens seen. Loss on unseen stories: "
        f"{seen[steps]:.2f} nats a token, {rank} baseline.</p>"
    )


explore(page, "What the model writes as it learns", steps=stops)

# %% [markdown]
# Move the slider.
# (A � is a byte that makes no letter by itself.)
# First come frequent pieces, then words, then words in the order of a sentence; what a sentence is *about* comes last, if at all.
# The loss falls through the n-gram baselines in the same order.

# %% mystnb={"figure": {"name": "fig-live-training", "caption": "Loss of the model trained on this page, on its training batches (mean since the point before) and on 16 unseen stories, against the n-gram baselines of the same stories (dotted)."}} tags=["hide-input", "nbval-ignore-output"]
rows = []
for before, stop in pairwise(stops):
    tokens = stop * run.batch_tokens
    mean = float(np.mean(losses[before:stop]))
    rows.append({"tokens": tokens, "loss": mean, "label": "training batches"})
    rows.append({"tokens": tokens, "loss": seen[stop], "label": "unseen stories"})
passed = sum(seen[stops[-1]] < floor.nats_per_token for floor in floors)
share = "all" if passed == len(floors) else f"{passed} of"
learning_curves_figure(
    pd.DataFrame(rows),
    {f"{floor.order}-gram": floor.nats_per_token for floor in floors},
    title=f"In {run.steps:,} steps the GPT passes {share} {len(floors)} n-gram baselines",
    ylabel="loss (nats a token)",
)

# %% [markdown]
# ## The bar to pass
#
# Is a loss of 2 nats a token good?
# By itself it means nothing.
# It needs a rival who knows the same text and is easy to understand.
#
# An **n-gram model** predicts the next token from the last $n - 1$ by counting what followed them in the training text.
# Long contexts are rare, so counts must be smoothed, and how matters much.
# We use interpolated modified Kneser–Ney {cite}`kneser1995improved,chen1999empirical`, the best of the classical methods:
#
# $$
# p_n(w \mid h) = \frac{c(hw) - d}{c(h)} + \gamma(h)\, p_{n-1}(w \mid h') .
# $$
#
# A little, $d$, is taken from every count, and what is saved, $\gamma(h)$, goes to the model with a context $h'$ shorter by one.
# In the shorter models a token is not counted by how often it occurs but by *how many different tokens it follows*: "Francisco" may be frequent, but only after "San".
#
# This is the floor to stand on.
# It takes seconds to fit, and what it knows is what a table of the last few tokens can know.
# A GPT above it has not shown that it does more than such a table; a GPT below it has.
#
# ## Learning curves of every size
#
# From here on we read records: runs that were trained once, and whose JSON files are beside this book.
# These are the runs of chapter 5, GPTs of different sizes on the same stories.

# %% tags=["hide-input"]
study = load_study("model_size", profile)
first = study.records[0]
floor = study.best_floor
sizes = study.by("d_model")
say(
    f"Profile `{profile}`: corpus `{study.corpus}`, {len(sizes)} sizes from "
    f"{sizes['n_non_embedding'].min():,} to {sizes['n_non_embedding'].max():,} non-embedding "
    f"parameters, {sizes['n_seeds'].min()} seeds each, {first.tokens:,} training tokens a run. "
    f"The n-gram baselines are counted on all {first.unique_tokens:,} training tokens; "
    f"the best is of order {floor.order}, with {floor.nats_per_token:.3f} nats a token."
)

# %% mystnb={"figure": {"name": "fig-learning-curves", "caption": "Validation loss while training, for every size (mean and standard deviation over seeds, on the same few documents at each point), against the unigram and the best n-gram baseline. The evaluation after the last step, on all documents, is in the table of chapter 5."}} tags=["hide-input"]
curves = learning_curves(study.records)
shown = pd.DataFrame(
    {
        "tokens": curves["tokens"],
        "loss": curves["validation_nats"],
        "label": [f"N = {n:,}" for n in curves["n_non_embedding"]],
    }
)
below = sizes[sizes["nats"] < floor.nats_per_token]
if len(below) == 0:
    finding = f"No size passes the {floor.order}-gram baseline in {first.tokens:,} tokens"
elif len(below) == len(sizes):
    finding = f"Every size ends below the best n-gram baseline (order {floor.order})"
else:
    finding = f"{len(below)} of {len(sizes)} sizes end below the {floor.order}-gram baseline"
learning_curves_figure(shown, floor_labels(study), title=finding)

# %% tags=["hide-input"]
if len(below):
    n = int(below["n_non_embedding"].min())
    verdict = f"The smallest size that ends below the best n-gram baseline has N = {n:,}."
else:
    short_of = sizes["nats"].min() - floor.nats_per_token
    verdict = f"The best size still ends {short_of:.2f} nats above the best n-gram baseline."
spent = first.tokens / first.unique_tokens
reading = (
    f"less than one pass over the data ({spent:.2f})"
    if spent < 1
    else f"{spent:.1f} passes over the data"
)
say(
    f"Two things to see. {verdict} "
    f"And the rival had a head start: it counted all of the training text, while these runs made "
    f"{reading}."
)

# %% [markdown]
# One warning about such curves.
# Large steps leave noise in the weights, and it goes away only as the learning rate falls to 0.
# So the loss in the *middle* of a run is higher than that of a shorter run which ends there.
# Compare runs where they have ended.
#
# ## Choosing the learning rate
#
# The learning rate is the one setting that can spoil a comparison of sizes: the rate that suits a narrow model makes a wide one shake.
# So it was measured before the experiments, in a pilot: several widths, several rates, several seeds, short runs.
# The rule that came out, and that all other experiments follow, is
#
# $$
# \text{peak rate} = \mathtt{learning\_rate} \cdot
# \left(\frac{\mathtt{base\_width}}{\mathtt{d\_model}}\right)^{\mathtt{width\_exponent}} .
# $$

# %% tags=["hide-input"]
pilot = pd.DataFrame()
try:
    pilot_runs = expand(load_experiment("learning_rate"), profile)
    pilot = to_table(Store(profile).load(pilot_runs))
except TinyLMError:
    say(f"The pilot has no records under the profile `{profile}`, so its figure is left out.")

rule = study.records[0].config.optimizer  # what the model-size experiment used


found = best_rates(pilot) if len(pilot) else None
widths = [one.width for one in found.found] if found else []
used = {width: peak_learning_rate(rule, width) for width in widths}
costs = {width: found.cost(width, rate) for width, rate in used.items()}

# %% mystnb={"figure": {"name": "fig-training-rates", "caption": "Validation loss at the end of short runs against their peak learning rate, a curve a width; means over seeds with bars of ± one standard deviation. Triangles mark the rate that the rule gives each width."}} tags=["hide-input"]
if found:
    narrow, wide = found.found[0], found.found[-1]
    display(
        rates_figure(
            [RatePanel("", pilot, used)],
            title=f"Best rate at width {narrow.width}: {narrow.text}; at width {wide.width}: {wide.text}",
        )
    )

# %% tags=["hide-input"]
if found:
    rows = {
        one.width: {
            "best rate": one.text,
            "95% interval": f"{one.interval[0]:.2g} to {one.interval[1]:.2g}",
            "rule": f"{used[one.width]:.2g}",
            "rule's loss over the best (nats)": f"{costs[one.width]:.3f}"
            if math.isfinite(costs[one.width])
            else "outside the grid",
            "std over seeds (nats)": f"{one.std:.3f}",
        }
        for one in found.found
    }
    display(pd.DataFrame(rows).T.rename_axis("d_model"))

# %% tags=["hide-input"]
if found:
    lines = [
        f"Every run saw {pilot['tokens'].iloc[0]:,} tokens; there are {pilot['seed'].nunique()} "
        f"seeds of each. The rule has learning_rate {rule.learning_rate:g}, base_width "
        f"{rule.base_width} and width_exponent {rule.width_exponent:g}."
    ]
    edges = [one.width for one in found.found if one.place != "inside"]
    if edges:
        lines.append(
            f"At width {', '.join(map(str, edges))} the best rate is at the edge of the grid, so "
            f"the pilot bounds the optimum there and does not locate it."
        )
    elif len(found.found) > 2:
        low, high = found.exponent_interval
        lines.append(
            f"A power law through the best rates has exponent {found.exponent:.2f} (95% interval "
            f"{low:.2f} to {high:.2f}); the rule's {rule.width_exponent:g} lies "
            f"{'inside' if low <= rule.width_exponent <= high else 'outside'}."
        )
    inside = [one for one in found.found if math.isfinite(costs[one.width])]
    if inside:
        worst = max(inside, key=lambda one: costs[one.width])
        lines.append(
            f"Following the rule instead of the best rate of the grid costs at most "
            f"{costs[worst.width]:.3f} nats (width {worst.width}): "
            f"{costs[worst.width] / worst.std:.1f} standard deviations of a run."
        )
    if found.diverged:
        lines.append(f"{found.diverged} runs diverged and are left out.")
    say("\n".join(lines))

# %% [markdown]
# What the pilot cannot say: it ran short, and longer training may want smaller rates.
# If the rule suits some widths better than others, the exponent of chapter 5 carries a little of that.
#
# ## Why three seeds
#
# A seed decides the first weights and the order of the stories.
# Nothing about the model depends on it, yet the loss does.
# So the difference between two single runs is a difference between models *plus* luck, and only repetition tells how much is luck.

# %% tags=["hide-input"]
done = study.finished
groups = [part["nats"].to_numpy() for _, part in done.groupby("d_model")]
freedom = sum(len(group) - 1 for group in groups)
pooled = math.sqrt(sum(((g - g.mean()) ** 2).sum() for g in groups) / freedom)
student = stats.t.ppf(0.975, freedom)
resolved = {n: student * pooled * math.sqrt(2 / n) for n in (1, 3, 10)}
steps = -np.diff(sizes["nats"])
table = pd.DataFrame(
    {
        "N": [f"{n:,}" for n in sizes["n_non_embedding"]],
        "loss (nats a token)": sizes["nats"].map("{:.3f}".format),
        "std over seeds": sizes["nats_std"].map("{:.3f}".format),
        "lowest to highest seed": [f"{g.min():.3f} to {g.max():.3f}" for g in groups],
        "gain over the size before": ["", *(f"{step:.3f}" for step in steps)],
    }
)
display(table.set_index("N"))
lost = {n: int((steps < half).sum()) for n, half in resolved.items()}
say(
    f"The standard deviation between seeds goes from {sizes['nats_std'].min():.3f} nats at one "
    f"size to {sizes['nats_std'].max():.3f} at another; pooled over all sizes it is {pooled:.3f} "
    f"({freedom} degrees of freedom). "
    f"A difference between two sizes is resolved at 95% if it exceeds {resolved[1]:.3f} nats "
    f"with one seed each, {resolved[3]:.3f} with three, {resolved[10]:.3f} with ten. "
    f"Of the {len(steps)} steps from a size to the next, {lost[1]} would be lost in the noise of "
    f"single runs, and {lost[3]} with three seeds."
)

# %% [markdown]
# Precision grows with the root of the number of seeds, the price with the number.
# Three is the smallest number that gives a spread at all worth the name, and a law fitted through many sizes borrows strength from all of them.
#
# ## Exercises
#
# ```{exercise} The forgotten line
# :label: ex-training-zero-grad
#
# Remove `optimizer.zero_grad()` from `fit`.
# Which direction does each step take then?
# Does the test with one batch notice?
# ```
#
# ```{solution-start} ex-training-zero-grad
# :class: dropdown
# ```

# %% tags=["nbval-ignore-output"]
with patch.object(torch.optim.AdamW, "zero_grad"):  # forgotten
    _, forgetful = fit(run_of(200), seed=0, get_batch=lambda step: one_batch)
    _, drifting = fit(short, seed=0, get_batch=batches.batch)
print(f"one batch, after 20 steps:  {forgetful[20]:.4f} (as it should be: {memorised[20]:.4f})")
print(f"one batch, after 200 steps: {forgetful[-1]:.4f} (as it should be: {memorised[-1]:.4f})")
wrong = [abs(a - b) > 1e-3 for a, b in zip(drifting, theirs, strict=True)]
print("steps that differ from the package's:", [i for i, bad in enumerate(wrong) if bad])

# %% [markdown]
# Gradients add up: each step follows the sum of all gradients so far, the first as much as the last.
# Clipping hides the growing size, so nothing explodes.
# And on one batch all gradients are of the same loss, so their sum is a direction that works: the test passes, only later.
# What notices is the comparison with another trainer.
# A test finds the mistakes that it was made for.
#
# ```{solution-end}
# ```
#
# ```{exercise} A wonderful loss
# :label: ex-training-shift
#
# Change `one_batch` so that the targets are the inputs themselves, not shifted by one.
# What happens to the loss, and why is that not a good sign?
# ```
#
# ```{solution} ex-training-shift
# :class: dropdown
#
# It falls to almost 0 within a few dozen steps, also on new batches.
# The model only has to repeat the token it reads, and learns nothing about what comes next.
# A loss that is too good is a bug until shown otherwise.
# ```
#
# ```{exercise} How many seeds?
# :label: ex-training-seeds
#
# Two variants of a model differ by 0.01 nats, and the standard deviation between seeds is 0.01 nats too.
# How many seeds of each do you need to resolve the difference at 95%?
# ```
#
# ```{solution} ex-training-seeds
# :class: dropdown
#
# The difference of two means of $n$ runs has standard error $0.01 \sqrt{2/n}$, and the interval is about $\pm 2$ of them (more for small $n$).
# $0.02 \sqrt{2/n} < 0.01$ needs $n > 8$; with Student's $t$ for $2n - 2$ degrees of freedom, $n = 9$ is the first that suffices.
# And then the interval only just excludes 0: to find such a difference nine times in ten takes more than twice as many.
# ```
#
# ```{exercise} Training longer
# :label: ex-training-longer
#
# You trained with the linear schedule for 1,000 steps and want to know what 2,000 would give.
# Can you go on from the final weights?
# What would the `wsd` schedule have allowed?
# ```
#
# ```{solution} ex-training-longer
# :class: dropdown
#
# The linear schedule has gone to 0; raising the rate again first undoes the gain of the cool-down, and the result is not that of a 2,000-step run.
# With `wsd` you keep the weights from before the decay, continue the plateau, and decay at the new end.
# ```
