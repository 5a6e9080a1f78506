"""Corpora by name: train and validation documents with their provenance.

A name may be a path, or `hub:OWNER/NAME`: see `tinylm.corpora.address`.
"""

from pathlib import Path

from tinylm.corpora import fables, hub
from tinylm.corpora.address import is_address, parse_address
from tinylm.corpora.documents import Corpus, Split
from tinylm.corpora.own_text import describe_own, load_own, own_version
from tinylm.corpora.selection import Selection, read_selection
from tinylm.errors import BadInput

__all__ = [
    "Corpus",
    "Split",
    "corpus_names",
    "corpus_version",
    "described",
    "folder_of",
    "is_generated",
    "is_path",
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
    """Version of the code that makes or reads the corpus; of a path, with a checksum of its files.

    Raises:
        TinyLMError: unknown name, or a path where nothing is that can be read.
    """
    if name in fables.CORPORA or name in fables.LONG_CORPORA:
        return fables.VERSION
    if name in hub.SOURCES or name in hub.ALL:
        return hub.VERSION
    if is_address(name):
        address = parse_address(name)
        return hub.VERSION if address.kind == "hub" else own_version(address)
    here = f"; the file or folder of that name is ./{name}" if name and Path(name).exists() else ""
    raise BadInput(
        f"unknown corpus {name!r}: expected one of {', '.join(corpus_names())}, a path, as "
        f"./notes.txt, or hub:OWNER/NAME{here}"
    )


def described(name: str) -> str:
    """Of a path, how its text will be cut into documents, and how many; of other names nothing.

    Raises:
        TinyLMError: as `open_corpus`.
    """
    return describe_own(parse_address(name)) if is_path(name) else ""


def is_path(name: str) -> bool:
    """Whether a corpus is a file or a folder of one's own."""
    return is_address(name) and parse_address(name).kind == "path"


def folder_of(name: str) -> str:
    """What the files of a corpus in `data/` are called."""
    return parse_address(name).folder if is_address(name) else name


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
    if is_generated(name):
        return fables.load(name)
    if not is_address(name):
        return hub.load(name)
    address = parse_address(name)
    return hub.load_any(name, address) if address.kind == "hub" else load_own(name, address)
