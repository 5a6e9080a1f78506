"""The exponents that a theory expects of fables: knowledge comes in pieces, the rarest last.

The piece of rank r is needed with probability proportional to r^-(1+a). Source: Hutter 2021;
Maloney, Roberts & Sully 2022; Michaud et al. 2023.
"""

import numpy as np

from tinylm.corpora.fables import Variant
from tinylm.corpora.fables.source import HEAD

# Where finite_exponent is taken: a choice. How many characters are known is measured in `excess`;
# in D the tokens of the tails' cuts are some hundred to some thousand documents, each of about two
# characters and the few whom they meet.
MET = {"N": (1, 100), "D": (1_000, 10_000)}


def predicted_exponent(axis: str, tail: float) -> float:
    """Of the excess where pieces never end: a in N, a/(1+a) in D."""
    return tail if axis == "N" else tail / (1 + tail)


def finite_exponent(axis: str, variant: Variant, met: float, *, head: int = HEAD) -> float:
    """The exponent by the same theory in a variant's world, which has an end and a flat head.

    It is the slope, on log axes, of the share of meetings that are with a character not yet known.
    In N, the `met` characters of lowest rank are known; in D, those whom `met` meetings have
    brought at least once, in expectation. Without the head and the end it would be the same
    everywhere. Weights are those of `corpora.fables.source.weights`, not rounded.
    """
    weights = (np.arange(1, variant.n_characters + 1) + head) ** -(1 + variant.tail)
    p = weights / weights.sum()
    if axis == "N":
        n = round(met)
        return float(n * p[n - 1] / p[n:].sum())
    unknown = p * np.exp(-met * p)
    return float(met * (unknown * p).sum() / unknown.sum())
