"""Your own text: what it is cut into, what is held out, and what cannot be."""

from pathlib import Path

import pytest
from conftest import CHECKOUT
from hypothesis import given
from hypothesis import strategies as st
from tiny_runs import tiny_config

from tinylm.corpora import corpus_version, described, open_corpus
from tinylm.corpora.address import BY, SUFFIXES, parse_address
from tinylm.corpora.own_text import MANY_FILES, PIECE, cut_text, held_out, into_pieces
from tinylm.corpora.token_files import prepare
from tinylm.errors import BadInput, Missing
from tinylm.store import Store
from tinylm.train import identify, train


def paragraphs(n: int, start: int = 0) -> str:
    return "\n\n".join(f"Paragraph {i} tells of {i * i} hares." for i in range(start, start + n))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TINYLM_ROOT", str(tmp_path / "project"))
    made = tmp_path / "texts"
    made.mkdir()
    return made


def cut(path: object) -> tuple[int, str]:
    found = cut_text(parse_address(str(path)))
    return len(found.documents), found.said


def test_text_is_cut_as_its_shape_says(folder: Path) -> None:
    many, poem, prose = folder / "many.txt", folder / "poem.md", folder / "prose.txt"
    many.write_text(paragraphs(60))
    poem.write_text(paragraphs(5))
    prose.write_text("One sentence of it. " * 1000)
    assert cut(many) == (60, "by blank lines")
    assert cut(poem) == (1, "into pieces")
    assert cut(prose) == (10, "into pieces")
    assert cut(f"{poem}?documents=blank-lines") == (5, "by blank lines")
    assert cut(f"{many}?documents=files") == (1, "by files")
    assert cut(f"{poem}?separator=hares.") == (6, "by the separator")
    assert cut(folder) == (66, "by blank lines")


def test_a_folder_of_many_files_is_cut_by_files_and_rows(folder: Path) -> None:
    for i in range(50):
        (folder / f"{i}.txt").write_text(f"File {i}.\n\nIt ends.")
    (folder / ".hidden.txt").write_text("not this")
    (folder / "picture.png").write_bytes(b"\0")
    assert cut(folder) == (50, "by files")
    (folder / "more.csv").write_text("id,text\n1,one more\n2,and another\n")
    assert cut(folder) == (52, "by files and rows")


@given(st.text(st.sampled_from("ab .\n"), max_size=3 * PIECE))
def test_pieces_are_the_text(text: str) -> None:
    pieces = list(into_pieces(text))
    assert "".join(pieces) == text
    assert all(0 < len(piece) <= PIECE for piece in pieces)
    assert all(len(piece) >= PIECE // 2 for piece in pieces[:-1])


def test_validation_does_not_change_when_text_is_added() -> None:
    first, more = paragraphs(300).split("\n\n"), paragraphs(100, 300).split("\n\n")
    train, validation = held_out(first)
    assert 0.05 < len(validation) / 300 < 0.15
    assert {*train} | {*validation} == {*first}
    _, later = held_out([*more, *first])
    assert {*validation} == {*later} & {*first}
    assert held_out([*first, *first]) == (train, validation)


def test_the_rules_stand_in_the_data_readme() -> None:
    said = (CHECKOUT / "data" / "README.md").read_text(encoding="utf-8")
    assert f"a folder has {MANY_FILES} or more" in said
    assert f"into pieces of {PIECE:,} characters" in said
    assert all(f"`{suffix}`" in said for suffix in SUFFIXES)
    assert all(by in said for by in BY)


def test_validation_is_never_much() -> None:
    texts = [f"{i} " + 2_000 * "x" for i in range(4_000)]  # 8 MB
    _, validation = held_out(texts)
    assert 50_000 < sum(map(len, validation)) <= 200_000


def test_a_run_reads_it_and_is_of_this_text(folder: Path) -> None:
    path = folder / "many.txt"
    path.write_text(paragraphs(300))
    config = tiny_config(data={"corpus": str(path), "tokenizer": "bpe-280"})
    first = identify(config, 0).run_id
    record = train(config, 0, store=Store("smoke"))
    assert record.run_id == first
    assert record.provenance.corpus["title"] == f"{path}, cut by blank lines"
    data = prepare(str(path), "bpe-280")
    assert data.train.n_documents + data.validation.n_documents == 300
    path.write_text(paragraphs(301))
    assert identify(config, 0).run_id != first  # another text, another run
    again = prepare(str(path), "bpe-280")
    assert again.train.n_documents + again.validation.n_documents == 301


def test_what_is_made_of_it_is_said_before(folder: Path) -> None:
    path = folder / "many.txt"
    path.write_text(paragraphs(60))
    said = described(str(path))
    assert said.startswith("cut by blank lines: ")
    assert said.endswith(" for validation, 0.0019 MB in all")
    assert described("fables") == ""


def test_a_version_is_of_the_bytes(folder: Path) -> None:
    one, other = folder / "one.txt", folder / "other.txt"
    one.write_text(paragraphs(60))
    other.write_text(paragraphs(60))
    assert corpus_version(str(one)) == corpus_version(str(other))
    other.write_text(paragraphs(61))
    assert corpus_version(str(one)) != corpus_version(str(other))


def refused(name: object) -> str:
    with pytest.raises((BadInput, Missing)) as caught:
        open_corpus(str(name))
    return str(caught.value)


def test_what_cannot_be_text_is_told(folder: Path) -> None:
    empty, binary, few = folder / "empty", folder / "binary.txt", folder / "few.txt"
    empty.mkdir()
    binary.write_bytes(b"GIF89a\0\0")
    few.write_text("Only this.")
    numbers, pdf = folder / "numbers.csv", folder / "a.pdf"
    numbers.write_text("a,b\n1,2\n3,4\n")
    pdf.write_text("x")
    assert "has no file of text; expected one of .txt, .md" in refused(empty)
    assert "binary.txt: byte 6 is 0; expected text, not binary data" in refused(binary)
    assert "cut into pieces, has 1 documents; expected at least 10" in refused(few)
    assert "has no column of text, only a, b" in refused(numbers)
    assert "has no column 'c'; expected one of a, b" in refused(f"{numbers}?column=c")
    assert "has no tables, so no column 'c'" in refused(f"{few}?column=c")
    assert "separator '***' never occurs" in refused(f"{few}?separator=***")
    assert "ends in '.pdf'; expected one of" in refused(pdf)
    assert "there is no file or folder" in refused(folder / "none.txt")
    assert "hub is called hub:owner/name" in refused("owner/name")


def test_a_folder_with_one_unreadable_file_is_told(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "good.txt").write_text(paragraphs(60))
    bad = folder / "bad.txt"
    bad.write_text("x")
    read = Path.read_bytes

    def deny(path: Path) -> bytes:
        if path == bad:
            raise PermissionError(13, "Permission denied")
        return read(path)

    monkeypatch.setattr(Path, "read_bytes", deny)
    assert f"file {bad} cannot be read: Permission denied" in refused(folder)


def test_a_name_that_is_a_file_here_is_told(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    (folder / "novels").mkdir()
    assert "the file or folder of that name is ./novels" in refused("novels")
