"""The table that stands in the page `book/fit` at first: every second size of the book's grid."""

import json
from pathlib import Path

from tinylm.book import CHECKOUT
from tinylm.files import write_atomic
from tinylm.studies.runs import load_runs

EXAMPLE_TABLE = CHECKOUT / "book" / "assets" / "example_table.js"
BEGIN, END = "window.TinyLMExampleTable = ", ";\n"  # of the file, about its text


def example_table() -> str:
    """CSV of N, D, loss and seed from the records of the experiment `grid`.

    Raises:
        Missing: a run of the grid has no record.
    """
    runs = load_runs("grid").sort_values(["N", "D", "seed"])
    sizes = sorted(runs["N"].unique())[1::2]
    columns = runs.loc[runs["N"].isin(sizes), ["N", "D", "loss", "seed"]]
    return columns.to_csv(index=False, float_format="%.4f")


def write_example_table(out: Path = EXAMPLE_TABLE) -> Path:
    """Write it as a script, which a page reads from file://, too; returns where."""
    write_atomic(out, BEGIN + json.dumps(example_table()) + END)
    return out


def read_example_table(path: Path = EXAMPLE_TABLE) -> str:
    """What `write_example_table` wrote."""
    text = path.read_text(encoding="utf-8")
    return str(json.loads(text.removeprefix(BEGIN).removesuffix(END)))
