"""Tables of pages, read from a CSV of results by a directive:

    ```{results-table} ../results/bench/bf16_loss.csv
    :by: d_model
    width | {d_model}
    bf16 less fp32 (nats per token) | {difference_nats:.4f±}
    ```

A line is a column of the table: its heading, and a template in Python's format language that is
filled in for each row of the CSV. With `by`, it is filled in for each group of rows that agree in
the columns named; a number is then the group's mean, and after `±` its standard deviation.
"""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd
from docutils import nodes  # type: ignore[import-untyped]
from docutils.parsers.rst import directives  # type: ignore[import-untyped]
from docutils.statemachine import StringList  # type: ignore[import-untyped]
from sphinx.util.docutils import SphinxDirective

from tinylm.errors import BadInput, Damaged
from tinylm.studies.pages import DIGITS, NO_BREAK, NO_BREAK_HYPHEN

NOT_MEASURED = "not measured yet"


class Cell:
    """A column in a group of rows, as a template may ask for it.

    Specs are those of numbers and texts, and beside them: `.3f±` for mean ± standard deviation,
    `count` for how many, and `yes|no|unknown` for a word by a truth value.
    """

    def __init__(self, values: "pd.Series[Any]") -> None:
        self.values = values

    def __format__(self, spec: str) -> str:
        values = self.values.dropna()
        if spec == "count":
            return f"{len(values)}"
        if "|" in spec:
            yes, no, unknown = spec.split("|")
            return unknown if values.empty else (yes if values.map(is_true).all() else no)
        if values.empty:
            return "–"
        one = values.iloc[0] if values.nunique() == 1 else values.mean()
        number, plus_minus, _ = spec.partition("±")
        text = format(one, number)
        if plus_minus and len(values) > 1:
            text += f" ± {format(float(values.std()), number.lstrip('+'))}"
        text = re.sub(r"(?<=\d)e([+-]\d+)$", power_of_ten, text)
        text = re.sub(r"(?<=\d)-(?=\d)", NO_BREAK_HYPHEN, text)  # of a date
        return re.sub(r" ?%", f"{NO_BREAK}%", text).replace(" ± ", f"{NO_BREAK}±{NO_BREAK}")


def power_of_ten(match: re.Match[str]) -> str:
    """The end of 1.5e+12 as people write it: × 10¹²."""
    return f"{NO_BREAK}×{NO_BREAK}10{str(int(match.group(1))).translate(DIGITS)}"


def is_true(value: object) -> bool:
    """A truth value of a CSV, whose column is of texts where some are missing."""
    return str(value) == "True"


def markdown_table(table: pd.DataFrame, columns: Iterable[str], by: Iterable[str] = ()) -> str:
    """A table in Markdown, of columns written as `heading | template`; those of numbers stand at
    the right.

    Raises:
        TinyLMError: a column without a template, or a template that names no column of the CSV.
    """
    names, keys = list(table.columns), list(by)
    groups = [group for _, group in table.groupby(keys or table.index, sort=False)]
    shown: dict[str, list[str]] = {}
    for column in columns:
        heading, bar, template = column.partition(" | ")
        if not bar:
            raise BadInput(f"column {column!r}: expected a heading, ' | ' and a template")
        try:
            shown[heading] = [
                template.format_map({name: Cell(group[name]) for name in names}) for group in groups
            ]
        except (KeyError, ValueError, TypeError) as error:
            raise BadInput(
                f"column {column!r}: {error}; the CSV has {', '.join(map(str, names))}"
            ) from None
    numeric = [all(cell[:1] in "–+-0123456789" for cell in cells) for cells in shown.values()]
    rules = ["--:" if each and place else ":--" for place, each in enumerate(numeric)]
    lines = [list(shown), rules, *zip(*shown.values(), strict=True)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


class ResultsTable(SphinxDirective):
    """`{results-table} PATH`, the path relative to the page."""

    has_content = True
    required_arguments = 1
    final_argument_whitespace = True
    option_spec = {"by": directives.unchanged, "where": directives.unchanged}  # noqa: RUF012

    def run(self) -> list[nodes.Node]:
        """The table, or a sentence where its CSV is not there."""
        _, name = self.env.relfn2path(self.arguments[0])
        self.env.note_dependency(name)
        text = f"*{NOT_MEASURED.capitalize()}.*"
        try:
            if Path(name).exists():
                text = markdown_table(
                    rows_where(Path(name), self.options.get("where", "")),
                    [line for line in self.content if line.strip()],
                    self.options.get("by", "").replace(",", " ").split(),
                )
        except (BadInput, Damaged) as error:
            raise self.error(str(error)) from None
        holder = nodes.container()
        self.state.nested_parse(StringList(text.splitlines()), self.content_offset, holder)
        return list(holder.children)


def rows_where(path: Path, condition: str) -> pd.DataFrame:
    """The rows of a CSV, or those with one value in a column: `table = added`.

    Raises:
        TinyLMError: the file is damaged, or has no such rows.
    """
    try:
        table = pd.read_csv(path)
    except (OSError, ValueError) as error:
        raise Damaged(f"{path} is damaged: {error}") from None
    if not condition:
        return table
    column, _, value = (part.strip() for part in condition.partition("="))
    if column not in table or not (table[column].astype(str) == value).any():
        raise BadInput(f"where {condition!r}: {path.name} has no such rows")
    return table[table[column].astype(str) == value]
