"""What models pay above the floor by what the words are, and whom they know."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from test_floor import few  # noqa: F401  (a fixture)

from tinylm.corpora.fables import CORPORA, VARIANTS, document, information
from tinylm.corpora.fables.world import world
from tinylm.errors import TinyLMError
from tinylm.store import Store
from tinylm.studies.excess import (
    FACT,
    KINDS,
    NAME,
    OTHER,
    RANKS,
    RUN,
    TOLD,
    Fact,
    Leftover,
    by_kind,
    by_rank,
    fact_exponents,
    facts_of,
    knowledge_by_tokens,
    leftover,
    marked,
    share_known,
    tail_knowledge,
)
from tinylm.studies.floor import CUTS, TAILS, finite_exponent, grid
from tinylm.train import train

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


def test_what_is_left_is_measured_where_models_are_and_kept(few: Path) -> None:  # noqa: F811
    assert leftover("smoke").kinds.empty
    run = grid(CUTS["D"], "smoke")[0]
    train(run.config, run.seed, store=Store("smoke"))
    found = leftover("smoke")
    assert found.kinds["kind"].tolist() == list(KINDS)
    assert found.kinds["tokens"].unique().tolist() == [run.config.tokens]
    floor = np.mean([information(document("validation", i)).sum() for i in range(2)])
    assert 0.5 < found.kinds["excess"].sum() / floor < 50  # hardly trained: far above
    known = share_known(found.ranks, ["first"])
    assert known["share"].abs().max() < 0.2  # and it knows nobody
    assert abs(found.runs["share"].item()) < 0.05
    shutil.rmtree(Store("smoke").folder / "models" / run.run_id)
    again = leftover("smoke")
    np.testing.assert_allclose(again.kinds["excess"], found.kinds["excess"])
    path = Store("smoke").folder / "floors" / "fables-leftover.json"
    content = json.loads(path.read_text())
    assert list(content["models"]) == [run.run_id]
    path.write_text(json.dumps(content | {"documents": 1}))
    assert leftover("smoke").kinds.empty  # another measurement, and no model to make it with
    path.write_text("{")
    with pytest.raises(TinyLMError, match="is damaged"):
        leftover("smoke")


def test_a_model_that_knows_is_seen_to_know(few: Path) -> None:  # noqa: F811
    """Of a kept measurement in which true names halve the price of facts of one bin."""
    run = grid(CUTS["D"], "smoke")[0]
    train(run.config, run.seed, store=Store("smoke"))
    leftover("smoke")
    path = Store("smoke").folder / "floors" / "fables-leftover.json"
    content = json.loads(path.read_text())
    model = content["models"][run.run_id]
    facts = [one.rank for i in range(2) for one in marked(document("validation", i)).facts]
    place = np.searchsorted(RANKS, min(facts), "right") - 1
    other = np.array(model["other_names"])
    model["true_names"] = np.where(np.arange(len(other)) == place, other / 2, other).tolist()
    path.write_text(json.dumps(content))
    found = leftover("smoke")
    known = share_known(found.ranks, ["first"]).set_index("first")["share"]
    assert known[RANKS[place]] == pytest.approx(0.5)
    assert known.drop(RANKS[place]).tolist() == [0.0] * (len(known) - 1)
    share = found.runs["share"].item()
    assert share == pytest.approx(other[place] / 2 / other.sum())
    assert share_known(found.ranks, ["run_id"])["share"].item() == pytest.approx(share)
    assert found.runs["characters"].item() == pytest.approx(np.quantile(facts, share))


def made_up(of: Callable[[str, int], float]) -> Leftover:
    """What models of the paper's cuts on every tail are, if `of` gives the nats of new facts, and
    the characters known, by corpus and width.
    """
    kinds: list[dict[str, Any]] = []
    runs: list[dict[str, Any]] = []
    for corpus in CORPORA:
        for name in TAILS.values():
            for one in grid(name, "paper", corpus):
                if one.run_id in {run["run_id"] for run in runs}:  # the corner of both cuts
                    continue
                width = one.config.model.d_model
                run = dict(
                    zip(RUN, (one.run_id, corpus, width, one.config.tokens, one.seed), strict=True)
                )
                value = of(corpus, width)
                nats = value * one.config.tokens**-0.4 * (1 + 0.002 * one.seed)
                kinds += [run | {"kind": kind, "excess": nats} for kind in KINDS]
                runs.append(run | {"share": value / 1e3, "characters": value})
    return Leftover(pd.DataFrame(kinds), pd.DataFrame(), pd.DataFrame(runs))


def test_exponents_of_new_facts_are_those_planted() -> None:
    power = {"fables": 0.3, "fables-heavy": 0.25, "fables-light": 0.35}
    parts = made_up(lambda corpus, width: 900 * width ** -power[corpus])
    rows = fact_exponents(parts, "paper").to_dict("records")
    assert len(rows) == 6
    for row in rows:
        true = power[row["corpus"]] if row["axis"] == "N" else 0.4
        assert row["exponent"] == pytest.approx(true, abs=0.002)
        assert row["low"] <= true <= row["high"]
    fewer = Leftover(parts.kinds.head(4 * 3), parts.ranks, parts.runs)
    assert fact_exponents(fewer, "paper").empty


def test_who_knows_most_of_each_tail() -> None:
    parts = made_up(lambda corpus, width: float(width if corpus != "fables-heavy" else width / 1e3))
    table = tail_knowledge(parts, "paper").set_index("corpus")
    assert table["tail"].to_dict() == {
        corpus: VARIANTS[variant].tail for corpus, variant in CORPORA.items()
    }
    assert table["n_non_embedding"].tolist() == [128] * 3
    assert table["characters"].tolist() == pytest.approx([128, 0.128, 128])
    expected = [finite_exponent("N", DEFAULT, 128), finite_exponent("N", VARIANTS["heavy"], 1)]
    assert table["exponent"].tolist()[:2] == pytest.approx(expected)
    assert tail_knowledge(Leftover(parts.kinds, parts.ranks, parts.runs.head(0)), "paper").empty


def test_knowledge_by_tokens_is_of_the_largest_size() -> None:
    """Exponents of the excess on new facts are those planted; the theory's are for two meetings a
    document.
    """
    kinds: list[dict[str, Any]] = []
    runs: list[dict[str, Any]] = []
    for n in (100, 1_000):
        for tokens in (1_000_000, 2_000_000, 8_000_000):
            for seed in (0, 1)[: 1 if tokens == 8_000_000 else 2]:
                run_id = f"{n} {tokens} {seed}"
                run = dict(zip(RUN, (run_id, "fables", n, tokens, seed), strict=True))
                excess = 1e4 * tokens**-0.5 * n + (seed - 0.5 if tokens < 8_000_000 else 0.0)
                kinds += [run | {"kind": kind, "excess": excess} for kind in KINDS]
                runs.append(run | {"share": n / 2e3, "characters": float(n)})
    parts = Leftover(pd.DataFrame(kinds), pd.DataFrame(), pd.DataFrame(runs))
    table = knowledge_by_tokens(parts, 1_000.0, DEFAULT)
    assert table["tokens"].tolist() == [1_000_000, 2_000_000, 8_000_000]
    assert table["seeds"].tolist() == [2, 2, 1]
    assert table["share"].tolist() == [0.5] * 3
    assert table["exponent"].tolist()[:2] == pytest.approx([0.5, 0.5])
    met = [2 * 1_000 * 2**0.5, 2 * 4_000.0]
    theory = [finite_exponent("D", DEFAULT, m) for m in met]
    assert table["theory"].tolist()[:2] == pytest.approx(theory)
    assert table[["exponent", "theory"]].iloc[-1].isna().all()
