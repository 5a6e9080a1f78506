"""The figures, tables and sentences of ablations: arms at their best rates, and what they gain."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from tinylm import say
from tinylm.plots import SweepPanel, gains_figure
from tinylm.say import NO_BREAK
from tinylm.studies.ablations import PLACE, Ablation


def place_of(row: Mapping[Any, Any]) -> str:
    """'ag_news, width 64, 1M tokens'."""
    return f"{row['corpus']}, width {row['d_model']}, {say.short(float(row['asked']))} tokens"


def rate_panels(study: Ablation) -> Iterator[SweepPanel]:
    """A panel a corpus and width: loss over that of the reference at its best rate, in per cent,
    against each arm's rate in doublings from its own best.
    """
    arms = study.arms
    for key, runs in study.runs.groupby(PLACE, sort=False):
        here = arms[(arms[PLACE] == list(key)).all(axis=1)].set_index("arm")
        least = float(here["loss"][study.reference])
        points = runs.assign(
            label=runs["arm"],
            x=np.log2(runs["rate"] / runs["arm"].map(here["rate"])),
            y=100 * (runs["loss"] / least - 1),
        )
        lines = points.groupby(["label", "x"], sort=False)["y"].mean().reset_index()
        yield SweepPanel(
            row=str(key[0]),
            column=f"width {key[1]}",
            points=points[["label", "x", "y"]],
            curves=lines.sort_values(["label", "x"]),
            rule=0.0,
        )


def arms_table(study: Ablation) -> pd.DataFrame:
    """Each arm at each place: its best rate, its loss, and how far that is from the reference's."""
    rows = []
    for row in study.arms.to_dict("records"):
        told = {
            "place": place_of(row),
            "arm": row["arm"],
            "best rate": f"{row['rate']:.2g}" + (" (the end of those tried)" * row["on_edge"]),
            "loss": f"{row['loss']:.3f}",
            f"against {study.reference} (%)": "",
        }
        if row["arm"] != study.reference:
            told[f"against {study.reference} (%)"] = _change(row["difference"], row["half"])
        rows.append(told)
    return pd.DataFrame(rows).set_index(["place", "arm"])


def _change(difference: float, half: float) -> str:
    """'−3.1 [−3.5, −2.7]', a difference of log losses in per cent."""
    ends = (100 * (difference - half), 100 * (difference + half))
    return f"{100 * difference:+.1f} {say.interval(ends, 1)}".replace("-", "−")


def arms_said(study: Ablation) -> str:
    """How many runs; and for each arm its gains at all places, and at how many they are sure."""
    runs, parts = study.runs, []
    for arm, some in study.arms.dropna(subset="difference").groupby("arm", sort=False):
        gains = -100 * some["difference"]
        sure = int((some["difference"].abs() > some["half"]).sum())
        parts.append(
            f"{arm} against {study.reference}: the loss is lower by {gains.min():.1f} to "
            f"{gains.max():.1f}{NO_BREAK}%, surely another at {sure} of {len(some)} places."
        )
    edges = int(study.arms["on_edge"].sum())
    said = f"{len(runs)} runs, {runs['seed'].nunique()} seeds of each. {' '.join(parts)}"
    if edges:
        said += f" {edges} best rates are the last of those tried: these arms may do better."
    if study.diverged:
        said += f" {study.diverged} runs diverged and are left out."
    return said


def ablation_figure(study: Ablation) -> Figure:
    """What each arm gains against the reference at each place."""
    return gains_figure(
        gains_columns(study),
        xlabel=f"lower loss than {study.reference} (%)",
        title=ablation_title(study),
    )


def ablation_title(study: Ablation) -> str:
    """The arm that is best in the mean over the places where all were tried, and by how much."""
    told = study.arms.pivot_table(index=PLACE, columns="arm", values="difference", sort=False)
    means = told.dropna().mean().sort_values()
    best, gains = str(means.index[0]), -100 * told[means.index[0]].dropna()
    if means.iloc[0] >= 0:
        return f"Nothing has a lower loss than {study.reference}, in the mean over places"
    return (
        f"Against {study.reference}, {best} gains most: {gains.min():.1f} to {gains.max():.1f}"
        f"{NO_BREAK}% of the loss"
    )


def gains_columns(study: Ablation) -> dict[str, pd.DataFrame]:
    """What each arm gains against the reference, in per cent, a panel a place, for a figure."""
    columns, told = {}, study.arms.dropna(subset="difference")
    every = pd.Index(told["arm"].unique(), name="arm")
    for key, some in told.groupby(PLACE, sort=False):
        gain = -100 * some.set_index("arm")["difference"].reindex(every)
        half = 100 * some.set_index("arm")["half"].reindex(every)
        columns[f"{key[0]}, width {key[1]}"] = pd.DataFrame(
            {"gain": gain, "low": gain - half, "high": gain + half}
        )
    return columns
