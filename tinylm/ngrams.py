"""Floors to beat: n-gram models on the same tokens, under the same protocol as the GPTs.

Interpolated modified Kneser-Ney smoothing (Chen & Goodman 1999, sec. 3 and eq. 26-28):

    p_k(w | h) = (c(hw) - D(c(hw))) / c(h)  +  gamma(h) · p_{k-1}(w | h')

where h' is h without its first token, D takes one of three discounts for counts of 1, 2 and more,
and gamma(h) hands what they free to the shorter context; below the unigrams stands the uniform
distribution, so every token has a positive probability. c is the number of occurrences in the
highest order, and in the orders below it the number of distinct tokens seen before the n-gram.
An n-gram that begins a document has nothing before it and keeps its occurrences.

A context never crosses a document start; the end-of-text token there is part of it. Hence near the
beginning of a document a model of order n uses the fewer tokens there are.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tinylm.errors import BadInput

if TYPE_CHECKING:
    from tinylm.corpora.token_files import TokenFile

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

MAX_ORDER = 12


@dataclass(frozen=True)
class NgramFloor:
    """Validation loss of the n-gram model of one order."""

    order: int
    nats_per_token: float
    bits_per_byte: float


@dataclass(frozen=True)
class _Smoothed:
    """One level of the recursion: what each n-gram gains, what each context passes down."""

    gain: Floats  # per n-gram: (c - D(c)) / c(h)
    passed: Floats  # per context: gamma(h); 1 where the context was never seen


@dataclass(frozen=True)
class _Order:
    """All n-grams of one order. An n-gram's id is its place in `codes`."""

    codes: Ints  # sorted, unique: (id of the context) · vocab_size + last token
    highest: _Smoothed  # from occurrences
    lower: _Smoothed  # from distinct tokens before


@dataclass(frozen=True)
class KneserNey:
    """Interpolated modified Kneser-Ney models of every order up to `len(orders)`."""

    vocab_size: int
    orders: tuple[_Order, ...]

    def log_probabilities(self, tokens: NDArray[Any], starts: Ints, order: int) -> Floats:
        """Log probability (nats) of each predicted token, `tokens[1:]`, under order `order`.

        `tokens` (n,) and `starts` (documents + 1,) are as in TokenFile. Returns shape (n - 1,).
        """
        words, depth = _events(tokens, starts)
        return np.log(self._probabilities(words, tokens[:-1].astype(np.int64), depth, order))

    def distribution(self, context: Sequence[int], order: int) -> Floats:
        """Probability (vocab_size,) of each next token after `context`.

        `context` begins at the document's start (end-of-text first) or, if longer than
        `order - 1` tokens, anywhere.
        """
        if not context:
            raise BadInput("context is empty; expected at least the end-of-text token")
        used = list(context)[-max(1, order - 1) :]
        document = np.tile(np.array([*used, 0], dtype=np.int64), (self.vocab_size, 1))
        document[:, -1] = np.arange(self.vocab_size)
        depth = np.tile(np.arange(1, len(used) + 1), self.vocab_size)
        words, before = document[:, 1:].ravel(), document[:, :-1].ravel()
        probabilities = self._probabilities(words, before, depth, order)
        return probabilities.reshape(self.vocab_size, -1)[:, -1]

    def _probabilities(self, words: Ints, before: Ints, depth: Ints, order: int) -> Floats:
        """Probability of each word, given the token before it and its depth in its document."""
        if not 1 <= order <= len(self.orders):
            raise BadInput(f"order is {order}; expected 1 to {len(self.orders)}, as fitted")
        probability = np.full(len(words), 1.0 / self.vocab_size)
        context = np.zeros(len(words), dtype=np.int64)
        for k, grams in enumerate(self.orders[:order], start=1):
            if not len(grams.codes):
                break  # no training document is this long
            level = grams.highest if k == order else grams.lower
            known = (depth >= k - 1) & (context >= 0)
            ids = np.full(len(words), -1, dtype=np.int64)
            ids[known] = _find(grams.codes, context[known] * self.vocab_size + words[known])
            gain = np.where(ids >= 0, level.gain[ids], 0.0)
            passed = np.where(known, level.passed[context], 1.0)
            probability = gain + passed * probability
            context = before if k == 1 else np.concatenate([[-1], ids[:-1]])
        return probability


def fit_kneser_ney(
    tokens: NDArray[Any], starts: Ints, vocab_size: int, max_order: int
) -> KneserNey:
    """Count the n-grams of a token stream up to `max_order` and smooth them.

    `tokens` (n,) is E d1 E d2 E ... E and `starts` (documents + 1,) the places of the Es, as in
    TokenFile. Time and memory grow as n · max_order (some 100 bytes per token).

    Raises:
        TinyLMError: an order outside 1 to 12, no tokens, or a token outside the vocabulary.
    """
    if not 1 <= max_order <= MAX_ORDER:
        raise BadInput(f"order is {max_order}; expected 1 to {MAX_ORDER}")
    if len(tokens) < 2:
        raise BadInput(f"train has {len(tokens)} tokens; expected at least one to predict")
    if int(tokens.max()) >= vocab_size:
        raise BadInput(f"token {tokens.max()} is outside the vocabulary of {vocab_size}")
    words, depth = _events(tokens, starts)
    before = tokens[:-1].astype(np.int64)
    codes = np.arange(vocab_size)
    ids, at = words, np.arange(len(words))  # n-gram and place of each event deep enough for one
    orders: list[_Order] = []
    for k in range(1, max_order + 1):
        occurrences = np.bincount(ids, minlength=len(codes))
        contexts = 1 if k == 1 else (vocab_size if k == 2 else len(orders[-1].codes))
        highest = _smooth(codes, occurrences, contexts, vocab_size)
        context = before if k == 1 else _spread(ids, at, len(words))
        deeper = np.flatnonzero(depth >= k)
        longer, example, longer_ids = np.unique(
            context[deeper] * vocab_size + words[deeper], return_index=True, return_inverse=True
        )
        suffix = np.full(len(words), -1, dtype=np.int64)
        suffix[at] = ids
        distinct = np.bincount(suffix[deeper[example]], minlength=len(codes))
        continuations = np.where(distinct > 0, distinct, occurrences)
        orders.append(_Order(codes, highest, _smooth(codes, continuations, contexts, vocab_size)))
        codes, ids, at = longer, longer_ids, deeper
    return KneserNey(vocab_size, tuple(orders))


def ngram_floors(
    train: "TokenFile", validation: "TokenFile", orders: Sequence[int]
) -> list[NgramFloor]:
    """Loss of n-gram models of `train` on every predicted token of `validation`, once each.

    Document-aligned as the GPTs are: each document is read from its end-of-text token on.

    Raises:
        TinyLMError: an order outside 1 to 12, or the two files differ in vocabulary.
    """
    sizes = [int(file.manifest["vocab_size"]) for file in (train, validation)]
    if sizes[0] != sizes[1]:
        raise BadInput(
            f"vocab_size is {sizes[0]} in train and {sizes[1]} in validation; "
            f"expected one tokenizer for both"
        )
    if not orders or min(orders) < 1:
        raise BadInput(f"orders is {list(orders)}; expected one or more from 1 to {MAX_ORDER}")
    model = fit_kneser_ney(train.tokens, train.starts, sizes[0], max(orders))
    floors = []
    for order in orders:
        nats = -model.log_probabilities(validation.tokens, validation.starts, order)
        bits = float(nats.sum()) / math.log(2.0)
        floors.append(NgramFloor(order, float(nats.mean()), bits / validation.n_bytes))
    return floors


def _events(tokens: NDArray[Any], starts: Ints) -> tuple[Ints, Ints]:
    """Each predicted token, and how many tokens of its document stand before it (E included)."""
    places = np.arange(1, len(tokens))
    begin = np.repeat(starts[:-1], np.diff(starts))
    return tokens[1:].astype(np.int64), places - begin


def _spread(ids: Ints, at: Ints, n: int) -> Ints:
    """For each of n events, the n-gram that ends just before it (-1: none)."""
    context = np.full(n + 1, -1, dtype=np.int64)
    context[at + 1] = ids
    return context[:-1]


def _find(codes: Ints, wanted: Ints) -> Ints:
    """Place of each wanted code in the sorted `codes`, -1 where it is not there."""
    place = np.minimum(np.searchsorted(codes, wanted), len(codes) - 1)
    return np.where(codes[place] == wanted, place, -1)


def _smooth(codes: Ints, counts: Ints, contexts: int, vocab_size: int) -> _Smoothed:
    """Discount the counts of the n-grams `codes`, context by context."""
    context = codes // vocab_size if contexts > 1 else np.zeros(len(codes), dtype=np.int64)
    discount = _discounts(counts)[np.minimum(counts, 3)]
    total = np.bincount(context, weights=counts, minlength=contexts)
    freed = np.bincount(context, weights=discount, minlength=contexts)
    seen = np.maximum(total, 1.0)
    passed = np.where(total > 0, freed / seen, 1.0)
    return _Smoothed((counts - discount) / seen[context], passed)


def _discounts(counts: Ints) -> Floats:
    """Discounts for counts 0, 1, 2 and 3 or more (Chen & Goodman 1999, eq. 26).

    The estimate needs n-grams seen once, twice, ... In a small vocabulary every unigram is frequent
    and there are none, or so few that a discount leaves its range; half the count, at most 3, then
    stands in (as in KenLM's fallback).
    """
    n1, n2, n3, n4 = (int((counts == i).sum()) for i in (1, 2, 3, 4))
    if n1 and n2 and n3:
        y = n1 / (n1 + 2 * n2)
        discounts = np.array([0, 1 - 2 * y * n2 / n1, 2 - 3 * y * n3 / n2, 3 - 4 * y * n4 / n3])
        if all(0 < discounts[i] < i for i in (1, 2, 3)):
            return discounts
    return np.array([0.0, 0.5, 1.0, 1.5])
