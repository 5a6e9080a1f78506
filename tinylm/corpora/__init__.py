"""Corpora by name: train and validation documents with their provenance."""

from tinylm.corpora import fables, hub
from tinylm.corpora.documents import Corpus, Split
from tinylm.corpora.selection import Selection, read_selection
from tinylm.errors import BadInput

__all__ = [
    "Corpus",
    "Split",
    "corpus_names",
    "corpus_version",
    "is_generated",
    "open_corpus",
    "selection_of",
]


def corpus_names(*, long: bool = True) -> tuple[str, ...]:
    """Every name that `open_corpus` knows; without those of long corpora, if these are not asked
    for: fables read further, data sets read as far as they go.
    """
    short = (*fables.CORPORA, *hub.SOURCES)
    return (*short, *fables.LONG_CORPORA, *hub.ALL) if long else short


def corpus_version(name: str) -> str:
    """Version of the code that makes or reads the corpus, known without loading any data.

    Raises:
        TinyLMError: unknown name.
    """
    if name in fables.CORPORA or name in fables.LONG_CORPORA:
        return fables.VERSION
    if name in hub.SOURCES or name in hub.ALL:
        return hub.VERSION
    raise BadInput(f"unknown corpus {name!r}: expected one of {', '.join(corpus_names())}")


def is_generated(name: str) -> bool:
    """Whether the text of a corpus follows from its version alone, on every machine.

    Raises:
        TinyLMError: unknown name.
    """
    corpus_version(name)
    return name in fables.CORPORA or name in fables.LONG_CORPORA


def selection_of(name: str) -> Selection | None:
    """The selection that says which text a corpus is; None: it is generated, or whatever a data set
    holds.

    Raises:
        TinyLMError: the file is missing or damaged.
    """
    return read_selection(name) if name in hub.SOURCES else None


def open_corpus(name: str) -> Corpus:
    """Generate the corpus, or load it from the hub or a mirror of it.

    Raises:
        TinyLMError: unknown name; hub or mirror without the data set; empty or binary text.
    """
    return fables.load(name) if is_generated(name) else hub.load(name)
