"""The same text for everybody: selections, and what is rebuilt by them from other sources."""

import json
import os
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import stub_hub
import yaml
from hypothesis import given
from hypothesis import strategies as st
from tiny_mirror import sentences, write_ag_news, write_data_set
from tiny_runs import tinylm, tree

from tinylm.corpora import corpus_version, hub, open_corpus, selection_of
from tinylm.corpora.documents import build_corpus
from tinylm.corpora.selection import document_hash, read_selection, write_selection
from tinylm.corpora.token_files import prepare
from tinylm.errors import BadInput, Damaged, Missing
from tinylm.sweeps.preparing import select

CHECKOUT = Path(__file__).resolve().parent.parent
TOKENIZER = "bpe-280"


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty project beside an empty mirror."""
    monkeypatch.setenv("TINYLM_HUB_MIRROR", str(tmp_path / "mirror"))
    monkeypatch.setenv("TINYLM_ROOT", str(tmp_path / "project"))
    (tmp_path / "project").mkdir()
    return tmp_path / "project"


@pytest.fixture
def selected(root: Path) -> Path:
    """A project whose ag_news is selected from the mirror beside it."""
    write_ag_news(root.parent / "mirror", train=60, test=8)
    select("ag_news", TOKENIZER)
    return root


def read_elsewhere(
    root: Path, monkeypatch: pytest.MonkeyPatch, train: list[str], test: list[str]
) -> None:
    """Name a mirror that has an ag_news of these documents."""
    folder = root.parent / "other"
    write_data_set(folder / "fancyzhx" / "ag_news" / "data", {"train": train, "test": test})
    monkeypatch.setenv("TINYLM_HUB_MIRROR", str(folder))


def token_sha256(corpus: str) -> list[str]:
    prepared = prepare(corpus, TOKENIZER)
    return [tokens.manifest["sha256"] for tokens in (prepared.train, prepared.validation)]


def test_what_is_selected_is_what_was_there(selected: Path) -> None:
    everything, corpus = open_corpus("ag_news-all"), open_corpus("ag_news")
    assert corpus.documents == everything.documents
    selection = read_selection("ag_news")
    assert dict(selection.documents) == {"train": 60, "validation": 8}
    assert selection.hashes["train"] == tuple(map(document_hash, sentences(60)))
    assert dict(selection.sha256) == corpus.provenance["sha256"]
    assert list(selection.tokens[TOKENIZER].values()) == token_sha256("ag_news-all")
    assert token_sha256("ag_news") == token_sha256("ag_news-all")
    assert str(selected.parent) not in (selected / "data" / "ag_news.selection").read_text()


def test_it_is_found_among_more_documents_in_another_order(
    selected: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = token_sha256("ag_news")
    shuffled, rest = sentences(500), [f"  {each}\n" for each in sentences(60)]
    random.Random(0).shuffle(shuffled)  # documents 60 to 67, of validation, are in train here
    read_elsewhere(selected, monkeypatch, shuffled, rest)
    for path in (selected / "data" / "ag_news" / TOKENIZER).iterdir():
        path.unlink()
    assert token_sha256("ag_news") == before
    assert token_sha256("ag_news-all") != before
    assert open_corpus("ag_news-all").provenance["documents"]["train"] == 440


def test_documents_that_are_not_there_are_counted_and_the_source_is_named(
    selected: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    less = sentences(60)[:-2]
    less[7] += " Or did they?"
    read_elsewhere(selected, monkeypatch, less, sentences(8, 60))
    before = tree(selected)
    with pytest.raises(Missing, match=r"'ag_news': 3 of the 68 documents .* not in the mirror \(T"):
        prepare("ag_news", TOKENIZER)
    assert tree(selected) == before
    assert prepare("ag_news-all", TOKENIZER).train.n_documents == 58


def test_prepared_data_of_another_text_are_made_again(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a tinylm without selections, or another selection, has left in data/."""
    write_ag_news(root.parent / "mirror", train=60, test=8)
    select("ag_news", TOKENIZER)
    before = token_sha256("ag_news")
    read_elsewhere(root, monkeypatch, sentences(70, 5), sentences(9, 100))
    assert token_sha256("ag_news") == before  # made already: the source is not read again
    select("ag_news", TOKENIZER)
    assert token_sha256("ag_news") != before
    assert prepare("ag_news", TOKENIZER).train.n_documents == 70


def test_a_tokenizer_that_comes_out_differently_is_told(selected: Path) -> None:
    path = selected / "data" / "ag_news.selection"
    wrong = path.read_text().replace(token_sha256("ag_news-all")[1], "f" * 64)
    path.write_text(wrong)
    before = tree(selected)
    with pytest.raises(
        Damaged, match=r"validation tokens under 'bpe-280' .* f{16}.* tokenizer dif"
    ):
        prepare("ag_news", TOKENIZER)
    assert tree(selected) == before
    prepare("ag_news", "bpe-290")  # of which the selection knows nothing


def test_text_that_comes_out_differently_is_told(selected: Path) -> None:
    path = selected / "data" / "ag_news.selection"
    text = open_corpus("ag_news").provenance["sha256"]["train"]
    path.write_text(path.read_text().replace(text, "f" * 64))
    with pytest.raises(Damaged, match=r"'ag_news': its train text came out with .* f{16}"):
        prepare("ag_news", TOKENIZER)


def _cut(lines: list[str]) -> list[str]:
    return lines[:-1]


def _swap_header(lines: list[str]) -> list[str]:
    return ["corpus: wikitext-2", *lines[1:]]


def _no_hex(lines: list[str]) -> list[str]:
    return [*lines[:-1], "z" * 16]


def _no_header(lines: list[str]) -> list[str]:
    return lines[lines.index("---") + 1 :]


def _no_count(lines: list[str]) -> list[str]:
    return [line for line in lines if "train: 60" not in line]


def _other_field(lines: list[str]) -> list[str]:
    return ["colour: red", *lines]


@pytest.mark.parametrize(
    "damage", [_cut, _swap_header, _no_hex, _no_header, _no_count, _other_field]
)
def test_a_damaged_selection_is_named(
    selected: Path, damage: Callable[[list[str]], list[str]]
) -> None:
    path = selected / "data" / "ag_news.selection"
    path.write_text("\n".join(damage(path.read_text().splitlines())) + "\n")
    with pytest.raises(Damaged, match=r"ag_news\.selection is damaged \(") as caught:
        prepare("ag_news", TOKENIZER)
    assert "\n" not in str(caught.value)


def test_a_project_without_selections_has_the_published_ones(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    published = selection_of("tinystories-v2")
    assert published is not None
    assert published.documents["train"] == 7_157
    monkeypatch.setattr("tinylm.corpora.selection.PUBLISHED", root / "nowhere")
    with pytest.raises(
        Missing, match=r"tinystories-v2\.selection is not in .*'tinystories-v2-all'"
    ):
        open_corpus("tinystories-v2")
    assert selection_of("fables") is selection_of("tinystories-v2-all") is None


@given(st.lists(st.text("ab \n\t", min_size=1), max_size=5))
def test_stories_have_one_form_whatever_their_white_space(paragraphs: list[str]) -> None:
    words = [" ".join(p.split()) for p in paragraphs if p.strip()]
    tidy = "\n".join(words)
    lines = [line for p in paragraphs for line in p.split("\n")]
    assert hub.tidy_story("\n\n".join(words)) == tidy
    assert hub.tidy_story(tidy) == tidy
    assert hub.tidy_story(" \n".join(lines)).split() == tidy.split()


def test_two_documents_must_not_share_a_hash(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tinylm.corpora.selection.HASH_DIGITS", 1)
    corpus = build_corpus("ag_news-all", "1", sentences(30), sentences(3, 30), {})
    with pytest.raises(BadInput, match="two documents share a hash of 1 digits"):
        write_selection(corpus, "ag_news", {})
    assert not (root / "data").exists()


PREPARER = """
import json, sys
from tinylm.corpora.token_files import prepare
for name in sys.argv[2:]:
    prepared = prepare(name, sys.argv[1])
    sha256 = [tokens.manifest["sha256"] for tokens in (prepared.train, prepared.validation)]
    print(json.dumps([sha256, dict(prepared.provenance)]))
"""


def prepare_from_the_hub(folder: Path, root: Path, names: list[str]) -> list[Any]:
    """Token checksums and provenance, in a new process: the libraries read the address once."""
    with stub_hub.serve(folder) as address:
        environment = {"HF_ENDPOINT": address, "HF_HOME": str(root / "cache")}
        environment |= {"TINYLM_ROOT": str(root), "TINYLM_HUB_MIRROR": ""}
        finished = subprocess.run(
            [sys.executable, "-c", PREPARER, TOKENIZER, *names],
            env={**os.environ, **environment, "HF_HUB_OFFLINE": "0"},
            capture_output=True,
            text=True,
            check=False,
        )
    assert finished.returncode == 0, finished.stderr
    return [json.loads(line) for line in finished.stdout.splitlines()]


def test_the_hub_gives_the_text_that_a_mirror_gave(root: Path, tmp_path: Path) -> None:
    """A larger set in another order, with blank lines; the hold-out stands in its train file."""
    stories = [f"{each}\nThe end." for each in sentences(90)]
    mirror, served = tmp_path / "mirror" / "roneneldan", tmp_path / "hub" / "roneneldan"
    write_data_set(mirror / "TinyStories-V2", {"train": stories[:40], "validation": stories[50:55]})
    write_ag_news(tmp_path / "mirror", train=60, test=8)
    for name in ("tinystories-v2", "ag_news"):
        select(name, TOKENIZER)
    before = {name: token_sha256(name) for name in ("tinystories-v2", "ag_news")}

    shuffled = [story.replace("\n", "\n\n") for story in stories]
    random.Random(1).shuffle(shuffled)
    served.joinpath("TinyStories").mkdir(parents=True)
    for split, some in (("train", shuffled), ("valid", sentences(5, 500))):
        text = "\n<|endoftext|>\n".join(some)
        (served / "TinyStories" / f"TinyStoriesV2-GPT4-{split}.txt").write_text(text)
    news = sentences(300)
    random.Random(2).shuffle(news)
    write_data_set(
        tmp_path / "hub" / "fancyzhx" / "ag_news" / "data",
        {"train": news[:200], "test": news[200:]},
    )
    other = tmp_path / "elsewhere"
    (other / "data").mkdir(parents=True)
    for path in (root / "data").glob("*.selection"):
        (other / "data" / path.name).write_bytes(path.read_bytes())
    found = prepare_from_the_hub(tmp_path / "hub", other, list(before))
    for (name, expected), (sha256, provenance) in zip(before.items(), found, strict=True):
        assert sha256 == expected
        assert (provenance["origin"], provenance["revision"]) == (
            "hub",
            hub.SOURCES[name].revision,
        )


@pytest.mark.parametrize("name", hub.SOURCES)
def test_every_data_set_names_the_commit_that_is_read(name: str) -> None:
    revision = hub.SOURCES[name].revision
    assert len(revision) == 40
    assert set(revision) <= set("0123456789abcdef")
    assert f"`{revision}`" in (CHECKOUT / "data" / "README.md").read_text()


@pytest.mark.parametrize("name", hub.SOURCES)
def test_every_data_set_has_a_selection_that_is_small_enough_to_keep(name: str) -> None:
    path = CHECKOUT / "data" / f"{name}.selection"
    selection = read_selection(name)
    assert path.stat().st_size < 1_000_000
    assert selection.reader == corpus_version(name)
    assert "bpe-512" in selection.tokens


def committed_records() -> list[dict[str, Any]]:
    profiles = ("paper", "full", "first", "second", "next")
    folders = [CHECKOUT / "results" / profile / "runs" for profile in profiles]
    return [json.loads(path.read_text()) for each in folders for path in each.glob("*.json")]


def test_selections_are_of_the_text_of_the_published_runs() -> None:
    compared, selections = 0, {name: read_selection(name) for name in hub.SOURCES}
    for record in committed_records():
        names, provenance = record["config"]["data"], record["provenance"]
        if (selection := selections.get(names["corpus"])) is None:
            continue
        tokens = selection.tokens[names["tokenizer"]]
        assert tokens["train"] == provenance["train_sha256"]
        assert tokens["validation"] == provenance["validation_sha256"]
        assert dict(selection.sha256) == provenance["corpus"]["sha256"]
        compared += 1
    assert compared > 100


def test_published_text_is_rebuilt_from_real_text(
    root: Path, hub_mirror: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TINYLM_HUB_MIRROR", str(hub_mirror))
    prepared, selection = prepare("tinystories-v2", "bpe-512"), read_selection("tinystories-v2")
    assert prepared.train.manifest["sha256"] == selection.tokens["bpe-512"]["train"]
    assert prepared.provenance["sha256"] == dict(selection.sha256)


def test_the_command_writes_selections_and_keeps_what_it_knew_of_other_tokenizers(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_ag_news(root.parent / "mirror", train=60, test=8)
    path = root / "data" / "ag_news.selection"
    for tokenizer in (TOKENIZER, "characters"):
        arguments = ["data", "--select", "ag_news", "--tokenizer", tokenizer]
        code, said, _ = tinylm(arguments, monkeypatch, capsys)
        assert (code, said) == (0, f"{path}\n")
    assert sorted(tree(root)) == ["data", "data/ag_news.selection"]  # and prepares nothing
    head = yaml.safe_load(path.read_text().split("\n---\n")[0])
    assert sorted(head["tokens"]) == [TOKENIZER, "characters"]
    assert (head["origin"], head["revision"]) == ("mirror", None)
    for wrong, why in (
        (["--select"], "--select needs the names"),
        (["--select", "fables"], "corpus 'fables' cannot be selected: expected one of tinystories"),
        (["--select", "ag_news-all"], "'ag_news-all' cannot be selected"),
    ):
        code, _, said = tinylm(["data", *wrong], monkeypatch, capsys)
        assert code == 2
        assert why in said


def test_a_selection_of_more_documents_than_the_limit_is_read_to_its_end(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_ag_news(root.parent / "mirror", train=60, test=8)
    select("ag_news", TOKENIZER)
    monkeypatch.setattr(hub, "MAX_DOCUMENTS", {"train": 9, "validation": 2})
    assert len(open_corpus("ag_news").documents["train"]) == 60
    assert len(open_corpus("ag_news-all").documents["train"]) == 9
