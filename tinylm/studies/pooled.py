"""Intervals of differences whose scatter is taken from all of a study's differences together."""

import math

from scipy.special import stdtrit

from tinylm.laws.scatter import COVERAGE


def half_interval(squares: float, freedom: int, n: float) -> float:
    """Half the 95% interval of a mean of `n` values, by Student's t: `squares` is the sum of the
    squares about the means of all groups, with so many degrees of freedom; NaN if there are none.
    """
    if not freedom:
        return math.nan
    return float(stdtrit(freedom, (1 + COVERAGE) / 2) * math.sqrt(squares / freedom / n))
