"""Corpora made ready in a terminal: what each is cut into, and what came of it."""

import sys
from collections.abc import Sequence

from tinylm.batches import prepare, select
from tinylm.corpora import corpus_names, corpus_version, described
from tinylm.errors import BadInput, Missing, TinyLMError


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
        TinyLMError: no name; as `tinylm.batches.select`.
    """
    if not asked:
        raise BadInput("--select needs the names of the corpora")
    for name in asked:
        corpus_version(name)
    for name in asked:
        print(select(name, tokenizer))
