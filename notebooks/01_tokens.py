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
# After this chapter you can train a byte-pair tokenizer that you wrote yourself, convert a loss in nats per token to bits per byte, and say exactly which tokens a training batch and a validation batch hold.
#
# ```{guess} tokens
# :answer: guess_bytes_per_token
# :scale: 1 6 0.1
# :unit: " bytes"
# A byte-pair tokenizer with 512 tokens has learnt from children's stories.
# How many bytes of a new story does one of its tokens stand for, on average?
# ```
#
# ```{dropdown} More to guess
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
n_documents = 200  # fables to read
n_merges = 200  # for the tokenizer written here to learn

# %% tags=["hide-input"]
import math
import re
from collections import Counter
from itertools import pairwise

import numpy as np
import pandas as pd

from tinylm.batches import TrainingBatches, validation_windows
from tinylm.book.glue import coloured_tokens, quote
from tinylm.config import ModelConfig
from tinylm.corpora import fables
from tinylm.corpora.token_files import tokenize
from tinylm.cost import parameter_count
from tinylm.plots import bytes_per_token_figure, use_style, windows_figure
from tinylm.store import Store
from tinylm.studies.size import load_study
from tinylm.tokenizers import END_OF_TEXT, train_tokenizer
from tinylm.widgets import explore

# %matplotlib inline
use_style()

# %% [markdown]
# ## Text is bytes
#
# The text of this chapter comes from `fables`, a small generated corpus that needs no download.
# Document number $i$ is the same on every machine.
# Here is how the first one begins.

# %%
train_texts = [fables.document("train", i) for i in range(n_documents)]
validation_texts = [fables.document("validation", i) for i in range(40)]
quote(train_texts[0][:300] + " …")

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
# ## Byte-pair encoding in fifty lines
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
# The same words come again and again.
# So the trainer keeps each distinct word once, as a tuple of single bytes, with its count.


# %%
def split(word):
    """A word as single bytes."""
    return tuple(bytes([byte]) for byte in word.encode())


def count_words(texts):
    """How often each word occurs: {its bytes: count}."""
    words = Counter(word for text in texts for word in WORD.findall(text))
    return {split(word): n for word, n in words.items()}


slice_of_fables = train_texts[:30]
words = count_words(slice_of_fables)
print(f"{sum(words.values()):,} words, {len(words):,} of them distinct; one is {split(' fox')}")


# %% [markdown]
# Which pair of neighbours is the most frequent?


# %%
def count_pairs(words):
    """How often each pair of neighbours occurs in all words."""
    pairs = Counter()
    for word, n in words.items():
        for pair in pairwise(word):
            pairs[pair] += n
    return pairs


count_pairs(words).most_common(4)


# %% [markdown]
# Joining a pair in one word is a walk from left to right.


# %%
def join(word, pair):
    """The word with each such pair joined into one piece."""
    joined = []
    for piece in word:
        if joined and (joined[-1], piece) == pair:
            joined[-1] += piece
        else:
            joined.append(piece)
    return tuple(joined)


join(split("banana"), (b"a", b"n"))

# %% [markdown]
# One detail matters for reproducing another trainer: which pair wins a tie?
# The `tokenizers` library takes the pair that stands first in its vocabulary, where printable bytes come before the others.
# We do the same.

# %%
PRINTABLE = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
BYTES_IN_ORDER = sorted(range(256), key=lambda b: (b not in PRINTABLE, b))


def train_bpe(texts, n_merges):
    """The pairs to join, most urgent first."""
    words = count_words(texts)
    rank = {bytes([byte]): i for i, byte in enumerate(BYTES_IN_ORDER)}
    merges = []
    while len(merges) < n_merges:
        pairs = count_pairs(words)
        best = min(pairs, key=lambda p: (-pairs[p], rank[p[0]], rank[p[1]]))
        merges.append(best)
        rank.setdefault(best[0] + best[1], len(rank))
        words = {join(word, best): n for word, n in words.items()}
    return merges


# %% [markdown]
# Train it on a slice of the fables and look at what it joins.
# The first merges are pairs of frequent letters; the longest pieces are whole words of this little world, or most of one.

# %%
merges = train_bpe(slice_of_fables, n_merges)
for i in (0, 1, 2, 3, 10, 30, 100, n_merges - 1):
    left, right = (piece.decode() for piece in merges[i])
    print(f"merge {i + 1:>3}: {left!r:>8} + {right!r:<6} = {left + right!r}")
print("longest:", sorted((a + b for a, b in merges), key=len)[-6:])


# %% [markdown]
# To encode a text, join in each word the most urgent pair, until none is left.


# %%
def encode(text, merges):
    """The text in pieces."""
    urgency = {pair: i for i, pair in enumerate(merges)}
    pieces = []
    for match in WORD.findall(text):
        word = split(match)
        while known := [p for p in pairwise(word) if p in urgency]:
            word = join(word, min(known, key=urgency.get))
        pieces.extend(word)
    return pieces


old_fox = encode("The old fox lived in the forest.", merges)
print(*(piece.decode() for piece in old_fox), sep="|")

# %% [markdown]
# Is our trainer right?
# The package trains with the `tokenizers` library, which is written in Rust and much faster.
# Both must find the same merges, in the same order, and cut an unseen fable in the same places.

# %%
library = train_tokenizer(f"bpe-{257 + n_merges}", slice_of_fables)
pieces = library.pieces
assert merges == [(pieces[a], pieces[b]) for a, b in library.merges]

unseen = validation_texts[0]
ours = encode(unseen, merges)
assert ours == [pieces[token] for token in library.encode(unseen)]
assert b"".join(ours).decode() == unseen  # nothing is lost
print(f"{len(unseen.encode()):,} bytes are the same {len(ours):,} tokens by both")

# %% [markdown]
# From here on we use the package's tokenizers.
# Their vocabulary holds one special token, the 256 bytes, and one token for each merge: `bpe-512` has 255 merges.
#
# ## What a larger vocabulary buys
#
# ```{dropdown} Guess before you move the slider
# How many tokens will a vocabulary of 512 need for the first sentence?
# Will a sentence that is no fable have more or fewer bytes per token than a fable?
# And what becomes of characters that the training text never showed?
#
# The line under the tokens answers the first two.
# As for the last: what training never showed costs one token per byte.
# ```

# %%
sizes = [257, 300, 512, 1024, 2048, 4096]
tokenizers = {size: train_tokenizer(f"bpe-{size}", train_texts) for size in sizes}
sentences = {
    "from a fable": unseen.split(".")[0] + ".",
    "other English": "Scaling laws predict the loss of larger models.",
    "not English": "Die Schildkröte läuft 🐢 nach 東京.",
}


def cut(sentence, vocabulary):
    return coloured_tokens(tokenizers[vocabulary], sentences[sentence])


explore(cut, "How a sentence is cut into tokens", sentence=list(sentences), vocabulary=sizes)

# %% [markdown]
# A vocabulary of 257 is bytes alone.
# Each larger one spells frequent words in fewer tokens.
# The gain is measured in bytes per token, on validation text that the tokenizer was not trained on.
# Documents differ, so we draw them again and again, with replacement, and see how much the ratio moves (the bootstrap).


# %%
def bytes_per_token(tokenizer, texts, resamples=400):
    """Bytes over tokens of all texts, and its 95% interval over documents."""
    n_bytes = np.array([len(text.encode()) for text in texts])
    n_tokens = np.array([len(ids) for ids in tokenizer.encode_batch(texts)])
    drawn = np.random.default_rng(0).integers(len(texts), size=(resamples, len(texts)))
    ratios = n_bytes[drawn].sum(axis=1) / n_tokens[drawn].sum(axis=1)
    return n_bytes.sum() / n_tokens.sum(), *np.quantile(ratios, [0.025, 0.975])


rows = [bytes_per_token(tokenizers[size], validation_texts) for size in sizes]
lengths = pd.DataFrame(rows, index=sizes, columns=["mean", "low", "high"])
characters = train_tokenizer("characters", train_texts)

# %% mystnb={"figure": {"name": "fig-bytes-per-token", "caption": "Bytes per token on validation fables against vocabulary size, with the 95% interval over documents (bootstrap). The dotted line marks characters, one token each; in this English text a character is a byte."}}
small, large = lengths["mean"][512], lengths["mean"][4096]
bytes_per_token_figure(
    lengths,
    characters=bytes_per_token(characters, validation_texts)[0],
    title=f"A vocabulary of 512 packs {small:.1f} bytes into a token; 4,096 packs {large:.1f}",
)

# %% [markdown]
# The gain grows about as the logarithm of the vocabulary, the price with the vocabulary itself: each token has a row in the embedding table.
# Here is the price in a model of width 64, beside its two layers (chapter 3 counts them).

# %%
layers = parameter_count(ModelConfig(d_model=64, n_layers=2)).non_embedding
cost = pd.DataFrame({"bytes per token": lengths["mean"].round(2)})
cost["embedding parameters"] = [64 * size for size in sizes]
cost["over those of two layers"] = (cost["embedding parameters"] / layers).round(2)
cost.rename_axis("vocabulary")

# %% [markdown]
# In a small model a large vocabulary soon outweighs everything else.
#
# ## A unit in which tokenizers compare
#
# A model gives every token a probability, given the tokens before it.
# Its loss is the mean of $-\ln p$, in nats per token.
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
#   &= \frac{\text{nats per token}}{\ln 2} \cdot \frac{n_\text{tokens}}{n_\text{bytes}}
#    = \frac{\text{nats per token}}{\ln 2 \cdot \text{bytes per token}} .
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
    """Loss in nats per token of a unigram model (counts plus one)."""
    counts = np.bincount(train_tokens[1:], minlength=vocab_size) + 1
    return -np.log(counts / counts.sum())[validation_tokens[1:]].mean()


table = pd.DataFrame(columns=["vocabulary", "bytes per token", "nats per token", "bits per byte"])
for tokenizer in [characters, *tokenizers.values()]:
    train = tokenize(train_texts[:60], tokenizer)
    validation = tokenize(validation_texts, tokenizer)
    nats = unigram_nats(train.tokens, validation.tokens, tokenizer.vocab_size)
    length = validation.bytes_per_token
    table.loc[tokenizer.name] = tokenizer.vocab_size, length, nats, nats / math.log(2) / length
table.astype({"vocabulary": int}).round(2)

# %% [markdown]
# Read the last two columns against each other.
# Per token, bytes look best, because there are fewest of them to choose from.
# Per byte of text, the largest vocabulary is best by far.
# The model is equally simple-minded each time; the larger tokens have memorised spelling for it.
#
# That answers the guess at the top: the model with the larger loss per token can be the better one.
# Within one tokenizer both units agree, and this book then uses nats per token.
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

# %% mystnb={"figure": {"name": "fig-windows", "caption": "Six fables in one stream, before an epoch shuffles them. Top: the stream of tokens, a colour for each document. Middle: training windows; the tail that fills no window is left out. Bottom: the validation windows of the same documents; dark tokens are scored, pale ones are only read."}}
windows_figure(
    tokens.starts,
    context_length,
    stride=context_length // 2,
    title="Training windows cross documents; validation windows begin with them",
)

# %% [markdown]
# ## The data of the runs in this book
#
# The tokenizer is part of the experiment.
# It is trained on training documents only, saved as one JSON file, and every run record names it and holds its bytes per token.
# So a record's loss converts without the data.

# %%
record = load_study("model_size", Store(profile)).records[0]
print(f"{record.config.data.corpus}, cut by {record.config.data.tokenizer}")
print(f"{record.bytes_per_token:.3f} bytes per token on the validation documents")
print(f"1 nat per token is {1 / math.log(2) / record.bytes_per_token:.3f} bits per byte there")

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
# Model A reports 1.20 nats per token with 2.4 bytes per token; model B reports 1.75 nats per token with 3.8 bytes per token.
# Both were measured on the same text.
# Which predicts it better?
# ```
#
# ```{solution} ex-tokens-convert
# :class: dropdown
#
# A: 1.20 / (ln 2 · 2.4) = 0.721 bits per byte.
# B: 1.75 / (ln 2 · 3.8) = 0.664 bits per byte.
# B is better, though its loss per token is higher.
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
# Bytes per token on it would be too high, and its bits per byte probably too low: the tokenizer would carry information from the validation text to the model.
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
