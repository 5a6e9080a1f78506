"""How much of the excess is missing context, where that is planted."""

from collections.abc import Callable

import numpy as np
import pytest
from planted import planted_records

from tinylm.errors import TinyLMError
from tinylm.records import PositionLoss, RunRecord
from tinylm.studies.context import (
    Change,
    Positions,
    differences_figure,
    lengths_figure,
    missing_context,
    split_change,
    split_figure,
    splits,
    welch,
)
from tinylm.studies.context_words import along_said, lengths_said, shares_said, shares_title
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


def test_a_step_is_split_into_its_price_and_what_is_seen() -> None:
    # every token pays T/1000 for the training; tokens that a context does not wholly see pay 0.2
    made = runs(lambda T, at: 0.5 + T / 1000 + 0.2 * (at >= T))
    positions = Positions.of(made)
    share = sum(w for a, w in WEIGHTS.items() if a >= 256)
    split = split_change(positions, 256, 512)
    assert split.price == pytest.approx(0.256)
    assert split.before.value == pytest.approx(0.256 * (1 - share))
    rest = sum(w for a, w in WEIGHTS.items() if a >= 512)
    assert split.gain.value == pytest.approx(-0.2 * (share - rest))
    assert split.change.value == pytest.approx(split.price + split.gain.value)
    assert split.change.value == pytest.approx(split.before.value + split.after.value)
    assert list(splits(positions)) == [(128, 256), (256, 512), (512, 1024)]


def test_positions_know_what_stands_beyond_them() -> None:
    positions = Positions.of(runs(lambda T, at: 0.5 + T / 1000))
    assert positions.contexts == [128, 256, 512, 1024]
    assert positions.beyond(512) == pytest.approx(WEIGHTS[512])
    assert positions.beyond(1024) == 0.0
    assert positions.best(positions.first >= 1) == 128
    # the plain mean over positions, each counting once: every bin has one loss here
    np.testing.assert_allclose(positions.if_documents_had(64)[256], FLOOR + 0.5 + 0.256)
    assert "lowest mean whatever the length" in lengths_said(positions, [64, 256])
    turned = Positions.of(runs(lambda T, at: 0.5 + T / 1e4 + 0.2 * (at >= T)))
    assert "The winner depends on the text" in lengths_said(turned, [64, 512])


def test_the_beginning_of_documents_is_told_apart_from_their_end() -> None:
    falling = Positions.of(runs(lambda T, at: 1.0 - 0.05 * np.log2(at)))
    said = along_said(falling, 128)
    assert "are harder than what follows" in said
    assert "the loss falls" in said
    rising = Positions.of(runs(lambda T, at: 1.0 + 0.05 * np.log2(at)))
    assert "Further along, the loss rises" in along_said(rising, 128)


def test_welch_is_students_t_where_two_groups_are_alike() -> None:
    one, other = np.array([1.0, 1.1, 1.2]), np.array([2.0, 2.1, 2.2])
    change = welch((1.0, other), (-1.0, one))
    assert change.value == pytest.approx(1.0)
    assert change.half == pytest.approx(2.776445 * 0.1 * np.sqrt(2 / 3), rel=1e-5)  # 4 degrees
    assert change.verdict == "rises"
    assert Change(-0.2, 0.1).verdict == "falls"
    assert Change(0.1, 0.2).verdict == "not resolved"


def test_figures_state_what_the_positions_hold() -> None:
    positions = Positions.of(runs(lambda T, at: 0.5 + T / 1000 + 0.2 * (at >= T)))
    assert (
        lengths_figure(positions).get_suptitle() == "50 % of all tokens stand beyond position 512"
    )
    assert "before token 128: context 128" in differences_figure(positions).get_suptitle()
    title = split_figure(splits(positions)).get_suptitle()
    assert title == "0 of 3 doublings pay for themselves, 3 cost more than they bring"


def test_missing_context_is_told_only_where_it_is_resolved() -> None:
    table = missing_context(runs(lambda T, at: 0.5 + 0.2 * (at >= T)), FLOOR)
    assert "of the excess is missing context" in shares_title(table)
    assert "Doubling the context takes away" in shares_said(table)
    assert "learning, not context" not in shares_said(table)
    unsure = table.assign(low=table["missing"] - 1.0, high=table["missing"] + 1.0)
    assert "% of the excess at most" in shares_title(unsure)
    assert "learning, not context" in shares_said(unsure)
