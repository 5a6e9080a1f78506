"""The n-gram floors: proper distributions, equal to a slow and obvious reference."""

import math
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinylm.corpora.token_files import TokenFile
from tinylm.errors import TinyLMError
from tinylm.ngrams import fit_kneser_ney, ngram_floors

Documents = list[list[int]]


@dataclass
class Stream:
    """What the floors read of a TokenFile."""

    tokens: np.ndarray
    starts: np.ndarray
    n_bytes: int
    manifest: dict[str, Any] = field(default_factory=dict)


def stream(documents: Documents, vocab_size: int = 6) -> TokenFile:
    tokens, starts = [0], [0]
    for document in documents:
        tokens += [*document, 0]
        starts.append(len(tokens) - 1)
    n_bytes = sum(map(len, documents))
    made = Stream(
        np.array(tokens, np.uint16), np.array(starts), n_bytes, {"vocab_size": vocab_size}
    )
    return cast(TokenFile, made)


class Reference:
    """Modified Kneser-Ney of one order with dictionaries, straight from the formulas."""

    def __init__(self, documents: Documents, vocab_size: int, order: int) -> None:
        self.vocab_size, self.order = vocab_size, order
        occurrences: dict[int, dict[tuple[int, ...], int]] = defaultdict(lambda: defaultdict(int))
        before: dict[tuple[int, ...], set[int]] = defaultdict(set)
        for document in documents:
            full = [0, *document, 0]
            for end in range(1, len(full)):
                for k in range(1, end + 2):
                    gram = tuple(full[end + 1 - k : end + 1])
                    occurrences[k][gram] += 1
                    if k <= end:
                        before[gram].add(full[end - k])
        self.counts = {k: dict(occurrences[k]) for k in range(1, order + 1)}
        for k in range(1, order):
            for gram in self.counts[k]:
                begins_document = k > 1 and gram[0] == 0
                if not begins_document:
                    self.counts[k][gram] = len(before[gram])
        self.discounts = {
            k: self.discount(list(self.counts[k].values())) for k in range(1, order + 1)
        }

    @staticmethod
    def discount(counts: list[int]) -> list[float]:
        n = [counts.count(i) for i in range(5)]
        if n[1] and n[2] and n[3]:
            y = n[1] / (n[1] + 2 * n[2])
            found = [i - (i + 1) * y * n[i + 1] / n[i] for i in (1, 2, 3)]
            if all(0 < d < i for i, d in enumerate(found, start=1)):
                return [0.0, *found]
        return [0.0, 0.5, 1.0, 1.5]

    def probability(self, word: int, context: tuple[int, ...]) -> float:
        context = context[len(context) - min(len(context), self.order - 1) :]
        k = len(context) + 1
        seen = {g: c for g, c in self.counts[k].items() if g[:-1] == context}
        shorter = self.probability(word, context[1:]) if k > 1 else 1.0 / self.vocab_size
        if not seen:
            return shorter
        total = sum(seen.values())
        count = seen.get((*context, word), 0)
        freed = sum(self.discounts[k][min(c, 3)] for c in seen.values())
        gain = count - self.discounts[k][min(count, 3)]
        return (gain + freed * shorter) / total

    def log_probabilities(self, documents: Documents) -> list[float]:
        found = []
        for document in documents:
            full = [0, *document, 0]
            found += [
                math.log(self.probability(full[i], tuple(full[:i]))) for i in range(1, len(full))
            ]
        return found


def random_documents(seed: int, n: int, vocab_size: int = 6) -> Documents:
    """Documents of a random first-order chain, some of a single token."""
    rng = np.random.default_rng(seed)
    chain = rng.dirichlet(np.full(vocab_size - 1, 0.4), size=vocab_size)
    documents = []
    for _ in range(n):
        document = [int(rng.integers(1, vocab_size))]
        for _ in range(int(rng.integers(0, 20))):
            document.append(1 + int(rng.choice(vocab_size - 1, p=chain[document[-1]])))
        documents.append(document)
    return documents


def fit(documents: Documents, max_order: int, vocab_size: int = 6) -> Any:
    train = stream(documents, vocab_size)
    return fit_kneser_ney(train.tokens, train.starts, vocab_size, max_order)


@pytest.mark.parametrize("order", [1, 2, 3, 4, 6])
@pytest.mark.parametrize("seed", [0, 1])
def test_equals_the_reference(order: int, seed: int) -> None:
    train, validation = random_documents(seed, 40), random_documents(seed + 100, 15)
    test = stream(validation)
    found = fit(train, 6).log_probabilities(test.tokens, test.starts, order)
    expected = Reference(train, 6, order).log_probabilities(validation)
    np.testing.assert_allclose(found, expected, rtol=1e-10)


documents_of_five = st.lists(
    st.lists(st.integers(1, 4), min_size=1, max_size=12), min_size=1, max_size=12
)


@settings(max_examples=40, deadline=None)
@given(train=documents_of_five, validation=documents_of_five, order=st.integers(1, 5))
def test_equals_the_reference_on_any_documents(
    train: Documents, validation: Documents, order: int
) -> None:
    test = stream(validation, 5)
    found = fit(train, 5, vocab_size=5).log_probabilities(test.tokens, test.starts, order)
    expected = Reference(train, 5, order).log_probabilities(validation)
    np.testing.assert_allclose(found, expected, rtol=1e-10)


@settings(max_examples=60, deadline=None)
@given(
    train=documents_of_five,
    context=st.lists(st.integers(0, 6), max_size=7),
    order=st.integers(1, 6),
)
def test_every_order_is_a_distribution_after_any_context(
    train: Documents, context: list[int], order: int
) -> None:
    probabilities = fit(train, 6, vocab_size=7).distribution([0, *context], order)
    assert probabilities.shape == (7,)
    assert (probabilities > 0).all()  # tokens 5 and 6 never occur in training
    assert probabilities.sum() == pytest.approx(1.0, abs=1e-12)


def test_distribution_agrees_with_scoring() -> None:
    model = fit(random_documents(3, 30), 4)
    test = stream([[1, 2, 3, 4, 1]])
    scored = np.exp(model.log_probabilities(test.tokens, test.starts, 4))
    for place in range(1, len(test.tokens)):
        probabilities = model.distribution(test.tokens[:place].tolist(), 4)
        assert probabilities[test.tokens[place]] == pytest.approx(scored[place - 1])


def test_contexts_do_not_cross_a_document_start() -> None:
    model = fit(random_documents(4, 30), 6)
    document = [2, 3, 1, 4]
    alone, after_another = stream([document]), stream([[4, 4, 1, 2], document])
    expected = model.log_probabilities(alone.tokens, alone.starts, 6)
    found = model.log_probabilities(after_another.tokens, after_another.starts, 6)
    np.testing.assert_allclose(found[-len(expected) :], expected, rtol=1e-12)


def test_floor_of_a_memoryless_source_is_its_entropy() -> None:
    rng = np.random.default_rng(0)
    weights = np.array([0.4, 0.3, 0.2, 0.1])

    def documents(n: int) -> Documents:
        return [[*(1 + rng.choice(4, size=200, p=weights)).tolist()] for _ in range(n)]

    floors = ngram_floors(stream(documents(200)), stream(documents(200)), [1, 2, 3])
    closing = 1 / 201
    entropy = -(weights * np.log(weights * (1 - closing))).sum() * (1 - closing)
    entropy -= closing * math.log(closing)
    assert floors[0].nats_per_token == pytest.approx(entropy, abs=0.01)
    assert floors[2].nats_per_token == pytest.approx(entropy, abs=0.03)


def test_floor_of_a_cycle_falls_to_nothing_from_the_second_order_on() -> None:
    documents = [[1, 2, 3, 4] * 50 for _ in range(20)]
    by_order = {
        floor.order: floor.nats_per_token
        for floor in ngram_floors(stream(documents), stream(documents), [1, 2])
    }
    assert by_order[1] > 1.3
    assert by_order[2] < 0.05


def test_bits_per_byte_counts_the_text_of_validation_only() -> None:
    train, validation = stream(random_documents(5, 30)), stream(random_documents(6, 10))
    (floor,) = ngram_floors(train, validation, [3])
    predicted = len(validation.tokens) - 1
    bits = floor.nats_per_token * predicted / math.log(2)
    assert floor.order == 3
    assert floor.bits_per_byte == pytest.approx(bits / validation.n_bytes)


def test_orders_longer_than_every_document_add_nothing() -> None:
    data = stream([[1], [2]])
    floors = ngram_floors(data, stream([[1, 2, 1], [3]]), [4, 6])
    assert floors[0].nats_per_token == pytest.approx(floors[1].nats_per_token)


@pytest.mark.parametrize("orders", [[], [0], [13], [2, -1]])
def test_orders_out_of_range_are_named(orders: list[int]) -> None:
    data = stream(random_documents(7, 5))
    with pytest.raises(TinyLMError, match=r"orders? is .*; expected"):
        ngram_floors(data, data, orders)


def test_scoring_beyond_the_fitted_order_is_an_error() -> None:
    data = stream(random_documents(7, 5))
    with pytest.raises(TinyLMError, match="order is 4; expected 1 to 3"):
        fit(random_documents(7, 5), 3).log_probabilities(data.tokens, data.starts, 4)


def test_bad_tokens_are_named() -> None:
    data = stream(random_documents(7, 5))
    with pytest.raises(TinyLMError, match="outside the vocabulary of 3"):
        fit_kneser_ney(data.tokens, data.starts, 3, 2)
    with pytest.raises(TinyLMError, match="at least one to predict"):
        fit_kneser_ney(data.tokens[:1], data.starts[:1], 6, 2)
    with pytest.raises(TinyLMError, match="vocab_size is 6 in train and 7 in validation"):
        ngram_floors(data, stream([[1]], vocab_size=7), [2])
    with pytest.raises(TinyLMError, match="context is empty"):
        fit(random_documents(7, 5), 2).distribution([], 2)
