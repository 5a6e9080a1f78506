"""Predictions of runs that are not made yet, written down first: `results/*/predictions/*.json`.

A prediction is written once, by `tinylm predict`, while none of its runs has a record. Git keeps
the order: the commit with the prediction is older than those with the runs.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, ValidationError

from tinylm.config import Run, explain
from tinylm.cost import flops_exact, parameter_count
from tinylm.errors import BadInput, Damaged, Missing
from tinylm.files import write_atomic
from tinylm.laws import bootstrap_power_law, bootstrap_surface, predict_mean
from tinylm.laws.forms import Form
from tinylm.laws.scatter import interval, settings_of
from tinylm.provenance import git_state, now
from tinylm.store import Store
from tinylm.studies.grid import forms, settings_of_runs, since_of, unigram_loss
from tinylm.studies.kept import read_kept
from tinylm.studies.runs import evaluation_of, short_names, to_table
from tinylm.studies.shown import shown_profile
from tinylm.studies.size import ngram_baselines
from tinylm.sweeps.declare import expand, load_experiment
from tinylm.texts import texts_of

# What each experiment is predicted from. One from a grid is predicted by the law in N and D in each
# of its forms, the others by power laws in N.
FITTED = {
    "model_size_beyond": "model_size",
    "grid_beyond": "grid",
    "grid_further": "grid",
    "grid_ag_news_beyond": "grid_ag_news",
    "grid_ag_news_further": "grid_ag_news",
}
GRIDS = ("grid", "grid_ag_news")
# The law that this book stood for when each was written down: that with a floor; the form with the
# lowest BIC on the grid; the form that the bet before had come closest by; and the form that comes
# nearest to hidden settings on the grid of news, twice, by another recipe the second time.
BACKED = {
    "model_size_beyond": "E + A/N^α",
    "grid_beyond": "power",
    "grid_further": "ends",
    "grid_ag_news_beyond": "power",
    "grid_ag_news_further": "both",
}
LEAST_COMPUTE = 5.0  # of a predicted run, over that of any fitted one
# By method: the floor of its power law (None: fitted), and how many sizes it is fitted to, from the
# largest on (None: all).
METHODS: dict[str, tuple[float | None, int | None]] = {
    "E + A/N^α": (None, None),
    "A/N^α": (0.0, None),
    "A/N^α, largest 3 sizes": (0.0, 3),
}


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Predicted(_Part):
    """The mean validation loss of a setting's runs, in nats per token."""

    loss: float
    interval: tuple[float, float]  # 95%


class Target(_Part):
    """Runs that differ only in their seed, and what each method says of their mean."""

    d_model: int
    n_non_embedding: int
    tokens: int
    flops_exact: float
    run_ids: list[str]
    by: dict[str, Predicted]  # by method


class Prediction(_Part):
    """What is said of an experiment, when, and from what."""

    experiment: str
    made: str  # UTC, ISO 8601
    commit: str | None  # of the code that made it
    fitted: list[str]  # run ids
    largest_fitted_flops: float  # exact
    targets: list[Target]


def bet_store(experiment: str, store: Store) -> Store:
    """Where the prediction of an experiment is that belongs to the pages of a profile: those of the
    published ones are in whichever profile has the experiment.
    """
    published = store.profile == "paper"
    return Store(shown_profile(experiment, "paper")) if published else store


def prediction_path(store: Store, experiment: str) -> Path:
    """Where the prediction of an experiment is."""
    return store.folder / "predictions" / f"{experiment}.json"


def predict(experiment: str, store: Store) -> Prediction:
    """What the laws fitted to earlier runs say of an experiment that has not begun.

    Raises:
        TinyLMError: an experiment without a source, a run of it that has a record, one with less
            than 5 times the compute of a fitted run, or fitted runs without records.
    """
    if experiment not in FITTED:
        raise BadInput(
            f"experiment {experiment!r} is not one to predict; expected one of {', '.join(FITTED)}"
        )
    runs = expand(load_experiment(experiment), store.profile)
    if early := [run.run_id for run in runs if store.find(run.run_id)]:
        raise BadInput(f"run {early[0]} has a record; a prediction comes before its runs")
    records = store.load(expand(load_experiment(FITTED[experiment]), store.profile))
    fitted = to_table(records)
    fitted = fitted[fitted["status"] == "done"]
    vocab_size, ceiling = records[0].config.model.vocab_size, None
    if FITTED[experiment] in GRIDS:
        asked = {record.run_id: record.config.tokens for record in records}
        fitted = fitted.assign(asked=fitted["run_id"].map(asked))
        fitted = fitted[fitted["asked"] >= since_of(fitted)]
        (text,) = texts_of(records)
        ngrams = ngram_baselines(store, text, evaluation=evaluation_of(records))
        ceiling = unigram_loss(ngrams)
    return Prediction(
        experiment=experiment,
        made=now(),
        commit=git_state()[0],
        fitted=sorted(fitted["run_id"]),
        largest_fitted_flops=float(fitted["flops_exact"].max()),
        targets=[
            _target(group, fitted, vocab_size, ceiling) for group in _by_setting(runs).values()
        ],
    )


def _by_setting(runs: list[Run]) -> Mapping[tuple[int, int], list[Run]]:
    found: dict[tuple[int, int], list[Run]] = {}
    for run in runs:
        found.setdefault((run.config.model.d_model, run.config.tokens), []).append(run)
    return found


def _target(
    runs: list[Run], fitted: pd.DataFrame, vocab_size: int, ceiling: float | None
) -> Target:
    config, largest_flops = runs[0].config, float(fitted["flops_exact"].max())
    model = config.model.model_copy(update={"vocab_size": vocab_size})
    tokens = config.steps * config.batch_tokens
    flops, n = flops_exact(model, tokens), parameter_count(model).non_embedding
    if flops < LEAST_COMPUTE * largest_flops:
        raise BadInput(
            f"d_model {model.d_model} takes {flops / largest_flops:.1f} times the compute of the "
            f"largest fitted run; expected at least {LEAST_COMPUTE:g}"
        )
    by = (
        _by_power_laws(n, len(runs), fitted)
        if ceiling is None
        else _by_surfaces(n, tokens, len(runs), fitted, forms(ceiling))
    )
    return Target(
        d_model=model.d_model,
        n_non_embedding=n,
        tokens=tokens,
        flops_exact=flops,
        run_ids=[run.run_id for run in runs],
        by=by,
    )


def _by_power_laws(n: int, n_runs: int, fitted: pd.DataFrame) -> dict[str, Predicted]:
    by = {}
    for name, (floor, n_sizes) in METHODS.items():
        sizes = np.sort(fitted["n_non_embedding"].unique())
        least = sizes[0] if n_sizes is None else sizes[-n_sizes]
        chosen = fitted[fitted["n_non_embedding"] >= least]
        fit = bootstrap_power_law(chosen["n_non_embedding"], chosen["seed"], chosen["nats"], floor)
        settings = settings_of(
            {"N": chosen["n_non_embedding"].to_numpy(float)},
            chosen["seed"].to_numpy(),
            chosen["nats"].to_numpy(float),
        )
        loss, bounds = predict_mean(fit, settings, n, n_runs)
        by[name] = Predicted(loss=loss, interval=bounds)
    return by


def _by_surfaces(
    n: int, tokens: int, n_runs: int, fitted: pd.DataFrame, raced: Mapping[str, Form]
) -> dict[str, Predicted]:
    """As `tinylm.laws.predict_mean`, by the law in N and D in each form."""
    runs = fitted.assign(N=fitted["n_non_embedding"], D=fitted["tokens"], loss=fitted["nats"])
    settings = settings_of_runs(runs)
    by = {}
    for name, form in raced.items():
        fit = bootstrap_surface(runs["N"], runs["D"], runs["seed"], runs["loss"], form=form)
        loss, draws = float(fit.surface.loss(n, tokens)), fit.loss_resamples(n, tokens)
        spread = settings.noise_at(loss) / np.sqrt(n_runs) * fit.widening
        noise = np.random.default_rng(1).standard_normal(len(draws))
        by[name] = Predicted(loss=loss, interval=interval(draws * np.exp(spread * noise)))
    return by


def write_prediction(experiment: str, store: Store) -> Path:
    """Predict, and write it down for good.

    Raises:
        TinyLMError: as `predict`; or there is a prediction, which is not changed.
    """
    path = prediction_path(store, experiment)
    if path.exists():
        raise BadInput(f"file {path} holds a prediction already; it is not changed")
    write_atomic(path, predict(experiment, store).model_dump_json(indent=1) + "\n")
    return path


def read_prediction(store: Store, experiment: str) -> Prediction | None:
    """The prediction of an experiment, or None if none was made.

    Raises:
        TinyLMError: the file is damaged.
    """
    path = prediction_path(store, experiment)
    content = read_kept(path)
    try:
        return None if content is None else Prediction.model_validate(content)
    except ValidationError as error:
        raise Damaged(str(explain(error, f"prediction {path}"))) from None


def score(prediction: Prediction, store: Store) -> pd.DataFrame:
    """A row a target and method: the prediction beside the mean of the runs that have ended without
    diverging (NaN where none has), and its error as a share of that.
    """
    rows: list[dict[str, Any]] = []
    for target in prediction.targets:
        records = [store.find(run_id) for run_id in target.run_ids]
        losses = [one.validation.nats for one in records if one and one.validation]
        measured = float(np.mean(losses)) if losses else float("nan")
        for method, said in target.by.items():
            rows.append(
                {
                    "d_model": target.d_model,
                    "n_non_embedding": target.n_non_embedding,
                    "tokens": target.tokens,
                    "compute": target.flops_exact / prediction.largest_fitted_flops,
                    "method": method,
                    "predicted": said.loss,
                    "low": said.interval[0],
                    "high": said.interval[1],
                    "runs": len(losses),
                    "wanted": len(target.run_ids),
                    "measured": measured,
                    "std": float(np.std(losses, ddof=1)) if len(losses) > 1 else float("nan"),
                    "error": said.loss / measured - 1,
                }
            )
    return pd.DataFrame(rows)


@dataclass(frozen=True)
class Bet:
    """What was said of runs before they were made, from which runs, and what has come of it."""

    prediction: Prediction
    scores: pd.DataFrame  # see `score`
    fitted: pd.DataFrame  # the runs that it was made from: studies.runs.load_runs
    made: pd.DataFrame  # the predicted runs that have ended: likewise; may be empty

    @property
    def ended(self) -> int:
        """How many of the predicted runs have been made."""
        return int(self.scores.groupby(["d_model", "tokens"])["runs"].first().sum())

    @property
    def backed(self) -> str:
        """The law that was stood for."""
        return BACKED[self.prediction.experiment]

    @property
    def worst_errors(self) -> pd.Series:
        """The largest error of each method, of those sizes that have been run, best first."""
        scored = self.scores.dropna(subset="error")
        return scored["error"].abs().groupby(scored["method"]).max().sort_values()


def read_bet(store: Store, experiment: str = "model_size_beyond") -> Bet:
    """The prediction of an experiment beside the runs that have ended since.

    Raises:
        Missing: no prediction was made, or a run that it was made from has no record.
    """
    prediction = read_prediction(store, experiment)
    if prediction is None:
        raise Missing(f"nothing was predicted of {experiment} in the profile {store.profile}")
    fitted = store.load(expand(load_experiment(FITTED[experiment]), store.profile))
    made = store.found(expand(load_experiment(experiment), store.profile))
    table = short_names(to_table(made or fitted))
    return Bet(
        prediction,
        score(prediction, store),
        short_names(to_table(fitted)),
        table if made else table.head(0),
    )
