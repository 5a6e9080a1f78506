import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import stub_hub
from hypothesis import given
from hypothesis import strategies as st
from tiny_mirror import sentences, write_ag_news, write_data_set

from tinylm.corpora import corpus_names, corpus_version, fables, hub, open_corpus
from tinylm.corpora.documents import build_corpus, documents_sha256
from tinylm.corpora.hub import join_articles, split_stories
from tinylm.errors import BadInput, Missing, TinyLMError

SHORT_TEXTS = st.lists(st.text("ab \n", max_size=3), max_size=12)


def test_every_name_has_a_version_and_others_are_refused() -> None:
    assert set(corpus_names()) >= {"fables", "fables-long", "tinystories", "ag_news", "ag_news-all"}
    assert set(corpus_names(long=False)) == {*fables.CORPORA, *hub.SOURCES}
    assert all(corpus_version(name) for name in corpus_names())
    for use in (corpus_version, open_corpus):
        with pytest.raises(TinyLMError, match=r"unknown corpus 'novels'.*fables"):
            use("novels")


@given(SHORT_TEXTS, SHORT_TEXTS)
def test_splits_are_disjoint_without_repeats_and_every_drop_is_counted(
    train: list[str], validation: list[str]
) -> None:
    in_validation = {text.strip() for text in validation} - {""}
    in_train = {text.strip() for text in train} - {""} - in_validation
    if not in_train or not in_validation:
        with pytest.raises(TinyLMError, match="is empty"):
            build_corpus("some", "1", train, validation, {})
        return
    corpus = build_corpus("some", "1", train, validation, {"title": "Some"})
    given_texts = {"train": train, "validation": validation}
    for split, expected in (("train", in_train), ("validation", in_validation)):
        documents = corpus.documents[split]  # type: ignore[index]
        dropped = corpus.provenance["dropped"][split]
        assert sorted(documents) == sorted(expected)
        assert sum(dropped.values()) + len(documents) == len(given_texts[split])
        assert corpus.provenance["documents"][split] == len(documents)
        assert corpus.provenance["bytes"][split] == sum(map(len, documents))
        assert corpus.provenance["sha256"][split] == documents_sha256(documents)
    assert corpus.provenance["title"] == "Some"


@pytest.mark.parametrize("bad", ["a\0b", "a\ud800b"])
def test_text_that_is_no_text_is_refused_with_its_place(bad: str) -> None:
    with pytest.raises(TinyLMError, match="some train document 1 "):
        build_corpus("some", "1", ["fine", bad], ["also fine"], {})


@given(st.lists(st.text("ab\n", min_size=1).map(str.strip).filter(bool), max_size=6))
def test_stories_are_split_where_they_end(stories: list[str]) -> None:
    text = "".join(f"{story}\n<|endoftext|>\n" for story in stories)
    lines = text.splitlines()
    assert [story.strip() for story in split_stories(lines)] == stories
    without_last_mark = lines[:-1]
    assert [story.strip() for story in split_stories(without_last_mark)] == stories


def test_two_stories_may_end_in_one_line() -> None:
    assert list(split_stories(["one<|endoftext|>two<|endoftext|>three"])) == ["one", "two", "three"]


def test_articles_begin_at_top_level_headings_only() -> None:
    first = [
        "",
        " = Fox = \n",
        "",
        " A fox . \n",
        "",
        " = = Diet = = \n",
        "",
        " = x + y = \n",
        " Z\n",
    ]
    second = ["", " = Hen = \n", "", " A hen . \n", ""]
    articles = list(join_articles([*first, *second]))
    assert [article.split("\n")[0] for article in articles] == [" = Fox = ", " = Hen = "]
    assert "= = Diet = =" in articles[0]
    assert "x + y = \n Z" in articles[0]
    assert "".join(articles).split() == "".join([*first, *second]).split()


def test_a_mirror_is_read_and_named_in_the_provenance_but_not_its_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_ag_news(tmp_path, train=9, test=3)
    monkeypatch.setenv("TINYLM_HUB_MIRROR", str(tmp_path))
    corpus = open_corpus("ag_news-all")
    assert corpus.documents["train"] == sentences(9)
    assert corpus.documents["validation"] == sentences(3, offset=9)  # the test split
    assert corpus.provenance["origin"] == "mirror"
    assert corpus.provenance["licence"] == "non-commercial research use"
    assert str(tmp_path) not in json.dumps(corpus.provenance)


def test_only_so_many_documents_of_a_large_data_set_are_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_ag_news(tmp_path, train=9, test=3)
    monkeypatch.setenv("TINYLM_HUB_MIRROR", str(tmp_path))
    monkeypatch.setattr(hub, "MAX_DOCUMENTS", {"train": 4, "validation": 2})
    corpus = open_corpus("ag_news-all")
    assert corpus.documents["train"] == sentences(4)
    assert corpus.provenance["documents"] == corpus.provenance["limits"]
    assert corpus.provenance["limits"] == {"train": 4, "validation": 2}


@pytest.mark.parametrize("name", hub.SOURCES | hub.ALL)
def test_a_mirror_without_the_data_set(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TINYLM_HUB_MIRROR", str(tmp_path))
    with pytest.raises(TinyLMError, match=r"TINYLM_HUB_MIRROR .* lacks the data set") as caught:
        open_corpus(name)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"PAR1 no parquet at all \x00\xff" * 9])
def test_a_mirror_with_a_damaged_file(
    content: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_ag_news(tmp_path)
    next(tmp_path.rglob("train*.parquet")).write_bytes(content)
    monkeypatch.setenv("TINYLM_HUB_MIRROR", str(tmp_path))
    with pytest.raises(TinyLMError, match="'ag_news-all' cannot be read from the mirror") as caught:
        open_corpus("ag_news-all")
    assert "\n" not in str(caught.value)


def test_a_mirror_with_binary_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "fancyzhx" / "ag_news" / "data"
    write_data_set(folder, {"train": ["fine", "\x00\x01\x02"], "test": ["fine too"]})
    monkeypatch.setenv("TINYLM_HUB_MIRROR", str(tmp_path))
    with pytest.raises(TinyLMError, match="ag_news-all train document 1 holds a NUL"):
        open_corpus("ag_news-all")


def write_column(mirror: Path, column: pa.Array, name: str = "text") -> None:
    """An ag_news whose train split has this column."""
    write_ag_news(mirror)
    pq.write_table(pa.table({name: column}), next(mirror.rglob("train*.parquet")))


@pytest.mark.parametrize(
    ("column", "said"),
    [
        (pa.array([1, 2]), r"row 0 holds '1', which is of type int"),
        (pa.array([1.5]), r"row 0 holds '1.5', which is of type float"),
        (pa.array([b"ab", b"c"]), r"row 0 holds .*ab.*, which is of type bytes"),
        (pa.array([["a", "b"], []]), r"row 0 holds .*, which is of type list"),
        (pa.array([{"x": 1}]), r"row 0 holds .*, which is of type dict"),
        (pa.array([True]), r"row 0 holds 'True', which is of type bool"),
    ],
)
def test_a_text_column_of_something_else(
    column: pa.Array, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_column(tmp_path, column)
    monkeypatch.setenv("TINYLM_HUB_MIRROR", str(tmp_path))
    with pytest.raises(BadInput, match=f"corpus 'ag_news-all': train {said}.*expected text"):
        open_corpus("ag_news-all")


def test_a_row_without_text_is_dropped_and_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_column(tmp_path, pa.array(["a fox", None, "a hen", None]))
    monkeypatch.setenv("TINYLM_HUB_MIRROR", str(tmp_path))
    corpus = open_corpus("ag_news-all")
    assert corpus.documents["train"] == ["a fox", "a hen"]
    assert corpus.provenance["dropped"]["train"]["empty"] == 2


def test_a_data_set_without_a_text_column(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_column(tmp_path, pa.array(["a fox"]), "story")
    monkeypatch.setenv("TINYLM_HUB_MIRROR", str(tmp_path))
    with pytest.raises(BadInput, match="train row 0 has no column 'text', only story"):
        open_corpus("ag_news-all")


@pytest.mark.parametrize("name", ["tinystories-v2", "wikitext-2"])
def test_real_text(name: str, hub_mirror: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TINYLM_HUB_MIRROR", str(hub_mirror))
    corpus = open_corpus(name)
    train, validation = corpus.documents["train"], corpus.documents["validation"]
    assert not set(train) & set(validation)
    if name == "wikitext-2":  # its documentation: 600 articles to train on, 60 to validate on
        assert (len(train), len(validation)) == (600, 60)
        assert train[0].startswith("= Valkyria Chronicles III =")
    else:
        assert min(len(train), len(validation)) > 500
        assert not any("<|endoftext|>" in text for text in train)


@pytest.fixture
def no_mirror(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TINYLM_HUB_MIRROR", raising=False)
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def silent_address() -> Iterator[str]:
    """An address that accepts connections and never says a word."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


@pytest.mark.usefixtures("no_mirror")
def test_a_hub_that_refuses_or_hangs_is_known_before_the_library_is_asked(
    silent_address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def must_not_ask(*args: Any, **kwargs: Any) -> None:
        raise AssertionError("the library was asked")

    assert hub.PROBE_SECONDS < 5
    monkeypatch.setattr(hub, "PROBE_SECONDS", 0.3)
    monkeypatch.setattr(hub, "_load_dataset", must_not_ask)
    for address in (
        silent_address,
        "http://127.0.0.1:9",
        "http://no-such-host.invalid",
        "nonsense",
    ):
        monkeypatch.setenv("HF_ENDPOINT", address)
        with pytest.raises(TinyLMError, match="cannot be reached; set TINYLM_HUB_MIRROR") as caught:
            open_corpus("tinystories")
        assert "fables" in str(caught.value)
        with pytest.raises(TinyLMError, match="cannot be reached; set TINYLM_HUB_MIRROR"):
            open_corpus("hub:any/set")


@pytest.mark.usefixtures("no_mirror")
@pytest.mark.parametrize("asked", ["README", "/revision/", "/tree/", "parquet", "..."])
def test_a_hub_that_answers_and_then_hangs_is_known_too(
    asked: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def must_not_ask(*args: Any, **kwargs: Any) -> None:
        raise AssertionError("the library was asked")

    monkeypatch.setattr(hub, "PROBE_SECONDS", 1.0)
    monkeypatch.setattr(hub, "_load_dataset", must_not_ask)
    with stub_hub.serve(tmp_path, hangs_on=asked) as address:
        monkeypatch.setenv("HF_ENDPOINT", address)
        said = r"the hub at http://127.* does not answer when asked for /.*; set TINYLM_HUB_MIRROR"
        with pytest.raises(Missing, match=said) as caught:
            open_corpus("ag_news")
    assert re.search(asked, str(caught.value))


LOADER = """
import json, sys
from tinylm.corpora import hub, open_corpus
from tinylm.errors import BadInput, Missing, TinyLMError
hub.MAX_DOCUMENTS["train"] = 5
for name in sys.argv[1:]:
    try:
        corpus = open_corpus(name)
        print(json.dumps([*map(list, corpus.documents.values()), dict(corpus.provenance)]))
    except TinyLMError as error:
        print(json.dumps(str(error)))
"""


def load_in_a_new_process(names: list[str], environment: dict[str, str]) -> list[Any]:
    """What each corpus gives; the hub's libraries read their settings when they are imported."""
    finished = subprocess.run(
        [sys.executable, "-c", LOADER, *names],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return [json.loads(line) for line in finished.stdout.splitlines()]


@pytest.mark.usefixtures("no_mirror")
def test_corpora_come_from_the_hub(tmp_path: Path) -> None:
    write_ag_news(tmp_path / "hub", train=9, test=3)
    stories = tmp_path / "hub" / "roneneldan" / "TinyStories"
    write_data_set(stories / "data", {"train": sentences(3), "validation": sentences(2, 3)})
    for split, offset in (("train", 10), ("valid", 20)):
        text = "\n<|endoftext|>\n".join(f"{s}\n\nEnd – of it." for s in sentences(3, offset))
        (stories / f"TinyStoriesV2-GPT4-{split}.txt").write_text(text)
    with stub_hub.serve(tmp_path / "hub") as address:
        environment = {"HF_ENDPOINT": address, "HF_HOME": str(tmp_path / "cache")}
        names = ["ag_news-all", "tinystories-all", "tinystories-v2-all", "wikitext-2"]
        news, first, second, missing = load_in_a_new_process(names, environment)
    assert news[:2] == [sentences(5), sentences(3, offset=9)]
    assert news[2]["origin"] == "hub"
    assert news[2]["revision"] == hub.SOURCES["ag_news"].revision
    assert first[:2] == [sentences(3), sentences(2, 3)]
    assert second[0] == [f"{s}\nEnd – of it." for s in sentences(3, 10)]  # no blank line
    assert second[1] == [f"{s}\nEnd – of it." for s in sentences(3, 20)]
    assert missing.startswith("corpus 'wikitext-2' cannot be read from the hub")


def test_a_home_that_cannot_be_written_is_told_as_that(tmp_path: Path) -> None:
    write_ag_news(tmp_path / "mirror")
    (tmp_path / "home").write_text("a file")
    environment = {"HOME": str(tmp_path / "home"), "TINYLM_HUB_MIRROR": str(tmp_path / "mirror")}
    (said,) = load_in_a_new_process(["ag_news-all"], environment | {"HF_HOME": "~/.cache/hf"})
    assert "cannot write its cache, the folder" in said
    assert "home/.cache/hf" in said
    assert said.endswith("name a writable one with HF_HOME")


@pytest.mark.usefixtures("no_mirror")
def test_offline_without_a_cache_fails_at_once(tmp_path: Path) -> None:
    environment = {"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "cache")}
    said = load_in_a_new_process(["ag_news", "tinystories-v2"], environment)
    assert all("HF_HUB_OFFLINE is set" in line and "fables" in line for line in said)


def test_any_set_of_a_mirror_is_a_corpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TINYLM_HUB_MIRROR", str(tmp_path))
    write_data_set(tmp_path / "some" / "set" / "data", {"train": sentences(200)})
    corpus = open_corpus("hub:some/set")
    train, validation = corpus.documents["train"], corpus.documents["validation"]
    assert len(train) + len(validation) == 200
    assert 5 < len(validation) < 40
    assert (corpus.provenance["title"], corpus.provenance["origin"]) == ("some/set", "mirror")
    for name, said in (
        ("hub:no/set", "lacks the data set 'no/set'"),
        ("hub:some/set?column=body", "has no column 'body'; expected one of text"),
        ("hub:some/set?split=nights", "cannot be read from the mirror"),
    ):
        with pytest.raises(TinyLMError, match=said):
            open_corpus(name)


def test_a_set_that_needs_a_login_is_told_in_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gated(*args: Any, **kwargs: Any) -> None:
        raise OSError("Dataset 'some/set' is a gated dataset on the Hub.\nMore lines.")

    monkeypatch.setenv("TINYLM_HUB_MIRROR", str(tmp_path))
    (tmp_path / "some" / "set").mkdir(parents=True)
    monkeypatch.setattr(hub, "_load_dataset", gated)
    with pytest.raises(
        TinyLMError, match="'some/set' is a gated dataset on the Hub; set"
    ) as caught:
        open_corpus("hub:some/set")
    assert "More lines" not in str(caught.value)
