"""The law of each kind of word of the fables, and what their sum says of the whole.

A model learns to copy suddenly and facts one by one, so that the loss of a text is a sum of curves
that need not have one exponent. Here each kind has its own law, above its own true floor.

What models pay is measured where their weights are, and kept beside the records.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tinylm.corpora.fables import VERSION
from tinylm.corpora.token_files import prepare
from tinylm.errors import Missing
from tinylm.files import write_atomic
from tinylm.laws import Surface, SurfaceWithIntervals, bootstrap_surface, fit_surface
from tinylm.laws.forms import TWO_ENDS, Form, make_form
from tinylm.records import RunRecord
from tinylm.store import Store
from tinylm.studies.findings import finding
from tinylm.studies.grid import CODE, is_hidden, runs_of_grid, settings_of_runs
from tinylm.studies.kept import read_kept
from tinylm.studies.marking import DOCUMENTS, KINDS, by_kind, marked_documents, words_of
from tinylm.sweeps.declare import expand, load_experiment

EXPERIMENT = "fables_grid"
WHOLE = "all words"
N_RESAMPLES = 500
FITTING = ("fit_kinds", "forms_of", "bic", "hidden_errors")


@dataclass(frozen=True)
class KindsStudy:
    """The runs of `fables_grid`, and a law for each kind of word and for all words, its floor E
    being the true one.
    """

    # A row a run: N, D, C, asked, seed, and nats per document of each kind and of all words.
    runs: pd.DataFrame
    floors: dict[str, float]  # nats per document, by kind and of all words
    ceilings: dict[str, float]  # the same, of a model that knows only how frequent each token is
    fits: dict[str, dict[str, SurfaceWithIntervals]]  # by kind and form
    free: SurfaceWithIntervals  # of all words, in the best form, with E fitted as well
    # The settings that took most compute, by laws without them: N, D, C, measured (nats per
    # document), whole and summed, the errors of the law of all words and of the laws of kinds.
    hidden: pd.DataFrame

    def best(self, kind: str) -> SurfaceWithIntervals:
        """The law of a kind in the form with the lower BIC."""
        return min(self.fits[kind].values(), key=lambda fit: bic(self.runs, kind, fit.surface))


def kinds_study(store: Store) -> KindsStudy:
    """What is known of the kinds of word; the laws are a finding.

    Raises:
        Missing: a run has no record, or was not measured, or the finding is not there.
    """
    records = store.load(expand(load_experiment(EXPERIMENT), store.profile))
    kept = read_kept(_path(store)) or {}
    models = kept.get("models", {})
    runs = runs_of_grid(records)
    unknown = [run_id for run_id in runs["run_id"] if run_id not in models]
    if unknown or not _key(store).items() <= kept.items():
        raise Missing(
            f"what {len(unknown) or len(runs)} models pay for kinds of word was not measured; run "
            f"`tinylm report --profile {store.profile}` where their weights are"
        )
    paid = pd.DataFrame([models[run_id] for run_id in runs["run_id"]], columns=list(KINDS))
    paid[WHOLE] = paid.sum(axis=1)
    about = runs[["run_id", "N", "D", "C", "asked", "seed"]].reset_index(drop=True)
    table = pd.concat([about, paid], axis=1)
    floor = words_of(store, records[0].config.data.corpus).floor
    floors, ceilings = (
        dict(zip(KINDS, map(float, ends), strict=True)) for ends in (floor, kept["ceiling"])
    )
    for ends in (floors, ceilings):
        ends[WHOLE] = sum(ends.values())
    found = finding(
        store,
        "kinds",
        records,
        [*CODE, *(f"{__name__}:{part}" for part in FITTING)],
        lambda: fit_kinds(table, floors, ceilings),
        resamples=N_RESAMPLES,
        floors={kind: round(nats, 6) for kind, nats in floors.items()},
        ceilings=ceilings,
        paid=round(float(paid[WHOLE].sum()), 3),
    )
    return KindsStudy(table, floors, ceilings, **found)


def measure_and_fit_kinds(store: Store) -> KindsStudy:
    """Measure the models whose weights are here and that were not measured before; then the study.

    Raises:
        TinyLMError: as `kinds_study`; a model is damaged, or the disk full.
    """
    records = store.load(expand(load_experiment(EXPERIMENT), store.profile))
    kept = read_kept(_path(store)) or {}
    models: dict[str, list[float]] = kept["models"] if _key(store).items() <= kept.items() else {}
    new = {
        record.run_id: paid_by_kind(store, record)
        for record in records
        if record.run_id not in models
        and record.validation
        and store.model_dir(record.run_id).is_dir()
    }
    if new:
        ceiling = _ceiling(store, records[0])
        content = {**_key(store), "ceiling": ceiling, "models": models | new}
        write_atomic(_path(store), json.dumps(content, indent=1) + "\n")
    return kinds_study(store)


def paid_by_kind(store: Store, record: RunRecord) -> list[float]:
    """Nats per document that a model pays, by kind."""
    from tinylm.studies.stories import character_losses  # which takes PyTorch

    model, tokenizer = store.load_model(record)
    marks = marked_documents(record.config.data.corpus, DOCUMENTS[store.profile])
    sums = [by_kind(character_losses(one.text, tokenizer, model), one.kinds) for one in marks]
    paid: list[float] = np.mean(sums, axis=0).round(4).tolist()
    return paid


def _ceiling(store: Store, record: RunRecord) -> list[float]:
    """Nats per document by kind, of a model that knows only how frequent each token is."""
    data = prepare(record.config.data.corpus, record.config.data.tokenizer)
    counts = np.bincount(data.train.tokens, minlength=data.tokenizer.vocab_size) + 1.0
    nats = -np.log(counts / counts.sum())
    sums = []
    for one in marked_documents(record.config.data.corpus, DOCUMENTS[store.profile]):
        ids = data.tokenizer.encode(one.text)
        lengths = np.array([len(data.tokenizer.token_text(token)) for token in ids])
        sums.append(by_kind(np.repeat(nats[ids] / lengths, lengths), one.kinds))
    ceiling: list[float] = np.mean(sums, axis=0).round(4).tolist()
    return ceiling


def _path(store: Store) -> Path:
    return store.folder / "floors" / "fables-kinds.json"


def _key(store: Store) -> dict[str, Any]:
    return {"version": VERSION, "documents": DOCUMENTS[store.profile], "kinds": list(KINDS)}


def fit_kinds(
    runs: pd.DataFrame, floors: Mapping[str, float], ceilings: Mapping[str, float]
) -> dict[str, Any]:
    """The fields of a KindsStudy that are fitted."""
    axes = runs["N"], runs["D"], runs["seed"]
    fits = {
        kind: {
            form.name: bootstrap_surface(
                *axes, runs[kind], floor, n_resamples=N_RESAMPLES, form=form
            )
            for form in forms_of(runs[kind], ceilings[kind])
        }
        for kind, floor in floors.items()
    }
    whole = min(fits[WHOLE].values(), key=lambda fit: bic(runs, WHOLE, fit.surface))
    free = bootstrap_surface(*axes, runs[WHOLE], n_resamples=N_RESAMPLES, form=whole.surface.form)
    return {"fits": fits, "free": free, "hidden": hidden_errors(runs, floors, ceilings)}


def forms_of(losses: "pd.Series[float]", ceiling: float) -> list[Form]:
    """The sum, the sum raised to a power, and those with two ends if all lie below the upper."""
    ends = [make_form(name, ceiling) for name in TWO_ENDS] if losses.max() < ceiling else []
    return [make_form("sum"), make_form("power"), *ends]


def bic(runs: pd.DataFrame, kind: str, law: Surface) -> float:
    """The Bayesian information criterion of a law, from settings' mean log losses."""
    settings = settings_of_runs(runs.assign(loss=runs[kind]))
    first = runs.iloc[[group[0] for group in settings.groups]]
    off = settings.means - np.log(law.loss(first["N"], first["D"]))
    m, k = len(first), len(law.form.free(law.E))
    return float(m * np.log((off**2).mean()) + k * np.log(m))


def hidden_errors(
    runs: pd.DataFrame, floors: Mapping[str, float], ceilings: Mapping[str, float]
) -> pd.DataFrame:
    """`KindsStudy.hidden`: each law in the form that the runs which are not hidden prefer."""
    hidden = is_hidden(runs)
    shown = runs[~hidden]
    laws = {}
    for kind, floor in floors.items():
        found = [
            fit_surface(shown["N"], shown["D"], shown[kind], floor, form=form)
            for form in forms_of(shown[kind], ceilings[kind])
        ]
        laws[kind] = min(found, key=lambda law: bic(shown, kind, law))
    means = runs[hidden].groupby(["N", "D"], as_index=False)[["C", WHOLE]].mean()
    said = {kind: law.loss(means["N"], means["D"]) for kind, law in laws.items()}
    summed = np.sum([said[kind] for kind in KINDS], axis=0)
    return means.rename(columns={WHOLE: "measured"}).assign(
        whole=said[WHOLE] / means[WHOLE] - 1, summed=summed / means[WHOLE] - 1
    )
