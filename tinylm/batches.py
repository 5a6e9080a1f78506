"""Token files become batches: windows in another order each epoch to train on, and windows that
score each token of the validation text once.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinylm.corpora.token_files import Integers, TokenFile
from tinylm.errors import BadInput
from tinylm.tokenizers import END_OF_TEXT


class TrainingBatches:
    """Batches of windows, a pure function of the step.

    In epoch e the documents are permuted by (seed, e) and joined as E d E d ... E; the stream is
    cut into windows that predict `context_length` tokens each, and the windows are permuted. So
    each token is predicted once an epoch, but for those after the last whole window. Batches flow
    over the ends of epochs. Attention is not cut at document boundaries.
    """

    def __init__(self, tokens: TokenFile, context_length: int, batch_size: int, seed: int) -> None:
        """Raises TinyLMError if the data does not fill one window, or for a negative seed."""
        if context_length > tokens.n_tokens:
            raise BadInput(
                f"context_length {context_length} is longer than the data; expected at most "
                f"{tokens.n_tokens}, the tokens in it"
            )
        if seed < 0:
            raise BadInput(f"seed {seed}: expected a number of 0 or more")
        self.context_length = context_length
        self.batch_size = batch_size
        self.windows_per_epoch = tokens.n_tokens // context_length
        self._tokens = np.asarray(tokens.tokens)
        self._starts = tokens.starts
        self._seed = seed
        self._epochs: dict[int, _Epoch] = {}

    def batch(self, step: int) -> tuple[Integers, Integers]:
        """Inputs and targets of a step, each int64 (batch_size, context_length)."""
        rows = np.empty((self.batch_size, self.context_length + 1), np.int64)
        for i in range(self.batch_size):
            epoch, window = divmod(step * self.batch_size + i, self.windows_per_epoch)
            self._epoch(epoch).read(window, rows[i])
        return rows[:, :-1], rows[:, 1:]

    def _epoch(self, epoch: int) -> "_Epoch":
        if epoch not in self._epochs:
            if len(self._epochs) > 1:  # a batch may lie across two epochs: keep two
                del self._epochs[min(self._epochs)]
            generator = np.random.default_rng([self._seed, epoch])
            self._epochs[epoch] = _Epoch(
                self._tokens, self._starts, self.windows_per_epoch, generator
            )
        return self._epochs[epoch]


class _Epoch:
    """The order of documents and windows in one epoch. Windows are read from the token file piece
    by piece, so that an epoch costs memory by its documents, not by its tokens.
    """

    def __init__(
        self,
        tokens: NDArray[Any],
        starts: Integers,
        n_windows: int,
        generator: np.random.Generator,
    ) -> None:
        documents = generator.permutation(len(starts) - 1)
        self.windows = generator.permutation(n_windows)
        self.tokens = tokens
        self.stops = starts[1:][documents]  # where E d of each document stops in the token file
        self.ends = np.cumsum(np.diff(starts)[documents])  # and where in the stream

    def read(self, window: int, row: Integers) -> None:
        """Fill `row` (context_length + 1) with a window and the token that precedes it."""
        at = int(self.windows[window]) * (len(row) - 1)
        document = int(np.searchsorted(self.ends, at, side="right"))
        filled = 0
        while filled < len(row):
            if document == len(self.ends):
                row[filled] = END_OF_TEXT  # the E that closes the stream
                return
            left = int(self.ends[document]) - at  # in this document
            begin, n = int(self.stops[document]) - left, min(left, len(row) - filled)
            row[filled : filled + n] = self.tokens[begin : begin + n]
            filled, at, document = filled + n, at + n, document + 1


@dataclass(frozen=True)
class Windows:
    """A batch of validation windows, each (n, T') with T' the longest of the batch."""

    inputs: Integers  # padded with END_OF_TEXT
    targets: Integers  # likewise
    scored: NDArray[np.bool_]  # which targets count; padding never does
    position_in_document: Integers  # of the target: its tokens before it, from the leading E on 0


def validation_windows(
    tokens: TokenFile, context_length: int, stride_fraction: float, rows: int
) -> Iterator[Windows]:
    """Windows that score every predicted token (text and closing E of each document) once.

    Every document is read from its own beginning. One of more than `context_length` predicted
    tokens is read in windows that start every max(1, round(stride_fraction * context_length))
    tokens; a token is scored in the first window that holds it, where its context is longest.
    Windows of like length are batched, `rows` at a time (fewer at the end).
    """
    stride = max(1, round(stride_fraction * context_length))
    predicted = np.diff(tokens.starts)  # (n_documents): tokens of text and one closing E
    n_windows = 1 + np.maximum(0, -(-(predicted - context_length) // stride))
    document = np.repeat(np.arange(len(predicted)), n_windows)
    first = np.cumsum(n_windows) - n_windows
    offset = (np.arange(len(document)) - first[document]) * stride
    length = np.minimum(predicted[document] - offset, context_length)
    seen = np.where(offset > 0, context_length - stride, 0)  # scored by an earlier window
    order = np.argsort(length, kind="stable")
    for begin in range(0, len(order), rows):
        batch = order[begin : begin + rows]
        column = np.arange(length[batch].max())
        real = column < length[batch, None]
        at = np.where(real, tokens.starts[document[batch], None] + offset[batch, None] + column, 0)
        yield Windows(
            inputs=np.where(real, tokens.tokens[at], END_OF_TEXT).astype(np.int64),
            targets=np.where(real, tokens.tokens[at + 1], END_OF_TEXT).astype(np.int64),
            scored=real & (column >= seen[batch, None]),
            position_in_document=np.where(real, offset[batch, None] + column, 0),
        )
