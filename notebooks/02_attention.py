# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Attention
#
# The next word of a story depends on words far back: who she is, what was lost, where it was.
# How can a network fetch what it needs from a past of any length?
#
# After this chapter you can write causal attention with heads and rotary positions from nothing, prove with a gradient that it never looks ahead, and measure what a trained head looks at.
#
# ```{dropdown} Guess before you read on
# A head reads 256 tokens, and each token weighs itself and all earlier ones.
# How many weights is that?
# And how many if the text is twice as long?
#
# The first token has 1 weight, the second 2, the last 256: together 256 · 257 / 2 = 32,896.
# For 512 tokens it is 131,328, four times as many.
# The last section counts what this costs.
# ```

# %% tags=["parameters"]
profile = "paper"  # whose trained model is shown: smoke, quick or paper

# %% tags=["hide-input"]
import math

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from IPython.display import Markdown, display
from scipy import stats

from tinylm.checkpoints import load_model
from tinylm.config import ModelConfig
from tinylm.corpora import open_corpus
from tinylm.cost import flops_exact
from tinylm.model import (
    GPT,
    CausalSelfAttention,
    explicit_attention,
    fused_attention,
    rotary_angles,
    rotate,
)
from tinylm.plots import attention_figure, use_style
from tinylm.store import Store
from tinylm.sweeps.declare import expand, load_experiment
from tinylm.tokenizers import END_OF_TEXT
from tinylm.widgets import explore

use_style()
torch.manual_seed(0)


def say(text: str) -> None:
    """Show a sentence with numbers that were measured above."""
    display(Markdown(text))


# %% [markdown]
# ## Averaging the past
#
# Let $x_1, \dots, x_T$ be vectors, one a token.
# The simplest way to give each token some of its past is the mean of everything up to it.

# %%
T, C = 6, 4  # tokens, width
x = torch.randn(T, C)

means = torch.zeros(T, C)
for t in range(T):
    means[t] = x[: t + 1].mean(dim=0)

# %% [markdown]
# A loop over tokens is slow.
# The same means are one product with a matrix whose row $t$ holds the weights that token $t$ gives to all tokens.
# A weight of 0 on the future makes it *causal*.

# %%
weights = torch.ones(T, T).tril()
weights = weights / weights.sum(dim=1, keepdim=True)
print(weights.numpy().round(2))
assert torch.allclose(weights @ x, means)

# %% [markdown]
# There is a third way to write it.
# Start from scores, here all 0; put $-\infty$ on the future; and let a softmax turn each row into weights that sum to 1.

# %%
future = torch.ones(T, T).triu(diagonal=1).bool()
scores = torch.zeros(T, T).masked_fill(future, -torch.inf)
assert torch.allclose(scores.softmax(dim=1), weights)

# %% [markdown]
# Now the weights can depend on scores of any kind, and the future stays closed.
#
# ## Let the tokens choose
#
# Attention computes the scores from the tokens themselves {cite}`vaswani2017attention`.
# Each token makes three vectors by three linear maps.
#
# - A **query** $q$: what am I looking for?
# - A **key** $k$: what can be found here?
# - A **value** $v$: what is passed on to those who look here?
#
# The score of reader $t$ for token $s$ is the product $q_t \cdot k_s$, divided by $\sqrt W$, where $W$ is the width of queries and keys:
#
# $$
# \text{attention}(Q, K, V) = \text{softmax}\!\left(\frac{Q K^\top}{\sqrt W} + \text{mask}\right) V .
# $$


# %%
def attend(q, k, v):
    """Causal attention: q, k and v are (…, T, W), and so is the result."""
    T, W = q.shape[-2:]
    future = torch.ones(T, T).triu(diagonal=1).bool()
    scores = q @ k.transpose(-2, -1) / math.sqrt(W)  # (…, T, T)
    weights = scores.masked_fill(future, -torch.inf).softmax(dim=-1)
    return weights @ v


# %% [markdown]
# That is the whole of it.
# The package has it twice: `explicit_attention`, written out as here, and `fused_attention`, one kernel of torch that never stores the $T \times T$ weights.
# All three agree.

# %%
q, k, v = torch.randn(3, 2, 4, 50, 16)  # three of (B, H, T, W)
assert torch.allclose(attend(q, k, v), explicit_attention(q, k, v), atol=1e-5)
assert torch.allclose(attend(q, k, v), fused_attention(q, k, v), atol=1e-5)

# %% [markdown]
# Why $\sqrt W$?
# The product of two random vectors is a sum of $W$ terms, so its standard deviation grows as $\sqrt W$.
# Without the division, wide heads would start with a softmax that puts nearly all weight on one token, where gradients vanish.

# %%
rows = []
for W in (16, 64, 256):
    q, k = torch.randn(2, 1000, W)
    products = (q @ k.T)[:, :32]  # 1000 readers, 32 tokens each
    for name, s in (("q·k", products), ("q·k / √W", products / math.sqrt(W))):
        largest = s.softmax(dim=1).max(dim=1).values.mean()
        rows.append([W, name, float(s.std()), float(largest)])
columns = ["W", "score", "standard deviation", "mean of the largest of 32 weights"]
pd.DataFrame(rows, columns=columns).set_index(["W", "score"]).round(2)

# %% [markdown]
# ## Heads
#
# One set of weights can look for one thing.
# A layer therefore splits its width $C$ into $H$ heads of width $W = C/H$, and each head attends with its own queries, keys and values.
# The results are put side by side and mixed by one more linear map.
# This costs no more products than one wide head.
#
# (The models of this book also normalise queries and keys in each head, called QK-norm, a variant that chapter 3 lists. It is switched off here.)


# %%
def multi_head(x, qkv_weight, out_weight, n_heads):
    """x (B, T, C) through n_heads heads: (B, T, C)."""
    q, k, v = (x @ qkv_weight.T).chunk(3, dim=-1)
    W = x.shape[-1] // n_heads
    heads = []
    for h in range(n_heads):
        mine = slice(h * W, (h + 1) * W)
        heads.append(attend(q[..., mine], k[..., mine], v[..., mine]))
    return torch.cat(heads, dim=-1) @ out_weight.T


config = ModelConfig(d_model=64, n_heads=4, positions="learned", qk_norm=False)
layer = CausalSelfAttention(config, layer=0)
x = torch.randn(2, 50, 64)
with torch.no_grad():
    by_hand = multi_head(x, layer.qkv.weight, layer.out.weight, n_heads=4)
    assert torch.allclose(by_hand, layer(x), atol=1e-5)

# %% [markdown]
# `CausalSelfAttention` in `tinylm/model.py` is this, with the loop over heads turned into one more axis of the tensors.
#
# ## Does it really not look ahead?
#
# A model that sees a little of the future learns to copy it, and its loss looks wonderful.
# So we do not trust the mask; we test it.
# Output $t$ may depend on input $s$ only if $s \le t$, so the derivative of every later input must be exactly 0.

# %%
T = 12
x = torch.randn(1, T, 64)
jacobian = torch.autograd.functional.jacobian(layer, x)  # (1, T, C, 1, T, C)
strength = jacobian[0, :, :, 0].pow(2).sum(dim=(1, 3)).sqrt()  # (T, T)
assert (strength.triu(diagonal=1) == 0).all()  # nothing from the future, not even 1e-9
assert (strength.tril() + torch.ones(T, T).triu(diagonal=1) > 0).all()  # all of the past

# %% [markdown]
# The same holds for a whole model: replace the last token, and no earlier prediction moves.

# %%
model = GPT(ModelConfig(d_model=32))
tokens = torch.randint(512, (1, 40))
changed = tokens.clone()
changed[0, -1] = (changed[0, -1] + 1) % 512
with torch.no_grad():
    difference = (model(tokens) - model(changed)).abs().amax(dim=-1)[0]  # (T)
assert difference[:-1].max() < 1e-5
assert difference[-1] > 1e-3

# %% [markdown]
# ## Where is a token?
#
# So far order does not matter.
# The last token gets the same result however we shuffle the tokens before it.

# %%
shuffled = torch.cat([x[:, torch.randperm(T - 1)], x[:, -1:]], dim=1)
with torch.no_grad():
    assert torch.allclose(layer(x)[:, -1], layer(shuffled)[:, -1], atol=1e-5)

# %% [markdown]
# Something must tell the tokens where they are.
# GPT-2 adds a learned vector to each position.
# This book's models *rotate* queries and keys instead {cite}`su2021roformer`.
# The coordinates of a head are taken in pairs, each pair a point in a plane, and the token at position $t$ turns its pair $j$ by the angle $t \cdot 10000^{-2j/W}$: fast for the first pairs, slowly for the last.
#
# Turning two vectors by the same angle does not change their product.
# So the product of a query at $t$ and a key at $s$ depends on $t - s$ alone, and what a head learns at one place holds at every other.

# %%
W, T = 32, 200
cosines, sines = rotary_angles(T, W)
q, k = torch.randn(2, W)  # one query and one key …
scores = rotate(q.expand(T, W), cosines, sines) @ rotate(k.expand(T, W), cosines, sines).T
for distance in (0, 1, 7, 150):  # … at all pairs of positions
    along = scores.diagonal(offset=-distance)  # scores[t, t - distance] for all t
    assert torch.allclose(along, along[0].expand_as(along), atol=1e-4)
assert scores.diagonal(offset=-1)[0] != scores.diagonal(offset=-7)[0]

# %% mystnb={"figure": {"name": "fig-rotary", "caption": "Product of a query with an equal key at a given distance behind it, over its value at distance 0 (head width 32, mean of 1,000 random vectors; band: 95% of them)."}} tags=["hide-input"]
vectors = torch.randn(1000, 1, W)
turned = rotate(vectors.expand(1000, T, W), cosines, sines)
products = (turned * turned[:, :1]).sum(dim=-1) / vectors.pow(2).sum(dim=-1)  # (1000, T)
low, high = np.quantile(products.numpy(), [0.025, 0.975], axis=0)
figure, axes = plt.subplots(figsize=(6.6, 2.8))
axes.fill_between(range(T), low, high, alpha=0.2, linewidth=0)
axes.plot(products.mean(dim=0))
axes.set_xlabel("distance (tokens)")
axes.set_ylabel("relative product")
axes.set_title("Rotation lets a head prefer near tokens", loc="left", fontweight="bold")
plt.show()

# %% [markdown]
# ## What a trained head looks at
#
# Nobody tells a head what to look for.
# We open a trained model of this book and measure it.

# %% tags=["hide-input"]
runs = expand(load_experiment("model_size"), profile)
run = min(runs, key=lambda run: (abs(run.config.model.d_model - 64), run.seed))
trained, tokenizer = load_model(Store(profile).folder / "models" / run.run_id)
shape, data = trained.config, run.config.data
say(
    f"It is the run `{run.run_id}` of the experiment `model_size`, profile `{profile}`: "
    f"width {shape.d_model}, {shape.n_layers} layers of {shape.n_heads} heads, trained on "
    f"{run.config.tokens:,} tokens of `{data.corpus}` cut by `{data.tokenizer}`."
)

# %% tags=["hide-input"]
STORIES = [
    "Once upon a time, there was a little girl named Lily. Lily had a red ball. One day, the ball "
    'rolled into the river. Lily was sad. Her mom said, "Do not cry, Lily. We can find the '
    'ball." They looked and looked. Then Lily saw the ball near a big rock. She was very happy.',
    "Tom had a small dog. The dog was named Max. Every day, Tom and Max went to the park. One day, "
    'Max ran away. Tom looked for Max behind the trees. He called, "Max, Max!" Then the dog came '
    "back with a stick. Tom hugged Max and they went home.",
    "There was a bird who could not fly. The bird lived in a tall tree with her friend, a cat. The "
    'cat said, "I will help you fly." The bird jumped and the cat cheered. The bird did not fall. '
    "The bird could fly! The cat was so proud of the bird.",
    "Ben and Mia were playing in the garden. Mia found a shiny stone. Ben wanted the stone too. "
    '"It is my stone," said Mia. Ben was angry. Then Mia said, "We can share the stone." Ben said '
    "sorry to Mia. They took turns and played with the stone all day.",
    "One day, a boy named Sam made a cake with his grandma. The cake was big and sweet. Sam wanted "
    'to eat the cake. Grandma said, "Wait, Sam. The cake is hot." Sam waited and waited. Then Sam '
    "and grandma ate the cake together. It was the best cake.",
    "A little frog lived near a pond. The frog liked to jump. One day, the frog saw a fly. The frog "
    "jumped, but the fly was too fast. The frog fell into the water. The fish laughed. The frog "
    "laughed too. The frog and the fish became good friends.",
    "Anna had a blue hat. She loved her blue hat. The wind took the hat away. Anna ran after the "
    'hat. A tall man got the hat. "Is this your hat?" asked the man. "Yes," said Anna. "Thank '
    'you!" Anna put on the hat and smiled at the man.',
    "It was a cold night. A mouse was looking for a warm home. The mouse saw a box. In the box was "
    'an old bear. "Can I come in?" asked the mouse. "Yes," said the bear. The bear and the mouse '
    "slept in the box. The mouse was warm, and the bear was not alone.",
]  # in the manner of TinyStories, written for this page
if data.corpus == "fables":
    STORIES = [text[:400] for text in open_corpus("fables").documents["validation"][:8]]

# %% [markdown]
# Five habits can be measured without opinion.
# For each reader we add up its weight on:
#
# - **previous**: the token just before it;
# - **itself**;
# - **start**: the token E that begins the document, a place to look when there is nothing to fetch;
# - **same**: earlier copies of the same token, such as the last mention of a name;
# - **after same**: the tokens that *followed* earlier copies.
#   A head that does this knows what came next the last time.
#   It is called an induction head {cite}`olsson2022induction`.
#
# We average over readers, then over eight short stories.
# The last two habits only count where an earlier copy exists.
# The last row is a head that spreads its weight evenly: what knowing nothing gives.
# All numbers are percent of a reader's weight, with 95% intervals over the stories.


# %%
def targets(ids):
    """For each habit a mask (T, T): which tokens (columns) it concerns for a reader (row)."""
    T = len(ids)
    reader, read = torch.arange(T)[:, None], torch.arange(T)
    followed = torch.cat([torch.tensor([-1]), ids[:-1]])  # the token before each token
    return {
        "previous": read == reader - 1,
        "itself": read == reader,
        "start": (read == 0) & (reader > 0),
        "same": (ids == ids[:, None]) & (read < reader),
        "after same": (followed == ids[:, None]) & (read < reader),
    }


def habits(weights, ids):
    """Mean weight (H) on each habit's tokens, over the readers that have any; weights (H, T, T)."""
    found = {}
    for name, mask in targets(ids).items():
        readers = mask.any(dim=1)
        found[name] = (weights * mask).sum(dim=-1)[:, readers].mean(dim=1)
    return found


def measure(sequences):
    """Habits of each head (L, H, n sequences) and those of even weights (n sequences)."""
    heads, even = [], []
    for ids in sequences:
        maps = trained.attention_maps(ids[None])  # L of (1, H, T, T)
        heads.append([habits(layer[0], ids) for layer in maps])
        flat = torch.ones(1, len(ids), len(ids)).tril()
        even.append(habits(flat / flat.sum(dim=-1, keepdim=True), ids))
    names = list(even[0])
    by_head = {
        n: np.array([[h[n].numpy() for h in one] for one in heads]).transpose(1, 2, 0)
        for n in names
    }
    return by_head, {n: np.array([float(one[n]) for one in even]) for n in names}


context = shape.context_length
stories = [torch.tensor([END_OF_TEXT, *tokenizer.encode(text)][:context]) for text in STORIES]
by_head, even = measure(stories)


# %% tags=["hide-input"]
def mean_and_interval(values):
    """Mean and half of its 95% interval (Student's t over sequences), in percent, as text."""
    half = stats.t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / math.sqrt(len(values))
    return f"{100 * values.mean():.1f}\u00a0±\u00a0{100 * half:.1f}"  # no line break inside


def habit_table(by_head, even):
    places = [(i, j) for i in range(shape.n_layers) for j in range(shape.n_heads)]
    rows = {
        f"layer {i + 1}, head\u00a0{j + 1}": {
            n: mean_and_interval(v[i, j]) for n, v in by_head.items()
        }
        for i, j in places
    }
    rows["even weights"] = {n: mean_and_interval(v) for n, v in even.items()}
    return pd.DataFrame(rows).T


habit_table(by_head, even)


# %% tags=["hide-input"]
def strongest(by_head, name):
    """Layer, head and mean weight of the head with most of a habit."""
    means = by_head[name].mean(axis=-1)
    i, j = np.unravel_index(means.argmax(), means.shape)
    return int(i), int(j), float(means[i, j])


MEANS = {
    "previous": "the previous token",
    "itself": "itself",
    "start": "the start of the document",
    "same": "earlier copies of its token",
    "after same": "what followed earlier copies",
}
lines = []
for name in ("previous", "same", "after same"):
    i, j, value = strongest(by_head, name)
    times = value / even[name].mean()
    lines.append(
        f"- Most weight on {MEANS[name]}: layer {i + 1}, head {j + 1}, with {100 * value:.0f}%, "
        f"{times:.1f} times that of even weights."
    )
say("\n".join(lines))

# %% mystnb={"figure": {"name": "fig-distance", "caption": "Mean attention weight against the distance between reader and token read, for every head of the trained model, over readers with at least 48 tokens before them in the eight stories. Dashed lines: heads of later layers. Dotted: even weights over the past."}} tags=["hide-input"]
REACH = 48
sums = torch.zeros(shape.n_layers, shape.n_heads, REACH + 1)
level, n_readers = 0.0, 0
for ids in stories:
    maps = torch.stack([layer[0] for layer in trained.attention_maps(ids[None])])  # (L, H, T, T)
    for t in range(REACH, len(ids)):
        sums += maps[:, :, t, t - REACH : t + 1].flip(-1)
        level += 1 / (t + 1)
        n_readers += 1
figure, axes = plt.subplots(figsize=(6.6, 3.2))
for i in range(shape.n_layers):
    for j in range(shape.n_heads):
        curve = sums[i, j] / n_readers
        line = "-" if i == 0 else "--"
        axes.plot(range(REACH + 1), curve, line, marker=".", label=f"layer {i + 1}, head {j + 1}")
axes.axhline(level / n_readers, color="0.3", linestyle=":", label="even weights")
axes.set_yscale("log")
axes.set_ylim(bottom=1e-4)
axes.set_xlabel("distance (tokens)")
axes.set_ylabel("mean weight")
axes.legend(ncols=2)
near = float(sums[:, :, :9].sum() / sums.sum())
axes.set_title(
    f"{100 * near:.0f}% of the weight within {REACH} tokens goes to the nearest 9",
    loc="left",
    fontweight="bold",
)
plt.show()

# %% [markdown]
# Stories repeat words for many reasons.
# A cleaner test of induction is text that makes no sense: 32 random tokens, then the same 32 again.
# In the second half the next token is certain, but only for a model that finds the earlier copy and looks one place further.

# %%
generator = torch.Generator().manual_seed(0)
n_random = min(32, (context - 1) // 2)
repeated = []
for _ in range(32):
    once = torch.randperm(tokenizer.vocab_size - 257, generator=generator)[:n_random] + 257
    repeated.append(torch.cat([torch.tensor([END_OF_TEXT]), once, once]))
by_head_repeated, even_repeated = measure(repeated)

# %% tags=["hide-input"]
display(habit_table(by_head_repeated, even_repeated)[["same", "after same"]])
with torch.no_grad():
    batch = torch.stack(repeated)
    log_p = trained(batch[:, :-1]).log_softmax(dim=-1)
    nats = -log_p.gather(-1, batch[:, 1:, None])[..., 0]  # (32, 2 n_random)
first, second = nats[:, :n_random].mean(dim=1), nats[:, n_random + 1 :].mean(dim=1)
saved = (first - second).numpy()
i, j, value = strongest(by_head_repeated, "after same")
ratio = value / even_repeated["after same"].mean()
half = stats.t.ppf(0.975, 31) * saved.std(ddof=1) / math.sqrt(32)
verdict = (
    "It has learned induction."
    if saved.mean() - half > 0.1 and ratio > 3
    else "Induction is weak or absent in a model of this size and training."
)
say(
    f"Layer {i + 1}, head {j + 1} gives {100 * value:.0f}% of its weight to what followed the "
    f"earlier copy, {ratio:.1f} times that of even weights. "
    f"The model loses {float(first.mean()):.2f} nats a token in the first half and "
    f"{float(second.mean()):.2f} in the second: a repetition saves it {saved.mean():.2f} ± "
    f"{half:.2f} nats a token (95%). {verdict}"
)

# %% [markdown]
# Now look at the weights themselves.
# A row is a reader, a column a token it reads; the darker, the more weight.
# [E] begins the document, and a dot before a token is a space.
# A previous-token head shows a line just below the diagonal, a head that rests shows a dark first column, and induction on repeated tokens shows a line that begins half-way down.


# %% tags=["hide-input", "nbval-ignore-output"]
def label(token):
    if token == END_OF_TEXT:
        return "[E]"
    return tokenizer.token_text(token).replace(" ", "·").replace("\n", "⏎")


SHOWN = 32
half = torch.randperm(tokenizer.vocab_size - 257, generator=generator)[:15] + 257
texts = {
    "a story": stories[0][:SHOWN],
    "a name again": stories[1][:SHOWN],
    "random tokens, twice": torch.cat([torch.tensor([END_OF_TEXT]), half, half]),
}


def look(text: str, layer: int, head: int):
    """Attention of one head on one text; its title is the strongest habit over even weights."""
    ids = texts[text]
    weights = trained.attention_maps(ids[None])[layer - 1][0, head - 1]
    mine = habits(weights[None], ids)
    name = max(mine, key=lambda n: float(mine[n]))
    return attention_figure(
        weights,
        [label(int(token)) for token in ids],
        title=f"Layer {layer}, head {head}: {100 * float(mine[name]):.0f}% on {MEANS[name]}",
    )


explore(
    look,
    "What each head looks at",
    text=list(texts),
    layer=range(1, shape.n_layers + 1),
    head=range(1, shape.n_heads + 1),
)

# %% [markdown]
# Weights show where a head looks, not what it does with what it finds.
# The value it fetches passes through two more matrices, and what is fetched may be ignored.
# Read such pictures as a hint about the mechanism, and the loss as the fact.
#
# ## What attention costs
#
# Every reader meets every earlier token, so the number of meetings grows as $T^2$ in the length of the text.
# The rest of a model costs the same for each token wherever it stands.
# The table counts both for the model above, at several context lengths.


# %% tags=["hide-input"]
def cost_row(T):
    at = shape.model_copy(update={"context_length": T})
    total = flops_exact(at, tokens=1)
    meetings = 6.0 * shape.n_layers * shape.d_model * (T + 1)
    return {
        "context (tokens)": T,
        "weights a head (thousand)": round(T * (T + 1) / 2000),
        "attention (kFLOP a token)": round(meetings / 1000),
        "all (kFLOP a token)": round(total / 1000),
        "attention's share (%)": round(100 * meetings / total),
        "stored weights (MB a text)": round(shape.n_layers * shape.n_heads * T * T * 4 / 1e6, 1),
    }


cost = pd.DataFrame([cost_row(T) for T in (128, 256, 512, 1024, 2048)]).set_index(
    "context (tokens)"
)
cost

# %% tags=["hide-input"]
share = cost["attention's share (%)"]
say(
    f"From 128 to 2,048 tokens the number of weights grows "
    f"{2048 * 2049 / (128 * 129):.0f}-fold, and attention goes "
    f"from {share[128]}% to {share[2048]}% of the training FLOPs of a token. "
    f"The last column is what the explicit version must keep for the backward pass."
)

# %% [markdown]
# The fused kernel recomputes the weights instead of storing them {cite}`dao2022flash`: more FLOPs, far less memory.
# Chapter 6 asks what a longer context buys when every run spends the same FLOPs.
#
# ## Exercises
#
# ```{exercise} A window of four
# :label: ex-attention-window
#
# Change `attend` so that each token sees only itself and the three tokens before it.
# How many weights does a head then compute for $T$ tokens?
# With two such layers, how far back can a prediction look?
# ```
#
# ```{solution} ex-attention-window
# :class: dropdown
#
# Close the far past as well as the future:
#
#     ones = torch.ones(T, T)
#     closed = (ones.triu(diagonal=1) + ones.tril(diagonal=-4)).bool()
#
# A head has 4 weights a token, 4T − 6 in all: linear in T.
# Each layer reaches three tokens further back, so two layers reach six.
# ```
#
# ```{exercise} One wide head
# :label: ex-attention-one-head
#
# Width 64: does one head of width 64 cost more than four of width 16, in parameters and in FLOPs?
# What can four do that one cannot?
# ```
#
# ```{solution} ex-attention-one-head
# :class: dropdown
#
# Parameters are the same: the linear maps see only the whole width.
# The products q·k and weights·v cost the same too: 4 heads × 16 = 64 multiply-adds a pair of tokens.
# But four heads compute four sets of weights, so a token can fetch from four places at once.
# ```
#
# ```{exercise} A leak
# :label: ex-attention-leak
#
# Replace `triu(diagonal=1)` in `attend` by `triu(diagonal=2)`.
# Which assertion of this chapter fails first?
# What would the training loss of such a model do?
# ```
#
# ```{solution} ex-attention-leak
# :class: dropdown
#
# The comparison with `explicit_attention` fails first.
# Were both wrong, the gradient test would catch it: `strength` would be positive one place above the diagonal.
# Each token would see the next one, which is its own target, so the loss would fall towards 0.
# ```
