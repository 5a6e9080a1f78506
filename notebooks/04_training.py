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
# A new GPT knows nothing: it gives each of 1,024 tokens about the same probability.
# What turns it into a teller of stories, and how do you know that the training is right?
#
# After this chapter you can write a training loop in forty lines, test it before you trust it, and say whether a loss is good and whether a difference is real.
#
# ```{guess} seeds
# :answer: guess_seeds_percent
# :scale: 0 10 0.1
# :unit: " %"
# The same model is trained again with another seed.
# By how many per cent does its loss scatter (one standard deviation)?
# ```
#
# ```{dropdown} More to guess
# 1. What is the loss of the new model, in nats per token?
# 2. A model is trained again and again on one batch of 256 tokens. Where does its loss end?
#
# The first answer needs hardly any measurement: a probability of 1/1,024 costs $\ln 1024 = 6.93$ nats, and a new model loses a little more, because it is not quite even-handed.
# The other is measured below.
# ```

# %% tags=["parameters"]
profile = "paper"  # whose records are shown: smoke, quick or paper
n_steps = 200  # of the training that runs live on this page; 4000 take a minute

# %% tags=["hide-input"]
import math
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pandas as pd
import torch
from scipy import special

from tinylm.batches import TrainingBatches
from tinylm.book.glue import told
from tinylm.config import ModelConfig, OptimizerConfig, Run, RunConfig
from tinylm.corpora import fables
from tinylm.corpora.token_files import PreparedData, tokenize
from tinylm.evaluate import evaluate
from tinylm.generate import generate
from tinylm.model import GPT
from tinylm.ngrams import ngram_floors
from tinylm.optim import schedule_factor
from tinylm.plots import learning_curves_figure, lines_figure, use_style
from tinylm.store import Store
from tinylm.studies.size import curves_figure, load_study
from tinylm.tokenizers import END_OF_TEXT, train_tokenizer
from tinylm.trainer import Trainer
from tinylm.widgets import explore

# %matplotlib inline
use_style()

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
# Weight decay pulls the matrices towards 0.
# The gains of the norms are left alone: they belong near 1.


# %%
def make_adamw(model, o):
    """AdamW that decays matrices only."""
    matrices = [p for p in model.parameters() if p.dim() >= 2]
    gains = [p for p in model.parameters() if p.dim() < 2]
    groups = [
        {"params": matrices, "weight_decay": o.weight_decay},
        {"params": gains, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, betas=(o.beta1, o.beta2), fused=True)


# %% [markdown]
# This is a step, the heart of it.
# Gradients add up in torch, so they are cleared first; a gradient that is too long is clipped, so that one odd batch cannot throw the model off.


# %%
def take_step(model, optimizer, rate, inputs, targets, clip=1.0):
    """Move every weight a little; returns the loss before (nats per token)."""
    for group in optimizer.param_groups:
        group["lr"] = rate
    loss = model.loss(inputs, targets)
    optimizer.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), clip)
    optimizer.step()
    return float(loss.detach())


# %% [markdown]
# And this is the loop.
# `get_batch(step)` gives inputs and targets, two arrays of tokens (B, T), the targets one place ahead.


# %%
def fit(config, seed, get_batch, watch=lambda step, model: None):
    """Train a new GPT; returns it and the loss of each step."""
    model = GPT(config.model, seed=seed)
    optimizer = make_adamw(model, config.optimizer)
    losses = []
    for step in range(config.steps):
        watch(step, model)
        inputs, targets = (torch.from_numpy(array) for array in get_batch(step))
        rate = learning_rate(step, config)
        losses.append(take_step(model, optimizer, rate, inputs, targets))
    return model, losses


# %% [markdown]
# We train on fables: as many as the run below will read, and a few more that it never sees.
# (For a whole corpus, `prepare` does what this cell does, once, and keeps it.)

# %%
texts = [fables.document("train", i) for i in range(max(100, n_steps // 2))]
unseen_texts = [fables.document("validation", i) for i in range(3)]
tokenizer = train_tokenizer("bpe-1024", texts[:100])
train, unseen = tokenize(texts, tokenizer), tokenize(unseen_texts, tokenizer)
print(f"{train.n_tokens:,} tokens to train on, {unseen.n_tokens:,} to validate on")

# %%
shape = ModelConfig(d_model=64, n_layers=1, context_length=64, vocab_size=tokenizer.vocab_size)


def run_of(steps):
    """A run of so many steps, of 512 tokens each."""
    return RunConfig(model=shape, batch_tokens=512, tokens=512 * steps)


short = run_of(8)
batches = TrainingBatches(train, shape.context_length, short.batch_size, seed=0)
_, ours = fit(short, seed=0, get_batch=batches.batch)

# %% [markdown]
# The package's trainer does the same and more: it evaluates, saves checkpoints, resumes after a crash, stops when a run diverges, and writes the record.
# Do both take the same steps?
# We give them the same seed and the same data, and compare.
# (The trainer insists on knowing whose text it reads.)

# %%
source = {"corpus": "fables", "tokenizer_sha256": "of this page"}
named = [replace(tokens, manifest={**tokens.manifest, **source}) for tokens in (train, unseen)]
data = PreparedData(tokenizer, *named, fables.VERSION, provenance={})
run = Run(short, seed=0, run_id="of this page")
trainer = Trainer(run, data, Path("no-checkpoint"), torch.device("cpu"))

theirs = []
for _ in range(short.steps):
    loss, _ = trainer.take_step()
    trainer.state.step += 1
    theirs.append(float(loss))

assert np.allclose(ours, theirs, rtol=0, atol=1e-5)

# %% tags=["nbval-ignore-output"]
print("ours  ", *(f"{loss:.6f}" for loss in ours))
print("theirs", *(f"{loss:.6f}" for loss in theirs))

# %% [markdown]
# ## Test it before you trust it
#
# A training loop with a mistake in it rarely crashes.
# It trains, a little worse than it should.
# Two tests take seconds and find most mistakes.
#
# **The first loss.**
# Equal probabilities for all tokens would cost $\ln 1024 = 6.93$ nats.
# The scores (logits) of a new model are noise with a standard deviation of about 1, and noise costs half its variance: so expect about 7.4.
# Much more means that it starts out sure of nonsense; less than 6.93 means that it sees the answer.
#
# **One batch, again and again.**
# A model with far more weights than the batch has tokens can learn it by heart, so the loss must go to almost 0.
# If it does not, gradients do not reach some weights, or targets do not belong to inputs.

# %%
window = train.tokens[: 4 * 64 + 1].astype(np.int64)
one_batch = window[:-1].reshape(4, 64), window[1:].reshape(4, 64)

_, memorised = fit(run_of(50), seed=0, get_batch=lambda step: one_batch)

assert 0 < memorised[0] - math.log(1024) < 1
assert memorised[-1] < 0.05

# %% mystnb={"figure": {"name": "fig-overfit", "caption": "Loss on one batch of 4 × 64 tokens that the model sees at every step. The dotted line is ln 1024, an even guess."}} tags=["nbval-ignore-output"]
lines_figure(
    {"loss": memorised},
    {"even guess": math.log(1024)},
    xlabel="step",
    ylabel="loss on the batch (nats per token)",
    title=f"After {len(memorised)} steps the model knows its batch by heart: {memorised[-1]:.4f} nats",
    log_y=True,
)

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

# %% mystnb={"figure": {"name": "fig-schedules", "caption": "The four schedules of the package, as a share of the peak learning rate, over a run of 1,000 steps with a warm-up of 5 %."}}
names = ("constant", "cosine", "linear", "wsd")
schedules = {name: OptimizerConfig(schedule=name) for name in names}
lines_figure(
    {
        name: [schedule_factor(o, step, 1000) for step in range(1000)]
        for name, o in schedules.items()
    },
    xlabel="step",
    ylabel="share of the peak rate",
    title="Three schedules end at 0, after a common warm-up",
)

# %% [markdown]
# ## Watch one learn
#
# Now the real thing, live: a small GPT on fables.
# Before some of the steps we stop, measure its loss on stories that it never sees, and let it write.

# %%
run = run_of(n_steps)
prompt = torch.tensor([tokenizer.encode("She was")])
stops = sorted({0, *np.geomspace(8, n_steps, 5).round().astype(int).tolist()})
seen, heard = {}, {}


def watch(step, model):
    """At each stop: the loss on unseen stories, and sixty tokens of a story."""
    if step in stops:
        seen[step] = evaluate(model, unseen, stride_fraction=0.5).nats
        story = generate(model, prompt, 60, temperature=0.4, stop=END_OF_TEXT, seed=1)
        heard[step] = tokenizer.decode(story[0].tolist()).removesuffix("<|endoftext|>")


# %% tags=["nbval-ignore-output"]
model, losses = fit(run, seed=0, get_batch=batches.batch, watch=watch)
watch(n_steps, model)  # after the last step
print(f"from {seen[0]:.2f} to {seen[n_steps]:.2f} nats per token on unseen stories")

# %% [markdown]
# To judge the loss we need a rival.
# The n-gram baselines of the next section have counted the same fables.

# %% tags=["nbval-ignore-output"]
floors = ngram_floors(train, unseen, (1, 2, 3, 4))


def page(steps):
    """What the model writes after so many steps, and what its loss beats then."""
    beaten = [f"{f.order}-gram" for f in floors if seen[steps] < f.nats_per_token]
    return told(
        heard[steps],
        f"{steps * run.batch_tokens:,} tokens seen. Loss on unseen stories: {seen[steps]:.2f} "
        f"nats per token, below {' and '.join(beaten) or 'no baseline'}.",
    )


explore(page, "What the model writes as it learns", steps=stops)

# %% [markdown]
# Move the slider.
# (A � is a byte that makes no letter by itself.)
# First come frequent pieces, then words, then words in the order of a sentence; what a sentence is *about* comes last, if at all.
# Longer training goes further: set `n_steps` and run the chapter again.
# The loss falls through the n-gram baselines in the same order.

# %% mystnb={"figure": {"name": "fig-live-training", "caption": "Loss of the model trained on this page, on its training batches (mean since the point before) and on unseen stories, against n-gram baselines of the same stories (dotted)."}} tags=["nbval-ignore-output"]
rows = []
for before, stop in pairwise(stops):
    at = {"tokens": stop * run.batch_tokens}
    rows.append(at | {"loss": np.mean(losses[before:stop]), "label": "training batches"})
    rows.append(at | {"loss": seen[stop], "label": "unseen stories"})
passed = sum(seen[n_steps] < floor.nats_per_token for floor in floors)
learning_curves_figure(
    pd.DataFrame(rows),
    {f"{floor.order}-gram": floor.nats_per_token for floor in floors},
    title=f"In {n_steps:,} steps the GPT passes {passed} of {len(floors)} n-gram baselines",
    ylabel="loss (nats per token)",
)

# %% [markdown]
# ## The bar to pass
#
# Is a loss of 2 nats per token good?
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
# These are GPTs of different sizes on the same stories.

# %%
study = load_study("model_size", Store(profile))
sizes, first, floor = study.by("d_model"), study.records[0], study.best_floor
print(f"{study.corpus}: {len(sizes)} sizes, {first.tokens:,} training tokens per run")
print(f"best n-gram baseline: order {floor.order}, {floor.nats_per_token:.3f} nats per token")
print(f"it counted {first.unique_tokens:,} tokens")

# %% mystnb={"figure": {"name": "fig-learning-curves", "caption": "Validation loss while training, for every size (mean and standard deviation over seeds, on the same few documents at each point), against the unigram and the best n-gram baseline. The evaluation after the last step, on all documents, is in the table of chapter 6."}}
curves_figure(study)

# %% [markdown]
# The rival may have a head start: it has counted all of the training text, however little of it a run has read.
#
# One warning about such curves.
# Large steps leave noise in the weights, and it goes away only as the learning rate falls to 0.
# So the loss in the *middle* of a run is higher than that of a shorter run which ends there.
# Compare runs where they have ended.
#
# ## Choosing the learning rate
#
# The learning rate is the one setting that can spoil a comparison of sizes: at the rate that suits a narrow model a wide one is unstable.
# How good values are found, for every size and amount of text, and what a wrong one costs, has a chapter of its own: {doc}`05_recipe`.
#
# ## Why three seeds
#
# A seed decides the first weights and the order of the stories.
# Nothing about the model depends on it, yet the loss does.
# So the difference between two single runs is a difference between models *plus* luck, and only repetition tells how much is luck.

# %%
groups = {n: part["nats"] for n, part in study.finished.groupby("n_non_embedding")}
rows = {f"{n:,}": [g.mean(), g.std(), g.min(), g.max()] for n, g in groups.items()}
columns = ["loss (nats per token)", "std over seeds", "lowest seed", "highest seed"]
table = pd.DataFrame(rows, columns).T.rename_axis("N")
table["gain over the size before"] = -table["loss (nats per token)"].diff()
table.round(3)

# %% [markdown]
# Pool the deviations of all sizes, and Student's $t$ says how large a difference between two sizes must be to be resolved at 95%, with one seed of each, with three, or with ten.

# %%
freedom = sum(len(g) - 1 for g in groups.values())
pooled = math.sqrt(sum(((g - g.mean()) ** 2).sum() for g in groups.values()) / freedom)
gains = table["gain over the size before"].dropna()
rows = {}
for n in (1, 3, 10):
    resolved = special.stdtrit(freedom, 0.975) * pooled * math.sqrt(2 / n)
    rows[n] = [f"{resolved:.3f}", f"{(gains < resolved).sum()} of {len(gains)}"]
columns = ["resolved difference (nats)", "gains lost in the noise"]
pd.DataFrame(rows, columns).T.rename_axis("seeds")

# %% [markdown]
# Precision grows with the root of the number of seeds, the price with the number.
# Three is the smallest number that gives a spread at all worth the name, and a law fitted through many sizes borrows strength from all of them.
#
# ## Exercises
#
# ```{exercise} The forgotten line
# :label: ex-training-zero-grad
#
# Remove `optimizer.zero_grad()` from `take_step`.
# Which direction does each step take then?
# Does the test with one batch notice?
# ```
#
# ```{solution-start} ex-training-zero-grad
# :class: dropdown
# ```

# %% tags=["nbval-ignore-output"]
with patch.object(torch.optim.AdamW, "zero_grad"):  # forgotten
    _, forgetful = fit(run_of(50), seed=0, get_batch=lambda step: one_batch)
    _, drifting = fit(short, seed=0, get_batch=batches.batch)
for step in (20, 49):
    print(f"one batch, step {step}: {forgetful[step]:.4f} (it should be {memorised[step]:.4f})")
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
