"""The runs with which the first page argues are those of the records."""

import json
from pathlib import Path

import pandas as pd
import pytest

from tinylm.book.size_runs import BEGIN, END, SIZE_RUNS, TOKENS, write_size_runs
from tinylm.laws.published import SIZE_CLAIMS
from tinylm.studies.runs import load_runs


def published() -> dict[str, object]:
    text = SIZE_RUNS.read_text(encoding="utf-8")
    return dict(json.loads(text.removeprefix(BEGIN).removesuffix(END)))


def test_the_published_ones_are_those_of_the_records(tmp_path: Path) -> None:
    assert write_size_runs(tmp_path / "runs.js").read_bytes() == SIZE_RUNS.read_bytes()


@pytest.mark.parametrize(
    ("place", "experiments"), [(0, ["grid", "grid_beyond"]), (1, ["fables_grid"])]
)
def test_every_run_of_that_amount_of_text_is_there_once(place: int, experiments: list[str]) -> None:
    shown = published()["texts"][place]  # type: ignore[index]
    runs = pd.concat([load_runs(name) for name in experiments])
    of_amount = runs[(runs["D"] / TOKENS).between(0.99, 1.01)]
    rows = sorted(map(tuple, shown["runs"] + shown["beyond"]))
    expected = of_amount[["N", "n_total", "loss", "seed"]].round(5)
    assert rows == sorted(expected.itertuples(index=False, name=None))
    assert max(row[0] for row in shown["runs"]) < min(row[0] for row in shown["beyond"])


def test_losses_lie_between_the_ends_and_claims_are_the_published() -> None:
    content = published()
    for text in content["texts"]:  # type: ignore[attr-defined]
        losses = [row[2] for row in text["runs"] + text["beyond"]]
        assert (text["floor"] or 0) < min(losses) < max(losses) < text["ceiling"]
    assert content["claims"] == [[one.source, one.exponent] for one in SIZE_CLAIMS]
