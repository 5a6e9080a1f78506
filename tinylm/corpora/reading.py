"""Files to texts: encodings that can be told, and rows of tables."""

import codecs
import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tinylm.errors import BadInput, Missing
from tinylm.extras import needs

PROBED_ROWS = 200  # of a table, to find its column of text
COLUMNS = ("text", "content", "story", "body", "document", "article")  # the first that is there
BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
LINE_CONTROLS = frozenset(b"\t\n\r\f\v\x1b")
LARGEST_FIELD = 1 << 30  # characters of a field of a table


def read_bytes(path: Path) -> bytes:
    """Raises Missing for a file that cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise Missing(f"file {path} cannot be read: {error.strerror or error}") from None


def decode(data: bytes, where: str) -> str:
    """Text of bytes in UTF-8, UTF-16 or Latin-1, with line ends as \\n.

    A byte order mark decides. Without one, zero in most of every second byte means UTF-16, what is
    valid UTF-8 is that, and what has no control characters of Latin-1 is Latin-1.

    Raises:
        BadInput: none of them; the sentence names a byte and where it is.
    """
    text = _decoded(data, where)
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _decoded(data: bytes, where: str) -> str:
    for mark, encoding in BYTE_ORDER_MARKS:
        if data.startswith(mark):
            return _strict(data, encoding, where)
    head = data[:4096]
    for start, encoding in ((1, "utf-16-le"), (0, "utf-16-be")):
        zeros = head[start::2].count(0)
        if zeros > len(head) // 4 and not head[1 - start :: 2].count(0):
            return _strict(data, encoding, where)
    if (place := data.find(0)) >= 0:
        raise BadInput(f"{where}: byte {place:,} is 0; expected text, not binary data")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        wrong = next((i for i, byte in enumerate(data) if _is_control(byte)), None)
        if wrong is None:
            return data.decode("latin-1")
        place = wrong if data[wrong] >= 0x80 else error.start
        raise BadInput(
            f"{where}: byte {place:,} is 0x{data[place]:02X}, which is neither UTF-8, UTF-16 nor "
            f"Latin-1 text; save it as UTF-8"
        ) from None


def _is_control(byte: int) -> bool:
    """Whether a byte is a control character of Latin-1, which no text holds but for line ends."""
    return (byte < 0x20 and byte not in LINE_CONTROLS) or 0x7F <= byte < 0xA0


def _strict(data: bytes, encoding: str, where: str) -> str:
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        shown = f"0x{data[error.start]:02X}" if error.start < len(data) else "the end"
        raise BadInput(
            f"{where}: byte {error.start:,} is {shown}, which is no {encoding} text"
        ) from None


def rows_of(path: Path) -> Iterator[Mapping[str, Any]]:
    """The rows of a .jsonl, .csv or .parquet file.

    Raises:
        TinyLMError: a file that cannot be read, or is not what its suffix says.
    """
    if path.suffix.lower() == ".parquet":
        with needs("hub"):
            import pyarrow
            import pyarrow.parquet
        try:
            with pyarrow.parquet.ParquetFile(path) as table:
                for batch in table.iter_batches():
                    yield from batch.to_pylist()
        except (OSError, pyarrow.ArrowException) as error:
            raise BadInput(f"file {path} is no parquet table: {_first_line(error)}") from None
        return
    text = decode(read_bytes(path), f"file {path}")
    if path.suffix.lower() == ".csv":
        yield from _csv_rows(text, path)
        return
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise BadInput(f"file {path}, line {number:,} is no JSON: {error}") from None
        if not isinstance(row, dict):
            row = {COLUMNS[0]: row}
        yield row


def _csv_rows(text: str, path: Path) -> Iterator[Mapping[str, Any]]:
    csv.field_size_limit(LARGEST_FIELD)
    try:
        dialect: Any = csv.Sniffer().sniff(text[:10_000], delimiters=",;\t")
    except csv.Error:
        dialect = "excel"
    try:
        yield from csv.DictReader(io.StringIO(text), dialect=dialect)
    except csv.Error as error:
        raise BadInput(f"file {path} is no CSV table: {error}") from None


def texts_of_rows(
    rows: Iterable[Mapping[str, Any]], where: str, column: str | None
) -> Iterator[str]:
    """The text of each row, from a column that is named, or found among the first rows.

    Raises:
        BadInput: no such column, none that holds text, or a row that holds something else there.
    """
    stream = iter(rows)
    first = [row for row, _ in zip(stream, range(PROBED_ROWS), strict=False)]
    names = list(dict.fromkeys(name for row in first for name in row if name))
    chosen = column if column is not None else find_column(first, names, where)
    if chosen not in names:
        raise BadInput(f"{where} has no column {chosen!r}; expected one of {', '.join(names)}")
    for number, row in enumerate(_chained(first, stream), 1):
        value = row.get(chosen)
        if value is not None and not isinstance(value, str):
            raise BadInput(
                f"{where}, row {number:,}: column {chosen!r} holds {str(value)[:40]!r}, of type "
                f"{type(value).__name__}; expected text"
            )
        if isinstance(value, str):
            yield value


def _chained(
    first: Sequence[Mapping[str, Any]], rest: Iterator[Mapping[str, Any]]
) -> Iterator[Mapping[str, Any]]:
    yield from first
    yield from rest


def find_column(rows: Sequence[Mapping[str, Any]], names: Sequence[str], where: str) -> str:
    """The column of text: one of COLUMNS, or else the one with the most characters that are not
    numbers.

    Raises:
        BadInput: no row, or no column with words.
    """
    if not rows:
        raise BadInput(f"{where} has no rows")
    lengths = {name: sum(_words(row.get(name)) for row in rows) for name in names}
    for name in names:
        if name.lower() in COLUMNS and lengths[name]:
            return name
    best = max(names, key=lambda name: lengths[name], default=None)
    if best is None or not lengths[best]:
        raise BadInput(
            f"{where} has no column of text, only {', '.join(names) or 'none at all'}; name it "
            f"with ?column=NAME"
        )
    return best


def _words(value: Any) -> int:
    """Characters of a text with letters in it; none of numbers and of anything else."""
    return len(value) if isinstance(value, str) and any(map(str.isalpha, value)) else 0


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
