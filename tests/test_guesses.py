"""Guesses: their scales, and answers that the records give."""

import json
import re

import pytest

from tinylm.book import CHECKOUT
from tinylm.book.build import toc_pages
from tinylm.book.guesses import Scale, attributes
from tinylm.errors import BadInput

QUESTION = re.compile(r"# ```\{guess\} (\S+)\n# :answer: (\S+)\n# :scale: (.+)\n")
CHAPTERS = [page for page in toc_pages(CHECKOUT) if page.startswith("notebooks/")]


def questions() -> list[tuple[str, str, str]]:
    """Name, answer and scale of every guess in the chapters."""
    return [
        match
        for chapter in CHAPTERS
        for match in QUESTION.findall((CHECKOUT / f"{chapter}.py").read_text(encoding="utf-8"))
    ]


def test_every_chapter_asks_once_under_a_name_of_its_own() -> None:
    assert len(questions()) == len(CHAPTERS)
    assert len({name for name, _, _ in questions()}) == len(CHAPTERS)


@pytest.mark.parametrize(("name", "answer", "scale"), questions())
def test_the_published_answer_is_measured_and_on_its_scale(
    name: str, answer: str, scale: str
) -> None:
    summary = json.loads((CHECKOUT / "results/paper/summary.json").read_text(encoding="utf-8"))
    value = summary[answer] if answer.startswith("guess_") else float(answer)
    attributes(name, "chapter", value, Scale.of(scale), "")


def test_a_scale_is_linear_or_logarithmic() -> None:
    assert Scale.of("0 60 0.5") == Scale(0.0, 60.0, 0.5)
    assert Scale.of("1 100 log") == Scale(1.0, 100.0, None)


@pytest.mark.parametrize("scale", ["", "0 1", "0 1 2 3", "5 1 1", "0 9 0", "0 9 log", "a b c"])
def test_what_is_no_scale_is_named(scale: str) -> None:
    with pytest.raises(BadInput, match="expected least, most, and a step or log"):
        Scale.of(scale)


def test_an_answer_off_its_scale_is_refused() -> None:
    with pytest.raises(BadInput, match="guess size: the answer 7 lies outside its scale"):
        attributes("size", "chapter", 7.0, Scale(0, 5, 1), " %")


def test_what_the_page_reads() -> None:
    assert attributes("size", "notebooks/06", 100 / 3, Scale(1, 100, None), " %") == {
        "data-name": "size",
        "data-chapter": "notebooks/06",
        "data-answer": "33.33",
        "data-low": "1",
        "data-high": "100",
        "data-step": "log",
        "data-unit": " %",
    }
