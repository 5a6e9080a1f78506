"""The runs with which the first page argues: models of many sizes, all after one amount of text,
and larger ones, which no law on that page is fitted to.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from tinylm.book import CHECKOUT
from tinylm.files import write_atomic
from tinylm.laws.published import SIZE_CLAIMS
from tinylm.store import Store
from tinylm.studies.floor import known_floor
from tinylm.studies.grid import unigram_loss
from tinylm.studies.runs import evaluation_of, short_names, to_table
from tinylm.studies.size import NGRAM_ORDERS, ngram_baselines
from tinylm.sweeps.declare import expand, load_experiment
from tinylm.texts import texts_of

SIZE_RUNS = CHECKOUT / "book" / "assets" / "size_runs.js"
BEGIN, END = "window.TinyLMSizeRuns = ", ";\n"  # of the file, about its text
TOKENS = 4_000_000  # that every run has read, in whole steps
WHOLE_STEPS = 0.01  # by which a run's own number may differ
HIDDEN_SIZES = 3  # the largest of fables, of which no larger models were trained
PUBLISHED = Store("paper")


def size_runs() -> dict[str, Any]:
    """What the page is given: claims, and by text the runs (N without embeddings, with them, loss,
    seed), those beyond, the known floor or None, and the loss that knows only how frequent each
    token is. Losses and floors are in nats per token.

    Raises:
        Missing: a run has no record, or a floor was not computed and this is no `tinylm report`.
    """
    stories = {
        **_ends("grid"),
        "runs": _rows(_runs("grid")),
        "beyond": _rows(_runs("grid_beyond")),
    }
    fables = _runs("fables_grid")
    hidden = fables["N"] > sorted(fables["N"].unique())[-HIDDEN_SIZES - 1]
    generated = {
        **_ends("fables_grid", orders=(1,), known=True),
        "runs": _rows(fables[~hidden]),
        "beyond": _rows(fables[hidden]),
    }
    return {
        "tokens": TOKENS,
        "claims": [[claim.source, claim.exponent] for claim in SIZE_CLAIMS],
        "texts": [stories, generated],
    }


def write_size_runs(out: Path = SIZE_RUNS) -> Path:
    """Write it as a script, which a page reads from file://, too; returns where."""
    write_atomic(out, BEGIN + json.dumps(size_runs()) + END)
    return out


def _runs(experiment: str) -> pd.DataFrame:
    runs = short_names(to_table(PUBLISHED.load(expand(load_experiment(experiment), "paper"))))
    return runs[(runs["D"] / TOKENS - 1).abs() < WHOLE_STEPS]


def _rows(runs: pd.DataFrame) -> list[list[float]]:
    columns = runs.sort_values(["N", "seed"])[["N", "n_total", "loss", "seed"]]
    return [
        [int(n), int(total), round(float(loss), 5), int(seed)]
        for n, total, loss, seed in columns.itertuples(index=False)
    ]


def _ends(
    experiment: str, orders: Sequence[int] = NGRAM_ORDERS, *, known: bool = False
) -> dict[str, float | None]:
    """The losses that bound those of the models; the floor where it is known."""
    records = PUBLISHED.load(expand(load_experiment(experiment), "paper"))
    (text,), evaluation = texts_of(records), evaluation_of(records)
    ngrams = ngram_baselines(PUBLISHED, text, orders, evaluation)
    floor = known_floor(PUBLISHED, text.corpus, text.tokenizer, evaluation).nats if known else None
    return {
        "floor": None if floor is None else round(floor, 6),
        "ceiling": round(unigram_loss(ngrams), 6),
    }
