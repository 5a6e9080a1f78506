import errno
import json
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny_mirror import write_ag_news

from tinylm import batches
from tinylm.batches import TokenFile, TrainingBatches, prepare, tokenize, validation_windows
from tinylm.corpora import hub
from tinylm.errors import TinyLMError
from tinylm.tokenizers import END_OF_TEXT, train_tokenizer

LENGTHS = st.lists(st.integers(1, 25), min_size=1, max_size=12)


def distinct_documents(lengths: list[int]) -> TokenFile:
    """A token file in which no token but END_OF_TEXT occurs twice: 1, 2, 3, ..."""
    stream, begin = [END_OF_TEXT], 1
    for length in lengths:
        stream += [*range(begin, begin + length), END_OF_TEXT]
        begin += length
    tokens = np.array(stream, np.uint16)
    n_bytes = np.array(lengths, np.int64)
    return TokenFile(tokens, np.flatnonzero(tokens == 0), int(n_bytes.sum()), {}, n_bytes)


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


@given(LENGTHS, st.integers(1, 12), st.integers(1, 5), st.integers(0, 3))
def test_an_epoch_predicts_every_token_once(
    lengths: list[int], context: int, batch_size: int, seed: int
) -> None:
    data = distinct_documents(lengths)
    if context > data.n_tokens:
        return
    loader = TrainingBatches(data, context, batch_size, seed)
    n_windows = loader.windows_per_epoch
    steps = 2 * -(-n_windows // batch_size)
    drawn = [loader.batch(step) for step in range(steps)]
    inputs = np.concatenate([x for x, _ in drawn])
    targets = np.concatenate([y for _, y in drawn])
    follows = {(int(a), int(b)) for i in range(len(lengths)) for a, b in pairwise(data.document(i))}
    assert inputs.dtype == targets.dtype == np.int64
    assert (inputs[:, 1:] == targets[:, :-1]).all()
    assert {(int(a), int(b)) for a, b in zip(inputs.flat, targets.flat, strict=True)} <= follows
    for epoch in range(len(targets) // n_windows):
        seen = Counter(targets[epoch * n_windows : (epoch + 1) * n_windows].flat)
        dropped = data.n_tokens - n_windows * context
        words = [seen[token] for token in range(1, sum(lengths) + 1)]
        assert max(words) <= 1
        assert words.count(0) + len(lengths) - seen[END_OF_TEXT] == dropped < context


def test_a_batch_depends_on_seed_and_step_alone() -> None:
    data = distinct_documents([9, 14, 3, 20, 8, 11])
    one, other = TrainingBatches(data, 4, 3, seed=1), TrainingBatches(data, 4, 3, seed=1)
    in_order = [one.batch(step) for step in range(30)]
    for step in (29, 0, 13, 28, 2):
        assert all((a == b).all() for a, b in zip(other.batch(step), in_order[step], strict=True))
    reseeded = TrainingBatches(data, 4, 3, seed=2)
    assert any((reseeded.batch(step)[0] != in_order[step][0]).any() for step in range(3))
    epoch = one.windows_per_epoch // 3
    assert any((in_order[s][0] != in_order[s + epoch][0]).any() for s in range(epoch))


def test_windows_join_documents_in_a_new_order_each_epoch() -> None:
    """The token before the second document's first one is END_OF_TEXT, but its neighbour varies."""
    data = distinct_documents([3] * 12)
    loader = TrainingBatches(data, data.n_tokens, 1, seed=0)
    orders = [tuple(loader.batch(step)[1][0, ::4]) for step in range(5)]
    assert len(set(orders)) == 5
    assert {frozenset(order) for order in orders} == {frozenset(range(1, 37, 3))}


def test_context_longer_than_the_data_and_negative_seeds_are_refused() -> None:
    data = distinct_documents([5, 5])
    TrainingBatches(data, 12, 1, seed=0)
    with pytest.raises(TinyLMError, match="context_length 13"):
        TrainingBatches(data, 13, 1, seed=0)
    with pytest.raises(TinyLMError, match="seed -1"):
        TrainingBatches(data, 4, 1, seed=-1)


@given(LENGTHS, st.integers(1, 12), st.floats(0.01, 1.0), st.integers(1, 6))
def test_every_validation_token_is_scored_once_with_its_own_context(
    lengths: list[int], context: int, stride_fraction: float, rows: int
) -> None:
    data = distinct_documents(lengths)
    stride = max(1, round(stride_fraction * context))
    scored: Counter[int] = Counter()
    owner = {int(t): i for i in range(data.n_documents) for t in data.document(i)[1:-1]}
    for window in validation_windows(data, context, stride_fraction, rows):
        assert window.inputs.shape == window.targets.shape == window.scored.shape
        assert window.inputs.shape[0] <= rows
        assert window.inputs.shape[1] <= context
        for row, column in np.argwhere(window.scored):
            at = int(window.position_in_document[row, column])
            token = int(window.targets[row, column])
            before = window.inputs[row, : column + 1]
            scored[token] += 1
            document = data.document(owner[token or int(before[-1])])
            assert document[at + 1] == token
            assert (document[at + 1 - len(before) : at + 1] == before).all()
            assert len(before) >= min(at + 1, context - stride + 1)
    assert scored.pop(END_OF_TEXT) == len(lengths)
    assert scored == Counter(range(1, sum(lengths) + 1))


def test_windows_of_like_length_share_a_batch() -> None:
    data = distinct_documents([2, 20, 2, 20, 2, 20])
    shapes = [w.inputs.shape for w in validation_windows(data, 32, 1.0, rows=3)]
    assert shapes == [(3, 3), (3, 21)]


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
    monkeypatch.setattr(batches, "open_corpus", must_not_load)
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

    monkeypatch.setattr(batches, "open_corpus", counted)
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
        "from tinylm.batches import prepare; print(prepare('ag_news-all', 'bpe-280').train.n_bytes)"
    )
    started = [
        subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    said = [process.communicate()[0] for process in started]
    assert [process.returncode for process in started] == [0, 0]
    assert said == [f"{prepare('ag_news-all', 'bpe-280').train.n_bytes}\n"] * 2
