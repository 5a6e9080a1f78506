import hashlib
import re

import pytest

from tinylm.corpora import corpus_version, open_corpus
from tinylm.corpora.documents import Split
from tinylm.corpora.fables import ANIMALS, document, world

SAMPLE = [document("train", i) for i in range(300)]


@pytest.mark.parametrize(
    ("split", "i", "digest"),
    [
        ("train", 0, "21cdce650abe775f"),
        ("train", 3999, "0b5e5aec351c2d3f"),
        ("validation", 0, "84b16411a197f2fd"),
    ],
)
def test_documents_are_those_of_this_version(split: Split, i: int, digest: str) -> None:
    """A change of the generator must come with a new VERSION and new checksums here."""
    assert corpus_version("fables") == "0.1"
    assert hashlib.sha256(document(split, i).encode()).hexdigest()[:16] == digest


def test_the_corpus_has_its_size_and_nothing_had_to_be_dropped() -> None:
    corpus = open_corpus("fables")
    train, validation = corpus.documents["train"], corpus.documents["validation"]
    assert 7e6 < corpus.provenance["bytes"]["train"] < 9e6
    assert 3e5 < corpus.provenance["bytes"]["validation"] < 5e5
    assert train[7] == document("train", 7)
    assert validation[7] == document("validation", 7)
    for dropped in corpus.provenance["dropped"].values():
        assert set(dropped.values()) == {0}


def test_documents_are_two_to_four_fables_of_readable_length() -> None:
    lengths = [len(text) for text in SAMPLE]
    assert min(lengths) > 900
    assert max(lengths) < 3600
    assert {text.count("Moral: ") for text in SAMPLE} == {2, 3, 4}


def test_templates_are_filled_and_articles_are_right() -> None:
    text = "\n".join(SAMPLE)
    assert not re.search(r"[{}_]|  ", text)
    assert not re.findall(r"\b[Aa] (?=[aeiou]|honest)\w+", text)
    assert not re.findall(r"\b[Aa]n (?![aeiou]|honest)\w+", text)


def test_a_name_always_belongs_to_the_same_animal() -> None:
    kinds = {character.name: character.kind for character in world()}
    told = re.findall(rf"\b([A-Z]\w+) the ({'|'.join(ANIMALS)})\b", "\n".join(SAMPLE))
    assert len(kinds) == len(world())
    assert len(told) > 500
    assert all(kinds[name] == kind for name, kind in told)


def test_pronouns_fit_the_characters() -> None:
    male = {character.name: character.male for character in world()}
    checked = 0
    for text in SAMPLE:
        genders = {male[word] for word in re.findall(r"\w+", text) if word in male}
        if len(genders) == 1:
            wrong = r"\b([Ss]he|[Hh]er)\b" if genders == {True} else r"\b([Hh]e|[Hh]im|[Hh]is)\b"
            told = re.sub(r"Moral: .*", "", text)
            assert not re.search(wrong, told)
            checked += 1
    assert checked > 10


def test_what_was_told_early_is_told_again() -> None:
    """The hero's home, fear or favourite thing of the first lines comes back later."""
    heroes = {character.name: character for character in world()}
    repeated = 0
    for text in SAMPLE:
        first, _, rest = text.partition("\n")
        hero = next(heroes[word] for word in re.findall(r"\w+", first) if word in heroes)
        repeated += any(fact in rest for fact in (hero.home, hero.fear, hero.thing))
    assert repeated > 0.8 * len(SAMPLE)


def test_common_characters_are_met_more_often_than_rare_ones() -> None:
    rank = {character.name: k for k, character in enumerate(world())}
    met = [rank[word] for word in re.findall(r"\w+", "\n".join(SAMPLE)) if word in rank]
    assert sum(k < 100 for k in met) > sum(100 <= k < 200 for k in met)
    assert sum(k >= 1000 for k in met) > 0
