"""The tables and sentences of the chapter on data and repetition."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from tinylm import say
from tinylm.laws.published import REPEATS_CLAIM
from tinylm.laws.table_words import NO_LAW, sure
from tinylm.plots import short
from tinylm.say import NO_BREAK
from tinylm.studies.epochs import RepeatStudy, worth

SHOWN_EPOCHS = (1, 2, 4, 8, 16)


def repeats_title(study: RepeatStudy) -> str:
    """What epochs are worth."""
    four, sixteen = (worth(study.law, epochs)[0] for epochs in (4, 16))
    return f"Four epochs are worth {four:.1f} times the text, sixteen {sixteen:.1f} times"


def losses_table(study: RepeatStudy) -> pd.DataFrame:
    """Loss, mean ± standard deviation over seeds: a row an amount of text, a column a D."""
    by_setting = study.runs.groupby(["unique_tokens", "tokens"])["nats"].agg(["mean", "std"])
    texts = [
        say.mean_and_spread(mean, std)
        for mean, std in by_setting.itertuples(index=False, name=None)
    ]
    wide = pd.Series(texts, index=by_setting.index).unstack().fillna("")
    wide.columns = [f"D = {short(float(tokens))}" for tokens in wide.columns]
    wide.index = pd.Index([short(float(unique)) for unique in wide.index], name="unique tokens")
    return wide


def losses_said(study: RepeatStudy) -> str:
    """The ends of the table's last column, and how many runs are left out."""
    runs = study.runs
    most = runs["tokens"].max()
    ends = runs[runs["tokens"] == most].groupby("unique_tokens")["nats"].mean()
    said = (
        f"Losses in nats per token, mean ± standard deviation over {runs['seed'].nunique()} seeds. "
        f"At {short(most)} tokens the loss is {ends.iloc[0]:.3f} from {short(ends.index[0])} "
        f"unique tokens, and {ends.iloc[-1]:.3f} from {short(ends.index[-1])}."
    )
    return said + (f" {study.diverged} runs diverged and are left out." if study.diverged else "")


def repeats_said(study: RepeatStudy) -> str:
    """R* against what was published, and how well the law fits."""
    law, bounds = study.law, study.law.interval("R_star")
    misfit = f"The misfit of the law is {law.misfit:.1f}: settings lie that many times further "
    misfit += "from it than the scatter of the seeds explains."
    if law.misfit > NO_LAW:
        return (
            f"R\\* = {law.law.R_star:.1f} describes these runs best, where Muennighoff et al. "
            f"found {REPEATS_CLAIM}. {misfit} So the law does not hold here, and no "
            "interval is given."
        )
    return (
        f"**R\\* = {law.law.R_star:.1f}**, 95% interval {say.interval(bounds, 1)}; "
        f"Muennighoff et al. found {REPEATS_CLAIM}, which lies "
        f"{say.within(bounds, REPEATS_CLAIM)}. {misfit}"
    )


def worth_table(study: RepeatStudy) -> pd.DataFrame:
    """What some numbers of epochs are worth, and the last of them."""
    rows = {}
    for epochs in SHOWN_EPOCHS:
        value, low, high = worth(study.law, epochs)
        rows[epochs] = {
            "worth, in unique texts": f"{value:.2f}",
            "95% interval": sure(study.law.misfit, (low, high), 2).strip(),
            "the last epoch, of new text": f"{np.exp(-(epochs - 1) / study.law.law.R_star):.0%}",
        }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("epochs")


def held_out_table(study: RepeatStudy) -> pd.DataFrame:
    """The settings of most epochs: predicted without them, and measured."""
    rows = [
        {
            "unique tokens": short(row["unique_tokens"]),
            "D": short(row["tokens"]),
            "epochs": f"{row['epochs']:.1f}",
            "predicted": f"{row['predicted']:.3f} {say.interval((row['low'], row['high']))}",
            "measured": say.mean_and_spread(row["nats"], row["std"]),
            "error": f"{100 * (row['predicted'] / row['nats'] - 1):+.1f}{NO_BREAK}%",
        }
        for row in study.held_out.to_dict("records")
    ]
    return pd.DataFrame(rows).set_index("unique tokens")


def by_heart_said(study: RepeatStudy) -> str:
    """How far validation and training loss part with the epochs of the shortest text."""
    gaps = study.runs.assign(gap=study.runs["nats"] - study.runs["train_nats"])
    by_setting = gaps.groupby(["unique_tokens", "tokens"])[["epochs", "gap", "nats"]].mean()
    unique = by_setting.index[0][0]
    smallest = by_setting.loc[unique]
    parts = [
        f"{abs(gap):.2f} nats {'above' if gap > 0 else 'below'} the training loss after "
        f"{epochs:.0f} epoch{'s' if epochs > 1.5 else ''}"
        for epochs, gap in zip(smallest["epochs"], smallest["gap"], strict=True)
    ]
    rises = smallest["nats"].iloc[-1] > smallest["nats"].min()
    then = (
        "is lowest before the last of these, and then rises: the model has begun to learn by heart."
        if rises
        else "has not risen yet: a model of this size has little room to learn by heart."
    )
    return (
        f"With {short(unique)} unique tokens, the validation loss is {', '.join(parts)}. "
        f"The validation loss {then}"
    )


def grid_repeats_table(costs: pd.DataFrame) -> pd.DataFrame:
    """What reading less text more often costs runs of the grid, in per cent of the loss."""
    rows = [
        {
            "N": short(float(row["N"])),
            "epochs": f"{row['epochs']:.1f}",
            "instead of": f"{row['before']:.1f}",
            "costs (% of the loss)": f"{100 * row['cost']:.2f}",
            "95% interval": say.interval(_ends(row), 2),
        }
        for row in costs.to_dict("records")
    ]
    return pd.DataFrame(rows).set_index(["N", "epochs"])


def grid_repeats_said(costs: pd.DataFrame) -> str:
    """What half the text costs the smallest and the largest size."""
    half = costs.loc[costs.groupby("N")["epochs"].idxmin()].sort_values("N").to_dict("records")
    parts = [
        f"{100 * row['cost']:.2f}{NO_BREAK}% {say.interval(_ends(row), 2)} of its loss with "
        f"{short(float(row['N']))} parameters"
        for row in half
    ]
    return (
        f"To read half the text, and so {half[0]['epochs']:.1f} epochs instead of "
        f"{half[0]['before']:.1f}, costs a model {' and '.join(parts)}."
    )


def _ends(row: Mapping[Any, Any]) -> tuple[float, float]:
    """The 95% interval of a cost, in per cent."""
    return 100 * (row["cost"] - row["half"]), 100 * (row["cost"] + row["half"])
