"""Laws: formulas for the loss with fitted constants and intervals."""

from tinylm.laws.power import (
    HeldOut,
    PowerLaw,
    PowerLawWithIntervals,
    bootstrap_power_law,
    fit_power_law,
    held_out,
    local_exponents,
)
from tinylm.laws.scatter import MIN_REPEATS, FitStatus

__all__ = [
    "MIN_REPEATS",
    "FitStatus",
    "HeldOut",
    "PowerLaw",
    "PowerLawWithIntervals",
    "bootstrap_power_law",
    "fit_power_law",
    "held_out",
    "local_exponents",
]
