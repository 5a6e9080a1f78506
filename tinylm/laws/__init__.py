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
from tinylm.laws.surface import (
    Optimum,
    Surface,
    SurfaceWithIntervals,
    bootstrap_surface,
    fit_surface,
    profile_interval,
)

__all__ = [
    "MIN_REPEATS",
    "FitStatus",
    "HeldOut",
    "Optimum",
    "PowerLaw",
    "PowerLawWithIntervals",
    "Surface",
    "SurfaceWithIntervals",
    "bootstrap_power_law",
    "bootstrap_surface",
    "fit_power_law",
    "fit_surface",
    "held_out",
    "local_exponents",
    "profile_interval",
]
