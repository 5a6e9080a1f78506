"""How much of the excess is missing context, where that is planted."""

from collections.abc import Callable

import numpy as np
import pytest
from planted import planted_records

from tinylm.errors import TinyLMError
from tinylm.records import PositionLoss, RunRecord
from tinylm.studies.context import missing_context
from tinylm.sweeps.declare import expand, load_experiment

FLOOR = 0.65
EDGES = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512]
RUNS = expand(load_experiment("context_fables"), "paper")


def runs(excess: Callable[[int, int], float], noise: float = 0.0) -> list[RunRecord]:
    """Records whose excess at each position from `first` on is that of a context."""
    rng = np.random.default_rng(0)
    made = []
    for record in planted_records(RUNS, lambda record, tokens: 1.0):
        assert record.validation is not None
        T = record.config.model.context_length
        shift = noise * rng.standard_normal()
        bins = [
            PositionLoss(first=a, last=2 * a - 1, tokens=10 * a, nats=FLOOR + excess(T, a) + shift)
            for a in EDGES
        ]
        losses = record.validation.model_copy(update={"by_position": bins})
        made.append(record.model_copy(update={"validation": losses}))
    return made


WEIGHTS = {a: a / sum(EDGES) for a in EDGES}


def test_what_is_lost_beyond_the_context_is_missing_context() -> None:
    table = missing_context(runs(lambda T, at: 0.5 + 0.2 * (at >= T)), FLOOR)
    assert table["context_length"].tolist() == [128, 256, 512, 1024]
    expected = [0.2 * sum(w for a, w in WEIGHTS.items() if a >= T) for T in (128, 256, 512)]
    np.testing.assert_allclose(table["missing"], [*expected, 0.0], atol=1e-12)
    np.testing.assert_allclose(table["excess"], 0.5 + np.array([*expected, 0.0]))
    np.testing.assert_allclose(table["std"], 0.0, atol=1e-12)


def test_what_training_does_alike_everywhere_is_not_missing_context() -> None:
    table = missing_context(runs(lambda T, at: 0.5 + 10 / T), FLOOR)
    np.testing.assert_allclose(table["missing"], 0.0, atol=1e-12)
    assert (np.diff(table["excess"]) < 0).all()


def test_intervals_come_from_seeds() -> None:
    def uneven(T: int, at: int) -> float:
        return 0.5 + 0.2 * (at >= T)

    table = missing_context(runs(uneven, noise=0.01), FLOOR)
    assert (table["std"] > 0.001).all()  # a shift of a whole run is its training's
    np.testing.assert_allclose(table["high"] - table["low"], 0.0, atol=1e-12)
    made = runs(uneven)
    last = made[0].validation
    assert last is not None
    worse = [*last.by_position[:-1], last.by_position[-1].model_copy(update={"nats": 1.5})]
    made[0] = made[0].model_copy(
        update={"validation": last.model_copy(update={"by_position": worse})}
    )
    first = missing_context(made, FLOOR).iloc[0]
    assert first["low"] < first["missing"] < first["high"]


def test_runs_that_cannot_be_compared_are_told() -> None:
    made = runs(lambda T, at: 0.5)
    with pytest.raises(TinyLMError, match="1 different contexts; expected at least 2"):
        missing_context(made[:3], FLOOR)
    with pytest.raises(TinyLMError, match="fewer than 2 runs"):
        missing_context(made[:4], FLOOR)
    other = made[0].validation
    assert other is not None
    made[0] = made[0].model_copy(
        update={"validation": other.model_copy(update={"by_position": other.by_position[1:]})}
    )
    with pytest.raises(TinyLMError, match="different bins of positions"):
        missing_context(made, FLOOR)
