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
# ```{guess} weights
# :answer: 32896
# :scale: 1000 1000000 log
# :unit: " weights"
# A head reads 256 tokens, and each token weighs itself and all earlier ones.
# How many weights is that?
# ```
#
# ```{dropdown} More to guess
# How many weights are there if the text is twice as long?
#
# The first token has 1 weight, the second 2, the last 256: together 256 · 257 / 2 = 32,896.
# For 512 tokens it is 131,328, four times as many.
# The last section counts what this costs.
# ```

# %% tags=["parameters"]
profile = "paper"  # whose trained model is shown: smoke, quick or paper

# %% tags=["hide-input"]
import math

import pandas as pd
import torch
import torch.nn.functional as F

from tinylm.book.examples import example_model, short_stories
from tinylm.book.glue import mean_and_interval, token_label
from tinylm.config import ModelConfig
from tinylm.cost import flops_exact
from tinylm.model import (
    GPT,
    CausalSelfAttention,
    explicit_attention,
    fused_attention,
    rotary_angles,
    rotate,
)
from tinylm.plots import attention_figure, distance_figure, rotary_figure, use_style
from tinylm.say import mean_and_spread
from tinylm.studies.runs import load_runs
from tinylm.tokenizers import END_OF_TEXT
from tinylm.widgets import explore

# %matplotlib inline
torch.manual_seed(0)
use_style()
# %% [markdown]
# ## Averaging the past
#
# Let $x_1, \dots, x_T$ be vectors, one per token.
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

# %% [markdown]
# What does the rotation do to a head that looks for its own likeness?
# Take the product of a query with an equal key that stands some tokens behind it.

# %% mystnb={"figure": {"name": "fig-rotary", "caption": "Product of a query with an equal key at a given distance behind it, over its value at distance 0 (head width 32, mean of 1,000 random vectors; band: 95% of them)."}}
vectors = torch.randn(1000, 1, W)
turned = rotate(vectors.expand(1000, T, W), cosines, sines)
products = (turned * turned[:, :1]).sum(dim=-1) / vectors.pow(2).sum(dim=-1)  # (1000, T)
rotary_figure(products, title="Rotation lets a head prefer near tokens")

# %% [markdown]
# ## What a trained head looks at
#
# Nobody tells a head what to look for.
# We open a trained model of this book, give it eight short stories that it has not seen, and measure.

# %%
run, trained, tokenizer = example_model(profile)
shape, data = trained.config, run.config.data
print(f"run {run.run_id}: width {shape.d_model}, {shape.n_layers} layers of {shape.n_heads} heads")
print(f"trained on {run.config.tokens:,} tokens of {data.corpus} cut by {data.tokenizer}")
texts = short_stories(data.corpus)
context = shape.context_length
stories = [torch.tensor([END_OF_TEXT, *tokenizer.encode(text)][:context]) for text in texts]

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


# %%
def targets(ids):
    """For each habit a mask (T, T): which tokens (columns) it concerns for a reader (row)."""
    T = len(ids)
    reader, read = torch.arange(T)[:, None], torch.arange(T)
    before = torch.cat([torch.tensor([-1]), ids[:-1]])  # the token before each token
    return {
        "previous": read == reader - 1,
        "itself": read == reader,
        "start": (read == 0) & (reader > 0),
        "same": (ids == ids[:, None]) & (read < reader),
        "after same": (before == ids[:, None]) & (read < reader),
    }


# %% [markdown]
# We average over the readers that can have the habit: the last two only count where an earlier copy exists.
# To compare with, a head that knows nothing spreads its weight evenly over the past.


# %%
def habits(weights, ids):
    """Percent of the weight (T, T) on each habit's tokens, over the readers that have any."""
    masks = targets(ids).items()
    return {n: 100 * float((weights * m).sum(-1)[m.any(dim=1)].mean()) for n, m in masks}


# %%
def measure(sequences):
    """Habits of each head and of even weights: a row for each head and sequence."""
    rows = []
    for ids in sequences:
        maps = torch.cat(trained.attention_maps(ids[None]))  # (L, H, T, T)
        for i, j in [(i, j) for i in range(shape.n_layers) for j in range(shape.n_heads)]:
            rows.append({"head": f"layer {i + 1}, head {j + 1}"} | habits(maps[i, j], ids))
        even = torch.ones(len(ids), len(ids)).tril()
        rows.append({"head": "even weights"} | habits(even / even.sum(-1, keepdim=True), ids))
    return pd.DataFrame(rows).groupby("head")


found = measure(stories)
found.agg(mean_and_interval)

# %% [markdown]
# All numbers are percent of a reader's weight, with their 95% interval over the stories.
# Compare each head with the row of even weights: a habit is what stands out from it by a factor.

# %%
(found.mean() / found.mean().loc["even weights"]).round(1)

# %% [markdown]
# A factor near 1 is no habit.
# How far back does each head look?

# %%
REACH = 48
sums, even, n_readers = torch.zeros(shape.n_layers, shape.n_heads, REACH + 1), 0.0, 0
for ids in stories:
    maps = torch.cat(trained.attention_maps(ids[None]))  # (L, H, T, T)
    for t in range(REACH, len(ids)):
        sums += maps[:, :, t, t - REACH : t + 1].flip(-1)  # index 0 is the reader itself
        even += 1 / (t + 1)
        n_readers += 1
near = 100 * float(sums[:, :, :9].sum() / sums.sum())

# %% mystnb={"figure": {"name": "fig-distance", "caption": "Mean attention weight against the distance between reader and token read, for every head of the trained model, over readers with at least 48 tokens before them in the eight stories. Dotted: even weights over the past."}}
distance_figure(
    {
        f"layer {i + 1}, head {j + 1}": sums[i, j] / n_readers
        for i in range(shape.n_layers)
        for j in range(shape.n_heads)
    },
    even / n_readers,
    title=f"{near:.0f} % of the weight within {REACH} tokens goes to the nearest 9",
)

# %% [markdown]
# Stories repeat words for many reasons.
# A cleaner test of induction is text that makes no sense: 32 random tokens, then the same 32 again.
# In the second half the next token is certain, but only for a model that finds the earlier copy and looks one place further.

# %%
generator = torch.Generator().manual_seed(0)
n_random = min(32, (context - 1) // 2)


def twice(n):
    """E, then n different random tokens, then the same again."""
    once = torch.randperm(tokenizer.vocab_size - 257, generator=generator)[:n] + 257
    return torch.cat([torch.tensor([END_OF_TEXT]), once, once])


repeated = [twice(n_random) for _ in range(32)]
measure(repeated)[["same", "after same"]].agg(mean_and_interval)

# %% [markdown]
# Whatever the heads look at, what counts is the loss.
# How much does a repetition save?

# %%
batch = torch.stack(repeated)  # (32, 2 n_random + 1)
with torch.no_grad():
    logits = trained(batch[:, :-1]).transpose(1, 2)  # (32, V, 2 n_random)
nats = F.cross_entropy(logits, batch[:, 1:], reduction="none")
first, second = nats[:, :n_random].mean(dim=1), nats[:, n_random + 1 :].mean(dim=1)
print(f"first time {first.mean():.2f}, second time {second.mean():.2f} nats per token")
print(f"saved: {mean_and_interval(first - second, digits=2)} nats per token")

# %% [markdown]
# A model that has learned induction loses far less the second time; one that saves about 0 has not learned it, wherever its heads look.
# Two layers are enough for it in principle: a head of the first tells each token what stood before it, and a head of the second looks for that.
#
# Now look at the weights themselves.
# A row is a reader, a column a token it reads; the darker, the more weight.
# [E] begins the document, and a dot before a token is a space.
# A previous-token head shows a line just below the diagonal, a head that rests shows a dark first column, and induction on repeated tokens shows a line that begins half-way down.

# %%
SHOWN = 24
pictures = {"a story": stories[0][:SHOWN], "random tokens, twice": twice(11)}


def look(text, layer, head):
    """Attention of one head on one text."""
    ids = pictures[text]
    weights = trained.attention_maps(ids[None])[layer - 1][0, head - 1]
    labels = [token_label(tokenizer, int(token)) for token in ids]
    return attention_figure(weights, labels, title=f"{text}: layer {layer}, head {head}")


layers, heads = range(1, shape.n_layers + 1), range(1, shape.n_heads + 1)
explore(look, "What each head looks at", text=list(pictures), layer=layers, head=heads)

# %% [markdown]
# Weights show where a head looks, not what it does with what it finds.
# The value it fetches passes through two more matrices, and what is fetched may be ignored.
# Read such pictures as a hint about the mechanism, and the loss as the fact.
#
# ## An induction head, built in
#
# A small model may never come to induction, since two layers have to find each other first.
# One layer is enough if each token's key is that of the token *before* it: a query that looks for its own token then lands one place further on.
# `look_behind` does this to some of the heads, `induction_heads` of them.
# It has no parameters and costs nothing, and with the same map for queries and keys it needs no training either.

# %%
size = {"d_model": 64, "n_layers": 1, "n_heads": 2, "context_length": 128}
size |= {"vocab_size": tokenizer.vocab_size, "positions": "learned"}
one = GPT(ModelConfig(**size, induction_heads=1))
attention = one.blocks[0].attention
with torch.no_grad():
    one.positions.weight.zero_()  # what counts is the token alone
    query_map, key_map, _ = attention.qkv.weight.chunk(3)
    key_map.copy_(query_map)  # look for what I am myself
    attention.query_norm.weight.fill_(10.0)  # and for little else
plain, moved = one.attention_maps(repeated[0][None])[0][0]
both = {"plain head": plain, "induction head": moved}
pd.DataFrame({n: habits(w, repeated[0]) for n, w in both.items()}).round(1)

# %% [markdown]
# The plain head looks at its own token and at earlier copies of it, the other one at what followed them.
# What is that worth to a model in training, whose maps are random at first?
# Guess before you look: the runs below are alike but for one of their two heads.

# %%
runs = load_runs("induction_heads")
kinds = {
    (0, True, 0.0): "plain heads",
    (1, True, 0.0): "one of two moved",
    (1, False, 0.0): "moved, not rotated",
    (1, False, 2.0): "keys start as queries",
}
how = ["induction_heads", "induction_positions", "induction_match"]
cells = runs.groupby(["d_model", "D", *how])["loss"]
loss, spread = (one.unstack(how)[list(kinds)] for one in (cells.mean(), cells.std()))
shown = pd.DataFrame(index=loss.index)
for kind, name in kinds.items():
    shown[name] = [mean_and_spread(*pair) for pair in zip(loss[kind], spread[kind], strict=True)]
shown["saved in all, %"] = (100 * (1 - loss.iloc[:, -1] / loss.iloc[:, 0])).round(1)
shown

# %% [markdown]
# Nats per token, mean ± standard deviation over three seeds; D is the tokens trained on.
# Moving the keys of one head saves several percent where heads are wide; where they are narrow, nothing.
# The reason is in the rotation above.
# To find a token wherever it stood, a head compares contents, and after a rotation only the pairs that turn slowly can do that: in a head of 16 numbers there are eight pairs, and half of them have turned by a radian or more after 32 tokens.
# Leave that one head unrotated (`induction_positions: false`), and induction comes early at every width.
# A standard deviation many times the others marks the moment itself: some of these seeds have made the jump, and some have not.
#
# In the last but one column there is no jump left to make.
# There the head starts with one map for queries and keys, as in the cell above, so that it finds what followed from the first step on, and training only has to learn what to do with it (`induction_match`).
# The recipe of this book has had such heads since they were measured; where a run has it, its record says so.
#
# ## What attention costs
#
# Every reader meets every earlier token, so the number of meetings grows as $T^2$ in the length of the text.
# The rest of a model costs the same for each token wherever it stands.
# The table counts both for the model above, at several context lengths.


# %%
def cost(T):
    """What a context of T tokens costs this model."""
    total = flops_exact(shape.model_copy(update={"context_length": T}), tokens=1)
    meetings = 6 * shape.n_layers * shape.d_model * (T + 1)
    return {
        "weights per head": T * (T + 1) // 2,
        "MB to store them": round(shape.n_layers * shape.n_heads * T * T * 4 / 1e6, 1),
        "kFLOP per token": round(total / 1000),
        "of it attention (%)": round(100 * meetings / total),
    }


pd.DataFrame({T: cost(T) for T in (128, 256, 512, 1024, 2048)}).T.rename_axis("context")

# %% [markdown]
# The FLOPs are those of training; the megabytes are what the explicit version must keep of each text for the backward pass, the future included.
# The fused kernel recomputes the weights instead {cite}`dao2022flash`: more FLOPs, far less memory.
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
# A head has 4 weights per token, 4T − 6 in all: linear in T.
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
# The products q·k and weights·v cost the same too: 4 heads × 16 = 64 multiply-adds per pair of tokens.
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
