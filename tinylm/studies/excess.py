"""What trained models still pay above the floor of fables, by what the words are.

Models are measured where their weights are. What was measured is kept in `floors/`, beside the
records, since the weights are in no repository: `excess` reads it everywhere else.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from tinylm import say
from tinylm.corpora.fables import VERSION
from tinylm.files import write_atomic
from tinylm.plots import growth_figure
from tinylm.records import RunRecord
from tinylm.store import Store
from tinylm.studies.above_floor import AXIS_LABELS
from tinylm.studies.cuts import CUTS, TAILS, FablesStudy, corpora_of, grid
from tinylm.studies.kept import read_kept
from tinylm.studies.marking import (
    DOCUMENTS,
    KINDS,
    RANKS,
    TOLD,
    Marked,
    by_kind,
    by_rank,
    marked_documents,
    words_of,
)
from tinylm.studies.stories import character_losses

RUN = ("run_id", "corpus", "n_non_embedding", "tokens", "seed")


@dataclass(frozen=True)
class Leftover:
    """What models pay and know. Every table begins with RUN, what tells a model."""

    kinds: pd.DataFrame  # a row a model and kind. excess: nats a document
    ranks: pd.DataFrame  # a row a model and bin of RANKS: first, last; x, its middle; facts' nats
    runs: pd.DataFrame  # a row a model. share of all facts known; characters, as many in whole


def leftover(store: Store) -> Leftover:
    """The excess of every model of the fables experiments by kind, and the price of facts by rank,
    of the models that `measure_excess` has measured.

    Raises:
        Damaged: the file that keeps them is damaged.
        Missing: what the words are was not computed yet, and this is no `tinylm report`.
    """
    models, records = _measured(store), _records(store)
    return _tables(
        store, {run_id: models[run_id] for run_id in models if run_id in records}, records
    )


def measure_excess(store: Store) -> None:
    """Measure the models whose weights are here and that were not measured before; keep all.

    Raises:
        Damaged: the file that keeps them is damaged, or a model is.
        CannotWrite: the disk is full.
    """
    models, documents = _measured(store), DOCUMENTS[store.profile]
    new = {
        run_id: _measure(store, record, marked_documents(record.config.data.corpus, documents))
        for run_id, record in _records(store).items()
        if run_id not in models and record.validation and store.model_dir(run_id).is_dir()
    }
    if new:
        content = {**_key(store), "models": models | new}
        write_atomic(_path(store), json.dumps(content, indent=1) + "\n")


def _path(store: Store) -> Path:
    return store.folder / "floors" / "fables-leftover.json"


def _key(store: Store) -> dict[str, Any]:
    """What a measurement depends on, beside the model."""
    documents = DOCUMENTS[store.profile]
    return {
        "version": VERSION,
        "documents": documents,
        "kinds": list(KINDS),
        "ranks": list(RANKS),
    }


def _measured(store: Store) -> dict[str, Any]:
    """What was kept of each model, by run; nothing if it was measured in another way."""
    kept = read_kept(_path(store)) or {}
    models: dict[str, Any] = kept["models"] if _key(store).items() <= kept.items() else {}
    return models


def _records(store: Store) -> dict[str, RunRecord]:
    """The records of both cuts on every corpus, by run."""
    names = [*CUTS.values(), *TAILS.values()]
    runs = [
        run for name in names for corpus in corpora_of(store) for run in grid(store, name, corpus)
    ]
    return {record.run_id: record for record in store.found(runs)}


def _measure(store: Store, record: RunRecord, marks: list[Marked]) -> dict[str, list[float]]:
    """What one model pays: nats a document by kind; nats of facts by rank, under both names."""
    model, tokenizer = store.load_model(record)
    kinds, true, other = np.zeros(len(KINDS)), np.zeros(len(RANKS) - 1), np.zeros(len(RANKS) - 1)
    for one in marks:
        losses = character_losses(one.text, tokenizer, model)
        kinds += by_kind(losses, one.kinds) / len(marks)
        true += by_rank(losses, one.facts)
        other += by_rank(character_losses(one.renamed, tokenizer, model)[one.places], one.facts)
    sums = {"kinds": kinds, "true_names": true, "other_names": other}
    return {name: values.round(4).tolist() for name, values in sums.items()}


def _tables(store: Store, models: Mapping[str, Any], records: Mapping[str, RunRecord]) -> Leftover:
    kinds: list[dict[str, Any]] = []
    ranks: list[dict[str, Any]] = []
    runs: list[dict[str, Any]] = []
    corpora = {records[run_id].config.data.corpus for run_id in models}
    words = {corpus: words_of(store, corpus) for corpus in corpora}
    for run_id, model in models.items():
        record = records[run_id]
        corpus, size = record.config.data.corpus, record.parameters.non_embedding
        run = dict(zip(RUN, (run_id, corpus, size, record.tokens, record.seed), strict=True))
        on = words[corpus]
        excess = np.array(model["kinds"]) - on.floor
        kinds += [
            run | {"kind": kind, "excess": nats} for kind, nats in zip(KINDS, excess, strict=True)
        ]
        true, other = np.array(model["true_names"]), np.array(model["other_names"])
        for place in np.flatnonzero(on.facts):
            first, last = RANKS[place], RANKS[place + 1] - 1
            bin_of = {"first": first, "last": last, "x": math.sqrt(first * last)}
            nats = {"true_names": true[place], "other_names": other[place]}
            ranks.append(run | bin_of | nats)
        share = 1 - true.sum() / other.sum()
        runs.append(run | {"share": share, "characters": on.characters(share)})
    return Leftover(
        pd.DataFrame(kinds, columns=[*RUN, "kind", "excess"]),
        pd.DataFrame(ranks, columns=[*RUN, "first", "last", "x", "true_names", "other_names"]),
        pd.DataFrame(runs, columns=[*RUN, "share", "characters"]),
    )


# --- what the chapter shows of it ---


def of_study(parts: Leftover, study: FablesStudy) -> Leftover:
    """The models of a study's own cuts."""
    ours = {record.run_id for record in study.records}
    kinds, ranks, runs = (
        table[table["run_id"].isin(ours)] for table in (parts.kinds, parts.ranks, parts.runs)
    )
    return Leftover(kinds, ranks, runs)


def kinds_by_size(parts: Leftover) -> pd.DataFrame:
    """Excess of the models on the most tokens, nats per document, means over seeds: a row for each
    N, a column for each of KINDS.
    """
    along = parts.kinds[parts.kinds["tokens"] == parts.kinds["tokens"].max()]
    means = along.groupby(["n_non_embedding", "kind"])["excess"].mean().unstack()
    table: pd.DataFrame = means.reindex(columns=list(KINDS))
    return table


def kinds_figure(parts: Leftover) -> Figure | None:
    """What is left by kind against size; None unless two sizes are measured."""
    table = kinds_by_size(parts)
    if len(table) < 2:
        return None
    falls = table.iloc[0] / table.iloc[-1]
    title = (
        f"From N = {table.index[0]:,} to {table.index[-1]:,}, {falls.idxmax()} fall "
        f"{falls.max():.1f}-fold and {falls.idxmin()} {falls.min():.1f}-fold"
    )
    return growth_figure(
        list(table.index),
        {kind: table[kind].tolist() for kind in KINDS},
        xlabel=AXIS_LABELS["N"],
        ylabel="excess (nats per document)",
        title=title,
    )


def kinds_table(parts: Leftover) -> pd.DataFrame:
    """`kinds_by_size` with the standard deviation over seeds, and the sum, as printed."""
    along = parts.kinds[parts.kinds["tokens"] == parts.kinds["tokens"].max()]
    means = kinds_by_size(parts)
    stds = along.groupby(["n_non_embedding", "kind"])["excess"].std().unstack()
    rows = []
    for n in means.index:
        row = {
            kind: say.mean_and_spread(means.loc[n, kind], stds.loc[n, kind], 0) for kind in KINDS
        }
        rows.append({"N": f"{n:,}", **row, "in all": f"{means.loc[n].sum():.0f}"})
    return pd.DataFrame(rows, columns=["N", *KINDS, "in all"]).set_index("N")


def kinds_words(parts: Leftover, study: FablesStudy) -> str:
    """What makes most of the rest at the largest size, and whether growing helps that least."""
    table = kinds_by_size(parts)
    if len(table) < 2:
        return "Too few models of this profile have been looked into to say what is left."
    last, falls = table.iloc[-1], table.iloc[0] / table.iloc[-1]
    said = (
        f"At N = {table.index[-1]:,}, words of the kind '{last.idxmax()}' make "
        f"{last.max() / last.sum():.0%} of what is left, and new facts "
        f"{last['new facts'] / last.sum():.0%}."
    )
    if last.idxmax() == falls.idxmin() == KINDS[TOLD]:
        shape = study.records[0].config.model
        said += (
            " What the story has told needs no knowledge, only attention that finds it and copies "
            f"it, piece by piece. These models have {shape.n_layers} layers of {shape.n_heads} "
            "heads at every size, and copying is what growing them helps least. "
            "**The line is bent more by a skill that is missing than by facts that are.**"
        )
    return said
