"""The exact floor under the loss on the validation documents of fables: what no model can beat."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tinylm.config import EvaluationConfig
from tinylm.corpora.fables import (
    VARIANTS,
    VERSION,
    Entropy,
    document,
    entropy,
    information,
    short_of,
    variant_of,
)
from tinylm.corpora.token_files import TokenFile, prepare
from tinylm.records import position_bins
from tinylm.store import Store
from tinylm.studies.findings import finding
from tinylm.studies.runs import EVERY_DOCUMENT
from tinylm.tokenizers import Tokenizer

EXACT = ("tinylm.corpora.fables.exact", "tinylm.corpora.fables.parts")
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class TokenFloor:
    """The exact floor under the loss on the validation documents, token by token."""

    nats: float  # per token, as losses are: closing tokens count, and cost nothing
    bits_per_byte: float
    by_position: pd.DataFrame  # first, last, nats: the bins of a record's losses


def token_information(text: str, tokenizer: Tokenizer, variant: str = "default") -> Floats:
    """Exact nats of each token of a document, that of its closing token (0) last."""
    nats = information(text, variant=variant)
    lengths = [len(tokenizer.token_text(token)) for token in tokenizer.encode(text)]
    ends = np.cumsum(lengths)
    if ends[-1] != len(text):
        raise AssertionError(f"tokens spell {ends[-1]} characters, the text has {len(text)}")
    sums = np.add.reduceat(nats, np.append(0, ends[:-1]))
    return np.append(sums, 0.0)


def token_floor(corpus: str, tokens: TokenFile, tokenizer: Tokenizer) -> TokenFloor:
    """The floor under the loss on the validation documents, in whole and in the bins of a record.

    It is exact for models whose context holds a whole document.
    """
    longest = int(np.diff(tokens.starts).max())
    sums, counts = np.zeros(longest), np.zeros(longest, dtype=np.int64)
    for i in range(tokens.n_documents):
        text = document("validation", i, variant=variant_of(corpus))
        nats = token_information(text, tokenizer, variant_of(corpus))
        sums[: len(nats)] += nats
        counts[: len(nats)] += 1
    if int(counts.sum()) != tokens.n_tokens:
        raise AssertionError(f"{counts.sum()} tokens were counted, the file has {tokens.n_tokens}")
    first = position_bins(longest)
    last = np.append(first[1:] - 1, longest)
    bins = [
        {"first": a, "last": b, "nats": sums[a - 1 : b].sum() / counts[a - 1 : b].sum()}
        for a, b in zip(first.tolist(), last.tolist(), strict=True)
    ]
    total = float(sums.sum())
    return TokenFloor(
        nats=total / tokens.n_tokens,
        bits_per_byte=total / math.log(2) / tokens.n_bytes,
        by_position=pd.DataFrame(bins),
    )


def known_floor(
    store: Store, corpus: str, tokenizer: str, evaluation: EvaluationConfig = EVERY_DOCUMENT
) -> TokenFloor:
    """`token_floor` of a corpus, under the documents that runs are evaluated on, as a finding. A
    long corpus has the documents of its short one.

    Raises:
        Missing: it was not computed yet, and this is no `tinylm report`.
    """
    short = short_of(corpus)

    def compute() -> TokenFloor:
        data = prepare(short, tokenizer)
        return token_floor(short, data.evaluated(evaluation), data.tokenizer)

    few = evaluation.final_tokens
    name = f"floor-{short}-{tokenizer}{'' if few is None else f'-{few}'}"
    return finding(store, name, [], (*EXACT, __name__), compute, version=VERSION)


def entropies(store: Store) -> Mapping[str, Entropy]:
    """The exact entropy of each variant of fables, as a finding; adding up takes seconds.

    Raises:
        Missing: as `known_floor`.
    """
    found: Mapping[str, Entropy] = finding(
        store,
        "entropy",
        [],
        EXACT,
        lambda: {variant: entropy(variant) for variant in VARIANTS},
        version=VERSION,
    )
    return found
