"""Names of corpora that are paths or data sets of the hub."""

from pathlib import Path

import pytest

from tinylm.corpora import corpus_names, folder_of, is_path
from tinylm.corpora.address import is_address, parse_address
from tinylm.errors import BadInput


@pytest.mark.parametrize(
    "name",
    ["notes.txt", "./poems", "/tmp/x", "~/x.csv", "a/b", "hub:o/n", "x.jsonl?column=t", "b\\c.md"],
)
def test_what_is_an_address(name: str) -> None:
    assert is_address(name)
    assert is_path(name) == (not name.startswith("hub:"))


def test_no_corpus_of_the_package_is_one() -> None:
    assert not any(map(is_address, corpus_names()))
    assert [folder_of(name) for name in corpus_names()] == list(corpus_names())
    assert not is_address("novels")


def test_options_stand_after_a_question_mark() -> None:
    found = parse_address("what? no.txt?separator=%0A***%0A")
    assert (found.kind, found.place) == ("path", "what? no.txt")
    assert found.options == {"separator": "\n***\n"}
    hub = parse_address("hub:a/b-c?column=body&config=en&split=test")
    assert (hub.kind, hub.place) == ("hub", "a/b-c")
    assert hub.options == {"column": "body", "config": "en", "split": "test"}
    assert parse_address("x.txt?column").place == "x.txt?column"  # a question mark of its own


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("x.txt?colour=red", "unknown option 'colour'; expected one of column, documents, sep"),
        ("hub:a/b?documents=files", "unknown option 'documents'; expected one of column, config"),
        ("x.txt?column=", "option column has no value; expected column=..."),
        ("x.txt?documents=words", "documents=words; expected one of blank-lines, files, pieces"),
        ("x.txt?separator=*&documents=files", "separator beside documents"),
        ("hub:ag_news", "expected hub:OWNER/NAME, as the hub calls it"),
        ("hub:a/b/c", "expected hub:OWNER/NAME"),
    ],
)
def test_what_an_address_cannot_be(name: str, sentence: str) -> None:
    with pytest.raises(BadInput) as caught:
        parse_address(name)
    assert sentence in str(caught.value)


def test_a_path_behind_hub_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(BadInput, match="without hub: it is a file here"):
        parse_address("hub:notes.txt")


def test_every_address_has_a_folder_of_its_own() -> None:
    names = ["a/x.txt", "b/x.txt", "a/x.txt?documents=files", "hub:a/x", "a/x", "./a/x.txt"]
    folders = [folder_of(name) for name in names]
    assert len(set(folders)) == len(names)
    for folder in folders:
        assert folder.startswith("own-x-")
        assert "/" not in folder
