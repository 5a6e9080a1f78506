"""Tables of pages, read from CSVs: what a template makes of rows and groups of rows."""

import re
from pathlib import Path

import pandas as pd
import pytest

from tinylm.book.csv_tables import markdown_table, rows_where
from tinylm.errors import BadInput, Damaged

CHECKOUT = Path(__file__).resolve().parent.parent


def rows_of(text: str) -> list[list[str]]:
    """The cells of a Markdown table, its headings first; spaces and hyphens that do not break are
    shown as those that do.
    """
    plain = text.replace("\N{NO-BREAK SPACE}", " ").replace("\N{NON-BREAKING HYPHEN}", "-")
    lines = [line.strip("|").split("|") for line in plain.splitlines()]
    return [[cell.strip() for cell in line] for line in [lines[0], *lines[2:]]]


TABLE = pd.DataFrame(
    {
        "width": [64, 64, 256, 256],
        "seed": [0, 1, 0, 1],
        "nats": [2.1, 2.3, 1.5, 1.7],
        "share": [0.415, 0.415, 0.5, 0.6],
        "tokens": [1_000_448] * 4,
    }
)


def test_a_group_shows_its_mean_and_spread() -> None:
    columns = ["width | {width}", "loss | {nats:.3f±}", "seeds | {seed:count}", "D | {tokens:,}"]
    assert rows_of(markdown_table(TABLE, columns, ["width"])) == [
        ["width", "loss", "seeds", "D"],
        ["64", "2.200 ± 0.141", "2", "1,000,448"],
        ["256", "1.600 ± 0.141", "2", "1,000,448"],
    ]


def test_without_groups_each_row_is_one_and_has_no_spread() -> None:
    shown = rows_of(markdown_table(TABLE, ["loss | {nats:.1f±} of {width}", "share | {share:.1%}"]))
    assert shown[1:3] == [["2.1 of 64", "41.5 %"], ["2.3 of 64", "41.5 %"]]
    assert len(shown) == 5


def test_signs_powers_and_dates_are_written_as_people_do() -> None:
    table = pd.DataFrame(
        {"change": [0.0123, -0.5], "flops": [1.5e16, 2.0e-4], "date": "2026-11-25"}
    )
    columns = ["more | {change:+.2f}", "C | {flops:.1e}", "date | {date}"]
    text = markdown_table(table, columns)
    assert rows_of(text)[1:] == [
        ["+0.01", "1.5 × 10¹⁶", "2026-11-25"],
        ["-0.50", "2.0 × 10⁻⁴", "2026-11-25"],
    ]
    assert "2026-11" not in text  # a line never ends in the middle of it


def test_truth_values_choose_a_word(tmp_path: Path) -> None:
    path = tmp_path / "goals.csv"
    path.write_text("goal,found,reached\na,1.5,True\nb,0.5,False\nc,,\n")
    columns = ["goal | {goal}", "found | {found:.3g}", "is | {reached:reached|missed|open}"]
    assert rows_of(markdown_table(rows_where(path, ""), columns))[1:] == [
        ["a", "1.5", "reached"],
        ["b", "0.5", "missed"],
        ["c", "–", "open"],
    ]


def test_numbers_stand_at_the_right_and_texts_at_the_left() -> None:
    columns = ["width | {width}", "loss | {nats:.1f}", "text | width {width}"]
    assert markdown_table(TABLE, columns).splitlines()[1] == "| :-- | --: | :-- |"


def test_rows_with_one_value_are_chosen(tmp_path: Path) -> None:
    path = tmp_path / "recipe.csv"
    path.write_text("table,nats\nadded,1.0\nremoved,2.0\n")
    assert rows_where(path, "table = removed")["nats"].tolist() == [2.0]
    for condition in ("table = other", "place = added"):
        with pytest.raises(BadInput, match="no such rows"):
            rows_where(path, condition)
    path.write_text("")
    with pytest.raises(Damaged, match=r"recipe\.csv is damaged"):
        rows_where(path, "")


def test_every_table_of_the_pages_is_there() -> None:
    named = [
        path.parent / name
        for path in (CHECKOUT / "book").glob("*.md")
        for name in re.findall(r"\{results-table\} (\S+)", path.read_text(encoding="utf-8"))
    ]
    assert len(named) > 8
    assert [path for path in named if not path.is_file()] == []


@pytest.mark.parametrize(
    ("column", "said"),
    [
        ("width", "expected a heading"),
        ("loss | {loss:.3f}", "'loss'; the CSV has width, seed"),
        ("loss | {nats:.3q}", "Unknown format code"),
    ],
)
def test_a_column_that_cannot_be_made_is_named(column: str, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        markdown_table(TABLE, [column])
