"""A chapter shows its code: at least half of it is visible, in cells that are short to read.

What only words or formats belongs into the package. Solutions in dropdowns count as neither.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from tinylm.book import NOTEBOOKS
from tinylm.book.pairs import read_text_notebook

HIDING = {"hide-input", "remove-input", "hide-cell", "remove-cell"}
MOST_LINES = 15  # of a visible cell
CHAPTERS = sorted(NOTEBOOKS.glob("*.py"))
every_chapter = pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda path: path.stem)


def lines(cell: Any) -> int:
    """Lines of code, empty ones not counted."""
    return sum(bool(line.strip()) for line in cell.source.splitlines())


def is_hidden(cell: Any) -> bool:
    return bool(HIDING & set(cell.metadata.get("tags", [])))


def code_cells(notebook: Any) -> Iterator[Any]:
    """The cells with code, but for those of solutions, which are folded away."""
    folded = False
    for cell in notebook.cells:
        if cell.cell_type == "code":
            if not folded:
                yield cell
            continue
        for mark in re.findall(r"^`{3,}\{solution-(start|end)\}", cell.source, re.MULTILINE):
            folded = mark == "start"


def shown_and_hidden(notebook: Any) -> tuple[int, int]:
    """Lines of code that a reader sees, and that are folded or not on the page."""
    cells = list(code_cells(notebook))
    hidden = sum(lines(cell) for cell in cells if is_hidden(cell))
    return sum(map(lines, cells)) - hidden, hidden


def too_long(notebook: Any) -> list[str]:
    """The visible cells with more lines than a reader takes in at once, by their first."""
    return [
        f"{lines(cell)} lines: {cell.source.splitlines()[0]}"
        for cell in code_cells(notebook)
        if not is_hidden(cell) and lines(cell) > MOST_LINES
    ]


@every_chapter
def test_at_least_half_of_the_code_is_visible(chapter: Path) -> None:
    shown, hidden = shown_and_hidden(read_text_notebook(chapter))
    assert shown >= hidden
    assert shown > 0


@every_chapter
def test_visible_cells_are_short(chapter: Path) -> None:
    assert too_long(read_text_notebook(chapter)) == []


@every_chapter
def test_every_figure_is_a_picture(chapter: Path) -> None:
    """Without `%matplotlib inline` a page shows a figure's name instead."""
    cells = json.loads(chapter.with_suffix(".ipynb").read_text(encoding="utf-8"))["cells"]
    data = [out.get("data", {}) for cell in cells for out in cell.get("outputs", [])]
    figures = [one for one in data if "<Figure size" in "".join(one.get("text/plain", ""))]
    assert all("image/png" in one for one in figures)


@every_chapter
def test_no_sentence_is_empty(chapter: Path) -> None:
    """An empty Markdown shows on the page as the name of its class."""
    cells = json.loads(chapter.with_suffix(".ipynb").read_text())["cells"]
    outputs = [output.get("data", {}) for cell in cells for output in cell.get("outputs", [])]
    said = ["".join(data["text/markdown"]) for data in outputs if "text/markdown" in data]
    assert all(text.strip() for text in said)


def test_what_is_hidden_long_or_folded_is_told_apart() -> None:
    long = "\n\n".join(f"print({i})" for i in range(16))
    notebook = new_notebook(
        cells=[
            new_code_cell("import math\n\nprint(math.pi)"),
            new_code_cell("print(1)", metadata={"tags": ["hide-input", "nbval-ignore-output"]}),
            new_code_cell(long, metadata={"tags": ["remove-cell"]}),
            new_markdown_cell("text\n\n```{solution-start} ex\n:class: dropdown\n```"),
            new_code_cell(long),
            new_markdown_cell("because\n\n```{solution-end}\n```\n\nmore text"),
            new_code_cell(long, metadata={"tags": ["nbval-ignore-output"]}),
        ]
    )
    assert shown_and_hidden(notebook) == (18, 17)
    assert too_long(notebook) == ["16 lines: print(0)"]
