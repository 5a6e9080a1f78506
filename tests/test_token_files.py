import errno
import json
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_batches import LENGTHS, distinct_documents
from tiny_mirror import write_ag_news

from tinylm.corpora import hub, token_files
from tinylm.corpora.token_files import prepare, tokenize
from tinylm.errors import TinyLMError
from tinylm.tokenizers import END_OF_TEXT, train_tokenizer


def test_the_stream_holds_every_document_between_special_tokens() -> None:
    texts = ["A fox.", "Ünïcode ", "the hen and the hare", "x"]
    tokenizer = train_tokenizer("characters", texts)
    made = tokenize(texts, tokenizer)
    assert [tokenizer.decode(made.document(i)[1:-1].tolist()) for i in range(4)] == texts
    assert all(made.document(i)[[0, -1]].tolist() == [END_OF_TEXT] * 2 for i in range(4))
    assert made.n_bytes == sum(len(text.encode()) for text in texts)
    assert made.n_tokens == len(made.tokens) - 1
    assert made.bytes_per_token == made.n_bytes / made.n_tokens


def test_head_is_the_token_file_of_the_first_documents() -> None:
    texts = ["A fox.", "Ünïcode", "the hen"]
    tokenizer = train_tokenizer("characters", texts)
    head, alone = tokenize(texts, tokenizer).head(2), tokenize(texts[:2], tokenizer)
    assert head.tokens.tolist() == alone.tokens.tolist()
    assert head.starts.tolist() == alone.starts.tolist()
    assert (head.n_documents, head.n_bytes) == (2, alone.n_bytes)
    for wrong in (0, 4):
        with pytest.raises(TinyLMError, match=f"first {wrong} documents"):
            tokenize(texts, tokenizer).head(wrong)


@given(LENGTHS, st.integers(1, 400))
def test_within_are_as_many_first_documents_as_fit(lengths: list[int], n_tokens: int) -> None:
    data = distinct_documents(lengths)
    part = data.within(n_tokens)
    n = part.n_documents
    assert part.tokens.tolist() == data.head(n).tokens.tolist()
    assert part.n_tokens <= n_tokens or n == 1
    assert n == data.n_documents or data.head(n + 1).n_tokens > n_tokens
    assert data.within(None) is data


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty project beside a mirror that holds a small ag_news."""
    write_ag_news(tmp_path / "mirror")
    monkeypatch.setenv("TINYLM_HUB_MIRROR", str(tmp_path / "mirror"))
    monkeypatch.setenv("TINYLM_ROOT", str(tmp_path / "project"))
    (tmp_path / "project").mkdir()
    return tmp_path / "project"


def files_in(root: Path) -> list[Path]:
    return [path for path in root.rglob("*") if path.is_file()]


def must_not_load(name: str) -> NoReturn:
    raise AssertionError(f"{name} was loaded again")


def test_prepared_once_then_only_opened(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = prepare("ag_news-all", "bpe-280")
    monkeypatch.setattr(token_files, "open_corpus", must_not_load)
    again = prepare("ag_news-all", "bpe-280")
    assert (again.train.tokens == first.train.tokens).all()
    assert again.train.document_bytes is not None
    assert again.train.document_bytes.sum() == again.train.n_bytes
    assert again.tokenizer.vocab_size == again.train.manifest["vocab_size"] == 280
    assert (again.train.n_documents, again.validation.n_documents) == (300, 20)
    assert again.provenance["documents"] == {"train": 300, "validation": 20}
    assert again.corpus_version == hub.VERSION
    text = again.tokenizer.decode(again.validation.document(0)[1:-1].tolist())
    assert text.endswith(" 300.")
    assert str(root.parent) not in json.dumps(again.train.manifest)  # no paths of this machine


def test_the_tokenizer_is_trained_on_train_text_only(root: Path) -> None:
    prepared = prepare("ag_news-all", "bpe-280")
    texts = [
        prepared.tokenizer.decode(prepared.train.document(i)[1:-1].tolist())
        for i in range(prepared.train.n_documents)
    ]
    alone = train_tokenizer("bpe-280", texts)
    assert all(alone.encode(t) == prepared.tokenizer.encode(t) for t in texts)


def test_another_corpus_version_is_prepared_anew(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare("ag_news-all", "characters")
    monkeypatch.setattr(hub, "VERSION", "next")
    assert prepare("ag_news-all", "characters").train.manifest["corpus_version"] == "next"


def test_a_preparation_cut_short_is_done_again(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = prepare("ag_news-all", "characters").train.manifest
    folder = root / "data" / "ag_news-all" / "characters"
    (folder / "validation.json").unlink()
    (folder / "train.bin").write_bytes(b"half")
    assert prepare("ag_news-all", "characters").train.manifest == whole


def _truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-2])


def _flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("damage", [_truncate, _flip, Path.unlink])
@pytest.mark.parametrize("name", ["train.bin", "validation.bin", "validation.bytes"])
def test_a_damaged_token_file_is_named(
    root: Path, name: str, damage: Callable[[Path], None]
) -> None:
    prepare("ag_news-all", "characters")
    damage(root / "data" / "ag_news-all" / "characters" / name)
    with pytest.raises(TinyLMError, match=name) as caught:
        prepare("ag_news-all", "characters")
    assert "make data" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"n_bytes": ', '"n_bytes": 1'),
        ('"n_documents": 2', '"n_documents": 3'),
        ("{", "["),
        ('"tokenizer_sha256": "', '"tokenizer_sha256": "0'),
    ],
)
def test_a_damaged_manifest_is_refused(root: Path, old: str, new: str) -> None:
    prepare("ag_news-all", "characters")
    path = root / "data" / "ag_news-all" / "characters" / "validation.json"
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new, 1))
    with pytest.raises(TinyLMError, match="is damaged"):
        prepare("ag_news-all", "characters")


def test_a_damaged_tokenizer_is_refused_and_a_deleted_one_made_again(root: Path) -> None:
    prepare("ag_news-all", "bpe-280")
    path = root / "data" / "tokenizers" / "ag_news-all-bpe-280.json"
    whole = path.read_bytes()
    path.write_bytes(whole[:-9])
    with pytest.raises(TinyLMError, match=path.name):
        prepare("ag_news-all", "bpe-280")
    path.unlink()
    prepare("ag_news-all", "bpe-280")
    assert path.read_bytes() == whole


@pytest.mark.parametrize(
    ("corpus", "tokenizer", "said"),
    [
        ("novels", "bpe-280", "unknown corpus 'novels'"),
        ("ag_news-all", "bpe-12", "unknown tokenizer 'bpe-12'"),
        ("ag_news-all", "bpe-60000", "'bpe-60000'"),
        ("wikitext-2", "bpe-280", "lacks the data set"),
    ],
)
def test_bad_input_leaves_nothing_written(
    root: Path, corpus: str, tokenizer: str, said: str
) -> None:
    with pytest.raises(TinyLMError, match=said):
        prepare(corpus, tokenizer)
    assert files_in(root) == []


def test_a_full_disk_is_one_sentence_and_leaves_nothing(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: Any) -> NoReturn:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", full)
        with pytest.raises(TinyLMError, match="No space left on device"):
            prepare("ag_news-all", "characters")
    assert files_in(root) == []
    prepare("ag_news-all", "characters")


def test_of_two_at_once_one_prepares_and_both_get_it(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded: list[str] = []
    both = threading.Barrier(2)
    results: list[str] = []

    def counted(name: str) -> Any:
        loaded.append(name)
        return hub.load(name)

    def work() -> None:
        both.wait()
        results.append(prepare("ag_news-all", "bpe-280").train.manifest["sha256"])

    monkeypatch.setattr(token_files, "open_corpus", counted)
    workers = [threading.Thread(target=work) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert loaded == ["ag_news-all"]
    assert len(results) == 2
    assert len(set(results)) == 1


def test_two_processes_do_not_collide(root: Path) -> None:
    program = (
        "from tinylm.corpora.token_files import prepare; "
        "print(prepare('ag_news-all', 'bpe-280').train.n_bytes)"
    )
    started = [
        subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    said = [process.communicate()[0] for process in started]
    assert [process.returncode for process in started] == [0, 0]
    assert said == [f"{prepare('ag_news-all', 'bpe-280').train.n_bytes}\n"] * 2
