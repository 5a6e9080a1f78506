"""The figures of the two studies: what is drawn, and the finding that each title states."""

import pandas as pd
from matplotlib.figure import Figure

from tinylm import say
from tinylm.laws.published import CONTEXT_CLAIM, SIZE_CLAIMS
from tinylm.laws.scatter import COVERAGE
from tinylm.plots import (
    context_figure,
    learning_curves_figure,
    loss_by_position_figure,
    residuals_figure,
    scaling_figure,
)
from tinylm.studies.size import SizeStudy, Study, learning_curves, loss_by_position

SIZE_LABEL = "N, non-embedding parameters"


def floor_labels(study: Study) -> dict[str, float]:
    """The unigram and the best n-gram baseline, for drawing."""
    chosen = {1: study.floors[0], study.best_floor.order: study.best_floor}
    return {f"{order}-gram": floor.nats_per_token for order, floor in chosen.items()}


def best_floor_label(study: Study) -> dict[str, float]:
    """The best n-gram baseline alone."""
    return {f"{study.best_floor.order}-gram": study.best_floor.nats_per_token}


def _points(study: Study, column: str) -> pd.DataFrame:
    runs = study.finished
    return pd.DataFrame({"x": runs[column], "seed": runs["seed"], "loss": runs["nats"]})


def size_scaling_figure(study: SizeStudy) -> Figure:
    """Loss against N with the law, its band and the floors; the excess on log axes."""
    law = study.law.law
    title = (
        f"Loss falls towards E = {law.E:.2f} nats with exponent {law.alpha:.2f}, "
        f"{say.percent(COVERAGE, 0)} interval {say.interval(study.law.alpha_interval, 2)}"
    )
    return scaling_figure(
        _points(study, "n_non_embedding"),
        study.law,
        best_floor_label(study),
        xlabel=SIZE_LABEL,
        title=title,
        claim=("slope of Hoffmann et al.", SIZE_CLAIMS[1].exponent),
    )


def fit_figure(study: SizeStudy) -> Figure:
    """How far the runs lie from a law fitted without the largest size."""
    held = study.prediction
    title = (
        f"Fitted without the largest size, the law misses it by "
        f"{say.percent(abs(held.relative_error))}, {say.within(held.interval, held.actual)} "
        f"its {say.percent(COVERAGE, 0)} interval"
    )
    return residuals_figure(_points(study, "n_non_embedding"), held, xlabel=SIZE_LABEL, title=title)


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
    return context_figure(
        _points(study, "context_length"), best_floor_label(study), title=context_title(study)
    )


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
