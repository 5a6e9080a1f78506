"""The comparison of chapters' outputs: a last digit may differ, and nothing else."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import nbformat
import pandas as pd
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tinylm.book.compare import difference, read

FIGURE = """<svg width="500pt" height="200pt" viewBox="0 0 500 200">
<defs><path id="m1234567890" d="M 0 0 L 0 {tick}"/></defs>
<use href="#m1234567890" x="57.6" y="{bar}"/>
<path d="M57.6,{bar}L90-3.5"/>
<text transform="translate({bar} 12) scale({scale})">loss {loss} nats</text>
</svg>"""


@pytest.mark.parametrize(
    ("before", "now"),
    [
        ("0.146 to 0.293", "0.145 to 0.293"),  # seen on another processor
        ("9.99 nats", "10.00 nats"),
        ("-0.00 of 3", "0.01 of 3"),
        ("−0.005 ± 0.005", "-0.004 ± 0.006"),
        ("+0.000", "−0.000"),
        ("49 % of 3 runs, 7%", "48 % of 3 runs, 8%"),
        ("459 nats", "460 nats"),
        ("1525 ± 75", "1526 ± 74"),
        ("1,525.4", "1,525.3"),
        ("best N = 270k", "best N = 271k"),
        ("999k [437k to 466k]", "1M [437k to 466k]"),
        ("9.99e+11", "1e+12"),
        ("0.1 and 2e-06", "0.099 and 3e-06"),
        ("3.16 × 10¹² FLOPs", "3.17 × 10¹² FLOPs"),
        ("9.99·10⁻³", "1.00·10⁻²"),
        ("a  9.99  1\nb 12.00  2", "a 10.00  1\nb 12.00  2"),
        ('<img alt="α = 0.21" src="data:image/png;base64,AAA+/8=">',
         '<img alt="α = 0.22" src="data:image/png;base64,QQ==">'),
    ],
)  # fmt: skip
def test_last_digits_may_differ(before: str, now: str) -> None:
    assert difference(before, now) is None
    assert difference(now, before) is None


@pytest.mark.parametrize(
    ("before", "now", "told"),
    [
        ("loss 0.146", "loss 0.148", "0.146 is now 0.148"),  # a changed number
        ("loss 2.699", "loss 2.701", "2.699 is now 2.701"),
        ("24 records", "23 records", "24 is now 23"),  # a count
        ("98,752 parameters", "98,753 parameters", "98,752 is now 98,753"),
        ("1525 in all", "1526 in all", "1525 is now 1526"),
        ("(2020)", "(2021)", "2020 is now 2021"),
        ("2026-11-26", "2026-11-27", "26 is now 27"),
        ("α = 0.21", "α = -0.21", "0.21 is now -0.21"),  # a changed sign
        ("−0.05", "+0.05", "−0.05 is now \\+0.05"),
        ("2.0 nats", "2.0 bits", "nats' is now .* bits"),  # a changed unit
        ("30.4k", "30.4M", "30.4k is now 30.4M"),
        ("5 %", "5", "text '5 %' is now '5'"),
        ("3.1 × 10¹²", "3.1 × 10¹³", "10¹² is now .*10¹³"),
        ("2.0 and 3.0", "2.0", "text"),  # a missing number
        ("2.0", "2.0 3.0", "text"),  # and one more
        ("it lies inside", "it lies outside", "'it lies inside' is now"),  # a changed word
        ("run 9f29d29484a0", "run 8f29d29484a0", "text"),  # digits of a hash, a colour, a name
        ("#1e2345", "#1e2346", "text"),
        ("bpe512", "bpe513", "text"),
        ("bpe-512", "bpe-513", "512 is now 513"),
        ("<Figure size 720x432>", "<Figure size 720x433>", "text"),
        ("torch 3.11.2", "torch 3.11.3", "text"),
        ("a  1.0\nb  2.0", "a 1.0\nb  2.0", "text"),  # blanks that no number asks for
        ('<b src="data:image/png;base64,AA==">', "<b>", "text"),  # a missing picture
    ],
)
def test_all_else_is_caught(before: str, now: str, told: str) -> None:
    found = difference(before, now)
    assert found is not None
    assert re.search(told, found), found
    assert difference(now, before) is not None


def test_what_an_iteration_left_may_differ_by_a_thousandth() -> None:
    assert difference("10.54 to 2.6993", "10.55 to 2.6971", 1e-3) is None
    assert difference("2.6993", "2.6960", 1e-3) is not None
    assert difference("24 records", "23 records", 1e-1) is not None


def table(**changed: float) -> pd.DataFrame:
    losses = {"small": 3.398, "middle": 2.404, "large": 2.044} | changed
    return pd.DataFrame({"loss": losses, "seeds": 3})


@pytest.mark.parametrize("shown", [pd.DataFrame.to_html, pd.DataFrame.to_string])
def test_tables_lose_no_row_and_no_number(shown: Callable[[pd.DataFrame], str]) -> None:
    before = shown(table())
    assert difference(before, shown(table(middle=2.405))) is None
    assert difference(before, shown(table(middle=2.407))) is not None
    assert difference(before, shown(table().drop("middle"))) is not None
    assert difference(before, shown(table().rename({"large": "larger"}))) is not None
    assert difference(before, shown(table().assign(seeds=2))) is not None


def figure(**changed: float | str) -> str:
    return FIGURE.format(**({"tick": 3.5, "bar": 41.25, "loss": 2.044, "scale": 0.1} | changed))


def test_figures_may_move_by_a_hair_and_their_text_by_a_digit() -> None:
    before = figure()
    assert difference(before, figure(bar=41.6, loss=2.045, tick=3.4)) is None
    renamed = before.replace("m1234567890", "mabcdef4321")
    assert difference(before, renamed) is None
    for change in ({"bar": 42.0}, {"loss": 2.047}, {"scale": 0.3}, {"loss": "2.044 or 2.1"}):
        assert difference(before, figure(**change)) is not None
    assert difference(before, before.replace("loss", "gain")) is not None
    assert difference(before, before.replace("L90", "L91")) is not None


DECIMALS = st.integers(0, 6)
VALUES = st.floats(-1e6, 1e6)


@given(value=VALUES, decimals=DECIMALS, share=st.floats(-0.99, 0.99))
def test_a_value_that_moves_by_less_than_a_unit_agrees(
    value: float, decimals: int, share: float
) -> None:
    moved = value + share * 10.0**-decimals / 2
    before, now = (f"loss {x:+,.{decimals}f} nats" for x in (value, moved))
    assert difference(before, now) is None


@given(value=VALUES, decimals=DECIMALS, units=st.floats(2.1, 1e6), up=st.booleans())
def test_a_value_that_moves_by_two_units_is_caught(
    value: float, decimals: int, units: float, up: bool
) -> None:
    moved = value + (units if up else -units) * 10.0**-decimals
    before, now = (f"loss {x:.{decimals}f} nats" for x in (value, moved))
    assert difference(before, now) is not None


@given(
    a=st.integers(0, 10**7), b=st.integers(0, 10**7), pattern=st.sampled_from(["{} runs", "{:,}"])
)
def test_counts_are_equal_or_caught(a: int, b: int, pattern: str) -> None:
    assert (difference(pattern.format(a), pattern.format(b)) is None) == (a == b)


@given(st.text(), st.text())
def test_agreeing_is_mutual_and_texts_agree_with_themselves(one: str, other: str) -> None:
    assert difference(one, one) is None
    assert (difference(one, other) is None) == (difference(other, one) is None)


@given(st.text(st.characters(exclude_categories=["Nd"])), st.text())
def test_other_words_are_caught(one: str, other: str) -> None:
    assume(one != other)
    assert difference(f"{one}|0.5", f"{other}|0.5") is not None


@given(st.text(), st.lists(st.decimals(-1000, 1000, places=3), min_size=1))
def test_a_reading_holds_all_of_a_text(word: str, values: list[Decimal]) -> None:
    word = word.translate(dict.fromkeys(map(ord, "<0123456789")))
    text = "".join(f" {word}: {value}" for value in values)
    found = read(text)
    pieces = [*(number.shown for number in found.numbers), ""]
    assert "".join(w + n for w, n in zip(found.words, pieces, strict=True)) == text
    assert [number.value for number in found.numbers] == values


CELLS = [  # what a notebook shows of 2.699, its tags, and what nbval says of it
    ("the loss is 2.698\n", [], None),
    ("the loss is 2.701\n", [], "stdout: number 2.701 is now 2.699"),
    ("the loss is 2.701\n", ["iterative"], None),
    ("the gain is 2.699\n", ["iterative"], "is now 'the loss"),
]


def test_nbval_compares_by_the_rule(tmp_path: Path) -> None:
    notebook = nbformat.v4.new_notebook()
    for shown, tags, _ in CELLS:
        output = nbformat.v4.new_output("stream", name="stdout", text=shown)
        cell = nbformat.v4.new_code_cell("print('the loss is 2.699')", outputs=[output])
        cell.execution_count = 1
        cell.metadata["tags"] = tags
        notebook.cells.append(cell)
    nbformat.write(notebook, tmp_path / "tiny.ipynb")
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--nbval-current-env",
         "-p", "tinylm.book.nbval_numbers", "--nbval", "tiny.ipynb"],
        cwd=tmp_path,
        env={k: v for k, v in os.environ.items() if not k.startswith("PYTEST_")},
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip
    failed = [int(place) for place in re.findall(r"^FAILED .*::Cell (\d+)", run.stdout, re.M)]
    assert failed == [place for place, (_, _, told) in enumerate(CELLS) if told], run.stdout
    for _, _, told in CELLS:
        assert told is None or told in run.stdout
