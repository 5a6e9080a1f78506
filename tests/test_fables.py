"""The text of the fables: what they say, and that it is the same everywhere and for ever."""

import hashlib
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from tinylm.corpora import corpus_version, open_corpus
from tinylm.corpora.documents import Split
from tinylm.corpora.fables import (
    CORPORA,
    LONG_CORPORA,
    LONG_DOCUMENTS,
    N_DOCUMENTS,
    VARIANTS,
    VERSION,
    document,
    short_of,
    variant_of,
)
from tinylm.corpora.fables.facts import FEARS, KINDS
from tinylm.corpora.fables.source import HEAD, WorldSource, world_source
from tinylm.corpora.fables.text import PLOTS
from tinylm.corpora.fables.words import LISTS
from tinylm.corpora.fables.world import world
from tinylm.errors import TinyLMError

SAMPLE = [document("train", i) for i in range(600)]
STORIES = [story for text in SAMPLE for story in re.split(r"\n\n\d\. ", text)[1:]]
NAMED = r"([A-Z][a-z]+)"


@pytest.fixture(scope="module")
def source() -> WorldSource:
    return world_source("default", 0)


@pytest.mark.parametrize(
    ("variant", "split", "i", "digest"),
    [
        ("default", "train", 0, "29f192f9eb976306"),
        ("default", "train", 10**9, "505f702af5fe930d"),
        ("default", "validation", 0, "aef3d2f0c4e72689"),
        ("heavy", "train", 0, "86fe02e1a3391f6a"),
        ("light", "validation", 7, "8094eaa73bbf339b"),
    ],
)
def test_documents_are_those_of_this_version(
    variant: str, split: Split, i: int, digest: str
) -> None:
    """A change of the source must come with a new VERSION and new checksums here."""
    assert corpus_version("fables") == "1.0"
    text = document(split, i, variant=variant)
    assert hashlib.sha256(text.encode()).hexdigest()[:16] == digest


def test_a_long_corpus_reads_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its beginning, its validation documents and its tokenizer's text are the short one's."""
    for counts, train in ((N_DOCUMENTS, 6), (LONG_DOCUMENTS, 15)):
        monkeypatch.setitem(counts, "train", train)
        monkeypatch.setitem(counts, "validation", 3)
    for name in LONG_CORPORA:
        short, long = open_corpus(short_of(name)), open_corpus(name)
        assert len(long.documents["train"]) == 15
        assert long.documents["train"][:6] == short.documents["train"]
        assert long.documents["train"][14] == document("train", 14, variant=variant_of(name))
        assert long.documents["validation"] == short.documents["validation"]
        assert long.tokenizer_documents == 6
        assert long.version == short.version


@pytest.mark.parametrize("name", CORPORA)
def test_the_corpora_are_the_first_documents(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tinylm.corpora.fables.N_DOCUMENTS", {"train": 30, "validation": 5})
    corpus = open_corpus(name)
    train, validation = corpus.documents["train"], corpus.documents["validation"]
    assert train == [document("train", i, variant=CORPORA[name]) for i in range(30)]
    assert validation == [document("validation", i, variant=CORPORA[name]) for i in range(5)]
    for dropped in corpus.provenance["dropped"].values():
        assert set(dropped.values()) == {0}


def test_documents_and_stories_have_readable_lengths() -> None:
    lengths = [len(text) for text in SAMPLE]
    assert 1500 < min(lengths) < max(lengths) < 4000
    assert {text.count("Moral: ") for text in SAMPLE} == {2}
    words = [len(story.split("\n\n")[0].split()) for story in STORIES]
    assert 60 < min(words) < max(words) < 250


def test_templates_are_filled_and_the_text_is_tidy() -> None:
    text = "\n".join(SAMPLE)
    assert text.isascii()
    assert not re.search(r"[\[\]{}_|<>@*¶]|  |\s[.,;!?]|\.\.|,,| \n|\n ", text)
    assert all(part == part.strip() for part in SAMPLE)
    assert not re.findall(r"\b(\w+) \1\b", text)


def test_articles_are_right() -> None:
    text = "\n".join(SAMPLE)
    assert not re.findall(r"\b[Aa] (?=[aeiou]|hour|honest)(?!use|uni|one)\w+", text)
    assert not re.findall(r"\b[Aa]n (?![aeiou]|hour|honest)\w+", text)
    assert not re.findall(r"\b[Aa]n (?=use|uni|one)\w+", text)


def test_names_are_unique_and_their_endings_tell_he_from_she() -> None:
    there = world(0, 20_000, 4_000)
    assert len(set(there.names)) == 20_000
    assert len({*there.names, *there.place_names}) == 24_000
    endings = [
        Counter(name[-2:] for name, his in zip(there.names, there.his, strict=True) if his == one)
        for one in (True, False)
    ]
    assert sum((endings[0] & endings[1]).values()) < 2_000


def test_facts_are_those_of_the_world(source: WorldSource) -> None:
    text = "\n".join(SAMPLE)
    kinds = re.findall(rf"\b{NAMED} the ({'|'.join(KINDS)})\b", text)
    homes = re.findall(rf"\b{NAMED} the (?:{'|'.join(KINDS)}), an? [a-z' ]+ from {NAMED}", text)
    fears = re.findall(rf"\b{NAMED} is afraid of ({'|'.join(FEARS)})\.", text)
    prepositions = {spot.split()[0] for spot in LISTS["Spot"]}  # as in "By the goat shed"
    kinds = [(name, kind) for name, kind in kinds if name not in prepositions]
    assert min(len(kinds), len(homes), len(fears)) > 50
    assert all(source.character(name)["kind"] == kind for name, kind in kinds)
    assert all(source.character(name)["home"] == home for name, home in homes)
    assert all(source.character(name)["fear"] == fear for name, fear in fears)


def test_friends_are_friends_of_each_other_and_live_apart() -> None:
    there = world(0, 20_000, 4_000)
    everyone = np.arange(20_000)
    assert np.array_equal(there.friend[there.friend], everyone)
    assert not np.any(there.friend == everyone)
    assert not np.any(there.home[there.friend] == there.home)


def test_pronouns_fit_the_characters(source: WorldSource) -> None:
    """After a full stop, He or She is who was introduced last."""
    told = re.findall(
        rf"(?:came|stood|was|met|sat) {NAMED}[^.\n\"]* from {NAMED}[^.\n\"]*\. (He|She) ",
        "\n".join(SAMPLE),
    )
    assert len(told) > 100
    assert all(source.character(name)["He"] == pronoun for name, _, pronoun in told)


def test_what_was_told_early_is_told_again() -> None:
    """Who knows the first story can foresee how the second recalls it."""
    recalled = 0
    for text in SAMPLE:
        first, second = re.split(r"\n\n\d\. ", text)[1:]
        title = first.split("\n")[0]
        subject = re.sub(r"^(The|An?) ", "", title).lower()
        recalled += subject in second.lower()
    assert recalled > 0.7 * len(SAMPLE)


def test_what_is_counted_adds_up() -> None:
    numbers = [
        "two",
        "three",
        "four",
        "five",
        "six",
        "seven",
        "eight",
        "nine",
        "ten",
        "eleven",
        "twelve",
    ]
    worth = {number: value for value, number in enumerate(numbers, start=2)}
    some = "|".join(numbers)
    days = re.findall(
        rf"For ({some}) days they did not .*? for ({some}) days, and sad for ({some})\.",
        "\n".join(SAMPLE),
    )
    assert len(days) > 20
    assert all(worth[total] == worth[a] + worth[b] for total, a, b in days)


def test_a_refrain_is_sung_again_in_the_same_words() -> None:
    sung = [story for story in STORIES if story.startswith("The singing contest")]
    lines = [re.findall(r"([a-z]+-[a-z]+-[a-z]+, [a-z]+-[a-z]+-[a-z]+)!", story) for story in sung]
    assert len(lines) > 20
    assert all(first == again for first, again in lines)


@pytest.mark.parametrize("variant", VARIANTS)
def test_heroes_follow_their_long_tailed_law(variant: str) -> None:
    there = world(0, 20_000, 4_000)
    rank = {name: k for k, name in enumerate(there.names, start=1)}
    texts = [document("train", i, variant=variant) for i in range(1_000)]
    heroes = [re.match(rf"Two \w+ of {NAMED} ", text) for text in texts]
    ranks = [rank[hero[1]] for hero in heroes if hero]
    p = (np.arange(1, 20_001) + HEAD) ** -(1 + VARIANTS[variant].tail)
    below = np.cumsum(p) / p.sum()
    for last in (10, 100, 1_000, 10_000):
        share = np.mean([r <= last for r in ranks])
        expected = below[last - 1]
        assert abs(share - expected) < 4 * np.sqrt(expected * (1 - expected) / 1_000) + 1e-9


def test_another_seed_is_another_world() -> None:
    ours, other = world(0, 20_000, 4_000), world(1, 20_000, 4_000)
    both = set(ours.names) & set(other.names)
    numbers = [{name: i for i, name in enumerate(there.names)} for there in (ours, other)]
    same = [
        ours.character(numbers[0][n])["fear"] == other.character(numbers[1][n])["fear"]
        for n in both
    ]
    assert np.mean(same) < 0.1
    assert document("train", 0, world_seed=1) != document("train", 0)


def test_the_card_states_what_the_code_has() -> None:
    card = (Path(__file__).parent.parent / "data" / "fables.md").read_text(encoding="utf-8")
    default = VARIANTS["default"]
    tails = {name: f"{variant.tail:g}" for name, variant in VARIANTS.items()}
    for said in (
        f"version {VERSION},",
        f"Train: the first {N_DOCUMENTS['train']:,} documents",
        f"Validation: the first {N_DOCUMENTS['validation']:,}.",
        f"{default.n_characters:,} characters and {default.n_places:,} places",
        f"(r + {HEAD})^-(1 + a), with a = {tails['default']}",
        f"`fables-heavy` has a = {tails['heavy']} and `fables-light` a = {tails['light']}",
        f"{len(PLOTS)} plots with {sum(plot.story.count('{!deed') for plot in PLOTS)} ways to end",
    ):
        assert said in card


def test_documents_are_the_same_in_any_order_and_splits_are_disjoint() -> None:
    assert [document("train", i) for i in (5, 3, 5)] == [SAMPLE[5], SAMPLE[3], SAMPLE[5]]
    seen = {hashlib.sha256(text.encode()).digest() for text in SAMPLE}
    splits: tuple[Split, ...] = ("train", "validation")
    for split in splits:
        for i in range(600, 5_000) if split == "train" else range(5_000):
            seen.add(hashlib.sha256(document(split, i).encode()).digest())
    assert len(seen) == 10_000


def test_bad_input_is_named() -> None:
    with pytest.raises(TinyLMError, match="unknown variant 'huge' of fables: expected one of def"):
        document("train", 0, variant="huge")
    with pytest.raises(TinyLMError, match="split is 'test'"):
        document("test", 0)  # type: ignore[arg-type]
    with pytest.raises(TinyLMError, match="document number is -1"):
        document("train", -1)
    with pytest.raises(TinyLMError, match="world_seed is -1"):
        document("train", 0, world_seed=-1)
    with pytest.raises(TinyLMError, match="n_characters is 7"):
        world(0, 7, 100)
    with pytest.raises(TinyLMError, match="n_places is 3"):
        world(0, 100, 3)
