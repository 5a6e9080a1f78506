"""Your own text: a file or a folder of files, cut into documents, a tenth of them for validation.

Which documents are for validation follows from each document's hash, so that it does not change
when text is added.
"""

import hashlib
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from tinylm import say
from tinylm.corpora.address import BY, SUFFIXES, Address
from tinylm.corpora.documents import Corpus, build_corpus
from tinylm.corpora.reading import decode, read_bytes, rows_of, texts_of_rows
from tinylm.errors import BadInput, Missing

VERSION = "1"  # of the rules by which text becomes documents
TABLES = (".jsonl", ".csv", ".parquet")
MANY_FILES = 50  # of text, from which on each is a document
MANY_DOCUMENTS = 50  # that blank lines must make, to be what parts documents
PIECE = 2_000  # characters of a piece of text that nothing parts
LEAST_DOCUMENTS = 10
VALIDATION_SHARE = 0.1
VALIDATION_CHARACTERS = 200_000  # from which on the share is halved, and halved again
LARGE = 20_000_000  # bytes, from which on it is said what preparing takes
# Of text without a blank, on two slow cores: a tokenizer is trained and tokens are written.
MEMORY_PER_BYTE, SECONDS_PER_MB = 70, 1.4
PIECE_ENDS = ("\n", ". ", "! ", "? ", " ")  # where a piece may end, the best first


@dataclass(frozen=True)
class Cut:
    """Documents, and in words how a text was cut into them."""

    documents: list[str]
    said: str  # such as "by blank lines"


def files_of(address: Address) -> list[Path]:
    """The file of an address, or the files of its folder that can be read, by name.

    Raises:
        TinyLMError: nothing there, a file of another kind, or a folder without any of these.
    """
    path = address.path
    if path.is_dir():
        inside = sorted(one for one in path.rglob("*") if one.suffix.lower() in SUFFIXES)
        found = [one for one in inside if one.is_file() and not _is_hidden(one, path)]
        if not found:
            raise BadInput(f"folder {path} has no file of text; expected {_kinds()}")
        return found
    if not path.exists():
        advice = ""
        if re.fullmatch(r"[\w.-]+/[\w.-]+", address.place):
            advice = f"; a data set of the hub is called hub:{address.place}"
        raise Missing(f"there is no file or folder {str(path)!r}{advice}")
    if path.suffix.lower() not in SUFFIXES:
        raise BadInput(f"file {path} ends in {path.suffix!r}; expected {_kinds()}")
    return [path]


def _is_hidden(path: Path, folder: Path) -> bool:
    return any(part.startswith(".") for part in path.relative_to(folder).parts)


def _kinds() -> str:
    return f"one of {', '.join(SUFFIXES)}"


def own_version(address: Address) -> str:
    """Version of the rules, and the checksum of what the files hold.

    Raises:
        TinyLMError: as `files_of`, or a file that cannot be read.
    """
    return f"{VERSION}-{_checksum(tuple(map(_signature, files_of(address))))}"


def _signature(path: Path) -> tuple[str, int, int]:
    try:
        state = os.stat(path)
    except OSError as error:
        raise Missing(f"file {path} cannot be read: {error.strerror or error}") from None
    return str(path), state.st_size, state.st_mtime_ns


@lru_cache(maxsize=16)
def _checksum(files: tuple[tuple[str, int, int], ...]) -> str:
    """Of the bytes of files, whose sizes and times tell whether they are the same as before."""
    digest = hashlib.sha256()
    for path, _, _ in files:
        digest.update(hashlib.sha256(read_bytes(Path(path))).digest())
    return digest.hexdigest()[:12]


def load_own(name: str, address: Address) -> Corpus:
    """The corpus of an address.

    Raises:
        TinyLMError: as `files_of`; a file that cannot be read or is no text; too few documents.
    """
    version = own_version(address)
    cut = cut_text(address)
    train, validation = held_out(cut.documents)
    if len(cut.documents) < LEAST_DOCUMENTS or not train or not validation:
        raise BadInput(
            f"text {address.place!r}, cut {cut.said}, has {len(cut.documents)} documents; expected "
            f"at least {LEAST_DOCUMENTS}: more text, or ?documents=pieces or ?separator=..."
        )
    source = {
        "title": f"{address.place}, cut {cut.said}",
        "source": str(address.path.resolve()),
        "licence": "your own",
        "origin": "file",
        "revision": version,
    }
    return build_corpus(name, version, train, validation, source)


def describe_own(address: Address) -> str:
    """How the text of an address is cut, into how many documents, and how many are for validation.

    Raises:
        TinyLMError: as `load_own`, but for too few documents.
    """
    cut = cut_text(address)
    train, validation = held_out(cut.documents)
    size = sum(len(text.encode("utf-8", "surrogatepass")) for text in train + validation)
    said = (
        f"cut {cut.said}: {len(train):,} documents to learn from and {len(validation):,} for "
        f"validation, {size / 1e6:.2g} MB in all"
    )
    if size > LARGE:
        said += (
            f"; preparing takes up to {SECONDS_PER_MB * size / 1e6:.0f} s and "
            f"{say.size(MEMORY_PER_BYTE * size)} of memory"
        )
    return said


def cut_text(address: Address) -> Cut:
    """The text of an address as documents. Rows of tables are documents. Text is cut by its
    separator, or as `documents` says; else a folder of many files by files, a text with enough
    blank lines by these, and other text into pieces.

    Raises:
        TinyLMError: as `load_own`; a separator that never occurs.
    """
    paths, options = files_of(address), address.options
    texts: list[str] = []
    rows: list[str] = []
    for path in paths:
        if path.suffix.lower() in TABLES:
            rows += texts_of_rows(rows_of(path), f"file {path}", options.get("column"))
        else:
            texts.append(decode(read_bytes(path), f"file {path}"))
    if "column" in options and not rows:
        raise BadInput(f"text {address.place!r} has no tables, so no column {options['column']!r}")
    if not texts:
        return Cut(rows, "by rows")
    if separator := options.get("separator"):
        if not any(separator in text for text in texts):
            raise BadInput(f"separator {separator!r} never occurs in {address.place!r}")
        cut = Cut([part for text in texts for part in text.split(separator)], "by the separator")
    else:
        cut = _cut_by(options.get("documents"), texts)
    return Cut(cut.documents + rows, f"{cut.said} and rows") if rows else cut


def _cut_by(asked: str | None, texts: list[str]) -> Cut:
    files, (blank_lines, by_files, pieces) = [text for text in texts if text.strip()], BY
    parts = [part for text in files for part in re.split(r"\n[ \t]*\n\s*", text) if part.strip()]
    how = asked or (
        by_files
        if len(files) >= MANY_FILES
        else blank_lines
        if len(parts) >= MANY_DOCUMENTS
        else pieces
    )
    if how == by_files:
        return Cut(files, "by files")
    if how == blank_lines:
        return Cut(parts, "by blank lines")
    return Cut([one for text in files for one in into_pieces(text)], "into pieces")


def into_pieces(text: str) -> Iterator[str]:
    """The text in pieces of about PIECE characters that end with a line, a sentence or a word,
    where there is such an end in the second half of a piece.
    """
    begin = 0
    while begin < len(text):
        end = begin + PIECE
        if end < len(text):
            middle = begin + PIECE // 2
            for mark in PIECE_ENDS:
                if (place := text.rfind(mark, middle, end)) >= 0:
                    end = place + len(mark)
                    break
        yield text[begin:end]
        begin = end


def held_out(documents: Iterable[str]) -> tuple[list[str], list[str]]:
    """Documents for training, and those for validation, each once: where the hash of a document, as
    a number in [0, 1), is below the share.
    """
    kept = dict.fromkeys(text.strip() for text in documents)
    hashed = [(text, _fraction(text)) for text in kept if text]
    share = VALIDATION_SHARE
    while sum(len(text) for text, at in hashed if at < share) > VALIDATION_CHARACTERS:
        share /= 2
    train = [text for text, at in hashed if at >= share]
    return train, [text for text, at in hashed if at < share]


def _fraction(text: str) -> float:
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:8]) / 2**64
