"""Numbers are said in one way."""

import math

import pytest

from tinylm import say


def plain(text: str) -> str:
    assert " " not in text, "a space that breaks"
    return text.replace(say.NO_BREAK, " ")


def test_a_spread_is_said_where_there_is_one() -> None:
    assert plain(say.mean_and_spread(1.23456, 0.0051)) == "1.235 ± 0.005"
    assert plain(say.mean_and_spread(-1.23456, 0.051, 2)) == "-1.23 ± 0.05"
    assert say.mean_and_spread(1.23456, math.nan) == "1.235"


def test_intervals_stand_in_brackets() -> None:
    assert plain(say.interval((0.20345, 0.47147))) == "[0.203, 0.471]"
    assert plain(say.interval((-1.5, 20.0), 1)) == "[-1.5, 20.0]"
    assert plain(say.interval((1234.5, 2.5e9), 3, "g")) == "[1.23e+03, 2.5e+09]"


def test_a_value_is_within_an_interval_up_to_its_ends() -> None:
    said = [say.within((1.0, 2.0), value) for value in (0.9, 1.0, 2.0, 2.1)]
    assert said == ["outside", "inside", "inside", "outside"]


def test_shares_are_per_cent() -> None:
    assert plain(say.percent(0.0131)) == "1.3 %"
    assert plain(say.percent(0.95, 0)) == "95 %"
    assert plain(say.percent(0.000123, 2, "g")) == "0.012 %"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (3.1623e12, "3.16 × 10¹²"),
        (1.5e12, "1.5 × 10¹²"),
        (9.999e9, "1 × 10¹⁰"),
        (0.02, "2 × 10⁻²"),
    ],
)
def test_powers_of_ten(value: float, text: str) -> None:
    assert plain(say.scientific(value)) == text


def test_powers_of_ten_may_be_rounded_more() -> None:
    assert plain(say.scientific(3.1623e12, 1)) == "3.2 × 10¹²"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.25, "0.25"),
        (64, "64"),
        (6144, "6.14k"),
        (1.2e6, "1.2M"),
        (3e13, "30T"),
        (3e21, "3e21"),
    ],
)
def test_numbers_on_axes_are_short(value: float, text: str) -> None:
    assert say.short(value) == text


def test_durations_and_sizes_are_said_as_people_do() -> None:
    said = [say.duration(seconds) for seconds in (0.4, 89, 91, 5399, 5400)]
    assert said == ["0 s", "89 s", "2 min", "90 min", "1.5 h"]
    said = [say.size(n) for n in (1.234e6, 999e6, 1.26e9, 388e9)]
    assert said == ["1 MB", "1 GB", "1.3 GB", "390 GB"]


def test_a_change_has_its_sign() -> None:
    assert plain(say.signed(-0.0123, 0.004)) == "−0.012 ± 0.004"
    assert say.signed(0.5, digits=1) == "+0.5"
