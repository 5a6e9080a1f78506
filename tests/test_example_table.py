"""The example of the page that fits: runs of the book's grid, as the records have them."""

from pathlib import Path

import numpy as np

from tinylm.book.example_table import (
    EXAMPLE_TABLE,
    example_table,
    read_example_table,
    write_example_table,
)
from tinylm.laws.table import read_table
from tinylm.studies.runs import load_runs


def test_the_published_example_is_that_of_the_records(tmp_path: Path) -> None:
    written = write_example_table(tmp_path / "table.js")
    assert written.read_bytes() == EXAMPLE_TABLE.read_bytes()
    assert read_example_table() == example_table()


def test_it_is_a_table_of_whole_settings_of_the_grid(tmp_path: Path) -> None:
    path = tmp_path / "runs.csv"
    path.write_text(read_example_table(), encoding="utf-8")
    table, grid = read_table(path), load_runs("grid")
    assert len(table.loss) == len(grid) / 2
    assert set(table.D) == set(grid.loc[grid["N"].isin(table.N), "D"])
    for n, d, loss in zip(table.N, table.D, table.loss, strict=True):
        there = grid.loc[(grid["N"] == n) & (grid["D"] == d), "loss"]
        assert len(there) == 3
        assert np.abs(there - loss).min() <= 0.5e-4
