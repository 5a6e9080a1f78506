"""Intervals from the scatter of all differences together."""

import math

import numpy as np
import pytest
from scipy import stats

from tinylm.studies.pooled import half_interval


def test_of_one_group_it_is_students_interval() -> None:
    values = np.array([0.3, 0.1, 0.5, 0.2])
    squares = float(((values - values.mean()) ** 2).sum())
    low, high = stats.t.interval(0.95, 3, loc=values.mean(), scale=stats.sem(values))
    assert half_interval(squares, 3, 4) == pytest.approx((high - low) / 2)


def test_without_repeats_there_is_none() -> None:
    assert math.isnan(half_interval(0.0, 0, 1))
