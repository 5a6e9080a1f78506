"""The world of the fables: who and what there is, fixed by a seed.

Tens of thousands of characters and thousands of places have lasting facts. Nothing here is random
to one who knows the world, so that facts cost nothing in the exact probability of a text, and
everything to a model that has not learnt them.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from tinylm.corpora.fables import facts
from tinylm.corpora.fables.draws import article
from tinylm.errors import BadInput

VERSION = "1.0"
PARTS = ("little", "elder", "rival", "passer", "host", "guest")  # who plays which part
Facts = Mapping[str, str]


@dataclass(frozen=True)
class World:
    """Characters and places by number, the most often met first.

    `friend` is a number for each character, and friends are always friends of each other.
    """

    names: Sequence[str]
    his: NDArray[np.bool_]
    part: NDArray[np.int64]  # in PARTS
    home: NDArray[np.int64]
    friend: NDArray[np.int64]
    traits: Mapping[str, NDArray[np.int64]]  # where in its list each word is
    place_names: Sequence[str]
    place_traits: Mapping[str, NDArray[np.int64]]

    def character(self, i: int) -> Facts:
        """What templates may say of character i."""
        has = {key: CHARACTER_LISTS[key][number[i]] for key, number in self.traits.items()}
        he, him, his = ("he", "him", "his") if self.his[i] else ("she", "her", "her")
        trade = has["trade"] + ("'s apprentice" if self.part[i] == 0 else "")
        garment = f"{has['colour']} {has['garment']}"
        thing = f"{has['material']} {has['treasure']}"
        return {
            "name": self.names[i],
            "he": he,
            "him": him,
            "his": his,
            "himself": "himself" if self.his[i] else "herself",
            "He": he.capitalize(),
            "His": his.capitalize(),
            "creature": {0: "young ", 1: "old "}.get(int(self.part[i]), "") + has["kind"],
            "kind": has["kind"],
            "a kind": article(has["kind"]),
            "trait": has["trait"],
            "a trait": article(has["trait"]),
            "trade": trade,
            "a trade": article(trade),
            "home": self.place_names[self.home[i]],
            "house": has["house"],
            "fear": has["fear"],
            "habit": has["habit"],
            "dish": has["dish"],
            "coat": garment,
            "a coat": article(garment),
            "thing": thing,
            "a thing": article(thing),
            "saying": f"Better {has['better']} than {has['worse']}",
        }

    def place(self, i: int) -> Facts:
        """What templates may say of place i."""
        has = {key: PLACE_LISTS[key][number[i]] for key, number in self.place_traits.items()}
        return {
            "name": self.place_names[i],
            "kind": has["kind"],
            "a kind": article(has["kind"]),
            "sight": has["sight"],
            "fame": has["fame"],
            "river": has["river"] + has["river_tail"],
        }


CHARACTER_LISTS: Mapping[str, Sequence[str]] = {
    "kind": facts.KINDS,
    "trait": facts.TRAITS,
    "trade": facts.TRADES,
    "fear": facts.FEARS,
    "habit": facts.HABITS,
    "dish": facts.DISHES,
    "house": facts.HOUSES,
    "colour": facts.COLOURS,
    "garment": facts.GARMENTS,
    "material": facts.MATERIALS,
    "treasure": facts.TREASURES,
    "better": facts.BETTERS,
    "worse": facts.WORSES,
}
PLACE_LISTS: Mapping[str, Sequence[str]] = {
    "kind": facts.PLACE_KINDS,
    "sight": facts.SIGHTS,
    "fame": facts.FAMES,
    "river": facts.RIVERS,
    "river_tail": facts.RIVER_TAILS,
}


@cache
def world(seed: int, n_characters: int, n_places: int) -> World:
    """The world of a seed. Worlds of one seed and of different sizes have little in common.

    Raises:
        TinyLMError: more characters or places than there are names, or not an even number of
            characters of at least 10, or fewer than 5 places.
    """
    most = 3 * len(facts.STEMS) * len(facts.TAILS) // 4
    if n_characters % 2 or not 10 <= n_characters <= 100_000:
        raise BadInput(f"n_characters is {n_characters}: expected an even number, 10 to 100,000")
    if not 5 <= n_places <= most:
        raise BadInput(f"n_places is {n_places}: expected 5 to {most:,}")

    def numbers(what: str, n: int, below: int) -> NDArray[np.int64]:
        address = f"tinylm fables/{VERSION}/world/{seed}/{n_characters}/{n_places}/{what}"
        return random_numbers(address, n, below)

    def shuffled(what: str, n: int) -> NDArray[np.int64]:
        return np.argsort(numbers(what, n, 2**62), kind="stable")

    his = numbers("his", n_characters, 2) == 1
    spellings = np.stack(
        [
            numbers(f"name {k}", 4 * n_characters, len(part))
            for k, part in enumerate((facts.ONSETS, facts.VOWELS, facts.MIDDLES, facts.HIS_ENDINGS))
        ],
        axis=1,
    )
    home = numbers("home", n_characters, n_places)
    pairs = shuffled("friend", n_characters).reshape(-1, 2)
    friend = np.empty(n_characters, dtype=np.int64)
    friend[pairs[:, 0]], friend[pairs[:, 1]] = pairs[:, 1], pairs[:, 0]
    same = home[pairs[:, 0]] == home[pairs[:, 1]]  # friends live apart: one walks to the other
    home[pairs[same, 1]] = (home[pairs[same, 1]] + 1) % n_places
    places = shuffled("places", len(facts.STEMS) * len(facts.TAILS))
    names = _names(spellings.tolist(), his.tolist())
    return World(
        names=names,
        his=his,
        part=numbers("part", n_characters, len(PARTS)),
        home=home,
        friend=friend,
        traits={
            key: numbers(key, n_characters, len(values)) for key, values in CHARACTER_LISTS.items()
        },
        place_names=_place_names(places.tolist(), n_places, set(names)),
        place_traits={
            key: numbers(f"place {key}", n_places, len(values))
            for key, values in PLACE_LISTS.items()
        },
    )


def _names(spellings: Iterable[Sequence[int]], his: Sequence[bool]) -> list[str]:
    """A name for each character, all different; its ending goes with he or she."""
    names: dict[str, None] = {}
    for onset, vowel, middle, ending in spellings:
        if len(names) == len(his):
            break
        endings = facts.HIS_ENDINGS if his[len(names)] else facts.HER_ENDINGS
        start = facts.ONSETS[onset] + facts.VOWELS[vowel] + facts.MIDDLES[middle]
        names.setdefault(start + endings[ending])
    return list(names)


def _place_names(numbers: Iterable[int], n: int, taken: set[str]) -> list[str]:
    """Different names of a stem and a tail that no character has; the two parts do not meet in
    the same letter.
    """
    names: list[str] = []
    for number in numbers:
        stem = facts.STEMS[number // len(facts.TAILS)]
        tail = facts.TAILS[number % len(facts.TAILS)]
        if len(names) < n and stem[-1] != tail[0] and stem + tail not in taken:
            names.append(stem + tail)
    return names


def random_numbers(address: str, n: int, below: int) -> NDArray[np.int64]:
    """n numbers, 0 to below - 1, that depend on the address alone: SHAKE-128 of it, in words of 64
    bits modulo `below`.
    """
    stream = hashlib.shake_128(address.encode()).digest(8 * n)
    return (np.frombuffer(stream, dtype="<u8") % np.uint64(below)).astype(np.int64)
