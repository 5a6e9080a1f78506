"""Reads anybody's table of runs, and says what is doubtful about it: `tinylm fit`."""

import csv
import io
import re
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tinylm.cost import FLOPS_PER_PARAMETER_AND_TOKEN
from tinylm.errors import BadInput
from tinylm.laws.solver import Array

COLUMNS = ("N", "D", "C", "loss", "seed")
SEPARATORS = (",", ";", "\t", "|", " ")
SAME_FLOPS = 0.02  # C may differ from 6·N·D by this share: steps are whole
STANDARD_INPUT = Path("-")
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.IGNORECASE)
ABOVE_TABLE = re.compile(
    r"\s*$|#|\"?sep=", re.IGNORECASE
)  # a blank, a comment, or Excel's own line
FEWEST_PARAMETERS, FEWEST_TOKENS = 100.0, 1_000.0  # of a run, in doubt below
TOKENS_PER_PARAMETER = (1e-2, 1e6)  # of a run, in doubt outside
MOST = 1e24  # parameters, or tokens, of a run
HIGHEST_LOSS = 50.0  # nats per token, in doubt above: of a vocabulary of 10^21
SHOWN_HEADER = 200  # characters
Rows = list[list[str]]


@dataclass(frozen=True)
class RunTable:
    """Finished runs of a table, and what was left out."""

    N: Array
    D: Array
    loss: Array
    seed: NDArray[np.int64] | None
    left_out: Counter[str]  # what stood for the loss of runs without one: diverged, or not run

    @property
    def flops(self) -> Array:
        """6·N·D of each run."""
        product: Array = FLOPS_PER_PARAMETER_AND_TOKEN * self.N * self.D
        return product


@dataclass(frozen=True)
class _Cells:
    """The columns that count, as text."""

    source: str  # for sentences
    columns: dict[str, list[str]]  # by their names in COLUMNS

    def numbers(self, name: str, rows: Sequence[int]) -> Array:
        """Some rows of a column as finite positive numbers."""
        found = np.empty(len(rows))
        for place, row in enumerate(rows):
            cell = self.columns[name][row]
            value = float(cell) if NUMBER.fullmatch(cell) else 0.0
            if not 0 < value < np.inf:
                raise self.wrong(name, row)
            found[place] = value
        return found

    def wrong(self, name: str, row: int) -> BadInput:
        """What is wrong with a cell."""
        cell = self.columns[name][row]
        expected = "a positive number"
        if re.search(r"\d", cell) and not NUMBER.fullmatch(cell):
            expected += " with a decimal point and nothing else, such as 3.21 or 7e9"
            if name == "loss":
                expected += ", or a word such as diverged"
        shown = repr(cell) if cell else "nothing"
        return BadInput(f"{self.source} has {name} {shown} in row {row + 1}; expected {expected}")


def read_table(path: Path) -> RunTable:
    """Read a CSV file with the columns loss, two of N, D and C (C = 6·N·D), and perhaps seed; "-"
    is standard input.

    Capitals do not matter, nor do other columns, quotes, a byte-order mark, lines with # or sep=
    before the header, or which of , ; | tab and space separates. Runs whose loss is missing,
    infinite or a word such as "diverged" are left out; a number that is not quite one, such as
    3.21* or 3,21, is an error. A seed may be any label.

    Raises:
        BadInput: the file cannot be read, lacks a column or has it twice; a row has more fields
            than the header; a run with a loss lacks a positive N, D or C, has all three and C is
            not 6·N·D, has less than one parameter or token or more than MOST, or lacks a seed where
            others have one; no run has a loss.
    """
    source = "standard input" if path == STANDARD_INPUT else f"file {path}"
    cells = _columns(source, _parse(source, _read(source, path)))
    rows, left_out = _finished(cells)
    if not rows:
        raise BadInput(f"{source} has no run with a finite loss")
    loss = cells.numbers("loss", rows)
    n, d = _axes(cells, rows)
    for name, values in (("N", n), ("D", d)):
        at = int(values.argmin() if values.min() < 1 else values.argmax())
        if not 1 <= values[at] <= MOST:
            raise BadInput(
                f"{source} has {name} = {values[at]:.3g} in row {rows[at] + 1}; "
                f"expected parameters, tokens and FLOPs themselves, not millions or PF-days of them"
            )
    return RunTable(n, d, loss, _seeds(cells, rows), left_out)


def doubts(table: RunTable) -> Iterator[str]:
    """What makes one doubt that the numbers of a table are in parameters, tokens and nats."""
    if (least := table.N.min()) < FEWEST_PARAMETERS:
        yield f"the smallest N is {least:.3g}; is N in parameters, not in millions?"
    if (least := table.D.min()) < FEWEST_TOKENS:
        yield f"the smallest D is {least:.3g}; is D in tokens, not in billions?"
    ratio, (low, high) = float(np.median(table.D / table.N)), TOKENS_PER_PARAMETER
    if not low < ratio < high:
        yield f"the median run has {ratio:.2g} tokens per parameter; are N and D in ones?"
    if (most := table.loss.max()) > HIGHEST_LOSS:
        yield f"the largest loss is {most:.3g}; is it in nats per token?"
    if table.seed is None:
        places = len(np.unique(np.stack([table.N, table.D]), axis=1).T)
        if places < len(table.loss):
            yield (
                f"{len(table.loss)} runs have {places} different (N, D) and no seed: those of one "
                f"(N, D) count as one run's worth in the intervals; name seeds in a column"
            )


def _read(source: str, path: Path) -> str:
    """The text; letters of an unknown encoding do not matter."""
    if path == STANDARD_INPUT and sys.stdin is None:
        raise BadInput(f"{source} cannot be read as CSV (it is closed)")
    try:
        content = sys.stdin.buffer.read() if path == STANDARD_INPUT else path.read_bytes()
    except OSError as error:
        reason = error.strerror or str(error)
        raise BadInput(f"{source} cannot be read as CSV ({reason})") from None
    return content.decode(_encoding(content), errors="replace")


def _encoding(content: bytes) -> str:
    """UTF-16, which some spreadsheets write, with its mark or without, or else UTF-8."""
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16"
    if content[1:2] == b"\0" or content[:1] == b"\0":
        return "utf-16-le" if content[1:2] == b"\0" else "utf-16-be"
    return "utf-8-sig"


def _parse(source: str, text: str) -> Rows:
    """Its rows, the header first, under the separator that makes most known columns of that."""
    lines = text.splitlines(keepends=True)
    while lines and ABOVE_TABLE.match(lines[0]) and not _fields(lines[0]):
        del lines[0]  # what is told before the table
    header = lines[0] if lines else ""
    separator = max(SEPARATORS, key=lambda mark: len(_known(header.split(mark))))
    content = io.StringIO("".join(lines), newline="")
    try:  # strictly: a quote that is never closed would swallow all rows after it
        found = list(csv.reader(content, delimiter=separator, skipinitialspace=True, strict=True))
    except csv.Error as error:
        raise BadInput(
            f"{source} cannot be read as CSV ({error}); is each quote closed, and doubled within?"
        ) from None
    rows = [[cell.strip() for cell in row] for row in found]
    rows = [row for row in rows if any(row)]
    if not rows:
        raise BadInput(f"{source} cannot be read as CSV (it is empty)")
    _check_header(source, rows[0])
    for number, row in enumerate(rows[1:], start=1):
        if any(row[len(rows[0]) :]):
            hint = "; is a comma in a number or a word, without quotes?" if separator == "," else ""
            raise BadInput(
                f"{source} has {len(row)} fields in row {number} and {len(rows[0])} columns; "
                f"expected one field for each{hint}"
            )
    return rows


def _fields(line: str) -> list[str]:
    """The known columns that a line names, whatever separates them."""
    return max((_known(line.split(mark)) for mark in SEPARATORS), key=len)


def _known(header: Sequence[str]) -> list[str]:
    """Those names of a header that count, as in COLUMNS."""
    by_lower = {name.lower(): name for name in COLUMNS}
    return [by_lower[name] for name in map(_plain, header) if name in by_lower]


def _plain(name: str) -> str:
    """A name of a header as it is compared."""
    return name.strip().strip('"').strip().lower()


def _check_header(source: str, header: Sequence[str]) -> None:
    shown = ", ".join(header)
    told = f"{source} has the columns {shown[:SHOWN_HEADER]}"
    known = _known(header)
    for name, times in Counter(known).items():
        if times > 1:
            raise BadInput(f"{told}; expected {name} once, not {times} times")
    if "loss" not in known or len({"N", "D", "C"} & set(known)) < 2:
        raise BadInput(f"{told}; expected loss and two of N, D and C")


def _columns(source: str, rows: Rows) -> _Cells:
    header, *body = rows
    known = _known(header)
    lower = [_plain(name) for name in header]
    places = {name: lower.index(name.lower()) for name in known}
    return _Cells(
        source,
        {
            name: [row[place] if place < len(row) else "" for row in body]
            for name, place in places.items()
        },
    )


def _finished(cells: _Cells) -> tuple[list[int], Counter[str]]:
    """The rows that have a loss, and what the others have instead."""
    rows, left_out = [], Counter[str]()
    for row, cell in enumerate(cells.columns["loss"]):
        if NUMBER.fullmatch(cell):
            rows.append(row)
        elif re.search(r"\d", cell):
            raise cells.wrong("loss", row)
        else:
            left_out[cell] += 1
    return rows, left_out


def _axes(cells: _Cells, rows: Sequence[int]) -> tuple[Array, Array]:
    """N and D of these rows, from two of N, D and C."""
    kept = {name: cells.numbers(name, rows) for name in ("N", "D", "C") if name in cells.columns}
    if "N" not in kept:
        return kept["C"] / (FLOPS_PER_PARAMETER_AND_TOKEN * kept["D"]), kept["D"]
    if "D" not in kept:
        return kept["N"], kept["C"] / (FLOPS_PER_PARAMETER_AND_TOKEN * kept["N"])
    product = FLOPS_PER_PARAMETER_AND_TOKEN * kept["N"] * kept["D"]
    off = np.abs(kept.get("C", product) / product - 1)
    if off.max() > SAME_FLOPS:
        at = int(off.argmax())
        raise BadInput(
            f"{cells.source} has C {kept['C'][at]:g} in row {rows[at] + 1}, where 6·N·D is "
            f"{product[at]:g}; expected the same, or no C"
        )
    return kept["N"], kept["D"]


def _seeds(cells: _Cells, rows: Sequence[int]) -> NDArray[np.int64] | None:
    """A number for each label of a seed; None without such a column."""
    if "seed" not in cells.columns:
        return None
    labels = [cells.columns["seed"][row] for row in rows]
    if "" in labels:
        row = rows[labels.index("")]
        raise BadInput(f"{cells.source} has no seed in row {row + 1}; expected one, or no column")
    return np.unique(labels, return_inverse=True)[1].astype(np.int64)
