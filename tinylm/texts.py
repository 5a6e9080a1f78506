"""Which text a run is of, and that what is put together is of one text.

A run's id knows the name of its corpus. The text itself is known by the SHA-256 of its token files,
which records, checkpoints and kept measurements carry. What is of another text is refused, by a
sentence that names both.
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from tinylm.corpora import is_generated, selection_of
from tinylm.corpora.token_files import PreparedData, prepare, prepared_manifests
from tinylm.errors import Damaged

if TYPE_CHECKING:
    from tinylm.records import RunRecord

SHOWN_DIGITS = 12  # of a checksum, in sentences


@dataclass(frozen=True)
class Text:
    """A corpus under a tokenizer, as the token files have it."""

    corpus: str
    tokenizer: str
    train_sha256: str  # of the token files
    validation_sha256: str
    tokenizer_sha256: str | None = None  # of the tokenizer's file; None: a record does not tell

    def __str__(self) -> str:
        shown = f"train {self.train_sha256[:SHOWN_DIGITS]}"
        shown += f", validation {self.validation_sha256[:SHOWN_DIGITS]}"
        if self.tokenizer_sha256 is not None:
            shown += f", tokenizer {self.tokenizer_sha256[:SHOWN_DIGITS]}"
        return f"{self.corpus} under {self.tokenizer} ({shown})"

    def is_of(self, other: "Text") -> bool:
        """Whether both are one text; the tokenizer's file counts where both tell of it."""
        mine, theirs = asdict(self), asdict(other)
        return all(mine[key] == theirs[key] or None in (mine[key], theirs[key]) for key in mine)

    def check(self, other: "Text", what: str, advice: str) -> None:
        """Make sure that `what`, which is of the text `other`, is of this one.

        Raises:
            TinyLMError: it is not; the sentence names both, and ends with the advice.
        """
        if not self.is_of(other):
            raise Damaged(f"{what} is of another text: {other}, not {self}; {advice}")


def prepared_text(data: PreparedData) -> Text:
    """The text of data that are prepared and open."""
    return _text(data.train.manifest, data.validation.manifest)


def recorded_text(record: "RunRecord") -> Text:
    """The text that a run was trained and evaluated on."""
    names, provenance = record.config.data, record.provenance
    return Text(
        names.corpus, names.tokenizer, provenance.train_sha256, provenance.validation_sha256
    )


def known_text(corpus: str, tokenizer: str) -> Text | None:
    """The text that `prepare` would give, if it is known without preparing: from the selection of
    the corpus, or from the manifests of data prepared before. None: not known.

    Raises:
        TinyLMError: unknown corpus, or a selection or manifest that is missing or damaged.
    """
    selection = selection_of(corpus)
    if selection is not None and (sha256 := selection.tokens.get(tokenizer)):
        return Text(corpus, tokenizer, sha256["train"], sha256["validation"])
    manifests = prepared_manifests(corpus, tokenizer)
    return _text(manifests["train"], manifests["validation"]) if manifests else None


def check_records(records: Iterable["RunRecord"], *, preparing: bool = True) -> None:
    """Make sure that records are of the text that their runs would be trained on now: one of
    another text is never taken for done.

    Text that is not known yet is prepared, but for generated text, which follows from the version
    in a run's id; with `preparing` false, what is not known is not compared.

    Raises:
        TinyLMError: a record is of another text, or the text cannot be had.
    """
    now: dict[tuple[str, str], Text | None] = {}
    for record in records:
        text = recorded_text(record)
        names = text.corpus, text.tokenizer
        if names not in now:
            now[names] = known_text(*names)
            if now[names] is None and preparing and not is_generated(text.corpus):
                now[names] = prepared_text(prepare(*names))
        if (expected := now[names]) is not None:
            expected.check(
                text,
                f"the record of run {record.run_id}",
                "delete it and the run will be repeated, or restore the text",
            )


def texts_of(records: Iterable["RunRecord"]) -> list[Text]:
    """The texts that records are of: one for each corpus and tokenizer, in order of appearance.

    Raises:
        TinyLMError: two records of one corpus and tokenizer are of different texts.
    """
    first: dict[tuple[str, str], RunRecord] = {}
    for record in records:
        text = recorded_text(record)
        other = first.setdefault((text.corpus, text.tokenizer), record)
        recorded_text(other).check(
            text,
            f"the record of run {record.run_id}",
            f"the second is that of run {other.run_id}: delete the one that is of the wrong text, "
            f"and its run will be repeated",
        )
    return [recorded_text(record) for record in first.values()]


def _text(train: Mapping[str, Any], validation: Mapping[str, Any]) -> Text:
    return Text(
        corpus=train["corpus"],
        tokenizer=train["tokenizer"],
        train_sha256=train["sha256"],
        validation_sha256=validation["sha256"],
        tokenizer_sha256=train["tokenizer_sha256"],
    )
