"""Laws of learning curves, fitted to one schedule and judged by what they say of the others."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from tinylm import say
from tinylm.laws.schedules import FORMS, Curve, fit_schedule_law
from tinylm.optim import schedule_factor
from tinylm.records import RunRecord
from tinylm.store import Store
from tinylm.studies.findings import finding
from tinylm.sweeps.declare import expand, load_experiment
from tinylm.sweeps.recipe import MATRIX_LEARNING_RATE

FITTED = "wsd"  # the schedule that holds a steady rate and a falling one
SKIPPED = 1  # points at the beginning of each curve, where a model still learns to count
CODE = ("tinylm.studies.schedule_curves", "tinylm.laws.schedules", "tinylm.optim:schedule_factor")


def schedule_curves(store: Store) -> pd.DataFrame:
    """What each form says of each schedule, a finding: the rows of `foreseen`.

    Raises:
        Missing: a run of `schedules` has no record, or the finding is not there.
    """
    records = store.load(expand(load_experiment("schedules"), store.profile))
    table: pd.DataFrame = finding(
        store, "schedule_curves", records, CODE, lambda: foreseen(records), skipped=SKIPPED
    )
    return table


def foreseen(records: Sequence[RunRecord]) -> pd.DataFrame:
    """Laws fitted to the curves of FITTED at the recipe's rates, a size and text at a time: corpus,
    d_model, form, schedule, rms (of the log loss along the curve) and last (the error of the loss
    at the end, as a share of it).
    """
    rows = []
    for (corpus, width), curves in curves_by_place(records).items():
        for form in FORMS:
            law = fit_schedule_law([curves[FITTED]], form)
            for schedule, curve in curves.items():
                off = np.log(law.losses(curve) / curve.losses)
                rows.append(
                    {
                        "corpus": corpus,
                        "d_model": width,
                        "form": form,
                        "schedule": schedule,
                        "rms": float((off**2).mean() ** 0.5),
                        "last": float(np.expm1(off[-1])),
                    }
                )
    return pd.DataFrame(rows)


def curves_by_place(records: Sequence[RunRecord]) -> dict[tuple[str, int], dict[str, Curve]]:
    """By corpus and width, and then by schedule, the mean curves over seeds of those runs that had
    the recipe's rates and a warm-up; none of a schedule of which a run diverged.
    """
    found: dict[tuple[str, int], dict[str, list[RunRecord]]] = {}
    for record in records:
        used = record.config.optimizer
        if used.warmup_steps and used.matrix_learning_rate == MATRIX_LEARNING_RATE:
            place = record.config.data.corpus, record.config.model.d_model
            found.setdefault(place, {}).setdefault(used.schedule, []).append(record)
    return {
        place: {
            schedule: mean_curve(some)
            for schedule, some in by_schedule.items()
            if all(record.status == "done" for record in some)
        }
        for place, by_schedule in found.items()
    }


def mean_curve(records: Sequence[RunRecord]) -> Curve:
    """The mean curve of runs that differ in their seed."""
    config = records[0].config
    rates = [schedule_factor(config.optimizer, step, config.steps) for step in range(config.steps)]
    logs = [[np.log(p.validation_nats) for p in record.curve[SKIPPED:]] for record in records]
    steps = np.array([float(point.step) for point in records[0].curve[SKIPPED:]])
    return Curve(np.array(rates), config.batch_tokens, steps, np.exp(np.mean(logs, axis=0)))


def foreseen_table(table: pd.DataFrame) -> pd.DataFrame:
    """A row a form: how far it is from the curve that it was fitted to and from the others, and how
    far from their ends, at worst over texts and sizes.
    """
    others = table[table["schedule"] != FITTED]
    fitted = table[table["schedule"] == FITTED].groupby("form", sort=False)["rms"].max()
    ends = others.assign(last=others["last"].abs()).groupby("form", sort=False)["last"].max()
    return pd.DataFrame(
        {
            f"{FITTED} (fitted), rms": fitted.map(say.percent),
            "the others, rms": others.groupby("form", sort=False)["rms"].max().map(say.percent),
            "their last loss": ends.map(say.percent),
        }
    )


def foreseen_said(table: pd.DataFrame) -> str:
    """Which form foresees the ends of other schedules best."""
    others = table[table["schedule"] != FITTED]
    worst = others["last"].abs().groupby(others["form"]).max().sort_values()
    best, plain = str(worst.index[0]), float(worst["summed rate"])
    n = len(table.groupby(["corpus", "d_model"]))
    places = "one place" if n == 1 else f"{n} places"
    return (
        f"Fitted to the curve of {FITTED} alone, at {places}, the law called {best} is "
        f"off by {say.percent(float(worst.iloc[0]))} at worst at the end of another schedule; the "
        f"summed rate alone by {say.percent(plain)}."
    )
