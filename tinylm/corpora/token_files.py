"""Documents become a token file, once.

That is one stream: E d1 E d2 E ... dn E, where d_i are the tokens of document i and E is the
special token that begins every document and ends it.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinylm.config import EvaluationConfig
from tinylm.corpora import (
    Corpus,
    Split,
    corpus_version,
    folder_of,
    open_corpus,
    selection_of,
)
from tinylm.corpora.selection import SPLITS, Selection
from tinylm.errors import BadInput, Damaged, Missing, TinyLMError
from tinylm.files import data_dir, hold_lock, remove_temporaries, sha256_file, write_atomic
from tinylm.tokenizers import (
    END_OF_TEXT,
    Tokenizer,
    check_tokenizer_name,
    load_tokenizer,
    train_tokenizer,
)

FORMAT_VERSION = 1
CHUNK_DOCUMENTS = 2048  # tokenised at a time

Integers = NDArray[np.int64]


@dataclass(frozen=True)
class TokenFile:
    """Tokenised documents of one split, memory-mapped."""

    tokens: NDArray[Any]  # E d1 E d2 E ... dn E, uint16 (uint32 for vocabularies above 65,536)
    starts: Integers  # (n_documents + 1): index of the E before each document; last: closing E
    n_bytes: int  # UTF-8 bytes of the text
    manifest: Mapping[str, Any]  # of the whole file, also in a head() of it
    document_bytes: Integers | None = None  # (n_documents): UTF-8 bytes of each; head() needs it

    @property
    def n_documents(self) -> int:
        """Documents in the file."""
        return len(self.starts) - 1

    @property
    def n_tokens(self) -> int:
        """Tokens to predict: all but the very first."""
        return len(self.tokens) - 1

    @property
    def bytes_per_token(self) -> float:
        """UTF-8 bytes of text a predicted token; closing tokens count as tokens."""
        return self.n_bytes / self.n_tokens

    def document(self, i: int) -> NDArray[Any]:
        """E d_i E: document i with the special token before and after it."""
        return self.tokens[self.starts[i] : self.starts[i + 1] + 1]

    def head(self, n_documents: int) -> "TokenFile":
        """The first `n_documents` documents as a token file (a view, nothing is copied).

        Raises:
            TinyLMError: the file holds fewer documents.
        """
        if not 1 <= n_documents <= self.n_documents:
            raise BadInput(
                f"the first {n_documents} documents were asked for; expected a number from 1 to "
                f"{self.n_documents}, all there are"
            )
        if self.document_bytes is None:
            raise Missing("these tokens came without the byte length of each document")
        return TokenFile(
            tokens=self.tokens[: self.starts[n_documents] + 1],
            starts=self.starts[: n_documents + 1],
            n_bytes=int(self.document_bytes[:n_documents].sum()),
            manifest=self.manifest,
            document_bytes=self.document_bytes[:n_documents],
        )

    def within(self, n_tokens: int | None) -> "TokenFile":
        """The first documents, as many as together have at most so many tokens to predict, and at
        least one (a view); None: all of them.
        """
        if n_tokens is None or self.n_tokens <= n_tokens:
            return self
        return self.head(max(1, int(np.searchsorted(self.starts, n_tokens, side="right")) - 1))


@dataclass(frozen=True)
class PreparedData:
    """What a run needs of its corpus."""

    tokenizer: Tokenizer
    train: TokenFile
    validation: TokenFile
    corpus_version: str
    provenance: Mapping[str, Any]  # of the corpus

    def evaluated(self, config: EvaluationConfig) -> TokenFile:
        """The validation documents that a run's last evaluation reads."""
        return self.validation.within(config.final_tokens)

    def on_curve(self, config: EvaluationConfig) -> TokenFile:
        """Those that the others read, for its learning curve."""
        documents = min(config.curve_documents, self.validation.n_documents)
        return self.validation.head(documents).within(config.curve_tokens)


def _token_dtype(vocab_size: int) -> np.dtype[Any]:
    return np.dtype("<u2") if vocab_size <= 1 << 16 else np.dtype("<u4")


def tokenize(texts: Sequence[str], tokenizer: Tokenizer) -> TokenFile:
    """Tokenise documents into an in-memory token file."""
    dtype = _token_dtype(tokenizer.vocab_size)
    parts = [np.array([END_OF_TEXT], dtype)]
    for begin in range(0, len(texts), CHUNK_DOCUMENTS):  # in chunks: lists of ints are large
        encoded = tokenizer.encode_batch(texts[begin : begin + CHUNK_DOCUMENTS])
        parts.extend(np.array([*ids, END_OF_TEXT], dtype) for ids in encoded)
    tokens = np.concatenate(parts)
    document_bytes = np.array([len(text.encode()) for text in texts], "<i8")
    n_bytes = int(document_bytes.sum())
    manifest = {
        "format_version": FORMAT_VERSION,
        "tokenizer": tokenizer.name,
        "vocab_size": tokenizer.vocab_size,
        "dtype": dtype.str,
        "n_documents": len(texts),
        "n_tokens": len(tokens) - 1,
        "n_bytes": n_bytes,
        "sha256": hashlib.sha256(tokens.tobytes()).hexdigest(),
        "document_bytes_sha256": hashlib.sha256(document_bytes.tobytes()).hexdigest(),
    }
    return TokenFile(
        tokens, np.flatnonzero(tokens == END_OF_TEXT), n_bytes, manifest, document_bytes
    )


def prepare(corpus_name: str, tokenizer_name: str) -> PreparedData:
    """Open the tokenised corpus, making it first if it is not there or of an older version.

    The tokenizer is trained on train documents only. Files: `data/tokenizers/<corpus>-
    <tokenizer>.json` and `data/<corpus>/<tokenizer>/{train,validation}.{bin,bytes,json}`. Of
    several processes that prepare the same data at once, one makes it and the others wait. Where
    the corpus has a selection, they are of the very text and tokens that it says.

    Raises:
        TinyLMError: unknown name; corpus that cannot be had or is too small for the tokenizer;
            text or tokens that are not those of the selection; damaged file; full disk.
    """
    check_tokenizer_name(tokenizer_name)
    place = _Place(corpus_name, tokenizer_name)
    if not place.is_current():
        with place.lock():
            if not place.is_current():  # no other process made it meanwhile
                corpus = open_corpus(corpus_name)
                place.write(corpus, tokenizer_of(corpus, tokenizer_name))
    tokenizer = place.open_tokenizer()
    train, validation = (place.open(split, tokenizer) for split in SPLITS)
    return PreparedData(tokenizer, train, validation, place.version, train.manifest["provenance"])


def tokenizer_of(corpus: Corpus, name: str) -> Tokenizer:
    """The tokenizer of a corpus: trained on the first of its train documents."""
    return train_tokenizer(name, corpus.documents["train"][: corpus.tokenizer_documents])


def prepared_manifests(corpus_name: str, tokenizer_name: str) -> dict[Split, dict[str, Any]] | None:
    """The manifests of data that `prepare` would open as they are; None: it would make them first.

    Raises:
        TinyLMError: unknown corpus, or a manifest that is damaged.
    """
    place = _Place(corpus_name, tokenizer_name)
    return {split: place.read_manifest(split) for split in SPLITS} if place.is_current() else None


class _Place:
    """Where one corpus under one tokenizer lies in `data/`, and what should be there."""

    def __init__(self, corpus_name: str, tokenizer_name: str) -> None:
        self.version = corpus_version(corpus_name)
        self.selection: Selection | None = selection_of(corpus_name)
        self.tokenizer = tokenizer_name
        name = folder_of(corpus_name)
        self.folder = data_dir() / name / tokenizer_name
        self.tokenizer_path = data_dir() / "tokenizers" / f"{name}-{tokenizer_name}.json"

    def manifest_path(self, split: Split) -> Path:
        return self.folder / f"{split}.json"

    def lock(self) -> AbstractContextManager[None]:
        """Held by one process at a time."""
        return hold_lock(data_dir() / f".{self.tokenizer_path.stem}.lock", wait=True)

    def is_current(self) -> bool:
        """Whether the tokenizer and both manifests, written last, are there, and of this version of
        the corpus and this selection of its documents.
        """
        needed = [self.tokenizer_path, *(self.manifest_path(split) for split in SPLITS)]
        return all(path.is_file() for path in needed) and all(map(self.is_of_this_text, SPLITS))

    def is_of_this_text(self, split: Split) -> bool:
        """Whether the manifest of a split is, too."""
        manifest = self.read_manifest(split)
        if manifest.get("format_version") != FORMAT_VERSION:
            return False
        if manifest.get("corpus_version") != self.version:
            return False
        if self.selection is None:
            return True
        tokens = self.selection.tokens.get(self.tokenizer, {}).get(split)
        text = manifest.get("provenance", {}).get("sha256", {}).get(split)
        return text == self.selection.sha256[split] and tokens in {None, manifest.get("sha256")}

    def read_manifest(self, split: Split) -> dict[str, Any]:
        path = self.manifest_path(split)
        try:
            manifest = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            manifest = None
        if not isinstance(manifest, dict):
            raise self.damaged(path, "it is no JSON manifest")
        return manifest

    def damaged(self, path: Path, reason: str) -> TinyLMError:
        return Damaged(
            f"file {path} is damaged ({reason}): delete the folder {self.folder} and run "
            f"`make data` to make it again"
        )

    def write(self, corpus: Corpus, tokenizer: Tokenizer) -> None:
        """Write tokenizer and token files; the manifests, which make them count, come last."""
        made = {split: tokenize(corpus.documents[split], tokenizer) for split in SPLITS}
        if self.selection is not None:
            sha256 = {split: tokens.manifest["sha256"] for split, tokens in made.items()}
            self.selection.check_tokens(self.tokenizer, sha256)
        for split in SPLITS:
            self.manifest_path(split).unlink(missing_ok=True)
            for name in (f"{split}.bin", f"{split}.bytes", f"{split}.json"):
                remove_temporaries(self.folder / name)  # of a process that was killed here
        remove_temporaries(self.tokenizer_path)
        tokenizer.save(self.tokenizer_path)
        common = {
            "corpus": corpus.name,
            "corpus_version": corpus.version,
            "tokenizer_sha256": sha256_file(self.tokenizer_path),
            "provenance": dict(corpus.provenance),
        }
        for split, tokens in made.items():
            assert tokens.document_bytes is not None
            write_atomic(self.folder / f"{split}.bin", tokens.tokens.tobytes())
            write_atomic(self.folder / f"{split}.bytes", tokens.document_bytes.tobytes())
        for split, tokens in made.items():
            manifest = {"split": split, **tokens.manifest, **common}
            write_atomic(self.manifest_path(split), json.dumps(manifest, indent=2) + "\n")

    def open_tokenizer(self) -> Tokenizer:
        """The tokenizer that the token files were made with."""
        tokenizer = load_tokenizer(self.tokenizer_path)
        digest = sha256_file(self.tokenizer_path)
        if any(self.read_manifest(split).get("tokenizer_sha256") != digest for split in SPLITS):
            raise self.damaged(self.tokenizer_path, "it is not the one the tokens were made with")
        return tokenizer

    def open(self, split: Split, tokenizer: Tokenizer) -> TokenFile:
        """Map the token file of a split into memory, after verifying its checksums."""
        manifest = self.read_manifest(split)
        path, bytes_path = self.folder / f"{split}.bin", self.folder / f"{split}.bytes"
        for file, key in ((path, "sha256"), (bytes_path, "document_bytes_sha256")):
            if not file.is_file():
                raise self.damaged(file, "it is missing")
            if sha256_file(file) != manifest.get(key):
                raise self.damaged(file, "its checksum does not match its manifest")
        tokens = np.asarray(np.memmap(path, _token_dtype(tokenizer.vocab_size), "r"))
        starts = np.flatnonzero(tokens == END_OF_TEXT)
        document_bytes = np.fromfile(bytes_path, "<i8").astype(np.int64)
        made = TokenFile(tokens, starts, int(document_bytes.sum()), manifest, document_bytes)
        for key in ("n_documents", "n_tokens", "n_bytes"):
            if manifest.get(key) != getattr(made, key):
                raise self.damaged(self.manifest_path(split), f"its {key} is not that of {path}")
        return made


def documents_for(tokens: TokenFile, documents: int | None) -> TokenFile:
    """The first so many documents of a token file, or all of it.

    Raises:
        TinyLMError: it has fewer.
    """
    if documents is None:
        return tokens
    if documents > tokens.n_documents:
        raise BadInput(
            f"data.train_documents {documents}: the corpus has only {tokens.n_documents} documents"
        )
    return tokens.head(documents)
