"""Curves of runs, and which law of them foresees other schedules."""

import numpy as np
import pytest
from planted import planted_records

from tinylm.config import RunConfig
from tinylm.laws.schedules import FORMS, Curve
from tinylm.optim import schedule_factor
from tinylm.records import RunRecord
from tinylm.studies.schedule_curves import (
    FITTED,
    SKIPPED,
    curves_by_place,
    foreseen,
    foreseen_said,
    foreseen_table,
)
from tinylm.sweeps.declare import expand, load_experiment
from tinylm.sweeps.recipe import MATRIX_LEARNING_RATE

PLANTED = np.array([1.2, 60.0, 0.35, 0.25, 0.99])


def losses(config: RunConfig, steps: list[int]) -> np.ndarray:
    rates = [schedule_factor(config.optimizer, step, config.steps) for step in range(config.steps)]
    curve = Curve(np.array(rates), config.batch_tokens, np.array(steps, float), np.ones(len(steps)))
    return FORMS["annealing"](PLANTED, curve)


@pytest.fixture(scope="module")
def records() -> list[RunRecord]:
    """Runs at the recipe's rates whose curves follow the annealing law."""
    runs = [
        run
        for run in expand(load_experiment("schedules"), "next")
        if run.config.optimizer.matrix_learning_rate == MATRIX_LEARNING_RATE
        and run.config.data.corpus == "ag_news"
        and run.seed < 2
    ]
    made = []
    for record in planted_records(runs, lambda *_: 2.0):
        config = record.config
        steps = [round(config.steps * part / 16) for part in range(1, 17)]
        points = [
            record.curve[0].model_copy(update={"step": step, "validation_nats": loss})
            for step, loss in zip(steps, losses(config, steps), strict=True)
        ]
        made.append(record.model_copy(update={"curve": points}))
    return made


def test_curves_are_told_apart_by_place_and_schedule(records: list[RunRecord]) -> None:
    curves = curves_by_place(records)
    assert set(curves) == {("ag_news", 64), ("ag_news", 192)}
    for by_schedule in curves.values():
        assert set(by_schedule) == {"wsd", "linear", "cosine", "constant"}
        for curve in by_schedule.values():
            assert len(curve.losses) == 16 - SKIPPED
            assert curve.rates.max() == 1
    lost = [
        record.model_copy(update={"status": "diverged"})
        if record.config.optimizer.schedule == "cosine"
        else record
        for record in records
    ]
    assert all("cosine" not in by_schedule for by_schedule in curves_by_place(lost).values())


def test_the_planted_law_foresees_best(records: list[RunRecord]) -> None:
    table = foreseen([record for record in records if record.config.model.d_model == 192])
    assert len(table) == len(FORMS) * 4
    by_form = table[table["schedule"] != FITTED].set_index("form")["last"].abs().groupby("form")
    assert by_form.max()["annealing"] < 0.002
    assert by_form.max()["summed rate"] > 0.01
    assert "annealing" in foreseen_said(table) or "multi-power" in foreseen_said(table)
    assert "at 2 places" not in foreseen_said(table)
    printed = foreseen_table(table)
    assert list(printed.index) == list(FORMS)
    assert printed.shape == (len(FORMS), 3)
