"""One way to say numbers: 1.3 %; 3.16 × 10¹²; 1.234 ± 0.005; [0.203, 0.471]; 6.1k; 12 min; 1.2 GB.

The spaces within them do not break, but for durations and sizes, which stand in terminals. A count
needs no function: `f"{n:,}"` is 1,024. Not `humanize`: it writes 3.16 x 10¹², has neither ± nor
intervals, and calls 100 seconds a minute.
"""

import codecs
import io
import math
import re
import sys

NO_BREAK, NO_BREAK_HYPHEN = "\N{NO-BREAK SPACE}", "\N{NON-BREAKING HYPHEN}"
SUPERSCRIPTS = dict(zip(map(ord, "-0123456789"), map(ord, "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"), strict=True))
IN_ASCII = {"·": "|", "×": "x", "±": "+-", "−": "-", "α": "alpha", "β": "beta", "…": "...",
            NO_BREAK: " ", NO_BREAK_HYPHEN: "-"}  # fmt: skip
BELOW = {chr(above): chr(below) for below, above in SUPERSCRIPTS.items()}


def mean_and_spread(mean: float, std: float, digits: int = 3) -> str:
    """'1.234 ± 0.005'; the mean alone where one seed leaves no spread."""
    if math.isnan(std):
        return f"{mean:.{digits}f}"
    return f"{mean:.{digits}f}{NO_BREAK}±{NO_BREAK}{std:.{digits}f}"


def interval(bounds: tuple[float, float], digits: int = 3, kind: str = "f") -> str:
    """'[0.203, 0.471]'; with kind "g", `digits` counts all significant ones."""
    low, high = bounds
    return f"[{low:z.{digits}{kind}},{NO_BREAK}{high:z.{digits}{kind}}]"


def signed(value: float, half: float | None = None, digits: int = 3) -> str:
    """A change with its sign, and half its interval if given: '−0.012 ± 0.004'."""
    text = f"{value:+.{digits}f}".replace("-", "−")
    return text if half is None else f"{text}{NO_BREAK}±{NO_BREAK}{half:.{digits}f}"


def within(bounds: tuple[float, float], value: float) -> str:
    """'inside' or 'outside', as a sentence needs it."""
    return "inside" if bounds[0] <= value <= bounds[1] else "outside"


def percent(share: float, digits: int = 1, kind: str = "f") -> str:
    """A share of 0.0131 as '1.3 %'; with kind "g", `digits` counts all significant ones."""
    return f"{100 * share:.{digits}{kind}}{NO_BREAK}%"


def scientific(value: float, digits: int = 2) -> str:
    """'3.16 × 10¹²': at most so many digits after the point, and no zeros at the end."""
    mantissa, exponent = f"{value:.{digits}e}".split("e")
    power = str(int(exponent)).translate(SUPERSCRIPTS)
    return f"{float(mantissa):g}{NO_BREAK}×{NO_BREAK}10{power}"


def short(value: float) -> str:
    """A number in a few characters, for axes: 0.25, 64, 6.1k, 1.2M, 3e21."""
    if value >= 1e18:
        return f"{value:.3g}".replace("e+", "e")
    for unit, suffix in ((1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= unit:
            return f"{value / unit:.3g}{suffix}"
    return f"{value:.3g}"


def duration(seconds: float) -> str:
    """'75 s', '12 min' or '1.5 h'."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def size(n_bytes: float) -> str:
    """Bytes to two digits: '12 MB', '1.2 GB', '390 GB'."""
    megabytes = float(f"{n_bytes / 1e6:.2g}")
    return f"{megabytes:.0f} MB" if megabytes < 1000 else f"{megabytes / 1000:.10g} GB"


def fit_to_terminal() -> None:
    """Let standard output and error write signs that their encoding lacks in ASCII."""

    def spelled(error: UnicodeError) -> tuple[str, int]:
        assert isinstance(error, UnicodeEncodeError)
        signs = re.sub(
            f"[{''.join(BELOW)}]+",
            lambda power: "^" + "".join(BELOW[sign] for sign in power[0]),
            error.object[error.start : error.end],
        )
        known = (IN_ASCII.get(sign, sign if sign.isascii() else "?") for sign in signs)
        return "".join(known), error.end

    codecs.register_error("spelled", spelled)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="spelled")
