"""The runs of an experiment as a table: what every chapter begins with."""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from tinylm.config import EvaluationConfig, RunConfig
from tinylm.errors import BadInput
from tinylm.records import RunRecord
from tinylm.say import NO_BREAK, NO_BREAK_HYPHEN
from tinylm.store import Store
from tinylm.sweeps.declare import expand, load_experiment

EVERY_DOCUMENT = EvaluationConfig()  # whose last evaluation reads the whole validation split
OF_EVERY_TABLE = {
    *("corpus", "tokenizer", "vocab_size"),
    *("d_model", "n_layers", "context_length", "learning_rate", "tokens"),
}


def load_runs(experiment: str, profile: str = "paper") -> pd.DataFrame:
    """A row for each run of an experiment that did not diverge, with the columns of
    `to_table` and the field's short names: N (non-embedding parameters), D (training
    tokens), C (exact training FLOPs), loss (nats per token).

    Raises:
        Missing: a run has no record yet.
        BadInput: unknown experiment or profile.
    """
    runs = expand(load_experiment(experiment), profile)
    return short_names(to_table(Store(profile).load(runs)))


def to_table(records: Sequence[RunRecord]) -> pd.DataFrame:
    """One row per run: what a run is, whatever else of the configs differs among these, and what
    came out. Diverged runs have NaN losses.
    """
    settings = [_settings(record.config) for record in records]
    differing = (
        [name for name in settings[0] if len({row[name] for row in settings}) > 1]
        if settings
        else []
    )
    rows = []
    for record, setting in zip(records, settings, strict=True):
        model, losses = record.config.model, record.validation
        rows.append(
            {
                "run_id": record.run_id,
                "corpus": record.config.data.corpus,
                "tokenizer": record.config.data.tokenizer,
                "d_model": model.d_model,
                "n_layers": model.n_layers,
                "context_length": model.context_length,
                "learning_rate": record.config.optimizer.learning_rate,
                **{name: setting[name] for name in differing},
                "seed": record.seed,
                "n_non_embedding": record.parameters.non_embedding,
                "n_with_output": record.parameters.with_output,
                "n_total": record.parameters.total,
                "tokens": record.tokens,
                "unique_tokens": record.unique_tokens,
                "flops_6nd": record.compute.six_nd,
                "flops_exact": record.compute.exact,
                "status": record.status,
                "nats": losses.nats if losses else float("nan"),
                "bits_per_byte": losses.bits_per_byte if losses else float("nan"),
                "perplexity": losses.perplexity if losses else float("nan"),
                "train_nats": record.train_nats,
                "wall_seconds": record.timing.wall_seconds,
                "cpu_seconds": record.timing.cpu_seconds,
                "tokens_per_second": record.timing.tokens_per_second,
                "commit": (record.provenance.commit or "unknown")[:10],
                "clean": record.provenance.clean,
                "date": record.provenance.date[:10],
                "device": record.provenance.device,
                "processor": record.provenance.processor,
            }
        )
    return pd.DataFrame(rows)


def _settings(config: RunConfig) -> dict[str, Any]:
    """Fields of a config by their own names, but for those that every table has."""
    found: dict[str, Any] = {}
    for name, value in config.model_dump().items():
        found |= value if isinstance(value, dict) else {name: value}
    return {name: value for name, value in found.items() if name not in OF_EVERY_TABLE}


def short_names(table: pd.DataFrame) -> pd.DataFrame:
    """The runs that did not diverge, and the columns N, D, C and loss beside the others."""
    done = table[table["status"] == "done"].reset_index(drop=True)
    return done.assign(
        N=done["n_non_embedding"], D=done["tokens"], C=done["flops_exact"], loss=done["nats"]
    )


def runs_page_table(records: Sequence[RunRecord]) -> pd.DataFrame:
    """Where and when each run was made, and what it took, as the results page shows it."""
    runs = to_table(records)
    return pd.DataFrame(
        {
            "run": [f"`{run_id}`" for run_id in runs["run_id"]],
            "corpus": [name.replace("-", NO_BREAK_HYPHEN) for name in runs["corpus"]],
            "D": [f"{tokens:,}" for tokens in runs["tokens"]],
            "d_model": runs["d_model"],
            "context": runs["context_length"],
            "rate": [f"{rate:g}" for rate in runs["learning_rate"]],
            "seed": runs["seed"],
            "status": runs["status"],
            "nats": [f"{nats:.4f}" for nats in runs["nats"]],
            f"CPU{NO_BREAK}s": [f"{seconds:,.0f}" for seconds in runs["cpu_seconds"]],
            f"clock{NO_BREAK}s": [f"{seconds:,.0f}" for seconds in runs["wall_seconds"]],
            "commit": runs["commit"],
            "tree": runs["clean"].map({True: "clean", False: "changed"}).fillna("unknown"),
            "date": [date.replace("-", NO_BREAK_HYPHEN) for date in runs["date"]],
            "where": [name.replace(" ", NO_BREAK) for name in made_on(runs)],
        }
    )


def made_on(runs: pd.DataFrame) -> list[str]:
    """What each run was trained on: the GPU's name, or the processor's."""
    return [
        row["processor"] if row["device"] == "cpu" else row["device"]
        for row in runs.to_dict("records")
    ]


def evaluation_of(records: Sequence[RunRecord]) -> EvaluationConfig:
    """How runs that are compared were evaluated.

    Raises:
        BadInput: not all on the same documents.
    """
    ways = {record.config.evaluation.final_tokens: record for record in records}
    if len(ways) > 1:
        one, other, *_ = ways.values()
        raise BadInput(
            f"runs {one.run_id} and {other.run_id} cannot be compared: evaluation.final_tokens is "
            f"{one.config.evaluation.final_tokens} and {other.config.evaluation.final_tokens}; "
            f"expected one value"
        )
    return records[0].config.evaluation
