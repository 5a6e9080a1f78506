"""How chapters and pages print measured numbers."""

import math

NO_BREAK, NO_BREAK_HYPHEN = "\N{NO-BREAK SPACE}", "\N{NON-BREAKING HYPHEN}"
SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def bracket(bounds: tuple[float, float], form: str = ".3f") -> str:
    """An interval, unbroken: '[0.494, 0.508]'."""
    low, high = bounds
    return f"[{low:{form}},{NO_BREAK}{high:{form}}]"


def spread(mean: float, std: float, form: str = ".3f") -> str:
    """A mean and one standard deviation, unbroken: '1.234 ± 0.005'; the mean alone where one seed
    leaves no spread.
    """
    if math.isnan(std):
        return f"{mean:{form}}"
    return f"{mean:{form}}{NO_BREAK}±{NO_BREAK}{std:{form}}"


def signed(value: float, half: float | None = None, form: str = ".3f") -> str:
    """A change with its sign, and half its interval if given: '−0.012 ± 0.004'."""
    text = f"{value:+{form}}".replace("-", "−")
    return text if half is None else f"{text}{NO_BREAK}±{NO_BREAK}{half:{form}}"


def scientific(value: float) -> str:
    """A positive number to two digits, unbroken: 1.5 × 10¹²."""
    digits, exponent = f"{value:.1e}".split("e")
    return f"{digits}{NO_BREAK}×{NO_BREAK}10{str(int(exponent)).translate(SUPERSCRIPT)}"


def within(interval: tuple[float, float], value: float) -> str:
    """'inside' or 'outside', as a sentence needs it."""
    return "inside" if interval[0] <= value <= interval[1] else "outside"
