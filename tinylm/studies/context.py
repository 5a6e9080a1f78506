"""How much of the loss above a known floor is context that was not there."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.stats import t as student_t

from tinylm.batches import prepare
from tinylm.errors import BadInput
from tinylm.laws.scatter import COVERAGE
from tinylm.laws.solver import Array
from tinylm.records import RunRecord
from tinylm.store import Store
from tinylm.studies.floor import token_floor
from tinylm.sweeps.declare import expand, load_experiment

COLUMNS = ["context_length", "excess", "std", "missing", "low", "high"]


def context_shares(profile: str) -> pd.DataFrame:
    """The runs of `context_fables`, all of which must have records; as `missing_context`.

    Raises:
        TinyLMError: a run has no record.
    """
    records = Store(profile).load(expand(load_experiment("context_fables"), profile))
    data = prepare("fables", records[0].config.data.tokenizer)
    floor = token_floor("fables", data.validation, data.tokenizer)
    return missing_context(records, floor.nats)


def missing_context(records: Sequence[RunRecord], floor: float) -> pd.DataFrame:
    """For each context T: the mean excess over seeds and its std; and what of it is missing
    context, with a 95% interval, all in nats a token of all validation documents.

    Up to position T of a document a context of T holds all that there is. Beyond, what its runs
    lose against those of the longest context is missing context. Their loss up to T, of which
    nothing is missing, also differs, by training; that difference a token is taken off beyond T.

    Raises:
        TinyLMError: fewer than 2 contexts or seeds, or losses in other bins of positions.
    """
    done = [record for record in records if record.validation is not None]
    lengths = sorted({record.config.model.context_length for record in done})
    if len(lengths) < 2:
        raise BadInput(f"runs have {len(lengths)} different contexts; expected at least 2")
    first, tokens = _bins(done)
    losses = {
        T: np.array([_by_position(r) for r in done if r.config.model.context_length == T])
        for T in lengths
    }  # (seeds, bins)
    if any(len(group) < 2 for group in losses.values()):
        raise BadInput("a context has fewer than 2 runs; their spread needs at least 2")
    total, longest = tokens.sum(), lengths[-1]
    rows = []
    for T in lengths:
        late = first >= T
        excess = losses[T] @ tokens / total - floor
        row = {"context_length": T, "excess": excess.mean(), "std": excess.std(ddof=1)}
        weight = np.where(late, tokens, 0.0) / total
        if late.any() and longest > T:  # less the same tokens' share of the difference before T
            early = np.where(late, 0.0, tokens) / tokens[~late].sum()
            weight -= early * weight.sum()
            gap, half = _difference(losses[T] @ weight, losses[longest] @ weight)
            row |= {"missing": gap, "low": gap - half, "high": gap + half}
        else:
            row |= {"missing": 0.0, "low": 0.0, "high": 0.0}
        rows.append(row)
    return pd.DataFrame(rows, columns=COLUMNS)


def _bins(records: Sequence[RunRecord]) -> tuple[Array, Array]:
    """First positions and token counts of the bins that all records share."""
    bins = [
        [(part.first, part.tokens) for part in record.validation.by_position]
        for record in records
        if record.validation is not None
    ]
    if any(one != bins[0] for one in bins):
        raise BadInput("runs have their losses in different bins of positions; expected the same")
    first, tokens = np.array(bins[0], dtype=float).T
    return first, tokens


def _by_position(record: RunRecord) -> list[float]:
    return [part.nats for part in record.validation.by_position] if record.validation else []


def _difference(a: Array, b: Array) -> tuple[float, float]:
    """Difference of two means and half its 95% interval (Welch)."""
    va, vb = a.var(ddof=1) / len(a), b.var(ddof=1) / len(b)
    if va + vb == 0:
        return float(a.mean() - b.mean()), 0.0
    freedom = (va + vb) ** 2 / (va**2 / (len(a) - 1) + vb**2 / (len(b) - 1))
    half = student_t.ppf((1 + COVERAGE) / 2, freedom) * np.sqrt(va + vb)
    return float(a.mean() - b.mean()), float(half)
