# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # The GPT and what it costs
#
# Attention mixes tokens.
# What else does a GPT need, how many numbers does it learn, and what does it cost to train one?
#
# After this chapter you can build a GPT from its parts, count its parameters, FLOPs and memory from the configuration alone, check each count against the running model, and say when the rule "6ND" misleads.
#
# ```{guess} embedding
# :answer: 25
# :scale: 0 100 1
# :unit: " %"
# A GPT has width 64, 2 layers and a vocabulary of 512.
# Which share of its parameters is the embedding?
# ```
#
# ```{dropdown} Why
# The embedding has 512 · 64 = 32,768 parameters.
# The two layers have about 2 · 12 · 64² = 98,304.
# So it is 25 %: in small models the vocabulary weighs heavily, and a law for "model size" must say whether it counts it.
# ```

# %% tags=["parameters"]
profile = "paper"  # whose trained model writes text at the end: smoke, quick or paper

# %% tags=["hide-input"]
import math
from unittest.mock import patch

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from torch.utils.flop_counter import FlopCounterMode

from tinylm.book.examples import example_model
from tinylm.book.glue import quote, source
from tinylm.config import ModelConfig
from tinylm.cost import (
    flops_6nd,
    flops_exact,
    forward_flops,
    parameter_count,
    training_memory_bytes,
)
from tinylm.generate import generate
from tinylm.model import GPT, MLP, Block, KeyValueCache, explicit_attention
from tinylm.plots import bars_figure, growth_figure, lines_figure, use_style
from tinylm.tokenizers import END_OF_TEXT
from tinylm.widgets import explore

# %matplotlib inline
torch.manual_seed(0)
use_style()

# %% [markdown]
# ## One stream, read and added to
#
# Every token has a vector of width $C$, the *residual stream*.
# It starts as the row of an embedding table that belongs to the token.
# Each layer reads a normalised copy of the stream and adds what it computed: first attention, which moves information between tokens, then an MLP, which works on each token alone.
# At the end the stream is compared with the embedding of every token in the vocabulary, and the products are the scores (logits) of the next token.
#
# This is a layer in `tinylm/model.py`, and the whole model:

# %%
source(Block.forward)
source(GPT.forward)
source(GPT.embed)

# %% [markdown]
# Three things are easy to overlook.
#
# - The norm comes *before* each part, so nothing stands between the embedding and the last norm but additions: gradients reach every layer.
# - The last line uses the embedding a second time, to score tokens {cite}`press2017using`.
#   These *tied* weights save $V \cdot C$ parameters.
# - `mup_factor` is 1 here, and in every run of this book so far.
#   It is another number where a model is to train at one width with the learning rate that was found at another {cite}`yang2021tuning`.
#
# Written out by hand for two layers:

# %%
config = ModelConfig(d_model=64, n_layers=2, n_heads=2, vocab_size=512, context_length=256)
model = GPT(config, seed=0)
tokens = torch.randint(config.vocab_size, (4, 100))

with torch.no_grad():
    x = model.embedding.weight[tokens]  # (B, T, C)
    for block in model.blocks:
        x = x + block.attention(block.attention_norm(x))
        x = x + block.mlp(block.mlp_norm(x))
    logits = model.norm(x) @ model.embedding.weight.T  # (B, T, V)
    assert torch.allclose(logits, model(tokens), atol=1e-5)

# %% [markdown]
# The **norm** keeps the size of what a part reads independent of how much the stream has grown.
# RMSNorm {cite}`zhang2019rmsnorm` divides a vector by its root mean square and multiplies each coordinate by a learned gain, which starts at 1.
#
# The **MLP** widens the vector four times, applies a smooth step (GELU) and narrows it again.

# %%
source(MLP.forward)

# %%
with torch.no_grad():
    rms = x.pow(2).mean(dim=-1, keepdim=True).add(1e-5).sqrt()
    assert torch.allclose(x / rms * model.norm.weight, model.norm(x), atol=1e-5)

    mlp = model.blocks[0].mlp
    by_hand = F.gelu(x @ mlp.up.weight.T, approximate="tanh") @ mlp.down.weight.T
    assert torch.allclose(by_hand, mlp(x), atol=1e-5)

# %% [markdown]
# ## How it starts
#
# Before training, a model should know that it knows nothing.
# Then each of $V$ tokens has probability about $1/V$, and the first loss is near $\ln V$.
# A first loss far above that means confident nonsense, which training must first undo.

# %%
source(GPT.initialise)

# %%
rows = []
for width in (16, 64, 256):
    losses = []
    for seed in range(5):
        fresh = GPT(config.model_copy(update={"d_model": width}), seed)
        ids = torch.randint(512, (4, 257), generator=torch.Generator().manual_seed(seed))
        with torch.no_grad():
            losses.append(float(fresh.loss(ids[:, :-1], ids[:, 1:])))
    rows.append([width, f"{np.mean(losses):.3f} ± {np.std(losses, ddof=1):.3f}", math.log(512)])
columns = ["width", "first loss (nats per token, ± std of 5 seeds)", "ln V"]
pd.DataFrame(rows, columns=columns).set_index("width").round(3)

# %% [markdown]
# The excess over $\ln V$ is $\sigma^2 / 2 = 1/2$ for logits of standard deviation $\sigma = 1$.
# Smaller embeddings would start nearer to $\ln V$, but the embedding is tied to the output: it takes on how frequent tokens are before it can tell them apart, and learning is slower.
#
# Each of the $2L$ parts adds to the stream, so its variance would grow with depth.
# Maps that write into the stream are therefore divided by $\sqrt{2L}$ {cite}`radford2019language`.


# %%
@torch.no_grad()
def stream(n_layers, scaled=True):
    """Standard deviation of the stream after the embedding and after each part."""
    fresh = GPT(config.model_copy(update={"n_layers": n_layers}), seed=0)
    x = fresh.embedding(tokens)
    spread = [float(x.std())]
    factor = 1.0 if scaled else math.sqrt(2 * n_layers)  # undoes the division
    for block in fresh.blocks:
        x = x + factor * block.attention(block.attention_norm(x))
        spread.append(float(x.std()))
        x = x + factor * block.mlp(block.mlp_norm(x))
        spread.append(float(x.std()))
    return spread


# %% mystnb={"figure": {"name": "fig-stream", "caption": "Standard deviation of the residual stream of untrained models after each part (attention or MLP), at width 64, for three depths, and for the deepest without the factor 1/√(2L)."}}
depths = {f"{n_layers} layers": stream(n_layers) for n_layers in (2, 8, 24)}
depths["24 layers, not divided"] = stream(24, scaled=False)
lines_figure(
    depths,
    xlabel="parts passed (two per layer)",
    ylabel="standard deviation",
    title=f"Divided by √(2L), 24 layers end at {depths['24 layers'][-1]:.1f}; "
    f"otherwise at {depths['24 layers, not divided'][-1]:.1f}",
)

# %% [markdown]
# ## Parameters
#
# Count by hand, for width $C$, $L$ layers and a vocabulary of $V$.
# Attention has four $C \times C$ matrices, the MLP two of $C \times 4C$: together $12\,C^2$ per layer.
# Norms add a gain for each coordinate, and the norms of queries and keys two of head width $W$.

# %%
C, L, V, W = config.d_model, config.n_layers, config.vocab_size, config.head_width
by_hand = {
    "embedding": V * C,
    "attention": L * 4 * C * C,
    "MLP": L * 2 * C * 4 * C,
    "norms": (2 * L + 1) * C + (L * 2 * W if config.qk_norm else 0),
}
count = parameter_count(config)
assert sum(by_hand.values()) == sum(p.numel() for p in model.parameters()) == count.total
assert by_hand["attention"] + by_hand["MLP"] + by_hand["norms"] == count.non_embedding
pd.Series(by_hand, name="parameters").to_frame()

# %% [markdown]
# What does "the size" of this model mean?
# Kaplan et al. count N without embeddings {cite:p}`kaplan2020scaling`; Hoffmann et al. count all weights that do arithmetic, the output layer included {cite:p}`hoffmann2022training`.

# %%
print(f"N without embeddings:  {count.non_embedding:,}")
print(f"N with output layer:   {count.with_output:,}")
print(f"more by                {100 * (count.with_output / count.non_embedding - 1):.0f} %")

# %% [markdown]
# This choice explains much of the difference between their laws {cite:p}`pearce2024reconciling`.
# The layers grow with $C^2$ and the embedding with $C$, so it matters for small models only.
# Move the sliders: at which width do the layers outweigh a vocabulary of 50,257?


# %%
def where(width, layers, vocabulary):
    """Bars: parameters of each part."""
    shape = ModelConfig(d_model=width, n_layers=layers, n_heads=2, vocab_size=vocabulary)
    parts = parameter_count(shape)
    bars = {"embedding": parts.embedding, "attention": parts.attention}
    bars |= {"MLP": parts.mlp, "norms": parts.norms}
    title = f"N = {parts.non_embedding:,} without embeddings"
    return bars_figure(bars, xlabel="parameters", title=title)


widths, layers, vocabularies = [16, 64, 256, 1024], [2, 12], [512, 50257]
explore(where, "Where the parameters sit", width=widths, layers=layers, vocabulary=vocabularies)

# %% [markdown]
# ## FLOPs
#
# A matrix with $n$ entries takes $n$ multiplications and $n$ additions for each token that passes: $2n$ FLOPs.
# The backward pass takes twice that, once for the gradient of the input and once for that of the weights.
# So a parameter costs $6$ FLOPs for each training token, and training costs about
#
# $$ \text{training FLOPs} \approx 6\,N D $$
#
# with $N$ parameters and $D$ tokens {cite}`kaplan2020scaling`.
# The rule leaves out two things: the products of queries with keys and of weights with values, which involve no parameters, and the output layer, which $N$ does not count.
# `forward_flops` counts both, and `flops_exact`, for training, is three times that.

# %%
source(forward_flops)

# %% [markdown]
# Is "exact" exact?
# Torch can count the FLOPs of the matrix products that really run.
# It does not see into the fused attention kernel, so we let the model use the explicit version.
# That one computes all $T^2$ weights and throws the future away, so on average a query meets $T$ keys, not $(T+1)/2$.


# %%
def counted_flops(work, *arguments):
    """FLOPs of all matrix products in work(*arguments), attention written out."""
    with (
        patch("tinylm.model.fused_attention", explicit_attention),
        FlopCounterMode(display=False) as counter,
    ):
        work(*arguments)
    return counter.get_total_flops()


B, T = 4, config.context_length
ids = torch.randint(V, (B, T + 1))
counted = counted_flops(lambda: model.loss(ids[:, :-1], ids[:, 1:]).backward())
skipped = 6 * B * T * L * C * (2 * T - (T + 1))  # meetings with the future
assert counted == flops_exact(config, B * T) + skipped


# %% mystnb={"figure": {"name": "fig-flops", "caption": "Exact training FLOPs over 6ND against width, for the shape of this book's experiments (2 layers, context 256, vocabulary 512) and for that of GPT-2 (12 layers, context 1,024, vocabulary 50,257)."}}
def over_6nd(width, **fields):
    """Exact FLOPs over those of 6ND."""
    shape = config.model_copy(update={"d_model": width, **fields})
    return flops_exact(shape, 1) / flops_6nd(shape, 1)


gpt2 = {"n_layers": 12, "context_length": 1024, "vocab_size": 50257}
widths = [16, 32, 64, 128, 256, 512, 1024, 2048, 4096]
ours, theirs = [over_6nd(w) for w in widths], [over_6nd(w, **gpt2) for w in widths]
missed = [100 * (1 - 1 / over_6nd(w)) for w in (64, 1024)]
title = f"6ND misses {missed[0]:.0f} % of the FLOPs at width 64, {missed[1]:.0f} % at 1,024"
lines = {"this book's shape": ours, "GPT-2's shape": theirs}
growth_figure(widths, lines, xlabel="width (d_model)", ylabel="exact FLOPs / 6ND", title=title)

# %% [markdown]
# The gap closes as models widen, because $N$ grows with $C^2$ and what is left out grows with $C$.
# It is largest where this book measures.
# So our records hold both counts, and experiments at fixed compute use the exact one.
#
# ## Memory
#
# Training in 32-bit numbers keeps four copies of every parameter: the weight, its gradient, and the two moments of AdamW, 4 bytes each.
# It also keeps *activations*, the intermediate results that the backward pass needs.
# They grow with the number of tokens in a batch.


# %%
def saved_bytes(model, inputs, targets):
    """Bytes that autograd keeps for the backward pass, parameters not counted."""
    own = {p.untyped_storage().data_ptr() for p in [*model.parameters(), *model.buffers()]}
    kept = {}  # storages by address; holding them keeps their addresses apart

    def keep(tensor):
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = storage
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        model.loss(inputs, targets)
    return sum(storage.nbytes() for address, storage in kept.items() if address not in own)


# %% [markdown]
# `training_memory_bytes` estimates the same from the configuration.
# It also counts the logits and their gradient, which live only for a moment; the table leaves them out.

# %%
rows = {}
for width in (16, 64, 256, 512):
    shape = config.model_copy(update={"d_model": width})
    total = parameter_count(shape).total
    brief = 2 * 4 * V * 8 * T  # the logits and their gradient
    estimate = training_memory_bytes(shape, batch_size=8) - 16 * total - brief
    ids = torch.randint(V, (8, T + 1))
    measured = saved_bytes(GPT(shape), ids[:, :-1], ids[:, 1:])
    assert abs(estimate / measured - 1) < 0.05
    rows[width] = [4 * total, 4 * total, 8 * total, estimate, measured]
columns = ["weights", "gradients", "AdamW", "activations", "activations, measured"]
memory = pd.DataFrame(rows, columns).T.rename_axis("width") / 1e6
memory.round(1)  # in MB, for a batch of 8 texts of 256 tokens

# %% [markdown]
# The estimate is within 5 % of what autograd was seen to keep.
# At all of these widths activations outweigh weights, gradients and moments together; but the others grow faster.

# %%
assert (memory["activations"] > memory[["weights", "gradients", "AdamW"]].sum(axis=1)).all()

# %% [markdown]
# ## Variants
#
# Later models changed some parts of GPT-2.
# Each change is one field of `ModelConfig`, so an experiment can ask what it is worth.
# Here is what each does to the number of parameters, and to the bytes that generation must keep for each token it has read (the next section says why).
#
# - **Positions**: learned vectors, or rotation without any parameter {cite}`su2021roformer`.
# - **Norm**: LayerNorm subtracts the mean first; with `bias` it also adds a learned offset.
# - **MLP**: SwiGLU multiplies two halves {cite}`shazeer2020glu`; its width is cut to two thirds to keep the count.
# - **Key-value heads**: several queries share one key and value {cite}`ainslie2023gqa`.
# - **QK-norm**: queries and keys are normalised, so scores cannot explode {cite}`henry2020query`.

# %%
base = ModelConfig(d_model=128, n_layers=4, n_heads=4, qk_norm=False)
variants = {
    "base: rotary, RMSNorm, GELU": {},
    "learned positions": {"positions": "learned"},
    "LayerNorm": {"norm": "layernorm"},
    "LayerNorm and biases": {"norm": "layernorm", "bias": True},
    "SwiGLU": {"mlp": "swiglu"},
    "2 key-value heads": {"n_kv_heads": 2},
    "1 key-value head": {"n_kv_heads": 1},
    "QK-norm": {"qk_norm": True},
}

# %%
rows = {}
for name, fields in variants.items():
    shape = base.model_copy(update=fields)
    total = sum(p.numel() for p in GPT(shape).parameters())
    assert total == parameter_count(shape).total
    change = total - parameter_count(base).total
    cache = 2 * shape.n_layers * shape.kv_heads * shape.head_width * 4
    rows[name] = [f"{total:,}", f"{change:+,}" if change else "", f"{cache:,}"]
pd.DataFrame(rows, ["parameters", "change", "cache (bytes per token)"]).T

# %% [markdown]
# ## Writing, with a memory
#
# To write, a model predicts the next token, one is drawn, and the longer text goes in again.
# Done plainly, every step computes all earlier tokens anew, though nothing about them has changed: they cannot see the new one.
# Their keys and values can be kept.
# With this *key-value cache* each step computes one token only, and its query meets the stored keys.
#
# The result is the same text.

# %%
_, trained, tokenizer = example_model(profile)
prompt = torch.tensor([[END_OF_TEXT, *tokenizer.encode("One day, ")]])
cached = generate(trained, prompt, 80, temperature=0)
plain = generate(trained, prompt, 80, temperature=0, use_cache=False)
assert torch.equal(cached, plain)
quote(tokenizer.decode(cached[0, 1:].tolist()))

# %% [markdown]
# Chapter 4 trains a model and lets it write as it learns.
# How much does the cache save?
# Torch counts again, for the step that writes token number $n + 1$: with the cache it reads one token, without it all $n$.

# %%
rows = {}
for n in (8, 32, 128):
    ids = torch.randint(trained.config.vocab_size, (1, n))
    cache = KeyValueCache(trained.config.n_layers)
    with torch.no_grad():
        trained(ids[:, :-1], cache)  # what was read before
        with_cache = counted_flops(trained, ids[:, -1:], cache)
        without = counted_flops(trained, ids)
    rows[n] = [with_cache / 1e6, without / 1e6, without / with_cache]
columns = ["with cache (MFLOP)", "without (MFLOP)", "ratio"]
pd.DataFrame(rows, columns).T.rename_axis("tokens read").round(2)

# %% [markdown]
# Each step is cheaper by about the number of tokens read.
# Over a whole text, the work without a cache grows with the square of its length, and with one almost in proportion.

# %% [markdown]
# The price is memory: the last column of the table of variants, for each token of each text being written.
# That is why large models share key-value heads.
#
# ## Exercises
#
# ```{exercise} GPT-2
# :label: ex-gpt-count
#
# GPT-2 "small" has width 768, 12 layers of 12 heads, a vocabulary of 50,257, a context of 1,024, learned positions, LayerNorm and biases.
# Count its parameters by hand, then with `parameter_count`.
# ```
#
# ```{solution} ex-gpt-count
# :class: dropdown
#
# Embedding: 50,257 · 768 = 38,597,376.
# Positions: 1,024 · 768 = 786,432.
# A layer: matrices 12 · 768² = 7,077,888; biases 3 · 768 + 768 + 4 · 768 + 768 = 6,912; two norms 4 · 768 = 3,072: together 7,087,872, twelve times.
# Last norm: 1,536.
# Sum: 124,439,808.
#
#     parameter_count(ModelConfig(vocab_size=50257, context_length=1024, d_model=768, n_layers=12,
#         n_heads=12, positions="learned", norm="layernorm", bias=True, qk_norm=False)).total
# ```
#
# ```{exercise} What fits
# :label: ex-gpt-memory
#
# A laptop has 16 GB of memory.
# Activations aside, how many parameters can it train with AdamW in 32-bit numbers?
# And how many can it run?
# ```
#
# ```{solution} ex-gpt-memory
# :class: dropdown
#
# Training takes 16 bytes per parameter: at most 1 billion.
# Running takes 4 bytes: at most 4 billion, less the cache.
# ```
#
# ```{exercise} Deep or wide
# :label: ex-gpt-shape
#
# Two models of width 128 with 8 layers and of width 256 with 2 layers have nearly the same N.
# Which costs more FLOPs per token at context 256, and which at context 2,048?
# ```
#
# ```{solution} ex-gpt-shape
# :class: dropdown
#
# Both have N ≈ 12 · L · C² = 1.57 million.
# Attention adds L · C · (T + 1) to it and the output layer V · C, each to be multiplied by 6.
# L · C is 1,024 for the deep model and 512 for the wide one.
# At context 256: deep 1.57 + 0.26 + 0.07 = 1.90 million, wide 1.57 + 0.13 + 0.13 = 1.83.
# At context 2,048: deep 1.57 + 2.10 + 0.07 = 3.74, wide 1.57 + 1.05 + 0.13 = 2.75.
# The deep one costs more, and the more so the longer the context.
# Check with `flops_exact`.
# ```
