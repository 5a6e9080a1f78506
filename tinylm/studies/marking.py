"""What the words of a fable are: names and facts told before, new names, new facts, and the rest.

And the same text under names that no fable has: there the same facts have to be guessed from their
lists, so that what the true names save is what a model knows.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tinylm.corpora.fables import VARIANTS, VERSION, document, information, short_of, variant_of
from tinylm.corpora.fables.world import World, world
from tinylm.store import Store
from tinylm.studies.findings import finding
from tinylm.studies.floor import EXACT, Floats

KINDS = ("told before", "new names", "new facts", "other words")  # told: names and facts again
TOLD, NAME, FACT, OTHER = range(len(KINDS))
DOCUMENTS = {"smoke": 2, "quick": 8, "paper": 64, "full": 64}  # of the validation split
CHARACTER_FACTS = (
    *("kind", "trait", "trade", "house", "fear", "habit"),
    *("dish", "coat", "thing", "saying"),
)
PLACE_FACTS = ("kind", "sight", "fame", "river")
# Facts are told apart by the rank of their character: first of each bin, and the end.
RANKS = (1, 10, 30, 100, 300, 1_000, VARIANTS["default"].n_characters + 1)
STRANGERS = 1  # the seed of the world that gives names which the fables do not have


class Fact(NamedTuple):
    """A place in a text where a fact of a character, but no name, is told for the first time."""

    begin: int
    end: int
    rank: int  # of the character, 1 being met the most


@dataclass(frozen=True)
class Marked:
    """A fable and what its words are."""

    text: str
    kinds: NDArray[np.int64]  # which of KINDS each character is: (len(text))
    facts: list[Fact]  # of characters, names apart; facts of places are in `kinds` only
    renamed: str  # the text with other names
    places: NDArray[np.int64]  # where each character of `text` is in it; of a name: its begin


class _Mention(NamedTuple):
    """A place in a text that tells a fact, or a name."""

    begin: int
    end: int
    owner: str  # who has the fact, or whose name it is
    what: str


@cache
def _named() -> tuple[World, dict[str, int], dict[str, int]]:
    """The world, which all variants share, and its characters' and places' numbers by name."""
    default = VARIANTS["default"]
    there = world(0, default.n_characters, default.n_places)
    characters = {name: i for i, name in enumerate(there.names)}
    return there, characters, {name: i for i, name in enumerate(there.place_names)}


def facts_of(name: str) -> set[str]:
    """What the world holds of the character or place of a name, as texts tell it. A character's
    home and friend are names.
    """
    there, characters, places = _named()
    if name in places:
        has = there.place(places[name])
        return {has[key] for key in PLACE_FACTS}
    i = characters[name]
    has = there.character(i)
    return {has[key] for key in CHARACTER_FACTS} | {has["home"], there.names[there.friend[i]]}


def marked(text: str) -> Marked:
    """What the words of a fable are. A blank before a word is the word's, as tokens have it.

    A fact is told wherever the words stand that the world holds of somebody or of a place whom the
    text names. If several could be meant it is of the one who was named last. A name is a fact
    where a home or friend is told of one who has been named.
    """
    _, characters, places = _named()
    found = np.full(len(text), OTHER)
    names = [
        _Mention(m.start(), m.end(), m.group(), m.group())
        for m in re.finditer(r"[A-Z][a-z]+", text)
        if m.group() in characters or m.group() in places
    ]
    named = {name.what for name in names}
    facts: list[Fact] = []
    told: set[tuple[str, str]] = set()
    for one in _facts(text, names):
        new = (one.owner, one.what) not in told
        told.add((one.owner, one.what))
        found[one.begin : one.end] = FACT if new else TOLD
        if new and one.owner in characters and one.what not in named:
            facts.append(Fact(one.begin, one.end, characters[one.owner] + 1))
    seen: set[str] = set()
    for name in names:
        begin = _with_blank(text, name.begin)
        if name.what in seen:
            found[begin : name.end] = TOLD
        elif found[name.begin] != FACT:
            found[begin : name.end] = NAME
        seen.add(name.what)
    facts = [one for one in facts if (found[one.begin : one.end] == FACT).all()]
    return Marked(text, found, facts, *_renamed(text, names))


def _renamed(text: str, names: Sequence[_Mention]) -> tuple[str, NDArray[np.int64]]:
    """A text with strangers' names, of the same sex, and where its characters went."""
    there, characters, places = _named()
    women, men, towns = _strangers()
    new: dict[str, str] = {}
    for name in dict.fromkeys(one.what for one in names):
        i = places[name] if name in places else characters[name]
        pool = towns if name in places else men if there.his[i] else women
        while pool[i % len(pool)] in new.values():
            i += 1
        new[name] = pool[i % len(pool)]
    parts, to, at = [], np.arange(len(text)), 0
    for one in names:
        parts += [text[at : one.begin], new[one.what]]
        at = one.end
        to[one.begin : at] = to[one.begin]
        to[at:] += len(new[one.what]) - (one.end - one.begin)
    return "".join([*parts, text[at:]]), to


@cache
def _strangers() -> tuple[list[str], list[str], list[str]]:
    """Names of women, of men and of places, spelled as the fables' are, that no fable has."""
    there, characters, places = _named()
    other = world(STRANGERS, len(there.names), len(there.place_names))
    taken = characters.keys() | places.keys()
    people = [
        (name, his)
        for name, his in zip(other.names, other.his, strict=True)
        if name not in taken and name not in other.place_names
    ]
    women = [name for name, his in people if not his]
    men = [name for name, his in people if his]
    return women, men, [name for name in other.place_names if name not in taken]


def _facts(text: str, names: Sequence[_Mention]) -> Iterator[_Mention]:
    """Every place that tells a fact of somebody named, in the order of the text, longest first;
    none within another.
    """
    owners: dict[str, list[str]] = {}
    for name in dict.fromkeys(one.what for one in names):
        for phrase in facts_of(name):
            owners.setdefault(phrase, []).append(name)
    phrases = sorted(owners, key=len, reverse=True)
    named = {one.what for one in names}
    pattern = "|".join(re.escape(phrase) for phrase in phrases) or "(?!)"
    for match in re.finditer(rf"\b(?:{pattern})\b", text):
        able = owners[match.group()]
        before = [one.what for one in names if one.begin < match.start() and one.what in able]
        after = [one.what for one in names if one.begin >= match.start() and one.what in able]
        if not before and match.group() in named:
            continue
        owner = before[-1] if before else after[0] if after else able[0]
        yield _Mention(_with_blank(text, match.start()), match.end(), owner, match.group())


def _with_blank(text: str, begin: int) -> int:
    return begin - 1 if begin and text[begin - 1] == " " else begin


def by_kind(values: Floats, kinds: NDArray[np.int64]) -> Floats:
    """Sums of values over the characters of each kind: (len(KINDS))."""
    return np.bincount(kinds, weights=values, minlength=len(KINDS)).astype(np.float64)


def by_rank(values: Floats, facts: Sequence[Fact]) -> Floats:
    """Sums of values over the facts of the characters of each bin of RANKS: (bins)."""
    sums = np.zeros(len(RANKS) - 1)
    for one in facts:
        sums[np.searchsorted(RANKS, one.rank, "right") - 1] += values[one.begin : one.end].sum()
    return sums


@dataclass(frozen=True)
class Words:
    """What the words of a corpus's documents are, and what they cost who knows the source."""

    floor: Floats  # nats per document, by kind: (len(KINDS))
    fact_ranks: NDArray[np.int64]  # of the characters of all facts, an entry for each fact

    @property
    def facts(self) -> NDArray[np.int64]:
        """How many facts are in each bin of RANKS."""
        return np.histogram(self.fact_ranks, RANKS)[0]

    def characters(self, share: float) -> float:
        """Up to which rank all facts would have to be known so that this share of them is."""
        return float(np.quantile(self.fact_ranks, share)) if share > 0 else 0.0


@cache
def marked_documents(corpus: str, n: int) -> list[Marked]:
    """The first documents of the validation split of a corpus."""
    return [marked(document("validation", i, variant=variant_of(corpus))) for i in range(n)]


def words_of(store: Store, corpus: str) -> Words:
    """The words of the documents on which a profile's models are measured, as a finding.

    Raises:
        Missing: it was not computed yet, and this is no `tinylm report`.
    """
    n, variant = DOCUMENTS[store.profile], variant_of(corpus)

    def compute() -> Words:
        marks = marked_documents(corpus, n)
        floors = [by_kind(information(one.text, variant=variant), one.kinds) for one in marks]
        ranks = [fact.rank for one in marks for fact in one.facts]
        return Words(np.mean(floors, axis=0), np.array(ranks))

    name = f"words-{short_of(corpus)}"
    return finding(store, name, [], (*EXACT, __name__), compute, version=VERSION, documents=n)
