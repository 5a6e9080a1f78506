"""What models pay above the floor by what the words are."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from test_experiment_fables import few  # noqa: F401  (a fixture)

from tinylm.corpora.fables import VARIANTS, document, information
from tinylm.corpora.fables.world import world
from tinylm.errors import InputError
from tinylm.experiments.fables import CUTS, fables_study, grid
from tinylm.experiments.leftover import FACT, KINDS, NEW, OTHER, TOLD, by_kind, kinds, leftover
from tinylm.files import results_dir
from tinylm.train import train

DEFAULT = VARIANTS["default"]
WORLD = world(0, DEFAULT.n_characters, DEFAULT.n_places)


def words(text: str, kind: int) -> list[str]:
    """The runs of characters of one kind."""
    marked = "".join(c if k == kind else "\0" for c, k in zip(text, kinds(text), strict=True))
    return [part.strip() for part in marked.split("\0") if part.strip()]


@pytest.mark.parametrize("i", range(6))
def test_a_name_is_new_once_and_then_told(i: int) -> None:
    text = document("validation", i)
    new, told = words(text, NEW), words(text, TOLD)
    assert len(set(new)) == len(new) >= 2
    assert set(told) <= set(new)
    named = set(WORLD.names) | set(WORLD.place_names)
    assert set(new) <= named
    hero = text.split("\n")[0].split(" of ")[1].split(" the ")[0]
    assert hero == new[0]
    assert told.count(hero) == text.count(hero) - 1


@pytest.mark.parametrize("i", range(6))
def test_facts_are_those_of_the_hero(i: int) -> None:
    text = document("validation", i)
    title = text.split("\n")[0]
    hero, creature = title.split(" of ")[1].split(" the ")
    facts = WORLD.character(list(WORLD.names).index(hero))
    found = words(text, FACT)
    for key in ("trait", "dish", "thing"):
        if facts[key] in text:
            assert any(facts[key] in part for part in found)
    assert creature.split()[-1] in found
    assert "Once" not in found


def test_every_character_is_of_one_kind_and_sums_are_kept() -> None:
    text = document("validation", 2)
    of, nats = kinds(text), information(text)
    assert set(of.tolist()) == {TOLD, NEW, FACT, OTHER}
    sums = by_kind(nats, of)
    assert sums.shape == (len(KINDS),)
    assert sums.sum() == pytest.approx(nats.sum())
    assert sums[FACT] == pytest.approx(nats[of == FACT].sum())


def test_what_is_left_is_measured_where_models_are_and_kept(few: Path) -> None:  # noqa: F811
    assert leftover(fables_study("smoke")).empty
    run = grid(CUTS["D"], "smoke")[0]
    train(run.config, run.seed, profile="smoke")
    study = fables_study("smoke")
    table = leftover(study)
    assert table["kind"].tolist() == list(KINDS)
    assert table["tokens"].unique().tolist() == [run.config.tokens]
    texts = [document("validation", i) for i in range(2)]
    floor = np.mean([information(text).sum() for text in texts])
    assert 0.5 < table["excess"].sum() / floor < 50  # hardly trained: far above
    shutil.rmtree(results_dir("smoke") / "models" / run.run_id)
    again = leftover(study)
    np.testing.assert_allclose(again["excess"], table["excess"])
    path = results_dir("smoke") / "floors" / "fables-leftover.json"
    content = json.loads(path.read_text())
    assert [one["run_id"] for one in content["models"]] == [run.run_id]
    path.write_text(json.dumps(content | {"documents": 1}))
    assert leftover(study).empty  # another measurement, and no model to make it with
    path.write_text("{")
    with pytest.raises(InputError, match="is damaged"):
        leftover(study)
