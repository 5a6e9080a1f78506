"""The scaling law of one's own text, and what more of everything would bring."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
import torch

from tinylm.corpora import corpus_version, folder_of
from tinylm.generate import generate
from tinylm.laws import SurfaceWithIntervals
from tinylm.laws.forms import TWO_ENDS, Form
from tinylm.laws.scatter import interval
from tinylm.laws.table_words import NO_LAW
from tinylm.ngrams import NgramFloor
from tinylm.records import RunRecord
from tinylm.store import Store
from tinylm.studies.grid import (
    first_by,
    fit_forms,
    forms,
    race_of,
    runs_of_grid,
    unigram_loss,
)
from tinylm.studies.kept import measured_once
from tinylm.studies.runs import evaluation_of
from tinylm.studies.size import ngram_baselines
from tinylm.sweeps.own_plan import PROFILE, OwnPlan, plan_law, runs_for
from tinylm.texts import texts_of
from tinylm.tokenizers import END_OF_TEXT

N_RESAMPLES = 500
LEAST_AMOUNTS = 3  # of text that a law is fitted to
MORE = 10.0  # times the parameters, the text or the compute that is asked about
SENTENCES, SAMPLED = 5, 400  # written by the largest model, and the tokens it may take for them
TEMPERATURE = 0.7


def kept_plan(corpus: str, minutes: float, jobs: int) -> OwnPlan:
    """The plan that was made before for this text and time, whatever the machine does now, so that
    a law that was interrupted goes on; else a new one, which is kept.

    Raises:
        TinyLMError: as `plan_law`; the file that keeps it is damaged.
    """
    path = Store(PROFILE).folder / folder_of(corpus) / "plan.json"
    key = {"version": corpus_version(corpus), "minutes": minutes}

    def measure() -> dict[str, Any]:
        plan = plan_law(corpus, minutes, jobs)
        made = {"tokenizer": plan.tokenizer, "widths": plan.widths, "amounts": plan.amounts}
        return {**made, "seconds": plan.seconds}

    kept = measured_once(path, key, measure)
    tokenizer, widths, amounts = kept["tokenizer"], tuple(kept["widths"]), tuple(kept["amounts"])
    runs = runs_for(corpus, tokenizer, widths, amounts)
    return OwnPlan(corpus, tokenizer, widths, amounts, float(kept["seconds"]), runs)


@dataclass(frozen=True)
class More:
    """What more of something would bring."""

    what: str  # such as "10 times the parameters"
    n: float
    d: float
    loss: float
    interval: tuple[float, float]  # 95%


@dataclass(frozen=True)
class OwnLaw:
    """The runs on one text, and the law through them."""

    records: list[RunRecord]
    runs: pd.DataFrame  # a row a finished run: N, D, C, asked, seed, loss, train_nats ...
    ngrams: list[NgramFloor]
    since: int  # the least tokens, as asked for, of the runs that the laws are fitted to
    fits: dict[str, SurfaceWithIntervals]  # by form
    race: pd.DataFrame  # see `tinylm.studies.grid.race_of`

    @property
    def form(self) -> str:
        """The form that comes nearest to hidden runs, of those that hold if any does; by BIC where
        hiding some leaves too few for a law.
        """
        holding = self.race[self.race["misfit"] <= NO_LAW]
        told = self.race["hidden_rms"].notna().all()
        return first_by(holding if len(holding) else self.race, "hidden_rms" if told else "bic")

    @property
    def fit(self) -> SurfaceWithIntervals:
        """The law in that form."""
        return self.fits[self.form]

    @property
    def holds(self) -> bool:
        """Whether the settings lie near enough to the law for its numbers to mean anything."""
        return self.fit.misfit <= NO_LAW

    @property
    def best_ngram(self) -> NgramFloor:
        """The order with the lowest loss."""
        return min(self.ngrams, key=lambda one: one.nats_per_token)

    @property
    def floors(self) -> dict[str, float]:
        """What counting reaches: the best n-gram, by its label."""
        return {f"{self.best_ngram.order}-gram": self.best_ngram.nats_per_token}

    @property
    def largest(self) -> RunRecord:
        """The first seed of the largest model on the most text."""
        most = self.runs.sort_values(["asked", "N", "seed"], ascending=[False, False, True])
        run_id = str(most["run_id"].iloc[0])
        return next(record for record in self.records if record.run_id == run_id)

    @property
    def epochs(self) -> float:
        """How often the longest runs read their text."""
        return float((self.runs["tokens"] / self.runs["unique_tokens"]).max())


def own_law(store: Store, records: Sequence[RunRecord]) -> OwnLaw:
    """Fit the laws: from the least amount of text on with which one of them holds, if any.

    Raises:
        TinyLMError: too few runs have ended for a law.
    """
    runs, ngrams = runs_of_grid(records), _ngrams(store, records)
    return OwnLaw(list(records), runs, ngrams, *_fitted(runs, unigram_loss(ngrams)))


def _ngrams(store: Store, records: Sequence[RunRecord]) -> list[NgramFloor]:
    (text,) = texts_of(records)
    return ngram_baselines(store, text, evaluation=evaluation_of(records))


def _fitted(
    runs: pd.DataFrame, ceiling: float
) -> tuple[int, dict[str, SurfaceWithIntervals], pd.DataFrame]:
    """The fields of an OwnLaw from `since` on."""
    raced = forms_below(ceiling, runs)
    amounts = sorted(int(tokens) for tokens in runs["asked"].unique())
    firsts = amounts[: max(1, len(amounts) - LEAST_AMOUNTS + 1)]

    def holds(least: int) -> bool:
        fits = fit_forms(runs[runs["asked"] >= least], raced, n_resamples=1)
        return any(fit.misfit <= NO_LAW for fit in fits.values())

    since = next(filter(holds, firsts), firsts[0])
    some = runs[runs["asked"] >= since]
    fits = fit_forms(some, raced, N_RESAMPLES)
    return since, fits, race_of(some, fits)


def forms_below(ceiling: float, runs: pd.DataFrame) -> dict[str, Form]:
    """The book's forms, but for Kaplan's, whose exponent of D is fixed, and for two ends where a
    run is no better than the upper one.
    """
    left_out = {"kaplan"} | ({*TWO_ENDS} if runs["loss"].max() >= ceiling else set())
    return {name: form for name, form in forms(ceiling).items() if name not in left_out}


def what_more_brings(law: OwnLaw) -> list[More]:
    """The loss with ten times the parameters, the text, or the compute in its best use, from the
    largest model on the most text; nothing if the law does not hold.
    """
    if not law.holds:
        return []
    fit = law.fit
    n, d = float(law.runs["N"].max()), float(law.runs["D"].max())
    asked = {
        "as trained here": (n, d),
        f"{MORE:g} times the parameters": (MORE * n, d),
        f"{MORE:g} times the text read": (n, MORE * d),
    }
    found = []
    for what, (size, tokens) in asked.items():
        loss, draws = float(fit.surface.loss(size, tokens)), fit.loss_resamples(size, tokens)
        found.append(More(what, size, tokens, loss, interval(draws)))
    if fit.surface.has_optimum:
        budget = MORE * 6 * n * d
        best, (*_, losses) = fit.surface.optimal(budget), fit.optimal_resamples(budget)
        what = f"{MORE:g} times the compute, used best"
        found.append(More(what, best.N, best.D, best.loss, interval(losses)))
    return found


def sentences(store: Store, law: OwnLaw) -> list[str]:
    """The first sentences that the largest model writes, or lines where there are no sentences."""
    model, tokenizer = store.load_model(law.largest)
    begin = torch.tensor([[END_OF_TEXT]])
    ids = generate(model, begin, SAMPLED, temperature=TEMPERATURE)[0, 1:].tolist()
    text = tokenizer.decode([token for token in ids if token != END_OF_TEXT])
    return split_sentences(text)[:SENTENCES]


def split_sentences(text: str) -> list[str]:
    """Sentences of a text; the last, which was cut off, only if there is no other."""
    found = [" ".join(part.split()) for part in re.split(r"(?<=[.!?])\s|\n", text)]
    found = [part for part in found if any(map(str.isalpha, part))]
    return found[:-1] or found
