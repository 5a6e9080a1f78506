"""Bytes to text, and rows of tables."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinylm.corpora.reading import decode, find_column, rows_of, texts_of_rows
from tinylm.errors import BadInput, TinyLMError

WORDS = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), min_size=1)


@given(WORDS)
def test_utf8_comes_back(text: str) -> None:
    assert decode(text.encode(), "x") == text.removeprefix("\ufeff")
    assert decode(b"\xef\xbb\xbf" + text.encode(), "x") == text


@given(WORDS)
def test_utf16_with_a_mark_comes_back(text: str) -> None:
    for encoding, mark in (("utf-16-le", b"\xff\xfe"), ("utf-16-be", b"\xfe\xff")):
        assert decode(mark + text.encode(encoding), "x") == text


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "latin-1"])
def test_other_encodings_that_can_be_told(encoding: str) -> None:
    text = "Der Igel sagt: für Äpfel läuft man weit.\nUnd so fort, und so fort."
    assert decode(text.encode(encoding), "x") == text


def test_line_ends_are_one_kind() -> None:
    assert decode(b"a\r\nb\rc\n", "x") == "a\nb\nc\n"


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"\x7fELF\x00\x01\x02", "x: byte 4 is 0; expected text, not binary data"),
        (b"na\x93ve\xe9", "x: byte 2 is 0x93, which is neither UTF-8, UTF-16 nor Latin-1"),
        (b"\xff\xfea\x00\x00\xd8", "x: byte 4 is 0x00, which is no utf-16 text"),
        (b"\xff\xfea", "x: byte 2 is 0x61, which is no utf-16 text"),
        (b"\xef\xbb\xbfa\xff", "which is no utf-8-sig text"),
        (b"caf\xe9 \x01", "neither UTF-8"),
    ],
)
def test_what_is_no_text_names_a_byte(data: bytes, sentence: str) -> None:
    with pytest.raises(BadInput) as caught:
        decode(data, "x")
    assert sentence in str(caught.value)


def table(tmp_path: Path, name: str, content: str) -> Path:
    path = tmp_path / name
    path.write_text(content, encoding="utf-8")
    return path


def test_rows_of_each_kind(tmp_path: Path) -> None:
    import pyarrow
    import pyarrow.parquet

    rows = [{"n": 1, "text": 'He said "no", twice'}, {"n": 2, "text": "two\nlines"}]
    jsonl = table(tmp_path, "a.jsonl", "\n".join(map(json.dumps, rows)) + "\n\n")
    csv = table(tmp_path, "a.csv", 'n;text\n1;"He said ""no"", twice"\n2;"two\nlines"\n')
    parquet = tmp_path / "a.parquet"
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), parquet)
    for path in (jsonl, csv, parquet):
        assert list(texts_of_rows(rows_of(path), "x", None)) == [row["text"] for row in rows]
    lines = table(tmp_path, "b.jsonl", '"one"\n"two"\n')
    assert list(texts_of_rows(rows_of(lines), "x", None)) == ["one", "two"]


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("a.jsonl", '{"text": "a"}\n{"text"', "line 2 is no JSON"),
        ("a.parquet", "text", "is no parquet table"),
    ],
)
def test_what_is_no_such_table(tmp_path: Path, name: str, content: str, sentence: str) -> None:
    with pytest.raises(BadInput, match=sentence):
        list(rows_of(table(tmp_path, name, content)))
    with pytest.raises(TinyLMError):
        list(rows_of(tmp_path / f"none-{name}"))


def test_the_column_is_named_or_found() -> None:
    rows = [{"id": "a1", "Text": "", "review": "a long review of it", "n": "12345678901234567890"}]
    assert find_column(rows, list(rows[0]), "x") == "review"
    rows[0]["Text"] = "short"
    assert find_column(rows, list(rows[0]), "x") == "Text"
    assert list(texts_of_rows(rows, "x", "id")) == ["a1"]


@pytest.mark.parametrize(
    ("rows", "column", "sentence"),
    [
        ([], None, "x has no rows"),
        ([{"a": 1, "b": "22"}], None, "x has no column of text, only a, b; name it with"),
        ([{"a": 1, "b": "two"}], "c", "x has no column 'c'; expected one of a, b"),
        ([{"a": "x", "n": 1}], "n", "x, row 1: column 'n' holds '1', of type int; expected text"),
    ],
)
def test_columns_that_cannot_be(rows: list[dict[str, Any]], column: str, sentence: str) -> None:
    with pytest.raises(BadInput) as caught:
        list(texts_of_rows(rows, "x", column))
    assert sentence in str(caught.value)


def test_rows_without_text_are_left_out() -> None:
    rows: list[dict[str, Any]] = [{"text": "a"}, {"text": None}, {}, {"text": "b"}]
    assert list(texts_of_rows(rows, "x", None)) == ["a", "b"]
