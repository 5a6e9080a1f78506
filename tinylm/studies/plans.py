"""What other grids would have told of the law: its constants' uncertainty, before any run."""

import numpy as np
import pandas as pd

from tinylm import say
from tinylm.laws.planning import NORMAL, expected_errors
from tinylm.laws.scatter import Settings
from tinylm.laws.solver import Array
from tinylm.studies.grid import GridStudy, settings_of_runs

TUNING = 0.01  # of the loss: scatter of settings whose rates are not equally good
CONSTANTS = {"E": "E ±", "alpha": "α ±", "beta": "β ±"}


def plans(study: GridStudy) -> pd.DataFrame:
    """A row a plan: plan, settings, seeds, and E, alpha and beta, half the 95% interval that the
    best form would have if its law is true and seeds scatter as they did.
    """
    runs, law = study.fitted, study.best.surface
    noise = settings_of_runs(runs)
    sizes = np.sort(runs["N"].unique()).astype(float)
    amounts = np.sort(runs["asked"].unique()).astype(float)
    seeds = int(runs.groupby(["N", "asked"])["seed"].nunique().max())
    most = float((runs["N"] * runs["asked"]).max())
    whole = crossed(sizes, amounts, most)
    between = crossed(np.geomspace(sizes[0], sizes[-1], 2 * len(sizes) - 1), amounts, most)
    wider = crossed(np.array([sizes[0] / 2, *sizes, sizes[-1] * 2]), amounts, 2 * most)
    longer = crossed(sizes, np.array([*amounts, 2 * amounts[-1], 4 * amounts[-1]]), 4 * most)
    tried: dict[str, tuple[tuple[Array, Array], int, float]] = {
        "this grid": (whole, seeds, 0.0),
        "two cuts through its corner": (two_cuts(*whole), seeds, 0.0),
        "one seed": (whole, 1, 0.0),
        "twice the seeds": (whole, 2 * seeds, 0.0),
        "a size between every two": (between, seeds, 0.0),
        "a size beyond either end": (wider, seeds, 0.0),
        "twice and four times the text": (longer, seeds, 0.0),
        f"this grid, tuned to within {say.percent(TUNING, 0)}": (whole, seeds, TUNING),
    }
    rows = []
    for plan, ((n, d), repeats, tuning) in tried.items():
        errors = expected_errors(law, n, d, error_of(noise, law.loss(n, d), repeats, tuning))
        halves = {name: NORMAL * errors[name] for name in CONSTANTS if name in errors}
        rows.append({"plan": plan, "settings": len(n), "seeds": repeats} | halves)
    return pd.DataFrame(rows)


def crossed(sizes: Array, amounts: Array, most: float) -> tuple[Array, Array]:
    """N and D, each (settings,), of every size with every amount that N·D <= most leaves it."""
    n, d = (part.ravel() for part in np.meshgrid(sizes, amounts))
    kept = n * d <= most * (1 + 1e-9)
    return n[kept], d[kept]


def two_cuts(n: Array, d: Array) -> tuple[Array, Array]:
    """Those of some settings that lie on two lines: all amounts of the largest size, and all sizes
    with the most text that this one reads.
    """
    largest = n == n.max()
    kept = largest | (d == d[largest].max())
    return n[kept], d[kept]


def error_of(noise: Settings, loss: Array, seeds: int, tuning: float) -> Array:
    """Standard error of settings' means as shares of their losses: of seeds, and of tuning."""
    errors: Array = np.hypot(noise.noise_at(loss) / np.sqrt(seeds), tuning)
    return errors


def plans_table(study: GridStudy) -> pd.DataFrame:
    """The plans as printed, with what the bootstrap found of this grid in the first row."""
    found = {name: float(np.diff(study.best.interval(name))[0]) / 2 for name in CONSTANTS}
    rows = [{"plan": "this grid, by bootstrap"} | found, *plans(study).to_dict("records")]
    table = pd.DataFrame(rows).set_index("plan")
    counts = table[["settings", "seeds"]].map(
        lambda value: "" if np.isnan(value) else f"{value:.0f}"
    )
    halves = table[list(CONSTANTS)].map("{:.3f}".format).rename(columns=CONSTANTS)
    return pd.concat([counts, halves], axis=1)


def plans_said(study: GridStudy) -> str:
    """What helps most."""
    by_plan = {row["plan"]: row for row in plans(study).to_dict("records")}
    this, cuts, seeds, sizes, text = (
        float(by_plan[plan]["beta"])
        for plan in (
            "this grid",
            "two cuts through its corner",
            "twice the seeds",
            "a size between every two",
            "twice and four times the text",
        )
    )
    return (
        f"Two cuts, which many studies make do with, leave β uncertain by ±{cuts:.2f}, where the "
        f"grid leaves ±{this:.2f}: they do not show how size and text work together. Twice the "
        f"seeds make that ±{seeds:.2f}, sizes in between ±{sizes:.2f}, and more text "
        f"±{text:.2f}: a wider range tells more than more of the same. Worst is settings that are "
        f"not equally well tuned, of which no number of seeds tells."
    ) + wider_said(study)


def wider_said(study: GridStudy) -> str:
    """Why the bootstrap's intervals are wider than was told, where they are."""
    if study.best.widening == 1:
        return ""
    return (
        f" All this is told of settings that scatter by seeds alone. Here they lie "
        f"{study.best.misfit:.1f} times further from the law than that, and the bootstrap's "
        f"intervals are wider by as much."
    )
