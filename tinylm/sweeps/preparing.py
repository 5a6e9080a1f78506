"""Corpora made ready in a terminal: what each is cut into, and what came of it."""

import sys
from collections.abc import Sequence
from pathlib import Path

from tinylm.corpora import corpus_names, corpus_version, described, open_corpus
from tinylm.corpora.selection import SPLITS, whole_of, write_selection
from tinylm.corpora.token_files import prepare, tokenize, tokenizer_of
from tinylm.errors import BadInput, Missing, TinyLMError
from tinylm.tokenizers import check_tokenizer_name


def prepare_corpora(asked: Sequence[str], tokenizer: str) -> None:
    """Prepare corpora, all but long ones if none is asked for, and print a line on each. What
    cannot be had is told and left out, unless it was asked for.

    Raises:
        TinyLMError: an unknown name, before anything is made; a corpus that was asked for and
            cannot be prepared; none at all.
    """
    names = asked or corpus_names(long=False)
    for name in names:
        corpus_version(name)
    failed = 0
    for name in names:
        try:
            if told := described(name):
                print(f"{name}: {told}", flush=True)
            prepared = prepare(name, tokenizer)
        except TinyLMError as error:
            if asked:
                raise
            print(f"{name}: not prepared: {error}", file=sys.stderr)
            failed += 1
            continue
        train, validation = prepared.train, prepared.validation
        print(
            f"{name}: {train.n_documents:,} + {validation.n_documents:,} documents, "
            f"{train.n_tokens:,} + {validation.n_tokens:,} tokens (train + validation), "
            f"{train.bytes_per_token:.2f} bytes per token"
        )
    if failed == len(names):
        raise Missing("no corpus could be prepared; the sentences above say why")


def select_corpora(asked: Sequence[str], tokenizer: str) -> None:
    """Write the selection of each corpus, of what its source holds here, and print its path.

    Raises:
        TinyLMError: no name; as `select`.
    """
    if not asked:
        raise BadInput("--select needs the names of the corpora")
    for name in asked:
        corpus_version(name)
    for name in asked:
        print(select(name, tokenizer))


def select(corpus_name: str, tokenizer_name: str) -> Path:
    """Write the selection of a corpus, of all the documents that its source holds here and now,
    with the checksums of the token files that this tokenizer makes of them; returns its path.

    Raises:
        TinyLMError: unknown name, or none of a data set; source that cannot be had; full disk.
    """
    check_tokenizer_name(tokenizer_name)
    if whole_of(corpus_name) not in corpus_names():
        known = ", ".join(name for name in corpus_names() if whole_of(name) in corpus_names())
        raise BadInput(f"corpus {corpus_name!r} cannot be selected: expected one of {known}")
    corpus = open_corpus(whole_of(corpus_name))
    tokenizer = tokenizer_of(corpus, tokenizer_name)
    made = {split: tokenize(corpus.documents[split], tokenizer) for split in SPLITS}
    sha256 = {split: tokens.manifest["sha256"] for split, tokens in made.items()}
    return write_selection(corpus, corpus_name, {tokenizer_name: sha256})
