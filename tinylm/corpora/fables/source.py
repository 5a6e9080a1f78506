"""How often each character and place is met: long-tailed laws over the world."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np
from numpy.typing import NDArray

from tinylm.corpora.fables.draws import Lexicon
from tinylm.corpora.fables.parts import Scene
from tinylm.corpora.fables.world import PARTS, Facts, World, world
from tinylm.errors import BadInput

HEAD = 30  # weights are (rank + HEAD)^-(1 + tail), so that the first few do not tell it all
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Variant:
    """A corpus of fables: how large its world is, and how heavy its tail.

    Character and place of rank r = 1, 2, ... are met with probability proportional to
    (r + 30)^-(1 + tail): those beyond rank K together with about K^-tail.
    """

    quarters: int  # the tail exponent in quarters, so that weights are exact whole numbers
    n_characters: int = 20_000
    n_places: int = 4_000

    @property
    def tail(self) -> float:
        """The exponent a: 1 + a is how fast the probability falls with the rank."""
        return self.quarters / 4


VARIANTS = {"default": Variant(2), "heavy": Variant(1), "light": Variant(4)}


def weights(n: int, quarters: int) -> list[int]:
    """2^60 (rank + HEAD)^-(1 + quarters / 4), rounded down, in whole numbers only: every machine
    gets the same.
    """
    return [
        math.isqrt(math.isqrt(2**240 // (rank + HEAD) ** (4 + quarters)))
        for rank in range(1, n + 1)
    ]


class Expected(dict[str, float]):
    """Expected length of each fact of one who is drawn with probabilities p, found when asked."""

    def __init__(self, p: Floats, everyone: Sequence[Facts]) -> None:
        super().__init__()
        self._p = p
        self._everyone = everyone

    def __missing__(self, fact: str) -> float:
        lengths = np.array([len(facts[fact]) for facts in self._everyone])
        self[fact] = float((self._p * lengths).sum())
        return self[fact]


class WorldSource:
    """Characters and places of one world, as one variant meets them."""

    def __init__(self, variant: Variant, seed: int) -> None:
        self.world: World = world(seed, variant.n_characters, variant.n_places)
        self._variant = variant
        self._lexicons: dict[str, Lexicon] = {}
        self._characters: dict[str, Facts] = {}
        self._places: dict[str, Facts] = {}
        self._measured: dict[str, tuple[float, dict[str, Expected]]] = {}
        self._number = {name: i for i, name in enumerate(self.world.names)}
        self._place_number = {name: i for i, name in enumerate(self.world.place_names)}

    def lexicon(self, law: str) -> Lexicon:
        """The names that a law gives: "any" character, those of one part, or a "place"."""
        if law not in self._lexicons:
            names = self.world.place_names if law == "place" else self.world.names
            every = weights(len(names), self._variant.quarters)
            allowed = list(range(len(names)))
            if law in PARTS:
                allowed = np.flatnonzero(self.world.part == PARTS.index(law)).tolist()
            self._lexicons[law] = Lexicon([names[i] for i in allowed], [every[i] for i in allowed])
        return self._lexicons[law]

    def character(self, name: str) -> Facts:
        """Facts of the character of this name."""
        if name not in self._characters:
            self._characters[name] = self.world.character(self._number[name])
        return self._characters[name]

    def place(self, name: str) -> Facts:
        """Facts of the place of this name."""
        if name not in self._places:
            self._places[name] = self.world.place(self._place_number[name])
        return self._places[name]

    def enter(self, scene: Scene, role: str, name: str) -> None:
        """Put facts into the scene; the hero brings the friend and both their homes along."""
        if role == "goal":
            scene[role] = self.place(name)
            return
        scene[role] = self.character(name)
        if role == "hero":
            friend = self.world.names[self.world.friend[self._number[name]]]
            scene["friend"] = self.character(friend)
            scene["home"] = self.place(scene["hero"]["home"])
            scene["haunt"] = self.place(scene["friend"]["home"])

    def measure(self, scene: Scene, role: str, law: str) -> float:
        """Put expected lengths of facts into the scene; returns the entropy of the draw in nats.

        The hero is drawn freely, others without the hero and the friend, places without the two
        homes.
        """
        if role not in self._measured:
            self._measured[role] = self._measure(role, law)
        nats, expected = self._measured[role]
        scene.update(expected)
        return nats

    def _measure(self, role: str, law: str) -> tuple[float, dict[str, Expected]]:
        characters, places = self._everyone
        if role != "hero":
            nats, p = self._without_hero(law)
            return nats, {role: Expected(p, places if law == "place" else characters)}
        p, friend, home = self._probabilities("any"), self.world.friend, self.world.home
        met = [_met(p, at, len(places)) for at in (home, home[friend])]
        return float(-(p * np.log(p)).sum()), {
            "hero": Expected(p, characters),
            "friend": Expected(p[friend], characters),  # who is the friend of one's friend
            "home": Expected(met[0], places),
            "haunt": Expected(met[1], places),
        }

    def _without_hero(self, law: str) -> tuple[float, Floats]:
        """Mean over heroes of the entropy of a draw that leaves out what is the hero's, and how
        likely the draw is to give each.

        Without the two x, y of hero h the law p has the entropy (H + p_x log p_x + p_y log p_y) / s
        + log s, where s = 1 - p_x - p_y.
        """
        hero, p = self._probabilities("any"), self._probabilities(law)
        if law == "place":
            out = (self.world.home, self.world.home[self.world.friend])
        else:
            out = (np.arange(len(hero)), self.world.friend)
        plogp = p * np.log(np.where(p > 0, p, 1.0))
        left = 1.0 - p[out[0]] - p[out[1]]
        nats = (-plogp.sum() + plogp[out[0]] + plogp[out[1]]) / left + np.log(left)
        share = hero / left
        lost = sum(_met(share, at, len(p)) for at in out)
        return float((hero * nats).sum()), p * (share.sum() - lost)

    def _probabilities(self, law: str) -> Floats:
        """Of every character, or place, under a law."""
        lexicon = self.lexicon(law)
        number = self._place_number if law == "place" else self._number
        p = np.zeros(len(number))
        at = [number[name] for name in lexicon.words]
        p[at] = np.array(lexicon.weights, dtype=np.float64) / float(lexicon.cumulative[-1])
        return p

    @cached_property
    def _everyone(self) -> tuple[list[Facts], list[Facts]]:
        there = self.world
        return (
            [there.character(i) for i in range(len(there.names))],
            [there.place(i) for i in range(len(there.place_names))],
        )


def _met(p: Floats, at: NDArray[np.int64], n: int) -> Floats:
    """How likely each of n is met, if it is at[i] with probability p[i]."""
    return np.bincount(at, weights=p, minlength=n).astype(np.float64)


@cache
def world_source(variant: str, seed: int) -> WorldSource:
    """The source of a variant and a world seed.

    Raises:
        TinyLMError: unknown variant, or a seed that is not a whole number from 0.
    """
    if variant not in VARIANTS:
        raise BadInput(
            f"unknown variant {variant!r} of fables: expected one of {', '.join(VARIANTS)}"
        )
    if seed < 0:
        raise BadInput(f"world_seed is {seed}: expected a whole number from 0")
    return WorldSource(VARIANTS[variant], seed)
