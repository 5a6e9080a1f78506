"""What a longer context is worth, at equal compute and above a known floor.

Losses are compared position by position in the document: up to position T a context of T sees all
that there is, so that only tokens beyond T can gain from a longer one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy.special import stdtrit

from tinylm.errors import BadInput
from tinylm.laws.published import CONTEXT_CLAIM
from tinylm.laws.scatter import COVERAGE
from tinylm.laws.solver import Array
from tinylm.plots import (
    changes_figure,
    context_figure,
    document_lengths_figure,
    loss_by_position_figure,
    position_differences_figure,
)
from tinylm.records import RunRecord
from tinylm.store import Store
from tinylm.studies.floor import known_floor
from tinylm.studies.runs import evaluation_of
from tinylm.studies.size import (
    Study,
    best_floor_label,
    load_study,
    loss_by_position,
    points_of,
)
from tinylm.sweeps.declare import expand, load_experiment

Bins = NDArray[np.bool]  # which bins of positions count
COLUMNS = ["context_length", "excess", "std", "missing", "low", "high"]


class Change(NamedTuple):
    """A difference between means over seeds, and half its 95% interval."""

    value: float
    half: float

    @property
    def verdict(self) -> str:
        """What the interval says of a loss: 'falls', 'rises' or 'not resolved'."""
        if abs(self.value) <= self.half:
            return "not resolved"
        return "falls" if self.value < 0 else "rises"


def welch(*terms: tuple[float, Array]) -> Change:
    """The sum of weight · mean(group), with its interval after Welch and Satterthwaite: groups of
    runs (n,) whose spreads may differ.
    """
    value = float(sum(weight * group.mean() for weight, group in terms))
    parts = np.array([weight**2 * group.var(ddof=1) / len(group) for weight, group in terms])
    if not parts.any():
        return Change(value, 0.0)
    freedom = parts.sum() ** 2 / sum(
        part**2 / (len(group) - 1) for part, (_, group) in zip(parts, terms, strict=True)
    )
    half = stdtrit(freedom, (1 + COVERAGE) / 2) * np.sqrt(parts.sum())
    return Change(value, float(half))


def difference(after: Array, before: Array) -> Change:
    """By how much the mean of one group of runs is above that of another."""
    return welch((1.0, after), (-1.0, before))


@dataclass(frozen=True)
class Positions:
    """Losses by the position of the token in its document, in bins that all runs share."""

    first: Array  # (bins,): first position of each bin; 1 is the first token
    last: Array
    tokens: Array  # how many tokens of all validation documents are in each
    documents: int
    losses: dict[int, Array]  # by context length: (seeds, bins), nats per token

    @classmethod
    def of(cls, records: Sequence[RunRecord]) -> "Positions":
        """Those of runs that did not diverge.

        Raises:
            BadInput: fewer than 2 contexts, or losses in other bins of positions.
        """
        validations = [one.validation for one in records if one.validation is not None]
        bins = [[(p.first, p.last, p.tokens) for p in one.by_position] for one in validations]
        if any(one != bins[0] for one in bins):
            raise BadInput("runs have their losses in different bins of positions; expected equal")
        losses: dict[int, list[list[float]]] = {}
        for record in records:
            if record.validation is not None:
                rows = losses.setdefault(record.config.model.context_length, [])
                rows.append([part.nats for part in record.validation.by_position])
        if len(losses) < 2:
            raise BadInput(f"runs have {len(losses)} different contexts; expected at least 2")
        first, last, tokens = np.array(bins[0], dtype=float).T
        by_context = {T: np.array(losses[T]) for T in sorted(losses)}
        return cls(first, last, tokens, validations[0].documents, by_context)

    @property
    def contexts(self) -> list[int]:
        """The context lengths, rising."""
        return list(self.losses)

    @property
    def middle(self) -> Array:
        """The geometric middle of each bin."""
        return np.sqrt(self.first * self.last)

    @property
    def reaching(self) -> Array:
        """The share of documents that are at least so long, mean over each bin."""
        shares: Array = self.tokens / (self.last - self.first + 1) / self.documents
        return shares

    def beyond(self, T: int) -> float:
        """The share of all tokens that stand beyond position T."""
        return float(self.tokens[self.first >= T].sum() / self.tokens.sum())

    def mean_loss(self, T: int, among: Bins | None = None, weights: Array | None = None) -> Array:
        """Mean loss of each run of context T (seeds,), over all bins or those `among` them, each
        bin weighted by its tokens unless told otherwise.
        """
        chosen = np.ones(len(self.first), bool) if among is None else among
        weight = np.where(chosen, self.tokens if weights is None else weights, 0.0)
        means: Array = self.losses[T] @ weight / weight.sum()
        return means

    def best(self, among: Bins) -> int:
        """The context with the lowest mean loss over some bins."""
        return min(self.contexts, key=lambda T: float(self.mean_loss(T, among).mean()))

    def if_documents_had(self, length: int) -> dict[int, Array]:
        """By context, the loss of each run if every document had `length` tokens and were like the
        first of those that there are: the plain mean over positions up to that length.
        """
        width = self.last - self.first + 1
        return {T: self.mean_loss(T, self.first < length, width) for T in self.contexts}


@dataclass(frozen=True)
class Split:
    """What a longer context changes, of the mean loss over all tokens (nats per token)."""

    change: Change  # in all
    before: Change  # what comes of tokens before position T1, where both see everything
    after: Change  # and of the others
    price: float  # if training costs every token what it costs those before T1
    gain: Change  # what is then left: seeing further


def split_change(positions: Positions, T1: int, T2: int) -> Split:
    """Split the step from context T1 to a longer T2."""
    share = positions.beyond(T1)
    late = positions.first >= T1
    one, two = ((positions.mean_loss(T, ~late), positions.mean_loss(T, late)) for T in (T1, T2))
    before = difference((1 - share) * two[0], (1 - share) * one[0])
    after = difference(share * two[1], share * one[1])
    return Split(
        change=difference(positions.mean_loss(T2), positions.mean_loss(T1)),
        before=before,
        after=after,
        price=before.value / (1 - share),
        gain=difference(share * (two[1] - two[0]), share * (one[1] - one[0])),
    )


def splits(positions: Positions) -> dict[tuple[int, int], Split]:
    """The split of each step from one context to the next."""
    return {pair: split_change(positions, *pair) for pair in pairwise(positions.contexts)}


def context_study(store: Store) -> Study:
    """The context-length experiment, all of whose runs must have records."""
    return load_study("context_length", store)


def context_shares(store: Store) -> pd.DataFrame:
    """The runs of `context_fables`, all of which must have records; as `missing_context`.

    Raises:
        Missing: a run has no record, or `tinylm report` has not found the floor yet.
    """
    records = store.load(expand(load_experiment("context_fables"), store.profile))
    tokenizer, evaluation = records[0].config.data.tokenizer, evaluation_of(records)
    floor = known_floor(store, "fables", tokenizer, evaluation)
    return missing_context(records, floor.nats)


def missing_context(records: Sequence[RunRecord], floor: float) -> pd.DataFrame:
    """For each context T: the mean excess over seeds and its std; and what of it is missing
    context, with a 95% interval, all in nats per token of all validation documents.

    Up to position T of a document a context of T holds all that there is. Beyond, what its runs
    lose against those of the longest context is missing context. Their loss up to T, of which
    nothing is missing, also differs, by training; that difference per token is taken off beyond T.

    Raises:
        BadInput: fewer than 2 contexts or seeds, or losses in other bins of positions.
    """
    positions = Positions.of(records)
    if any(len(group) < 2 for group in positions.losses.values()):
        raise BadInput("a context has fewer than 2 runs; their spread needs at least 2")
    longest, rows = positions.contexts[-1], []
    for T in positions.contexts:
        excess = positions.mean_loss(T) - floor
        row = {"context_length": T, "excess": excess.mean(), "std": excess.std(ddof=1)}
        missing = Change(0.0, 0.0)
        if positions.beyond(T) > 0 and longest > T:
            seeing = split_change(positions, T, longest).gain
            missing = Change(-seeing.value, seeing.half)
        low, high = missing.value - missing.half, missing.value + missing.half
        rows.append(row | {"missing": missing.value, "low": low, "high": high})
    return pd.DataFrame(rows, columns=COLUMNS)


# --- figures --------------------------------------------------------------------------------------


def context_title(study: Study) -> str:
    """What the context experiment found, as its figure states it."""
    table = study.by("context_length")
    loss = {int(t): float(v) for t, v in zip(table["context_length"], table["nats"], strict=True)}
    best, longest = min(loss, key=lambda length: loss[length]), max(loss)
    if best == longest:
        return f"The longest context tried, {longest} tokens, is the best at this budget"
    change = loss[longest] - loss[best]
    return (
        f"At this budget {best} tokens of context are best; {longest} cost {change:.3f} nats more"
    )


def context_scaling_figure(study: Study) -> Figure:
    """Loss against context length at fixed compute."""
    points = points_of(study, "context_length")
    return context_figure(points, best_floor_label(study), title=context_title(study))


def position_figure(study: Study) -> Figure:
    """Loss by position in the document for each context length."""
    table = loss_by_position(study.records, "context_length")
    curves = {
        f"context {length}": (part["position"].to_numpy(), part["nats"].to_numpy())
        for length, part in table.groupby("context_length")
    }
    late = table[table["position"] > CONTEXT_CLAIM].groupby("context_length")["nats"].mean()
    title = "No document is longer than the context in question"
    if len(late):
        best = late.index[int(late.argmin())]
        title = f"Past token {CONTEXT_CLAIM} of a document, a context of {best} predicts best"
    return loss_by_position_figure(curves, title=title)


def lengths_figure(positions: Positions) -> Figure:
    """The share of documents that are at least so long, and of tokens beyond each context."""
    turn = positions.contexts[-2]
    share = positions.beyond(turn)
    return document_lengths_figure(
        positions.middle,
        positions.reaching,
        {T: positions.beyond(T) for T in positions.contexts},
        title=f"{'Only ' if share < 0.25 else ''}{100 * share:.0f} % of all tokens stand beyond "
        f"position {turn:,}",
    )


def differences_figure(positions: Positions) -> Figure:
    """Losses by position as differences from the shortest context."""
    shortest = positions.contexts[0]
    early = positions.best(positions.first < shortest)
    late = positions.best(positions.first >= CONTEXT_CLAIM)
    return position_differences_figure(
        positions.middle,
        positions.losses,
        title=f"Lowest loss before token {shortest:,}: context {early:,}; from token "
        f"{CONTEXT_CLAIM:,} on: context {late:,}",
    )


def split_figure(steps: dict[tuple[int, int], Split]) -> Figure:
    """Price, gain and sum of each doubling of the context."""
    verdicts = [split.change.verdict for split in steps.values()]
    paying, losing = verdicts.count("falls"), verdicts.count("rises")
    rest = "costs more than it brings" if losing == 1 else "cost more than they bring"
    return changes_figure(
        [f"{a:,} → {b:,}" for a, b in steps],
        {
            "price (training)": [(split.price, None) for split in steps.values()],
            "seeing further": [split.gain for split in steps.values()],
            "sum": [split.change for split in steps.values()],
        },
        title=f"{paying} of {len(steps)} doublings pay for themselves, {losing} {rest}",
    )
