"""What models pay above the floor by what the words are: measured where they are, and kept."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from planted_fables import reported

from tinylm.corpora.fables import document, information
from tinylm.errors import Damaged
from tinylm.store import Store
from tinylm.studies.cuts import CUTS, grid
from tinylm.studies.excess import (
    RUN,
    Leftover,
    kinds_by_size,
    kinds_figure,
    kinds_table,
    kinds_words,
    leftover,
    measure_excess,
    of_study,
)
from tinylm.studies.findings import computing_findings
from tinylm.studies.knowledge import share_known
from tinylm.studies.marking import KINDS, RANKS, marked
from tinylm.train import train

SMOKE = Store("smoke")


@pytest.fixture
def measured(few_fables: Path) -> str:
    """The id of a run that was trained and measured."""
    run = grid(SMOKE, CUTS["D"])[0]
    train(run.config, run.seed, store=Store("smoke"))
    with computing_findings():
        measure_excess(SMOKE)
        leftover(SMOKE)
    return run.run_id


def kept_path() -> Path:
    return SMOKE.folder / "floors" / "fables-leftover.json"


def test_what_is_left_is_measured_where_models_are(few_fables: Path) -> None:
    assert leftover(SMOKE).kinds.empty
    run = grid(SMOKE, CUTS["D"])[0]
    train(run.config, run.seed, store=Store("smoke"))
    assert leftover(SMOKE).kinds.empty  # reading measures nothing
    with computing_findings():
        measure_excess(SMOKE)
        leftover(SMOKE)
    found = leftover(SMOKE)
    assert found.kinds["kind"].tolist() == list(KINDS)
    assert found.kinds["tokens"].unique().tolist() == [run.config.tokens]
    floor = np.mean([information(document("validation", i)).sum() for i in range(2)])
    assert 0.5 < found.kinds["excess"].sum() / floor < 50  # hardly trained: far above
    known = share_known(found.ranks, ["first"])
    assert known["share"].abs().max() < 0.2  # and it knows nobody
    assert abs(found.runs["share"].item()) < 0.05
    assert of_study(found, reported()).kinds.equals(found.kinds)


def test_what_was_measured_outlives_the_weights(measured: str) -> None:
    before, found = kept_path().read_text(), leftover(SMOKE)
    shutil.rmtree(SMOKE.model_dir(measured))
    measure_excess(SMOKE)
    assert kept_path().read_text() == before
    np.testing.assert_allclose(leftover(SMOKE).kinds["excess"], found.kinds["excess"])


def test_another_measurement_or_a_damaged_file_is_not_taken_for_this(measured: str) -> None:
    content = json.loads(kept_path().read_text())
    assert list(content["models"]) == [measured]
    kept_path().write_text(json.dumps(content | {"documents": 1}))
    assert leftover(SMOKE).kinds.empty
    kept_path().write_text("{")
    with pytest.raises(Damaged, match="is damaged"):
        leftover(SMOKE)


def test_a_model_that_knows_is_seen_to_know(measured: str) -> None:
    """Of a kept measurement in which true names halve the price of facts of one bin."""
    content = json.loads(kept_path().read_text())
    model = content["models"][measured]
    facts = [one.rank for i in range(2) for one in marked(document("validation", i)).facts]
    place = np.searchsorted(RANKS, min(facts), "right") - 1
    other = np.array(model["other_names"])
    model["true_names"] = np.where(np.arange(len(other)) == place, other / 2, other).tolist()
    kept_path().write_text(json.dumps(content))
    found = leftover(SMOKE)
    known = share_known(found.ranks, ["first"]).set_index("first")["share"]
    assert known[RANKS[place]] == pytest.approx(0.5)
    assert known.drop(RANKS[place]).tolist() == pytest.approx([0.0] * (len(known) - 1), abs=1e-12)
    share = found.runs["share"].item()
    assert share == pytest.approx(other[place] / 2 / other.sum())
    assert share_known(found.ranks, ["run_id"])["share"].item() == pytest.approx(share)
    assert found.runs["characters"].item() == pytest.approx(np.quantile(facts, share))


def made_up(excess: dict[str, tuple[float, float]]) -> Leftover:
    """Two seeds of a small and a large model on the most tokens; one of fewer tokens beside them.
    `excess` gives what both sizes pay for each kind.
    """
    rows = []
    for at, n in enumerate((100, 1_000)):
        for seed, tokens in ((0, 8), (1, 8), (0, 4)):
            run = dict(zip(RUN, (f"{n} {seed} {tokens}", "fables", n, tokens, seed), strict=True))
            off = {0: -1.0, 1: 1.0}[seed] if tokens == 8 else 500.0
            rows += [run | {"kind": kind, "excess": excess[kind][at] + off} for kind in KINDS]
    return Leftover(pd.DataFrame(rows), pd.DataFrame(), pd.DataFrame())


def test_kinds_are_compared_on_the_most_tokens(few_fables: Path) -> None:
    paid = {"told before": (40.0, 30.0), "new names": (20.0, 5.0), "new facts": (30.0, 10.0)}
    parts = made_up(paid | {"other words": (160.0, 16.0)})
    means = kinds_by_size(parts)
    assert means[list(KINDS)].to_numpy()[1] == pytest.approx([30, 5, 10, 16])
    table = kinds_table(parts)
    assert table["told before"].tolist() == [f"{mean}\u00a0±\u00a01" for mean in (40, 30)]
    assert table["in all"].tolist() == ["250", "61"]
    figure = kinds_figure(parts)
    assert figure is not None
    assert "other words fall 10.0-fold and told before 1.3-fold" in figure.get_suptitle()
    said = kinds_words(made_up(paid | {"other words": (160.0, 40.0)}), reported())
    assert said == (
        "At N = 1,000, words of the kind 'other words' make 47% of what is left, and new facts 12%."
    )  # copying is not what most is left of, so nothing is said of it


def test_one_size_says_nothing_of_growing(few_fables: Path) -> None:
    parts = made_up(dict.fromkeys(KINDS, (2.0, 1.0)))
    one = Leftover(parts.kinds[parts.kinds["n_non_embedding"] == 100], parts.ranks, parts.runs)
    assert kinds_figure(one) is None
    assert "Too few models" in kinds_words(one, reported())
