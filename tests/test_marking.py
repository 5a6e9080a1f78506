"""What the words of a fable are, and the same text under other names."""

import re
from pathlib import Path

import numpy as np
import pytest

from tinylm.corpora.fables import VARIANTS, document, information
from tinylm.corpora.fables.world import world
from tinylm.store import Store
from tinylm.studies.findings import computing_findings
from tinylm.studies.marking import (
    DOCUMENTS,
    FACT,
    KINDS,
    NAME,
    OTHER,
    RANKS,
    TOLD,
    Fact,
    by_kind,
    by_rank,
    facts_of,
    marked,
    words_of,
)

DEFAULT = VARIANTS["default"]
WORLD = world(0, DEFAULT.n_characters, DEFAULT.n_places)
NAMES = set(WORLD.names) | set(WORLD.place_names)


def words(text: str, kind: int) -> list[str]:
    """The runs of characters of one kind."""
    marks = zip(text, marked(text).kinds, strict=True)
    return [
        part.strip()
        for part in "".join(c if k == kind else "\0" for c, k in marks).split("\0")
        if part.strip()
    ]


def hero_of(text: str) -> tuple[str, str]:
    """Name and creature that the title tells."""
    name, creature = text.split("\n")[0].split(" of ")[1].split(" the ")
    return name, creature


@pytest.mark.parametrize("i", range(6))
def test_a_name_is_new_once_and_then_told(i: int) -> None:
    text = document("validation", i)
    hero, _ = hero_of(text)
    first = [part for kind in (NAME, FACT) for part in words(text, kind) if part in NAMES]
    told = [part for part in words(text, TOLD) if part in NAMES]
    assert len(set(first)) == len(first) >= 2
    assert set(told) <= set(first)
    assert hero in words(text, NAME)
    assert told.count(hero) == text.count(hero) - 1


@pytest.mark.parametrize("i", range(6))
def test_facts_are_those_of_the_hero_and_cost_next_to_nothing(i: int) -> None:
    text = document("validation", i)
    hero, creature = hero_of(text)
    number = list(WORLD.names).index(hero)
    facts = WORLD.character(number)
    found = words(text, FACT)
    for key in ("trait", "dish", "thing"):
        if facts[key] in text:
            assert any(facts[key] in part for part in found)
    assert creature.split()[-1] in found
    assert not {"Once", hero} & set(found)
    ranks = [one.rank for one in marked(text).facts]
    assert ranks.count(number + 1) >= 5  # the hero's, who is told of at length
    floor = by_kind(information(text), marked(text).kinds)
    assert floor[FACT] < 0.02 * floor.sum()  # whoever knows the world foresees them


def test_homes_and_friends_are_facts_and_names_of_people_met_are_not() -> None:
    text = document("validation", 3)
    hero, _ = hero_of(text)
    number = list(WORLD.names).index(hero)
    friend, home = WORLD.names[WORLD.friend[number]], WORLD.place_names[WORLD.home[number]]
    assert {friend, home} <= facts_of(hero)
    assert {friend, home} <= set(words(text, FACT))
    assert not {friend, home} & set(words(text, NAME))
    spans = {text[one.begin : one.end].strip() for one in marked(text).facts}
    assert not spans & NAMES  # names cannot be compared under other names
    assert WORLD.character(number)["dish"] in spans


@pytest.mark.parametrize("i", range(6))
def test_renaming_changes_names_only(i: int) -> None:
    text = document("validation", i)
    one = marked(text)
    assert one.facts
    for fact in one.facts:
        there = one.places[fact.begin : fact.end]
        assert "".join(one.renamed[k] for k in there) == text[fact.begin : fact.end]
    before, after = (set(re.findall(r"[A-Z][a-z]+", each)) for each in (text, one.renamed))
    assert not after & NAMES
    assert len(after - before) == len(before & NAMES)  # who is told apart by name still is
    assert one.renamed.count(" the ") == text.count(" the ")


def test_every_character_is_of_one_kind_and_sums_are_kept() -> None:
    text = document("validation", 2)
    one, nats = marked(text), information(text)
    assert set(one.kinds.tolist()) == {TOLD, NAME, FACT, OTHER}
    sums = by_kind(nats, one.kinds)
    assert sums.shape == (len(KINDS),)
    assert sums.sum() == pytest.approx(nats.sum())
    assert sums[FACT] == pytest.approx(nats[one.kinds == FACT].sum())


def test_facts_are_summed_in_the_bin_of_their_rank() -> None:
    facts = [Fact(0, 2, 1), Fact(2, 3, RANKS[1] - 1), Fact(3, 5, RANKS[1]), Fact(5, 6, 20_000)]
    sums = by_rank(np.arange(6, dtype=float), facts)
    assert sums[[0, 1, -1]].tolist() == [0 + 1 + 2, 3 + 4, 5]
    assert sums.sum() == 15


def test_words_are_counted_by_the_report_and_read_elsewhere(few_fables: Path) -> None:
    with computing_findings():
        words_of(Store("smoke"), "fables")
    found, n = words_of(Store("smoke"), "fables"), DOCUMENTS["smoke"]
    texts = [document("validation", i) for i in range(n)]
    floor = np.mean([information(text).sum() for text in texts])
    assert found.floor.sum() == pytest.approx(floor, rel=1e-4)
    ranks = [fact.rank for text in texts for fact in marked(text).facts]
    assert found.fact_ranks.tolist() == ranks
    assert found.facts.sum() == len(ranks)
    assert found.characters(0.0) == 0.0
    assert found.characters(1.0) == max(ranks)
