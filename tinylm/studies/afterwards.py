"""The grid's laws before and after the runs that they were asked about are added to it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from tinylm import say
from tinylm.laws import SurfaceWithIntervals
from tinylm.laws.forms import Form
from tinylm.laws.table_words import NO_LAW, sure
from tinylm.store import Store
from tinylm.studies.findings import finding
from tinylm.studies.grid import (
    GridStudy,
    first_by,
    fit_forms,
    forms,
    grid_study,
    race_of,
    runs_of_grid,
    unigram_loss,
)
from tinylm.studies.grid_words import CALLED
from tinylm.sweeps.declare import expand, load_experiment

N_RESAMPLES = 500
CODE = (
    "tinylm.studies.grid:fit_forms",
    "tinylm.studies.grid:race_row",
    "tinylm.studies.grid:hidden_errors",
    "tinylm.laws.scatter",
    "tinylm.laws.solver",
    "tinylm.laws.forms",
    "tinylm.laws.surface",
)


@dataclass(frozen=True)
class Afterwards:
    """The laws of the grid, and those of the grid and the runs beyond it."""

    grid: GridStudy
    beyond: pd.DataFrame  # the runs beyond: N, D, C, seed, loss
    fits: dict[str, SurfaceWithIntervals]  # by form, of all
    race: pd.DataFrame  # of all; see `tinylm.studies.grid.race_row`

    @property
    def best_form(self) -> str:
        """The form with the lowest BIC on all runs."""
        return first_by(self.race, "bic")

    @property
    def closest(self) -> tuple[str, float]:
        """The form by which the grid alone came closest to the runs beyond, and its largest error
        as a share of the loss.
        """
        means = self.beyond.groupby(["N", "D"], as_index=False)["loss"].mean()
        errors = {
            name: float(np.abs(fit.surface.loss(means["N"], means["D"]) / means["loss"] - 1).max())
            for name, fit in self.grid.fits.items()
        }
        name = min(errors, key=lambda one: errors[one])
        return name, errors[name]


def afterwards(store: Store) -> Afterwards:
    """The laws, which are a finding.

    Raises:
        Missing: runs beyond the grid have no records, or the finding is not there.
    """
    grid = grid_study(store)
    records = store.load(expand(load_experiment("grid_beyond"), store.profile))
    beyond = runs_of_grid(records)
    columns = ["N", "D", "C", "seed", "loss"]
    everything = pd.concat([grid.fitted[columns], beyond[columns]], ignore_index=True)
    found = finding(
        store,
        "afterwards",
        grid.records + records,
        CODE,
        lambda: laws_of_all(everything, forms(unigram_loss(grid.ngrams))),
        resamples=N_RESAMPLES,
        since=grid.since,
    )
    return Afterwards(grid, beyond, **found)


def laws_of_all(runs: pd.DataFrame, raced: Mapping[str, Form]) -> dict[str, Any]:
    """The fields of Afterwards that are computed."""
    fits = fit_forms(runs, raced, N_RESAMPLES)
    return {"fits": fits, "race": race_of(runs, fits)}


def afterwards_table(study: Afterwards) -> pd.DataFrame:
    """Each form: misfit and constants, by the grid alone and by all runs."""
    rows = []
    for name, fit in study.fits.items():
        for where, one in (("the grid", study.grid.fits[name]), ("and the runs beyond", fit)):
            free = one.surface.form.fixed(None)
            texts = {
                sign: f"{float(getattr(one.surface, constant)):.3f}"
                + ("" if constant in free else sure(one.misfit, one.interval(constant)))
                for constant, sign in (("E", "E"), ("alpha", "α"), ("beta", "β"))
            }
            rows.append(
                {"form": CALLED[name], "fitted to": where, "misfit": f"{one.misfit:.1f}", **texts}
            )
    return pd.DataFrame(rows).set_index(["form", "fitted to"])


def afterwards_said(study: Afterwards) -> str:
    """Which form takes the new runs in, and which constants had to move for that."""
    best, before = study.best_form, first_by(study.grid.race, "bic")
    moved = {name: _moved(study, name) for name in study.fits}
    holding = [CALLED[name] for name, fit in study.fits.items() if fit.misfit <= NO_LAW]
    said = (
        f"With the runs beyond among those that are fitted, the lowest BIC is that of "
        f"{CALLED[best]}; of the grid alone it was that of {CALLED[before]}. "
        f"A misfit of {NO_LAW:.0f} or less have {', '.join(holding) or 'none'}. "
    )
    steady = min(moved, key=lambda name: moved[name])
    return said + (
        f"The constants of {CALLED[steady]} move least: its α by {say.percent(moved[steady])}, "
        f"that of {CALLED[before]} by {say.percent(moved[before])}."
    )


def judges_said(study: Afterwards) -> str:
    """Which judge of chapter 8 had chosen the form that came closest to the runs beyond."""
    by_bic, by_hidden = (first_by(study.grid.race, column) for column in ("bic", "hidden_rms"))
    closest, error = study.closest
    said = (
        f"Of the grid alone, the BIC had chosen {CALLED[by_bic]}, and the error on hidden compute "
        f"{CALLED[by_hidden]}. Closest to the runs beyond came {CALLED[closest]}, at most "
        f"{say.percent(error)} off"
    )
    if closest == by_hidden != by_bic:
        return said + (
            ": **whoever wants to foresee should choose by what a law says of runs that it has not "
            "seen, and not by how well it fits those that it has.**"
        )
    return said + "."


def _moved(study: Afterwards, name: str) -> float:
    """By what share the new runs change the exponent of N, times g."""
    old, new = study.grid.fits[name].surface, study.fits[name].surface
    return float(np.abs(new.alpha * new.g / (old.alpha * old.g) - 1))
