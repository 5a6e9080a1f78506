"""Laws: formulas for the loss with fitted constants and intervals."""

from tinylm.laws.optimal import (
    Frontier,
    FrontierWithIntervals,
    LearningCurve,
    bootstrap_envelope,
    bootstrap_isoflops,
    fit_envelope,
    fit_isoflops,
)
from tinylm.laws.power import (
    ExponentGap,
    HeldOut,
    PowerLaw,
    PowerLawWithIntervals,
    Runs,
    bootstrap_power_law,
    exponent_gap,
    fit_power_law,
    held_out,
    local_exponents,
    predict_mean,
)
from tinylm.laws.repetition import (
    Repetition,
    RepetitionWithIntervals,
    bootstrap_repetition,
    fit_repetition,
)
from tinylm.laws.scatter import MIN_REPEATS, FitStatus
from tinylm.laws.surface import (
    Optimum,
    Surface,
    SurfaceWithIntervals,
    bootstrap_surface,
    fit_surface,
)

__all__ = [
    "MIN_REPEATS",
    "ExponentGap",
    "FitStatus",
    "Frontier",
    "FrontierWithIntervals",
    "HeldOut",
    "LearningCurve",
    "Optimum",
    "PowerLaw",
    "PowerLawWithIntervals",
    "Repetition",
    "RepetitionWithIntervals",
    "Runs",
    "Surface",
    "SurfaceWithIntervals",
    "bootstrap_envelope",
    "bootstrap_isoflops",
    "bootstrap_power_law",
    "bootstrap_repetition",
    "bootstrap_surface",
    "exponent_gap",
    "fit_envelope",
    "fit_isoflops",
    "fit_power_law",
    "fit_repetition",
    "fit_surface",
    "held_out",
    "local_exponents",
    "predict_mean",
]
