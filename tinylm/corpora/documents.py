"""What a corpus is, and how its documents are cleaned and kept apart."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from tinylm.errors import BadInput

Split = Literal["train", "validation"]


@dataclass(frozen=True)
class Corpus:
    """Documents of a named corpus. None is empty, none occurs twice, in one split or in both."""

    name: str
    version: str
    documents: Mapping[Split, Sequence[str]]
    provenance: Mapping[str, Any]  # JSON: title, source, licence, counts, sha256, what was dropped
    tokenizer_documents: int | None = None  # train documents for tokenizers, the first; None: all


def build_corpus(
    name: str,
    version: str,
    train: Iterable[str],
    validation: Iterable[str],
    source: Mapping[str, Any],
    *,
    tokenizer_documents: int | None = None,
) -> Corpus:
    """Clean both splits and keep them disjoint: a train document that also occurs in validation
    is dropped from train, and so is every repeated document within a split.

    Args:
        source: where the text is from (title, source, licence, ...); it begins the provenance.
        tokenizer_documents: how many train documents tokenizers are trained on; None: all.

    Raises:
        TinyLMError: a document is not text, or a split is empty.
    """
    seen: set[bytes] = set()
    kept_validation, validation_drops = _clean(f"{name} validation", validation, seen, frozenset())
    in_validation = frozenset(seen)
    kept_train, train_drops = _clean(f"{name} train", train, set(), in_validation)
    documents: dict[Split, Sequence[str]] = {"train": kept_train, "validation": kept_validation}
    provenance = {
        **source,
        "documents": {split: len(texts) for split, texts in documents.items()},
        "bytes": {split: sum(len(t.encode()) for t in ts) for split, ts in documents.items()},
        "sha256": {split: documents_sha256(texts) for split, texts in documents.items()},
        "dropped": {"train": train_drops, "validation": validation_drops},
    }
    return Corpus(name, version, documents, provenance, tokenizer_documents)


def documents_sha256(documents: Iterable[str]) -> str:
    """Hex SHA-256 of the documents, each followed by a NUL (which no document holds)."""
    digest = hashlib.sha256()
    for text in documents:
        digest.update(text.encode() + b"\0")
    return digest.hexdigest()


def _clean(
    where: str, texts: Iterable[str], seen: set[bytes], elsewhere: frozenset[bytes]
) -> tuple[list[str], dict[str, int]]:
    """Documents stripped of outer whitespace, without empty ones, repeats and those `elsewhere`;
    and how many of each were dropped. Fills `seen` with the hashes of what is kept.
    """
    kept: list[str] = []
    drops = {"empty": 0, "repeated": 0, "in_validation": 0}
    for i, raw in enumerate(texts):
        text = raw.strip()
        key = _document_hash(text, f"{where} document {i}")
        if not text:
            drops["empty"] += 1
        elif key in elsewhere:
            drops["in_validation"] += 1
        elif key in seen:
            drops["repeated"] += 1
        else:
            seen.add(key)
            kept.append(text)
    if not kept:
        raise BadInput(f"{where} text is empty: expected at least one document with text")
    return kept, drops


def _document_hash(text: str, where: str) -> bytes:
    if "\0" in text:
        raise BadInput(f"{where} holds a NUL character: expected text, not binary data")
    try:
        return hashlib.sha256(text.encode()).digest()
    except UnicodeEncodeError:
        raise BadInput(f"{where} is not valid Unicode: expected UTF-8 text") from None
