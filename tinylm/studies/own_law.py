"""The scaling law of one's own text: the law, what more of everything would bring, and doubts."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch

from tinylm import say
from tinylm.corpora import corpus_version, folder_of
from tinylm.generate import generate
from tinylm.laws import SurfaceWithIntervals
from tinylm.laws.forms import Form
from tinylm.laws.scatter import interval
from tinylm.laws.table_words import NO_LAW, sure
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
from tinylm.studies.grid_words import CALLED
from tinylm.studies.kept import measured_once
from tinylm.studies.runs import evaluation_of
from tinylm.studies.size import ngram_baselines
from tinylm.sweeps.own_plan import PROFILE, OwnPlan, plan_law, runs_for
from tinylm.texts import texts_of
from tinylm.tokenizers import END_OF_TEXT

N_RESAMPLES = 500
LEAST_AMOUNTS = 3  # of text that a law is fitted to
MORE = 10.0  # times the parameters, the text or the compute that is asked about
MANY_EPOCHS = 4.0  # read more often, the same text is worth clearly less than new text
SENTENCES, SAMPLED = 5, 400  # written by the largest model, and the tokens it may take for them
TEMPERATURE = 0.7
APART = 0.02  # of the loss: forms that differ by more far from the runs are told
BY_HEART = 0.1  # nats by which the loss on the text read is below that on new text


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
    runs = runs_of_grid(records)
    (text,) = texts_of(records)
    ngrams = ngram_baselines(store, text, evaluation=evaluation_of(records))
    raced = forms_below(unigram_loss(ngrams), runs)
    amounts = sorted(int(tokens) for tokens in runs["asked"].unique())

    def fitted(since: int, n_resamples: int) -> OwnLaw:
        some = runs[runs["asked"] >= since]
        fits = fit_forms(some, raced, n_resamples)
        return OwnLaw(list(records), runs, ngrams, since, fits, race_of(some, fits))

    firsts = amounts[: max(1, len(amounts) - LEAST_AMOUNTS + 1)]
    since = next((first for first in firsts if fitted(first, 1).holds), firsts[0])
    return fitted(since, N_RESAMPLES)


def forms_below(ceiling: float, runs: pd.DataFrame) -> dict[str, Form]:
    """The book's forms, but for Kaplan's, whose exponent of D is fixed, and for two ends where a
    run is no better than the upper one.
    """
    left_out = {"kaplan"} | ({"ends"} if runs["loss"].max() >= ceiling else set())
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


def doubts(law: OwnLaw) -> Iterator[str]:
    """Where the law should not be trusted, a sentence each."""
    fit, runs = law.fit, law.runs
    if not law.holds:
        yield (
            f"The law does not hold on this text: settings lie {fit.misfit:.1f} times further from "
            f"it than seeds explain. Its constants describe, and nothing is computed from them."
        )
    if law.since > runs["asked"].min():
        yield (
            f"It is fitted from {say.short(law.since)} tokens on. With fewer the models are still "
            f"learning what no power law describes, such as spelling; that was decided by the runs."
        )
    if fit.surface.status.bounds:
        yield (
            f"The fit rests on a bound ({', '.join(fit.surface.status.bounds)}), so that the runs "
            f"do not tell that constant."
        )
    far = MORE * float(runs["N"].max()), MORE * float(runs["D"].max())
    holding = {name: one for name, one in law.fits.items() if one.misfit <= NO_LAW}
    said = {CALLED[name]: float(one.surface.loss(*far)) for name, one in holding.items()}
    if said and max(said.values()) > (1 + APART) * min(said.values()):
        names = ", ".join(f"{loss:.2f} nats by {name}" for name, loss in said.items())
        yield (
            f"Forms of the law that all describe the runs part beyond them: at {MORE:g} times the "
            f"parameters and the text, {names}."
        )
    if law.epochs > 1:
        yield (
            f"The longest runs read the text {law.epochs:.1f} times. What the law says of more "
            f"text is said of new text; the same again is worth less, clearly so beyond about "
            f"{MANY_EPOCHS:.0f} times."
        )
    top = runs[(runs["N"] == runs["N"].max()) & (runs["asked"] == runs["asked"].max())]
    gap = float((top["loss"] - top["train_nats"]).mean())
    if gap > BY_HEART:
        yield (
            f"The largest model has begun to learn the text by heart: its loss on what it reads is "
            f"{gap:.2f} nats below that on what it has not seen."
        )
    yield "Two layers stay two layers, so this is a law of width; the recipe was tuned on stories."


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


def law_table(law: OwnLaw) -> pd.DataFrame:
    """The constants of each form with 95% intervals, and how well it fits."""
    rows = []
    for name, fit in law.fits.items():
        row = {"form": CALLED[name] + (" (this page's)" if name == law.form else "")}
        for constant, sign in {"E": "E", "alpha": "α", "beta": "β", "g": "g"}.items():
            value = float(getattr(fit.surface, constant))
            if constant in fit.surface.form.fixed(None):
                row[sign] = f"{value:g}"
            else:
                row[sign] = f"{value:.3f}{sure(fit.misfit, fit.interval(constant))}"
        rows.append(row | {"misfit": f"{fit.misfit:.1f}"})
    return pd.DataFrame(rows).set_index("form")


def more_table(more: Sequence[More]) -> pd.DataFrame:
    """What more of something would bring, as printed."""
    rows = [
        {
            "what": one.what,
            "parameters": say.short(float(f"{one.n:.2g}")),
            "tokens read": say.short(float(f"{one.d:.2g}")),
            "loss (nats per token)": f"{one.loss:.3f} {say.interval(one.interval)}",
        }
        for one in more
    ]
    return pd.DataFrame(rows).set_index("what")


def headline(law: OwnLaw) -> str:
    """The exponent, or that there is none."""
    fit = law.fit
    if not law.holds:
        return f"No law holds on this text yet (misfit {fit.misfit:.1f})"
    low, high = fit.interval("alpha")
    return (
        f"The loss above a floor falls with size as N^-{fit.surface.alpha:.2f} "
        f"[{low:.2f}, {high:.2f}]"
    )


def text_title(law: OwnLaw) -> str:
    """What the last doubling of the text gave the largest size."""
    largest = law.runs[law.runs["N"] == law.runs["N"].max()]
    before, last = largest.groupby("asked")["loss"].mean().iloc[-2:]
    times = float(np.divide(*sorted(law.runs["asked"].unique())[:-3:-1]))
    return f"{times:.2g} times the text gives the largest size {say.percent(1 - last / before)}"


def losses_said(law: OwnLaw) -> str:
    """The largest model against counting."""
    runs, best = law.runs, law.best_ngram
    top = runs[(runs["N"] == runs["N"].max()) & (runs["asked"] == runs["asked"].max())]
    loss, bits = float(top["loss"].mean()), float(top["bits_per_byte"].mean())
    gap = loss - best.nats_per_token
    side = "below" if gap < 0 else "above"
    return (
        f"The largest model, of {int(runs['N'].max()):,} parameters, ends at {loss:.3f} nats per "
        f"token, {bits:.3f} bits per byte: {abs(gap):.3f} nats {side} the best n-gram, of order "
        f"{best.order}, which has counted the whole text ({best.nats_per_token:.3f})."
    )


def made_said(law: OwnLaw) -> str:
    """How it was made."""
    runs, first = law.runs, law.records[0]
    seconds = sum(record.timing.wall_seconds for record in law.records)
    diverged = len(law.records) - len(runs)
    cut = first.provenance.corpus["title"].rpartition(", ")[2]
    return (
        f"{len(law.records)} runs of {runs['N'].nunique()} sizes, {runs['asked'].nunique()} "
        f"amounts of text and {runs['seed'].nunique()} seeds, {say.duration(seconds)} of training "
        f"in all on {first.provenance.processor}; {diverged} diverged. The text has "
        f"{int(runs['unique_tokens'].max()):,} tokens to learn from under "
        f"{first.config.data.tokenizer}, {cut}."
    )
