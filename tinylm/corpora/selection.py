"""Selections: which documents of a data set a corpus is, so that everybody trains on one text.

`data/<corpus>.selection` names the documents by their hashes, in order. Wherever they stand in a
source, among whatever others, they are found by them. A header tells what the text and its token
files must come out as:

    corpus: ag_news
    ...
    ---
    1f0c…   the documents of train, a line each, then those of validation
"""

import hashlib
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from tinylm.config import explain
from tinylm.corpora.documents import Corpus, Split
from tinylm.errors import BadInput, Damaged, Missing
from tinylm.files import data_dir, write_atomic

SUFFIX = ".selection"
HASH_DIGITS = 16  # 64 bits: among three million documents, two share a hash once in four million
HEADER_END = "\n---\n"
PUBLISHED = Path(__file__).resolve().parents[2] / "data"  # of the checkout
SPLITS: tuple[Split, ...] = ("train", "validation")
PerSplit = Mapping[Split, str]


class Selection(BaseModel):
    """The documents of a corpus, and what they must come out as."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    corpus: str
    reader: str  # version of the code that read them
    source: str
    origin: Literal["mirror", "hub", "local cache"]  # where they were when this was written
    revision: str | None  # of the source on the hub; None: a mirror or cache, which does not tell
    documents: Mapping[Split, int]
    sha256: PerSplit  # of the text: documents.documents_sha256
    tokens: Mapping[str, PerSplit]  # SHA-256 of the token files, by tokenizer
    hashes: Mapping[Split, tuple[str, ...]] = Field(repr=False)  # of the documents, in order

    @model_validator(mode="after")
    def _check(self) -> Self:
        for each in (self.documents, self.sha256, self.hashes, *self.tokens.values()):
            if set(each) != set(SPLITS):
                raise ValueError(f"expected entries for {' and '.join(SPLITS)}")
        for split in SPLITS:
            n, expected = len(self.hashes[split]), self.documents[split]
            if n != expected:
                raise ValueError(f"{n:,} hashes of {split} documents; expected {expected:,}")
            if not all(re.fullmatch(f"[0-9a-f]{{{HASH_DIGITS}}}", h) for h in self.hashes[split]):
                raise ValueError(f"expected {HASH_DIGITS} hex digits on every line")
        return self

    def pick(self, texts: Iterable[str], where: str) -> dict[Split, list[str]]:
        """The documents of the corpus out of more, in whatever order these come.

        `texts` is read until all are found; of equal ones the first counts. `where` names the
        source in the sentence below.

        Raises:
            TinyLMError: some are not there.
        """
        wanted = {each: (split, i) for split in SPLITS for i, each in enumerate(self.hashes[split])}
        total = len(wanted)
        found: dict[tuple[Split, int], str] = {}
        for text in texts:
            if (place := wanted.pop(document_hash(text), None)) is not None:
                found[place] = text
                if not wanted:
                    break
        if wanted:
            raise Missing(
                f"corpus {self.corpus!r}: {len(wanted):,} of the {total:,} documents of its "
                f"selection are not in {where}; expected the whole data set, of which they are a "
                f"part; or use {whole_of(self.corpus)!r}, all the documents that are there"
            )
        return {
            split: [found[split, i] for i in range(len(self.hashes[split]))] for split in SPLITS
        }

    def check_text(self, sha256: PerSplit) -> None:
        """Make sure that the documents came out as they were when they were selected.

        Raises:
            TinyLMError: they did not.
        """
        for split in SPLITS:
            if sha256[split] != self.sha256[split]:
                raise Damaged(
                    f"corpus {self.corpus!r}: its {split} text came out with SHA-256 "
                    f"{sha256[split][:16]}…, its selection says {self.sha256[split][:16]}…; "
                    f"restore {self.corpus}{SUFFIX} as it was published"
                )

    def check_tokens(self, tokenizer: str, sha256: PerSplit) -> None:
        """Make sure that the token files came out as they were when they were selected, if the
        selection knows this tokenizer.

        Raises:
            TinyLMError: they did not.
        """
        for split, expected in self.tokens.get(tokenizer, {}).items():
            if sha256[split] != expected:
                raise Damaged(
                    f"corpus {self.corpus!r}: its {split} tokens under {tokenizer!r} came out with "
                    f"SHA-256 {sha256[split][:16]}…, its selection says {expected[:16]}…; the text "
                    f"is the same, so the tokenizer differs: install the package `tokenizers` as "
                    f"requirements.txt names it"
                )


def whole_of(corpus: str) -> str:
    """The corpus of all the documents that a selection was made from."""
    return f"{corpus}-all"


def document_hash(text: str) -> str:
    """The first hex digits of the SHA-256 of a document."""
    data = text.encode(errors="surrogatepass")  # in a document that is not ours to judge
    return hashlib.sha256(data).hexdigest()[:HASH_DIGITS]


def read_selection(corpus: str) -> Selection:
    """The selection of a corpus: of this project if it has one, else the published one.

    Raises:
        TinyLMError: there is none, or the file is damaged.
    """
    for folder in (data_dir(), PUBLISHED):
        path = folder / f"{corpus}{SUFFIX}"
        if path.is_file():
            return _parse(path, corpus)
    raise Missing(
        f"corpus {corpus!r} is a selection of documents, and {path.name} is not in {data_dir()}: "
        f"copy it from the data folder of the repository, or use {whole_of(corpus)!r}, all the "
        f"documents that are there"
    )


def write_selection(corpus: Corpus, name: str, tokens: Mapping[str, PerSplit]) -> Path:
    """Write `data/<name>.selection`, of the documents of `corpus`, and return its path.

    `tokens` has the SHA-256 of the token files by tokenizer. Those that an earlier selection of the
    same documents knew are kept.

    Raises:
        TinyLMError: the file cannot be written, or two documents share a hash.
    """
    hashes = {split: tuple(map(document_hash, corpus.documents[split])) for split in SPLITS}
    lines = [each for split in SPLITS for each in hashes[split]]
    if len(set(lines)) < len(lines):
        raise BadInput(f"corpus {name!r}: two documents share a hash of {HASH_DIGITS} digits")
    path = data_dir() / f"{name}{SUFFIX}"
    if path.is_file() and (earlier := _parse(path, name)).hashes == hashes:
        tokens = {**earlier.tokens, **tokens}
    about = corpus.provenance
    header = {
        "corpus": name,
        "reader": corpus.version,
        **{key: about[key] for key in ("source", "origin", "revision", "documents", "sha256")},
        "tokens": {each: dict(tokens[each]) for each in sorted(tokens)},
    }
    text = yaml.safe_dump(header, sort_keys=False).rstrip() + HEADER_END
    write_atomic(path, text + "\n".join(lines) + "\n")
    return path


def _parse(path: Path, corpus: str) -> Selection:
    try:
        text = path.read_text(encoding="utf-8")
        head, end, body = text.partition(HEADER_END)
        header: Any = yaml.safe_load(head)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise _damaged(path, str(error).splitlines()[0]) from None
    if not end or not isinstance(header, dict):
        raise _damaged(path, "it has no header")
    lines = body.split()
    counts = header.get("documents")
    n_train = counts.get("train") if isinstance(counts, dict) else None
    if not isinstance(n_train, int):
        raise _damaged(path, "it does not say how many documents it has")
    hashes = {"train": lines[:n_train], "validation": lines[n_train:]}
    try:
        selection = Selection.model_validate({**header, "hashes": hashes})
    except ValidationError as error:
        raise _damaged(path, str(explain(error, "header"))) from None
    if selection.corpus != corpus:
        raise _damaged(path, f"it is of the corpus {selection.corpus!r}")
    return selection


def _damaged(path: Path, reason: str) -> Damaged:
    return Damaged(f"selection {path} is damaged ({reason}); restore it as it was published")
