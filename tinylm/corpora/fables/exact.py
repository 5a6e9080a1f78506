"""Exact probability of a text, exact entropy of the source, and the floor under a model's loss."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from tinylm.corpora.fables.parts import Totals
from tinylm.corpora.fables.reader import read
from tinylm.corpora.fables.source import world_source
from tinylm.corpora.fables.text import empty_scene, grammar
from tinylm.errors import BadInput


def information(text: str, *, variant: str = "default", world_seed: int = 0) -> NDArray[np.float64]:
    """Nats of each character of a document: -log p(character | all characters before it).

    This is the loss, character by character, of a model that knows the source. It is zero where
    only one character can come, and its sum is -log p(text). That the document ends costs nothing.

    Raises:
        TinyLMError: unknown variant, or a text that the source cannot give; names the character.
    """
    return read(text, grammar(), empty_scene(variant, world_seed))


def log_probability(text: str, *, variant: str = "default", world_seed: int = 0) -> float:
    """Natural logarithm of the probability of a document, from its text alone.

    Raises:
        TinyLMError: unknown variant, or a text that the source cannot give.
    """
    return -math.fsum(information(text, variant=variant, world_seed=world_seed))


@dataclass(frozen=True)
class Entropy:
    """Entropy of a document, exact over all documents, and where it is from."""

    nats: float  # a document
    bytes: float  # expected, a document
    nats_by_kind: Mapping[str, float]  # names, words, wordings, plots; they add up to `nats`

    @property
    def bits_per_byte(self) -> float:
        """Bits a byte: entropy over length, both of all documents together."""
        return self.nats / self.bytes / math.log(2)


@cache
def entropy(variant: str = "default", *, world_seed: int = 0) -> Entropy:
    """Exact entropy of a document, by recursion over the grammar.

    What is chosen never changes which choices follow or their weights, but for the names that are
    left out because they are in the story, which are summed over. So the entropy of a document is
    the sum of the entropies of its choices, each times the probability of coming there. It is that
    of the text, since no text can come about in two ways.

    Raises:
        TinyLMError: unknown variant.
    """
    totals = Totals()
    scene = {"source": world_source(variant, world_seed), "told": {}}
    for part in grammar():
        part.measure(scene, 1.0, totals)
    return Entropy(math.fsum(totals.nats.values()), totals.length, dict(totals.nats))


@dataclass(frozen=True)
class Floor:
    """What no model can beat on some documents: their mean exact code length.

    It is exact for models that see each document from its beginning.
    """

    documents: int
    nats: float  # a document, mean
    nats_error: float  # standard error of that mean, as an estimate of the entropy
    bytes: float  # a document, mean
    by_position: NDArray[np.float64]  # mean nats of the character at each position ...
    count: NDArray[np.int64]  # ... over this many documents, which are that long

    @property
    def bits_per_byte(self) -> float:
        """Bits a byte, over all documents together."""
        return self.nats / self.bytes / math.log(2)


def floor(texts: Iterable[str], *, variant: str = "default", world_seed: int = 0) -> Floor:
    """The floor under the loss on these documents, in whole and by position.

    Raises:
        TinyLMError: no text at all, unknown variant, or a text that the source cannot give.
    """
    costs: list[float] = []
    sums, count = np.zeros(0), np.zeros(0, dtype=np.int64)
    n_bytes = 0
    for text in texts:
        nats = information(text, variant=variant, world_seed=world_seed)
        more = max(0, len(nats) - len(sums))
        sums, count = np.pad(sums, (0, more)), np.pad(count, (0, more))
        sums[: len(nats)] += nats
        count[: len(nats)] += 1
        costs.append(math.fsum(nats))
        n_bytes += len(text.encode())
    if not costs:
        raise BadInput("texts is empty: expected at least one document of fables")
    spread = float(np.std(costs, ddof=1)) if len(costs) > 1 else math.nan
    return Floor(
        documents=len(costs),
        nats=math.fsum(costs) / len(costs),
        nats_error=spread / math.sqrt(len(costs)),
        bytes=n_bytes / len(costs),
        by_position=sums / count,
        count=count,
    )
