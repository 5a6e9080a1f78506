"""Corpora by name: train and validation documents with their provenance."""

from tinylm.corpora import fables, hub
from tinylm.corpora.documents import Corpus, Split
from tinylm.errors import BadInput

__all__ = ["Corpus", "Split", "corpus_names", "corpus_version", "open_corpus"]


def corpus_names() -> tuple[str, ...]:
    """Every name that `open_corpus` knows."""
    return (*fables.CORPORA, *fables.LONG_CORPORA, *hub.SOURCES)


def corpus_version(name: str) -> str:
    """Version of the code that makes or reads the corpus, known without loading any data.

    Raises:
        TinyLMError: unknown name.
    """
    if name in fables.CORPORA or name in fables.LONG_CORPORA:
        return fables.VERSION
    if name in hub.SOURCES:
        return hub.VERSION
    raise BadInput(f"unknown corpus {name!r}: expected one of {', '.join(corpus_names())}")


def open_corpus(name: str) -> Corpus:
    """Generate the corpus, or load it from the hub or a mirror of it.

    Raises:
        TinyLMError: unknown name; hub or mirror without the data set; empty or binary text.
    """
    corpus_version(name)
    return hub.load(name) if name in hub.SOURCES else fables.load(name)
