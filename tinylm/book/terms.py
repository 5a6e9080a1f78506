"""Terms explained where they are first used: on each page the first mention of a word of the
glossary leads to it and carries its definition, which `terms.js` shows in a card.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tinylm.extras import needs

with needs("book"):
    from docutils import nodes  # type: ignore[import-untyped]
    from sphinx.application import Sphinx

# Words that mean many things in English, or that every page is about; symbols.
UNMARKED = {
    *("N", "D", "C", "E", "6ND", "GPT", "attention", "baseline", "batch", "block", "causal"),
    *("claim", "context", "corpus", "CPU time", "diverged", "document", "experiment", "floor"),
    *("form", "head", "interval", "law", "learning curve", "loss", "mirror", "norm", "profile"),
    *("recipe", "record", "run", "schedule", "step", "stride", "token", "token file"),
    *("trunk", "branch", "validation", "wall-clock time"),
}
GREEK = {r"\alpha": "α", r"\beta": "β", r"\cdot": "·", r"\propto": "∝"}
# What holds no prose, or is a link, a heading or a question of its own.
SKIPPED = (
    *(nodes.literal, nodes.literal_block, nodes.math, nodes.math_block, nodes.raw),
    *(nodes.reference, nodes.title, nodes.caption, nodes.table, nodes.strong, nodes.emphasis),
)


@dataclass(frozen=True)
class Term:
    """A word of the glossary."""

    word: str
    page: str  # of the glossary
    anchor: str
    meaning: str

    @property
    def pattern(self) -> re.Pattern[str]:
        """Where it stands in a text, its first letter large or small, one or many."""
        first, rest = re.escape(self.word[0]), re.escape(self.word[1:])
        either = f"(?i:{first})" if self.word[1:].islower() else first
        return re.compile(rf"(?<![\w/-]){either}{rest}(?:s|es)?(?![\w-])")


def link_terms(app: Sphinx, doctree: Any, docname: str) -> None:
    """Link the first mention of each term; an event handler of Sphinx."""
    terms = [term for term in _terms(app) if term.page != docname]
    for term in sorted(terms, key=lambda term: -len(term.word)):  # "power law" before "law"
        for text in list(doctree.findall(nodes.Text)):
            found = term.pattern.search(text.astext())
            if found is None or not _is_prose(text):
                continue
            address = app.builder.get_relative_uri(docname, term.page) + f"#{term.anchor}"
            _link(text, found, address, term.meaning)
            break


def _link(text: Any, found: re.Match[str], address: str, meaning: str) -> None:
    """Make a link of a part of a text."""
    whole = text.astext()
    link = nodes.reference(
        "", found.group(), internal=True, refuri=address, reftitle=meaning, classes=["tlm-term"]
    )
    parts = [nodes.Text(whole[: found.start()]), link, nodes.Text(whole[found.end() :])]
    text.parent.replace(text, [part for part in parts if part.astext()])


def _is_prose(text: Any) -> bool:
    """Whether a text stands in a paragraph and in nothing that is left as it is."""
    parent, inside = text.parent, False
    while parent is not None:
        if isinstance(parent, SKIPPED):
            return False
        inside |= isinstance(parent, nodes.paragraph)
        parent = parent.parent
    return inside


def _terms(app: Sphinx) -> list[Term]:
    """All terms that are marked."""
    kept: list[Term] | None = getattr(app.env, "tinylm_terms", None)
    if kept is None:
        objects = app.env.domaindata["std"]["objects"]
        places = {name: place for (kind, name), place in objects.items() if kind == "term"}
        kept = [
            Term(word, page, anchor, meaning)
            for page in sorted({page for page, _ in places.values()})
            for word, anchor, meaning in _defined(app.env.get_doctree(page), places)
            if word not in UNMARKED
        ]
        app.env.tinylm_terms = kept  # type: ignore[attr-defined]
    return kept


def _defined(doctree: Any, places: Mapping[str, tuple[str, str]]) -> Iterator[tuple[str, str, str]]:
    """Words, their anchors and the first paragraphs of their definitions."""
    for item in doctree.findall(nodes.definition_list_item):
        paragraph = next(iter(item.findall(nodes.paragraph)), None)
        for term in item.findall(nodes.term):
            word = term.astext()
            if paragraph is not None and word in places:
                yield word, places[word][1], _without_citations(paragraph)


def _without_citations(paragraph: Any) -> str:
    """The text of a paragraph in one line, without what is cited."""
    copied = paragraph.deepcopy()
    for node in list(copied.findall(nodes.Element)):
        if node.get("refdomain") == "cite" and node.parent is not None:
            node.parent.remove(node)
        elif isinstance(node, nodes.math):
            node.parent.replace(node, nodes.Text(in_letters(node.astext())))
    text = re.sub(r"\s+", " ", copied.astext())
    return re.sub(r",?\s+(?=[.,;)])", "", text).replace("()", "").strip()


def in_letters(formula: str) -> str:
    """A short formula of TeX without its commands and braces: `x^{-\\alpha}` as `x^-α`."""
    for command, letter in GREEK.items():
        formula = formula.replace(command, letter)
    return re.sub(r"[{}\\]", "", formula)
