# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # From text to tokens
#
# A language model reads numbers.
# How should text become numbers, and how do we compare two models that cut it differently?
#
# After this chapter you can train a byte-pair tokenizer that you wrote yourself, convert a loss in nats a token to bits per byte, and say exactly which tokens a training batch and a validation batch hold.
#
# ```{dropdown} Guess before you read on
# One model predicts characters and loses 2.9 nats on each.
# Another predicts pieces of words and loses 5.0 nats on each.
# Which one predicts the text better?
#
# Nobody can say yet.
# The second model makes fewer predictions to get through the same text, so each may cost more.
# The section on bits per byte settles it.
# ```

# %% tags=["parameters"]
profile = "paper"  # whose runs are mentioned at the end: smoke, quick or paper
n_fables = 200  # documents for the tokenizer written here
n_merges = 300  # that it learns

# %% tags=["hide-input"]
import html
import math
import re
from collections import Counter
from itertools import pairwise

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from IPython.display import Markdown, display

from tinylm.batches import TrainingBatches, tokenize, validation_windows
from tinylm.config import ModelConfig
from tinylm.corpora import open_corpus
from tinylm.cost import parameter_count
from tinylm.plots import use_style
from tinylm.store import Store
from tinylm.sweeps.declare import expand, load_experiment
from tinylm.tokenizers import END_OF_TEXT, train_tokenizer
from tinylm.widgets import explore

use_style()


def say(text: str) -> None:
    """Show a sentence with numbers that were measured above."""
    display(Markdown(text))


# %% [markdown]
# ## Text is bytes
#
# The text of this chapter comes from `fables`, a small generated corpus that needs no download.
# Here is how one of its documents begins.

# %%
corpus = open_corpus("fables")
train_texts = corpus.documents["train"]
validation_texts = corpus.documents["validation"]
say("> " + train_texts[0][:300].replace("\n", "\n> ") + " …")

# %% [markdown]
# A computer stores this text as bytes, numbers from 0 to 255, by a rule called UTF-8.
# The letters of English take one byte each.
# Other characters take two to four.

# %%
for character in "aé語🐢":
    print(character, list(character.encode("utf-8")))

# %% [markdown]
# That gives two simple ways to make numbers.
#
# - **Bytes**: 256 numbers suffice for every text in every language, and nothing is ever unknown.
# - **Characters**: shorter sequences outside English, but a list of all characters is long, and one that is not on the list needs a way out.
#   The tokenizer `characters` of this package falls back on bytes.
#
# Both make long sequences, and attention pays for each position (chapter 2).
# Whole words would make short sequences, but a vocabulary of words is never complete.
# Byte-pair encoding (BPE) lies between: frequent sequences of bytes become one token, and rare ones stay in pieces {cite}`sennrich2016neural`.
#
# ## Byte-pair encoding in sixty lines
#
# Training starts with single bytes and repeats one step: find the pair of neighbours that occurs most often, and join it everywhere into one new token.
# Pairs are counted inside words only, so that no token spans two words.
# GPT-2 defined "word" with one regular expression {cite}`radford2019language`: a run of letters, of digits or of punctuation, each with the space before it.

# %%
WORD = re.compile(
    r"'s|'t|'re|'ve|'m|'ll|'d"  # English endings
    r"| ?[^\W\d_]+"  # letters, with the space before them
    r"| ?\d+"  # digits
    r"| ?(?:[^\s\w]|_)+"  # punctuation
    r"|\s+(?!\S)|\s+"  # other white space
)
print(WORD.findall('The old fox said: "I\'m 12 years old."'))

# %% [markdown]
# The trainer keeps every distinct word once, with its count.
# One detail matters for reproducing another trainer: which pair wins a tie?
# The `tokenizers` library takes the pair that stands first in its vocabulary, where printable bytes come before the others.
# We do the same.

# %%
Piece = bytes
Pair = tuple[Piece, Piece]

PRINTABLE = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
BYTES_IN_ORDER = sorted(range(256), key=lambda b: (b not in PRINTABLE, b))


def split(word: str) -> tuple[Piece, ...]:
    """A word as single bytes."""
    return tuple(bytes([byte]) for byte in word.encode())


def count_words(texts: list[str]) -> Counter[tuple[Piece, ...]]:
    """How often each word occurs."""
    words: Counter[str] = Counter()
    for text in texts:
        words.update(WORD.findall(text))
    return Counter({split(word): n for word, n in words.items()})


def count_pairs(words: Counter[tuple[Piece, ...]]) -> Counter[Pair]:
    """How often each pair of neighbours occurs in all words."""
    pairs: Counter[Pair] = Counter()
    for word, n in words.items():
        for pair in pairwise(word):
            pairs[pair] += n
    return pairs


def join(word: tuple[Piece, ...], pair: Pair) -> tuple[Piece, ...]:
    """The word with each such pair, from the left, joined into one piece."""
    if pair not in pairwise(word):
        return word
    joined: list[Piece] = []
    for piece in word:
        if joined and (joined[-1], piece) == pair:
            joined[-1] = piece = joined[-1] + piece
        else:
            joined.append(piece)
    return tuple(joined)


def train_bpe(texts: list[str], n_merges: int) -> list[Pair]:
    """The pairs to join, most urgent first."""
    words = count_words(texts)
    rank = {bytes([byte]): i for i, byte in enumerate(BYTES_IN_ORDER)}
    merges: list[Pair] = []
    while len(merges) < n_merges:
        pairs = count_pairs(words)
        best = min(pairs, key=lambda p: (-pairs[p], rank[p[0]], rank[p[1]]))
        merges.append(best)
        rank.setdefault(best[0] + best[1], len(rank))
        joined: Counter[tuple[Piece, ...]] = Counter()
        for word, n in words.items():
            joined[join(word, best)] += n
        words = joined
    return merges


def encode(text: str, merges: list[Pair]) -> list[Piece]:
    """The text in pieces: in each word the most urgent pair is joined, until none is left."""
    urgency = {pair: i for i, pair in enumerate(merges)}
    pieces: list[Piece] = []
    for match in WORD.findall(text):
        word = split(match)
        while known := [p for p in pairwise(word) if p in urgency]:
            word = join(word, min(known, key=urgency.__getitem__))
        pieces.extend(word)
    return pieces


# %% [markdown]
# Train it on a slice of the fables and look at what it joins, first and last.

# %%
slice_of_fables = list(train_texts[:n_fables])
merges = train_bpe(slice_of_fables, n_merges)
for i in (0, 1, 2, 3, 4, 10, 30, 100, n_merges - 1):
    left, right = (piece.decode() for piece in merges[i])
    print(f"merge {i + 1:>3}: {left!r:>8} + {right!r:<6} = {left + right!r}")

# %% tags=["hide-input"]
longest = sorted((left + right for left, right in merges), key=len, reverse=True)[:6]
say(
    "The first merges are pairs of frequent letters. The longest are whole words of this little "
    "world, or most of one: "
    + ", ".join(f"`{piece.decode().replace(' ', '·')}`" for piece in longest)
    + "."
)

# %% [markdown]
# Is our trainer right?
# The package trains with the `tokenizers` library, which is written in Rust and much faster.
# Both must find the same merges, in the same order, and cut text in the same places.

# %%
library = train_tokenizer(f"bpe-{257 + n_merges}", slice_of_fables)
pieces = library.pieces
assert merges == [(pieces[a], pieces[b]) for a, b in library.merges]

unseen = validation_texts[0]
ours = encode(unseen, merges)
assert ours == [pieces[token] for token in library.encode(unseen)]
assert b"".join(ours).decode() == unseen  # nothing is lost

# %% tags=["hide-input"]
say(
    f"All {n_merges} merges agree, and an unseen fable of {len(unseen.encode()):,} bytes is cut "
    f"into the same {len(ours):,} tokens by both."
)

# %% [markdown]
# From here on we use the package's tokenizers.
# Their vocabulary holds one special token, the 256 bytes, and one token a merge: `bpe-512` has 255 merges.
#
# ## What a larger vocabulary buys
#
# ```{dropdown} Guess before you move the slider
# How many tokens will a vocabulary of 512 need for the first sentence?
# Will a sentence that is no fable need more or fewer bytes a token than a fable does?
# And what becomes of characters that the training text never showed?
#
# The line under the tokens answers the first two.
# As for the last: what training never showed costs one token a byte.
# ```

# %% tags=["hide-input"]
sizes = [257, 300, 512, 1024, 2048, 4096]
some_texts = train_texts[:2000]
tokenizers = {size: train_tokenizer(f"bpe-{size}", some_texts) for size in sizes}
first_sentence = unseen.split(".")[0] + "."
sentences = {
    "from a fable": first_sentence,
    "other English": "Scaling laws predict the loss of larger models.",
    "not English": "Die Schildkröte läuft 🐢 nach 東京.",
}
COLOURS = ("#cfe8f5", "#fbe3c8", "#d5eed9", "#f4d9e8", "#fdf3bf")


def shown(text: str) -> str:
    return html.escape(text.replace("\n", "⏎").replace(" ", "·"))


def coloured(sentence: str, vocabulary: int) -> str:
    tokenizer = tokenizers[vocabulary]
    tokens = tokenizer.encode(sentences[sentence])
    spans = "<wbr>".join(
        f'<span style="background:{COLOURS[i % len(COLOURS)]};color:#1f2328;padding:0.15em 0.1em;'
        f'border-radius:0.25em">{shown(tokenizer.token_text(token))}</span>'
        for i, token in enumerate(tokens)
    )
    n_bytes = len(sentences[sentence].encode())
    return (
        f'<p style="font-family:monospace;font-size:1.05em;line-height:2">{spans}</p>'
        f"<p>{n_bytes} bytes, {len(tokens)} tokens: {n_bytes / len(tokens):.2f} bytes a token. "
        f"A dot is a space.</p>"
    )


explore(coloured, "How a sentence is cut into tokens", sentence=list(sentences), vocabulary=sizes)

# %% [markdown]
# A vocabulary of 257 is bytes alone.
# Each larger one spells frequent words in fewer tokens.
# The gain is measured in bytes per token, on validation text that the tokenizer was not trained on.


# %% mystnb={"figure": {"name": "fig-bytes-per-token", "caption": "Bytes a token on the validation fables against vocabulary size, with the 95% interval over documents (bootstrap). The dotted line marks characters, one token each; for this English text they are bytes."}} tags=["hide-input"]
def bytes_per_token(tokenizer, texts, resamples=400):
    """Bytes over tokens of all texts, and its 95% interval by bootstrap over documents."""
    n_bytes = np.array([len(text.encode()) for text in texts])
    n_tokens = np.array([len(ids) for ids in tokenizer.encode_batch(texts)])
    chosen = np.random.default_rng(0).integers(len(texts), size=(resamples, len(texts)))
    ratios = n_bytes[chosen].sum(1) / n_tokens[chosen].sum(1)
    return n_bytes.sum() / n_tokens.sum(), *np.quantile(ratios, [0.025, 0.975])


measured = {size: bytes_per_token(tokenizers[size], validation_texts) for size in sizes}
middle, low, high = np.array([measured[size] for size in sizes]).T
doubling = (middle[-1] / middle[2]) ** (1 / math.log2(sizes[-1] / sizes[2])) - 1

figure, axes = plt.subplots(figsize=(6.6, 3.4))
axes.errorbar(sizes, middle, [middle - low, high - middle], marker="o", capsize=3)
for size, value in zip(sizes, middle, strict=True):
    axes.annotate(f"{value:.2f}", (size, value), (0, 7), textcoords="offset points", ha="center")
characters = train_tokenizer("characters", some_texts)
axes.axhline(bytes_per_token(characters, validation_texts)[0], linestyle=":", color="0.4")
axes.set_xscale("log", base=2)
axes.set_xticks(sizes, [f"{size:,}" for size in sizes])
axes.set_ylim(0, 1.18 * middle[-1])
axes.set_xlabel("vocabulary size (tokens)")
axes.set_ylabel("bytes a token")
axes.set_title(
    f"A vocabulary of {sizes[2]} packs {middle[2]:.1f} bytes into a token; "
    f"{sizes[-1]:,} packs {middle[-1]:.1f}",
    loc="left",
    fontweight="bold",
)
plt.show()

# %% tags=["hide-input"]
width = 64
layers = parameter_count(ModelConfig(d_model=width, n_layers=2)).non_embedding
say(
    f"From {sizes[2]} to {sizes[-1]:,} tokens, each doubling of the vocabulary multiplies the "
    f"bytes a token by {1 + doubling:.2f} on average. "
    f"It also doubles the rows of the embedding: at width {width}, a vocabulary of {sizes[-1]:,} has "
    f"{width * sizes[-1]:,} embedding parameters, against {layers:,} in two layers of that width. "
    f"In a small model a large vocabulary soon outweighs everything else."
)

# %% [markdown]
# ## A unit in which tokenizers compare
#
# A model gives every token a probability, given the tokens before it.
# Its loss is the mean of $-\ln p$, in nats a token.
# But a token is whatever the tokenizer says it is, so the unit changes with the tokenizer.
#
# What does not change is the text.
# The probabilities of a document's tokens multiply to the probability of the document, and $-\log_2$ of that is its length in bits if a perfect compressor used the model.
# Divide by its length in bytes:
#
# $$
# \begin{aligned}
# \text{bits per byte}
#   &= \frac{1}{n_\text{bytes}} \sum_{i=1}^{n_\text{tokens}} -\log_2 p_i \\
#   &= \frac{\text{nats a token}}{\ln 2} \cdot \frac{n_\text{tokens}}{n_\text{bytes}}
#    = \frac{\text{nats a token}}{\ln 2 \cdot \text{bytes a token}} .
# \end{aligned}
# $$
#
# Numerator and denominator both belong to the text, not to its tokens.
# So bits per byte (bpb) compare models whatever their tokenizers.
#
# ```{dropdown} The small print
# The same text can be cut in several ways, and a model gives each some probability.
# We count only the cut that the tokenizer makes, so the true probability of the text is a little higher and bpb is an upper bound.
# The special token that ends each document is predicted and paid for, but adds no bytes.
# ```
#
# The simplest model shows the difference.
# A unigram model ignores the past and predicts each token with its frequency in the training text.


# %%
def unigram_nats(train_tokens, validation_tokens, vocab_size):
    """Loss in nats a token of a unigram model (counts plus one)."""
    counts = np.bincount(train_tokens[1:], minlength=vocab_size) + 1
    return -np.log(counts / counts.sum())[validation_tokens[1:]].mean()


rows = []
for tokenizer in [characters, *tokenizers.values()]:
    train = tokenize(some_texts, tokenizer)
    validation = tokenize(validation_texts, tokenizer)
    nats = unigram_nats(train.tokens, validation.tokens, tokenizer.vocab_size)
    bpb = nats / math.log(2) / validation.bytes_per_token
    size, length = tokenizer.vocab_size, validation.bytes_per_token
    rows.append([tokenizer.name, size, length, nats, bpb])
columns = "tokenizer", "vocabulary", "bytes a token", "nats a token", "bits per byte"
table = pd.DataFrame(rows, columns=columns).set_index("tokenizer")
table.round(2)

# %% tags=["hide-input"]
best_nats, best_bpb = table["nats a token"].idxmin(), table["bits per byte"].idxmin()
best = table.loc[best_bpb]
say(
    f"By nats a token, `{best_nats}` looks best ({table['nats a token'].min():.2f}). "
    f"By bits per byte, `{best_bpb}` is: it spends {best['bits per byte']:.2f} bits on a byte of "
    f"text where `{best_nats}` spends {table.loc[best_nats, 'bits per byte']:.2f}. "
    f"The model is equally simple-minded each time. "
    f"The larger tokens have memorised spelling for it."
)

# %% [markdown]
# The guess at the top is answered by the rows of this table: the model with the larger loss a token can be the better one.
# Within one tokenizer both units agree, and this book then uses nats a token.
#
# ## What a model is fed
#
# Documents are tokenised once, into one stream.
# The special token `<|endoftext|>`, number 0 and written E here, begins every document and ends it: E d₁ E d₂ E … E.

# %%
tokenizer = tokenizers[512]
tokens = tokenize(train_texts[:6], tokenizer)
print("first tokens:", tokens.tokens[:6])
print("which are:   ", [tokenizer.token_text(t) for t in tokens.tokens[:6]])
print("documents begin at", tokens.starts[:-1], "and the last E stands at", tokens.starts[-1])
assert tokens.n_documents == 6
assert (tokens.tokens[tokens.starts] == END_OF_TEXT).all()

# %% [markdown]
# **Training** cuts this stream into windows of `context_length` tokens.
# The targets are the inputs, one place later: every position of a window is a prediction to learn from.

# %%
context_length = 256
batches = TrainingBatches(tokens, context_length, batch_size=2, seed=0)
inputs, targets = batches.batch(step=0)
assert inputs.shape == targets.shape == (2, context_length)
assert (inputs[:, 1:] == targets[:, :-1]).all()
print("inputs ", [tokenizer.token_text(t) for t in inputs[0, :6]])
print("targets", [tokenizer.token_text(t) for t in targets[0, :6]])

# %% [markdown]
# Each epoch shuffles the documents before joining them and the windows after cutting them, by the seed and the number of the epoch alone.
# So batch 1,000 is the same whether or not the run was interrupted at batch 999.
# A window may begin in the middle of a document and hold the end of one and the beginning of the next.
# That wastes nothing, and the E between them tells the model to forget.
#
# **Validation** must not depend on where the cuts fall.
# Every document is read from its own beginning.
# A long one is read in windows that overlap by half, and a token is scored in the first window that holds it.
# So each token is scored once, and after the first window with at least half a context before it.

# %%
windows = list(validation_windows(tokens, context_length, stride_fraction=0.5, rows=4))
assert sum(batch.scored.sum() for batch in windows) == tokens.n_tokens
positions = np.concatenate([w.position_in_document[w.scored] for w in windows])
assert sorted(positions) == sorted(
    place for length in np.diff(tokens.starts) for place in range(length)
)

# %% mystnb={"figure": {"name": "fig-windows", "caption": "Six fables in one stream, before an epoch shuffles them. Top: the stream of tokens, a colour a document. Middle: training windows; the tail that fills no window is left out. Bottom: the validation windows of the same documents; dark tokens are scored, pale ones are only read."}} tags=["hide-input"]
palette = plt.get_cmap("tab10").colors
figure, axes = plt.subplots(figsize=(7.0, 2.9))
for i, (begin, end) in enumerate(zip(tokens.starts[:-1], tokens.starts[1:], strict=True)):
    axes.broken_barh([(begin, end - begin)], (3.1, 0.6), color=palette[i])
    stride, offset = context_length // 2, 0
    while True:
        length = min(context_length, end - begin - offset)
        seen = context_length - stride if offset else 0
        y = 1.1 - 0.55 * (offset // stride % 3)
        box = (begin + offset, length)
        axes.broken_barh([box], (y, 0.4), facecolor=(*palette[i], 0.25))
        axes.broken_barh([(begin + offset + seen, length - seen)], (y, 0.4), color=palette[i])
        if offset + length >= end - begin:
            break
        offset += stride
for window in range(batches.windows_per_epoch):
    axes.broken_barh(
        [(window * context_length, context_length)], (2.1, 0.6), facecolor="0.9", edgecolor="0.3"
    )
axes.set_yticks([3.4, 2.4, 0.75], ["documents", "training\nwindows", "validation\nwindows"])
axes.grid(False)
axes.set_xlabel("place in the stream (tokens)")
axes.set_title(
    "Training windows cross documents; validation windows begin with them",
    loc="left",
    fontweight="bold",
)
plt.show()

# %% [markdown]
# ## The data of the runs in this book
#
# The tokenizer is part of the experiment.
# It is trained on training documents only, saved as one JSON file, and every run record names it and holds its bytes per token.

# %% tags=["hide-input"]
run = expand(load_experiment("model_size"), profile)[0]
record = Store(profile).find(run.run_id)
data = run.config.data
sentence = f"The runs of the profile `{profile}` read `{data.corpus}` through `{data.tokenizer}`"
if record is None:
    say(f"{sentence}. They have not been made here yet.")
else:
    factor = 1 / math.log(2) / record.bytes_per_token
    say(
        f"{sentence}: {record.bytes_per_token:.3f} bytes a token on its validation documents. "
        f"There, a loss of 1 nat a token is {factor:.3f} bits per byte."
    )

# %% [markdown]
# ## Exercises
#
# ```{exercise} Merges by hand
# :label: ex-tokens-by-hand
#
# Train BPE on the single word `banana`, seen once.
# What are the first two merges, and what is the word then?
# Ties go to the pair whose first piece, then second piece, comes first in the vocabulary.
# ```
#
# ```{solution} ex-tokens-by-hand
# :class: dropdown
#
# The pairs are ba (1), an (2), na (2).
# an wins the tie, because a comes before n: b-an-an-a.
# Now b+an, an+an and an+a occur once each.
# The byte b stands before the new piece an in the vocabulary, so b+an wins.
# The word is ban-an-a.
# Check: `train_bpe(["banana"], 2)`.
# ```
#
# ```{exercise} Two papers, two tokenizers
# :label: ex-tokens-convert
#
# Model A reports 1.20 nats a token with 2.4 bytes a token; model B reports 1.75 nats a token with 3.8 bytes a token.
# Both were measured on the same text.
# Which predicts it better?
# ```
#
# ```{solution} ex-tokens-convert
# :class: dropdown
#
# A: 1.20 / (ln 2 · 2.4) = 0.721 bits per byte.
# B: 1.75 / (ln 2 · 3.8) = 0.664 bits per byte.
# B is better, though its loss a token is higher.
# ```
#
# ```{exercise} A tokenizer that has seen the validation text
# :label: ex-tokens-leak
#
# Suppose the tokenizer had been trained on training and validation text together.
# Which reported number would be wrong, and in which direction?
# ```
#
# ```{solution} ex-tokens-leak
# :class: dropdown
#
# Pieces that are frequent in the validation text would have become tokens, so that it would be cut into fewer of them.
# Bytes a token on it would be too high, and its bits per byte probably too low: the tokenizer would carry information from the validation text to the model.
# That is why `prepare` trains the tokenizer on training documents only.
# ```
#
# ```{exercise} A text from elsewhere
# :label: ex-tokens-elsewhere
#
# Call `bytes_per_token(tokenizers[2048], [text])` with a paragraph of your own, in English and in another language.
# Why are both below the value for fables?
# ```
#
# ```{solution} ex-tokens-elsewhere
# :class: dropdown
#
# The merges are the frequent pieces of fables.
# Other English shares the short ones, like ` the` and `ing`, but not the names and whole phrases' words.
# Another language shares fewer still, and letters outside ASCII cost two bytes or more, each a token of its own.
# A tokenizer fits its corpus.
# ```
