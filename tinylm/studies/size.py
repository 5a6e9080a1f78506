"""How loss falls with model size: runs to laws, judged on sizes that they were not fitted on."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from scipy.special import stdtrit

from tinylm import say
from tinylm.config import EvaluationConfig
from tinylm.corpora import corpus_version, folder_of
from tinylm.corpora.token_files import prepare
from tinylm.errors import BadInput, Damaged
from tinylm.laws import (
    HeldOut,
    PowerLawWithIntervals,
    bootstrap_power_law,
    held_out,
    local_exponents,
)
from tinylm.laws.published import SIZE_CLAIMS
from tinylm.laws.scatter import COVERAGE
from tinylm.laws.table_words import NO_LAW
from tinylm.ngrams import NgramFloor, ngram_floors
from tinylm.plots import (
    learning_curves_figure,
    local_exponents_figure,
    residuals_figure,
    scaling_figure,
)
from tinylm.records import RunRecord
from tinylm.store import Store
from tinylm.studies.findings import finding
from tinylm.studies.kept import measured_once
from tinylm.studies.runs import EVERY_DOCUMENT, evaluation_of, to_table
from tinylm.sweeps.declare import expand, load_experiment
from tinylm.texts import Text, prepared_text, texts_of

NGRAM_ORDERS = (1, 2, 3, 4, 5, 6)
N_RESAMPLES = 1000
COUNTS = {
    "n_non_embedding": "without embedding",
    "n_with_output": "with output layer",
    "n_total": "total",
}
SIZE_LABEL = "N, non-embedding parameters"
CODE = ("tinylm.laws.power", "tinylm.laws.scatter", "tinylm.laws.solver", f"{__name__}:fit_sizes")


@dataclass(frozen=True)
class Study:
    """The runs of one experiment under one profile, and the n-gram floors of their data."""

    store: Store
    records: list[RunRecord]
    runs: pd.DataFrame  # one row a run: records.to_table
    floors: list[NgramFloor]

    @property
    def best_floor(self) -> NgramFloor:
        """The n-gram order with the lowest validation loss."""
        return min(self.floors, key=lambda floor: floor.nats_per_token)

    @property
    def corpus(self) -> str:
        """The corpus that all runs share."""
        return self.records[0].config.data.corpus

    @property
    def finished(self) -> pd.DataFrame:
        """The runs that did not diverge."""
        return self.runs[self.runs["status"] == "done"]

    def by(self, column: str) -> pd.DataFrame:
        """Mean, standard deviation and number of seeds of the losses for each value of a column."""
        grouped = self.finished.groupby(column)
        table = grouped.agg(
            n_non_embedding=("n_non_embedding", "first"),
            n_with_output=("n_with_output", "first"),
            n_total=("n_total", "first"),
            tokens=("tokens", "first"),
            flops_6nd=("flops_6nd", "first"),
            flops_exact=("flops_exact", "first"),
            nats=("nats", "mean"),
            nats_std=("nats", "std"),
            bits_per_byte=("bits_per_byte", "mean"),
            bits_per_byte_std=("bits_per_byte", "std"),
            n_seeds=("seed", "nunique"),
            cpu_seconds=("cpu_seconds", "mean"),
        )
        return table.reset_index()


@dataclass(frozen=True)
class SizeStudy(Study):
    """Loss against N: a law with a floor, a pure power law, each judged on the largest N."""

    law: PowerLawWithIntervals  # L = E + A·N^-alpha
    pure: PowerLawWithIntervals  # L = A·N^-alpha
    prediction: HeldOut  # of the largest size by the law with a floor, fitted without it
    pure_prediction: HeldOut
    counts: pd.DataFrame  # both laws by each count of N: see `fit_counts`


def ngram_baselines(
    store: Store,
    text: Text,
    orders: Sequence[int] = NGRAM_ORDERS,
    evaluation: EvaluationConfig = EVERY_DOCUMENT,
) -> list[NgramFloor]:
    """The n-gram baselines of the text that runs are of, on the documents that those are evaluated
    on, measured once and kept beside the records: floors of another text are never taken for them.

    Raises:
        TinyLMError: the file that keeps them is damaged; they are to be measured, and there is no
            such data or it is of another text now.
    """
    few = evaluation.final_tokens
    name = f"{folder_of(text.corpus)}-{text.tokenizer}{'' if few is None else f'-{few}'}"
    if max(orders) < max(NGRAM_ORDERS):  # whoever asks for more does not find these
        name += f"-to-{max(orders)}"
    path = store.folder / "floors" / f"{name}.json"

    def measure() -> dict[str, Any]:
        data = prepare(text.corpus, text.tokenizer)
        advice = "restore the text that the runs are of, or repeat them"
        text.check(prepared_text(data), "the prepared data", advice)
        floors = ngram_floors(data.train, data.evaluated(evaluation), orders)
        return {"floors": [asdict(one) for one in floors]}

    key = {
        "corpus": text.corpus,
        "corpus_version": corpus_version(text.corpus),
        "tokenizer": text.tokenizer,
        "train_sha256": text.train_sha256,
        "validation_sha256": text.validation_sha256,
        "final_tokens": few,
    }
    try:
        return [NgramFloor(**one) for one in measured_once(path, key, measure)["floors"]]
    except (KeyError, TypeError) as error:
        raise Damaged(f"file {path} is damaged ({error}); delete it") from None


def load_study(name: str, store: Store) -> Study:
    """An experiment's runs under a profile, all of which must have records.

    Raises:
        TinyLMError: a run has no record, or the experiment is not one on a single corpus.
    """
    records = store.load(expand(load_experiment(name), store.profile))
    texts = texts_of(records)
    if len(texts) != 1:
        raise BadInput(f"experiment {name}: expected one corpus and tokenizer, got {len(texts)}")
    ngrams = ngram_baselines(store, texts[0], evaluation=evaluation_of(records))
    return Study(store, records, to_table(records), ngrams)


def size_study(store: Store) -> SizeStudy:
    """The model-size experiment with its laws, N counted without embeddings.

    Raises:
        Missing: a run has no record, or `tinylm report` has not fitted these runs yet.
    """
    study = load_study("model_size", store)
    runs = study.finished
    fits = finding(
        store,
        "model_size",
        study.records,
        CODE,
        lambda: fit_sizes(runs, N_RESAMPLES),
        resamples=N_RESAMPLES,
    )
    return SizeStudy(store, study.records, study.runs, study.floors, **fits)


def fit_sizes(runs: pd.DataFrame, n_resamples: int) -> dict[str, Any]:
    """The fields that a SizeStudy has beyond a Study, each law with `n_resamples` resamples."""
    points = runs["n_non_embedding"], runs["seed"], runs["nats"]
    counted = {}
    for column in COUNTS:
        of = runs[column], runs["seed"], runs["nats"]
        for floor in (None, 0.0):
            counted[column, floor] = bootstrap_power_law(*of, floor, n_resamples)
    rows = [
        {
            "count": column,
            "with_floor": floor is None,
            "E": fit.law.E,
            "E_low": fit.E_interval[0],
            "E_high": fit.E_interval[1],
            "alpha": fit.law.alpha,
            "alpha_low": fit.alpha_interval[0],
            "alpha_high": fit.alpha_interval[1],
            "misfit": fit.misfit,
        }
        for (column, floor), fit in counted.items()
    ]
    return {
        "law": counted["n_non_embedding", None],
        "pure": counted["n_non_embedding", 0.0],
        "prediction": held_out(*points, None, n_resamples),
        "pure_prediction": held_out(*points, 0.0, n_resamples),
        "counts": pd.DataFrame(rows),
    }


@dataclass(frozen=True)
class Bend:
    """The coefficient of (log N)² in a parabola for log loss: 0 for a pure power law."""

    value: float
    interval: tuple[float, float]  # 95%, from the spread of the seeds

    @classmethod
    def of(cls, runs: pd.DataFrame, among: pd.DataFrame | None = None) -> Self:
        """The bend of some runs. The noise is that of `among`, by default of the same runs.

        Raises:
            BadInput: fewer than 3 different sizes, or no size with more than one seed.
        """
        sizes, repeats = runs["n_non_embedding"].nunique(), runs if among is None else among
        logs = np.log(repeats["nats"]).groupby(repeats["n_non_embedding"])
        freedom = int((logs.count() - 1).sum())
        if sizes < 3 or freedom < 1:
            raise BadInput(f"runs have {sizes} sizes and {freedom} repeats; a bend needs 3 and 1")
        variance = float((logs.var().fillna(0.0) * (logs.count() - 1)).sum()) / freedom
        z = np.log(runs["n_non_embedding"].to_numpy(float))
        z -= z.mean()
        design = np.stack([np.ones_like(z), z, z**2], axis=1)
        value = float(np.linalg.lstsq(design, np.log(runs["nats"]), rcond=None)[0][2])
        error = float(np.sqrt(variance * np.linalg.inv(design.T @ design)[2, 2]))
        half = float(stdtrit(freedom, (1 + COVERAGE) / 2)) * error
        return cls(value, (value - half, value + half))

    @property
    def place(self) -> str:
        """Where the interval lies: 'above 0', 'below 0' or 'around 0'."""
        low, high = self.interval
        return "above 0" if low > 0 else "below 0" if high < 0 else "around 0"


def learning_curves(records: Sequence[RunRecord]) -> pd.DataFrame:
    """Every evaluation of every run: run_id, seed, d_model, n, tokens, train and validation loss.

    The last evaluation, on all validation documents, is left out: it is not on the curve's ones.
    """
    rows = [
        {
            "run_id": record.run_id,
            "seed": record.seed,
            "d_model": record.config.model.d_model,
            "n_non_embedding": record.parameters.non_embedding,
            "tokens": point.tokens,
            "train_nats": point.train_nats,
            "validation_nats": point.validation_nats,
        }
        for record in records
        for point in record.curve
        if point.step < record.config.steps
    ]
    return pd.DataFrame(rows)


def loss_by_position(records: Sequence[RunRecord], column: str) -> pd.DataFrame:
    """Loss by position in the document, mean over seeds, for each value of a model field."""
    rows = [
        {
            column: getattr(record.config.model, column),
            "position": float(np.sqrt(part.first * part.last)),
            "tokens": part.tokens,
            "nats": part.nats,
        }
        for record in records
        if record.validation is not None
        for part in record.validation.by_position
    ]
    return pd.DataFrame(rows).groupby([column, "position"], as_index=False).mean()


# --- figures --------------------------------------------------------------------------------------


def points_of(study: Study, column: str) -> pd.DataFrame:
    """The runs as the figures take them: x, seed, loss."""
    runs = study.finished
    return pd.DataFrame({"x": runs[column], "seed": runs["seed"], "loss": runs["nats"]})


def floor_labels(study: Study) -> dict[str, float]:
    """The unigram and the best n-gram baseline, for drawing."""
    chosen = {1: study.floors[0], study.best_floor.order: study.best_floor}
    return {f"{order}-gram": floor.nats_per_token for order, floor in chosen.items()}


def best_floor_label(study: Study) -> dict[str, float]:
    """The best n-gram baseline alone."""
    return {f"{study.best_floor.order}-gram": study.best_floor.nats_per_token}


def size_figure(study: SizeStudy) -> Figure:
    """Loss against N with the law, its band and the floors; the excess on log axes."""
    law = study.law.law
    low, high = study.law.alpha_interval
    title = f"Loss falls towards E = {law.E:.2f} nats with exponent {law.alpha:.2f}"
    if study.law.misfit <= NO_LAW:
        title += f" (95% interval {low:.2f} to {high:.2f})"
    return scaling_figure(
        points_of(study, "n_non_embedding"),
        study.law,
        best_floor_label(study),
        xlabel=SIZE_LABEL,
        title=title,
        claim=("slope of Hoffmann et al.", SIZE_CLAIMS[1].exponent),
    )


def held_out_figure(study: SizeStudy) -> Figure:
    """How far the runs lie from a law fitted without the largest size."""
    held = study.prediction
    title = (
        f"Fitted without the largest size, the law misses it by "
        f"{100 * abs(held.relative_error):.1f} %, {say.within(held.interval, held.actual)} its 95% "
        f"interval"
    )
    points = points_of(study, "n_non_embedding")
    return residuals_figure(points, held, xlabel=SIZE_LABEL, title=title)


def curves_figure(study: SizeStudy) -> Figure:
    """Validation loss while training, for each size, against the n-gram floors."""
    curves = learning_curves(study.records)
    shown = pd.DataFrame(
        {
            "tokens": curves["tokens"],
            "loss": curves["validation_nats"],
            "label": [f"N = {n:,}" for n in curves["n_non_embedding"]],
        }
    )
    last = study.by("d_model")["nats"]
    below = int((last < study.best_floor.nats_per_token).sum())
    title = f"{below} of {len(last)} sizes end their training below the best n-gram baseline"
    return learning_curves_figure(shown, floor_labels(study), title=title)


def slopes_between_sizes_figure(study: SizeStudy) -> Figure:
    """Local exponents between neighbouring sizes, beside those of both laws and of Kaplan et al."""
    runs = study.finished
    slopes = local_exponents(runs["n_non_embedding"], runs["seed"], runs["nats"])
    first, last = slopes["exponent"].iloc[[0, -1]]
    return local_exponents_figure(
        slopes,
        study.law.law,
        {
            f"pure power law, {study.pure.law.alpha:.3f}": study.pure.law.alpha,
            f"Kaplan et al., {SIZE_CLAIMS[0].exponent:g}": SIZE_CLAIMS[0].exponent,
        },
        xlabel=SIZE_LABEL,
        title=f"Between neighbouring sizes the exponent goes from {first:.3f} to {last:.3f}",
    )
