"""Laws: formulas for the loss with fitted constants and intervals."""

from tinylm.laws.power import (
    MIN_REPEATS,
    FitStatus,
    HeldOut,
    PowerLaw,
    PowerLawWithIntervals,
    bootstrap_power_law,
    fit_power_law,
    held_out,
    local_exponents,
)

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
