"""Writes small data sets in the hub's layout, so that tests of hub corpora need no network."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

WORDS = ("the", "fox", "saw", "a", "hen", "on", "wall", "and", "so", "both", "ran", "home", "once")


def sentences(n: int, offset: int = 0) -> list[str]:
    """n different documents of like words."""
    return [
        " ".join(WORDS[(i * 7 + k * k) % len(WORDS)] for k in range(12 + i % 9)) + f" {i}."
        for i in range(offset, offset + n)
    ]


def write_data_set(folder: Path, splits: Mapping[str, Sequence[str]]) -> None:
    """One parquet file a split, with a column `text`."""
    folder.mkdir(parents=True)
    for split, texts in splits.items():
        table = pa.table({"text": pa.array(list(texts), pa.string())})
        pq.write_table(table, folder / f"{split}-00000-of-00001.parquet")


def write_ag_news(mirror: Path, train: int = 300, test: int = 20) -> None:
    """A mirror that holds an `ag_news` of that many documents."""
    splits = {"train": sentences(train), "test": sentences(test, offset=train)}
    write_data_set(mirror / "fancyzhx" / "ag_news" / "data", splits)
