"""What is of another text is refused: records, checkpoints, n-gram floors. One document changes."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

import pytest
from test_records import made_up_record
from tiny_mirror import sentences, write_data_set
from tiny_runs import random_model, tiny_config

from tinylm import texts
from tinylm.checkpoints import read_checkpoint, restore, save_checkpoint
from tinylm.config import OptimizerConfig
from tinylm.corpora.token_files import prepare
from tinylm.errors import Damaged
from tinylm.files import data_dir
from tinylm.ngrams import ngram_floors
from tinylm.optim import make_optimizer
from tinylm.records import RunRecord
from tinylm.store import Store
from tinylm.studies import size
from tinylm.studies.size import ngram_baselines
from tinylm.sweeps.preparing import select
from tinylm.texts import Text, check_records, known_text, prepared_text, recorded_text, texts_of

CORPUS, TOKENIZER = "ag_news-all", "bpe-280"
Change = Callable[[str], Text]


@pytest.fixture
def change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Change:
    """Another mirror, one document of a split changed, and data/ deleted: gives the text now."""
    mirrors = 0

    def read_changed(split: str) -> Text:
        nonlocal mirrors
        mirrors += 1
        splits = {"train": sentences(60), "test": sentences(8, 60)}
        if split:
            splits[split][3] += " So they did."
        mirror = tmp_path / f"mirror-{mirrors}"
        write_data_set(mirror / "fancyzhx" / "ag_news" / "data", splits)
        monkeypatch.setenv("TINYLM_HUB_MIRROR", str(mirror))
        monkeypatch.setenv("TINYLM_ROOT", str(tmp_path / f"project-{mirrors}"))
        (tmp_path / f"project-{mirrors}").mkdir()
        return prepared_text(prepare(CORPUS, TOKENIZER))

    return read_changed


def record_of(text: Text, run_id: str = "0" * 16) -> RunRecord:
    made = made_up_record().model_copy(update={"run_id": run_id})
    shas = {"train_sha256": text.train_sha256, "validation_sha256": text.validation_sha256}
    return made.model_copy(
        update={
            "config": tiny_config(data={"corpus": text.corpus, "tokenizer": text.tokenizer}),
            "provenance": made.provenance.model_copy(update=shas),
        }
    )


def test_a_text_is_its_tokens(change: Change) -> None:
    text = change("")
    assert (text.corpus, text.tokenizer) == (CORPUS, TOKENIZER)
    data = prepare(CORPUS, TOKENIZER)
    assert text.train_sha256 == data.train.manifest["sha256"]
    assert text.validation_sha256 == data.validation.manifest["sha256"]
    assert text == change("")  # elsewhere, from the same documents
    assert not text.is_of(replace(text, tokenizer_sha256="0" * 64))
    assert text.is_of(replace(text, tokenizer_sha256=None))


@pytest.mark.parametrize("split", ["train", "test"])
def test_a_record_of_another_text_is_refused_by_a_sentence_that_names_both(
    change: Change, split: str
) -> None:
    records = [record_of(change(""), f"{i:016x}") for i in range(2)]
    change("")
    check_records(records)
    now = change(split)
    with pytest.raises(Damaged, match=r"the record of run 0{16} is of another text") as caught:
        check_records(records)
    said = str(caught.value)
    assert str(recorded_text(records[0])) in said
    assert str(replace(now, tokenizer_sha256=None)).removesuffix(")") in said
    assert "delete it and the run will be repeated" in said


def test_text_that_is_not_known_is_prepared_to_be_compared_if_it_may_be(
    change: Change, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = [record_of(change("")), record_of(Text("fables", "bpe-512", "1" * 64, "2" * 64))]
    change("train")
    shutil.rmtree(data_dir() / CORPUS)
    with monkeypatch.context() as patch:
        patch.setattr(texts, "prepare", must_not_prepare)
        check_records(records, preparing=False)
        check_records(records[1:])  # generated, and of this version by its id
    with pytest.raises(Damaged, match="is of another text"):
        check_records(records)


def test_records_beside_one_another_are_of_one_text(change: Change) -> None:
    text = change("")
    fine = [record_of(text, f"{i:016x}") for i in range(3)]
    other = Text("fables", "bpe-512", "1" * 64, "2" * 64)
    assert texts_of([*fine, record_of(other, "a" * 16)]) == [recorded_text(fine[0]), other]
    changed = record_of(change("train"), "b" * 16)
    with pytest.raises(Damaged, match=r"run b{16} is of another text.* that of run 0{16}"):
        texts_of([*fine, changed])


@pytest.mark.parametrize("split", ["train", "test"])
def test_a_checkpoint_is_restored_on_its_own_text_only(
    change: Change, split: str, tmp_path: Path
) -> None:
    text, model = change(""), random_model()
    optimizer = make_optimizer(model, OptimizerConfig())
    save_checkpoint(tmp_path / "c", model, optimizer, {"step": 3}, text)
    restore(read_checkpoint(tmp_path / "c"), model, optimizer, change(""))
    now = change(split)
    with pytest.raises(Damaged, match=r"the checkpoint .* is of another text") as caught:
        restore(read_checkpoint(tmp_path / "c"), model, optimizer, now)
    assert str(text) in str(caught.value)
    assert str(now) in str(caught.value)


def test_what_is_known_of_a_text_before_it_is_prepared(
    change: Change, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = change("")
    assert known_text(CORPUS, TOKENIZER) == text
    assert known_text(CORPUS, "bpe-290") is None
    assert known_text("ag_news", "bpe-290") is None  # the published selection is of "bpe-512"
    published = known_text("tinystories-v2", "bpe-512")
    assert published is not None
    assert published.train_sha256.startswith("13edb3ba3a3d")
    select("ag_news", TOKENIZER)
    selected = known_text("ag_news", TOKENIZER)
    assert selected is not None
    assert selected.tokenizer_sha256 is None
    assert selected == replace(prepared_text(prepare("ag_news", TOKENIZER)), tokenizer_sha256=None)
    prepare("ag_news", "bpe-290")
    assert known_text("ag_news", "bpe-290") is not None
    monkeypatch.setattr("tinylm.corpora.hub.VERSION", "next")
    assert known_text(CORPUS, TOKENIZER) is None  # it would be made anew


def must_not_prepare(*names: str) -> NoReturn:
    raise AssertionError(f"{names} was prepared")


@pytest.mark.parametrize("split", ["train", "test"])
def test_ngram_floors_are_kept_for_the_text_of_the_runs_alone(
    change: Change, split: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = change("")
    floors = ngram_baselines(Store("smoke"), old, (1, 2))
    kept = Store("smoke").folder / "floors" / f"{CORPUS}-{TOKENIZER}-to-2.json"
    content = kept.read_text()
    with monkeypatch.context() as patch:  # read where the corpus cannot be had
        patch.setattr(size, "prepare", must_not_prepare)
        assert ngram_baselines(Store("smoke"), recorded_text(record_of(old)), (1, 2)) == floors
    now = change(split)
    kept = Store("smoke").folder / "floors" / f"{CORPUS}-{TOKENIZER}-to-2.json"
    kept.parent.mkdir(parents=True)
    kept.write_text(content)
    with pytest.raises(Damaged, match="the prepared data is of another text") as caught:
        ngram_baselines(Store("smoke"), replace(old, train_sha256="1" * 64), (1, 2))
    assert str(now) in str(caught.value)
    assert kept.read_text() == content
    data = prepare(CORPUS, TOKENIZER)
    assert ngram_baselines(Store("smoke"), now, (1, 2)) == ngram_floors(
        data.train, data.validation, (1, 2)
    )
    assert json.loads(kept.read_text())["train_sha256"] == now.train_sha256
