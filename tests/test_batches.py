from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinylm.batches import TrainingBatches, validation_windows
from tinylm.corpora.token_files import TokenFile
from tinylm.errors import TinyLMError
from tinylm.tokenizers import END_OF_TEXT

LENGTHS = st.lists(st.integers(1, 25), min_size=1, max_size=12)


def distinct_documents(lengths: list[int]) -> TokenFile:
    """A token file in which no token but END_OF_TEXT occurs twice: 1, 2, 3, ..."""
    stream, begin = [END_OF_TEXT], 1
    for length in lengths:
        stream += [*range(begin, begin + length), END_OF_TEXT]
        begin += length
    tokens = np.array(stream, np.uint16)
    n_bytes = np.array(lengths, np.int64)
    return TokenFile(tokens, np.flatnonzero(tokens == 0), int(n_bytes.sum()), {}, n_bytes)


@given(LENGTHS, st.integers(1, 12), st.integers(1, 5), st.integers(0, 3))
def test_an_epoch_predicts_every_token_once(
    lengths: list[int], context: int, batch_size: int, seed: int
) -> None:
    data = distinct_documents(lengths)
    if context > data.n_tokens:
        return
    loader = TrainingBatches(data, context, batch_size, seed)
    n_windows = loader.windows_per_epoch
    steps = 2 * -(-n_windows // batch_size)
    drawn = [loader.batch(step) for step in range(steps)]
    inputs = np.concatenate([x for x, _ in drawn])
    targets = np.concatenate([y for _, y in drawn])
    follows = {(int(a), int(b)) for i in range(len(lengths)) for a, b in pairwise(data.document(i))}
    assert inputs.dtype == targets.dtype == np.int64
    assert (inputs[:, 1:] == targets[:, :-1]).all()
    assert {(int(a), int(b)) for a, b in zip(inputs.flat, targets.flat, strict=True)} <= follows
    for epoch in range(len(targets) // n_windows):
        seen = Counter(targets[epoch * n_windows : (epoch + 1) * n_windows].flat)
        dropped = data.n_tokens - n_windows * context
        words = [seen[token] for token in range(1, sum(lengths) + 1)]
        assert max(words) <= 1
        assert words.count(0) + len(lengths) - seen[END_OF_TEXT] == dropped < context


def test_a_batch_depends_on_seed_and_step_alone() -> None:
    data = distinct_documents([9, 14, 3, 20, 8, 11])
    one, other = TrainingBatches(data, 4, 3, seed=1), TrainingBatches(data, 4, 3, seed=1)
    in_order = [one.batch(step) for step in range(30)]
    for step in (29, 0, 13, 28, 2):
        assert all((a == b).all() for a, b in zip(other.batch(step), in_order[step], strict=True))
    reseeded = TrainingBatches(data, 4, 3, seed=2)
    assert any((reseeded.batch(step)[0] != in_order[step][0]).any() for step in range(3))
    epoch = one.windows_per_epoch // 3
    assert any((in_order[s][0] != in_order[s + epoch][0]).any() for s in range(epoch))


def test_windows_join_documents_in_a_new_order_each_epoch() -> None:
    """The token before the second document's first one is END_OF_TEXT, but its neighbour varies."""
    data = distinct_documents([3] * 12)
    loader = TrainingBatches(data, data.n_tokens, 1, seed=0)
    orders = [tuple(loader.batch(step)[1][0, ::4]) for step in range(5)]
    assert len(set(orders)) == 5
    assert {frozenset(order) for order in orders} == {frozenset(range(1, 37, 3))}


def test_context_longer_than_the_data_and_negative_seeds_are_refused() -> None:
    data = distinct_documents([5, 5])
    TrainingBatches(data, 12, 1, seed=0)
    with pytest.raises(TinyLMError, match="context_length 13"):
        TrainingBatches(data, 13, 1, seed=0)
    with pytest.raises(TinyLMError, match="seed -1"):
        TrainingBatches(data, 4, 1, seed=-1)


@given(LENGTHS, st.integers(1, 12), st.floats(0.01, 1.0), st.integers(1, 6))
def test_every_validation_token_is_scored_once_with_its_own_context(
    lengths: list[int], context: int, stride_fraction: float, rows: int
) -> None:
    data = distinct_documents(lengths)
    stride = max(1, round(stride_fraction * context))
    scored: Counter[int] = Counter()
    owner = {int(t): i for i in range(data.n_documents) for t in data.document(i)[1:-1]}
    for window in validation_windows(data, context, stride_fraction, rows):
        assert window.inputs.shape == window.targets.shape == window.scored.shape
        assert window.inputs.shape[0] <= rows
        assert window.inputs.shape[1] <= context
        for row, column in np.argwhere(window.scored):
            at = int(window.position_in_document[row, column])
            token = int(window.targets[row, column])
            before = window.inputs[row, : column + 1]
            scored[token] += 1
            document = data.document(owner[token or int(before[-1])])
            assert document[at + 1] == token
            assert (document[at + 1 - len(before) : at + 1] == before).all()
            assert len(before) >= min(at + 1, context - stride + 1)
    assert scored.pop(END_OF_TEXT) == len(lengths)
    assert scored == Counter(range(1, sum(lengths) + 1))


def test_windows_of_like_length_share_a_batch() -> None:
    data = distinct_documents([2, 20, 2, 20, 2, 20])
    shapes = [w.inputs.shape for w in validation_windows(data, 32, 1.0, rows=3)]
    assert shapes == [(3, 3), (3, 21)]
