"""The cuts through fables' losses, on runs whose law is planted."""

from pathlib import Path

import numpy as np
import pytest
from planted_fables import plant, power_law, reported

from tinylm.errors import Missing
from tinylm.store import Store
from tinylm.studies.cuts import CUTS, fables_study, grid

SMOKE = Store("smoke")


def test_planted_exponents_are_found_above_the_true_floor(few_fables: Path) -> None:
    floor = reported().floor.nats
    for name in CUTS.values():
        plant(grid(SMOKE, name), power_law(0.3, 0.4), floor)
    with pytest.raises(Missing, match="run `tinylm report"):
        fables_study(SMOKE)  # the laws are slow: only a report fits them
    reported()
    study = fables_study(SMOKE)
    for cut, exponent in ((study.cuts["N"], 0.3), (study.cuts["D"], 0.4)):
        assert len(cut.runs) == cut.wanted
        assert cut.law is not None
        assert cut.law.loss(1e60) == pytest.approx(floor)
        assert cut.free is not None
        low, high = cut.free.E_interval
        assert low < floor < high
        assert cut.law.law.alpha == pytest.approx(exponent, abs=0.002)
        assert cut.law.alpha_interval[0] < exponent < cut.law.alpha_interval[1]
        slopes = cut.slopes
        assert slopes is not None
        assert len(slopes) == cut.runs["x"].nunique() - 1
        np.testing.assert_allclose(slopes["exponent"], exponent, atol=0.002)
        assert ((slopes["low"] < exponent) & (exponent < slopes["high"])).all()
    assert study.cuts["D"].fold == pytest.approx(8**0.4, rel=1e-3)


def test_laws_of_other_losses_are_not_taken_for_these(few_fables: Path) -> None:
    runs, floor = grid(SMOKE, CUTS["N"]), reported().floor.nats
    plant(runs, power_law(0.3, 0.0), floor)
    reported()
    plant(runs, power_law(0.5, 0.0), floor)
    with pytest.raises(Missing, match="other records or code"):
        fables_study(SMOKE)
    law = reported().cuts["N"].law
    assert law is not None
    assert law.law.alpha == pytest.approx(0.5, abs=0.002)


def test_exponents_between_neighbours_need_repeats_and_an_excess(few_fables: Path) -> None:
    runs, floor = grid(SMOKE, CUTS["N"]), reported().floor.nats
    plant(runs[:3], power_law(0.3, 0.0), floor)
    assert reported().cuts["N"].slopes is None
    plant(runs, power_law(0.3, 0.0), floor)
    assert reported().cuts["N"].slopes is not None
    plant(runs, lambda n, d: -0.1, floor)
    cut = reported().cuts["N"]
    assert cut.slopes is None
    assert cut.law is None  # there is no law of an excess below 0


def test_what_has_no_record_is_counted_and_not_made_up(few_fables: Path) -> None:
    cut = reported().cuts["N"]
    assert (len(cut.runs), cut.wanted, cut.law, cut.fold) == (0, 8, None, None)
    plant(grid(SMOKE, CUTS["N"])[:3], lambda n, d: 1.0, reported().floor.nats)
    cut = reported().cuts["N"]
    assert (len(cut.runs), cut.wanted, cut.law) == (3, 8, None)
