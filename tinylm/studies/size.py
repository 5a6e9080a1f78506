"""From records to laws: the two studies, as frozen results that report and notebooks share."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd

from tinylm.batches import prepare
from tinylm.corpora import corpus_version
from tinylm.errors import BadInput, Damaged
from tinylm.kept import measured_once
from tinylm.laws import HeldOut, PowerLawWithIntervals, bootstrap_power_law, held_out
from tinylm.ngrams import NgramFloor, ngram_floors
from tinylm.records import RunRecord, to_table
from tinylm.store import Store
from tinylm.sweeps.declare import expand, load_experiment
from tinylm.texts import Text, prepared_text, texts_of

NGRAM_ORDERS = (1, 2, 3, 4, 5, 6)


@dataclass(frozen=True)
class Study:
    """The runs of one experiment under one profile, and the n-gram floors of their data."""

    profile: str
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


def ngram_baselines(
    profile: str, text: Text, orders: Sequence[int] = NGRAM_ORDERS
) -> list[NgramFloor]:
    """The n-gram baselines of the text that runs are of, measured once and kept beside the records:
    floors of another text are never taken for them.

    Raises:
        TinyLMError: the file that keeps them is damaged; they are to be measured, and there is no
            such data or it is of another text now.
    """
    path = Store(profile).folder / "floors" / f"{text.corpus}-{text.tokenizer}.json"

    def measure() -> dict[str, Any]:
        data = prepare(text.corpus, text.tokenizer)
        advice = "restore the text that the runs are of, or repeat them"
        text.check(prepared_text(data), "the prepared data", advice)
        floors = ngram_floors(data.train, data.validation, orders)
        return {"floors": [asdict(one) for one in floors]}

    key = {
        "corpus": text.corpus,
        "corpus_version": corpus_version(text.corpus),
        "tokenizer": text.tokenizer,
        "train_sha256": text.train_sha256,
        "validation_sha256": text.validation_sha256,
    }
    try:
        return [NgramFloor(**one) for one in measured_once(path, key, measure)["floors"]]
    except (KeyError, TypeError) as error:
        raise Damaged(f"file {path} is damaged ({error}); delete it") from None


def load_study(name: str, profile: str) -> Study:
    """An experiment's runs under a profile, all of which must have records.

    Raises:
        TinyLMError: a run has no record, or the experiment is not one on a single corpus.
    """
    records = Store(profile).load(expand(load_experiment(name), profile))
    texts = texts_of(records)
    if len(texts) != 1:
        raise BadInput(f"experiment {name}: expected one corpus and tokenizer, got {len(texts)}")
    return Study(profile, records, to_table(records), ngram_baselines(profile, texts[0]))


def size_study(profile: str) -> SizeStudy:
    """The model-size experiment with its laws, N counted without embeddings."""
    study = load_study("model_size", profile)
    runs = study.finished
    points = runs["n_non_embedding"], runs["seed"], runs["nats"]
    return SizeStudy(
        study.profile,
        study.records,
        study.runs,
        study.floors,
        law=bootstrap_power_law(*points),
        pure=bootstrap_power_law(*points, floor=0.0),
        prediction=held_out(*points),
        pure_prediction=held_out(*points, floor=0.0),
    )


def context_study(profile: str) -> Study:
    """The context-length experiment."""
    return load_study("context_length", profile)


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
