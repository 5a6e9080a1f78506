"""How the chapters print intervals and lists of measured numbers."""

NO_BREAK = "\N{NO-BREAK SPACE}"


def bracket(bounds: tuple[float, float], form: str = ".3f") -> str:
    """An interval, unbroken: '[0.494, 0.508]'."""
    low, high = bounds
    return f"[{low:{form}},{NO_BREAK}{high:{form}}]"


def spread(mean: float, std: float, form: str = ".3f") -> str:
    """A mean and one standard deviation, unbroken: '1.234 ± 0.005'."""
    return f"{mean:{form}}{NO_BREAK}±{NO_BREAK}{std:{form}}"
