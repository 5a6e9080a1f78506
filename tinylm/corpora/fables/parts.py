"""The parts of the fables' grammar, and what each of them does.

Every part knows three things, which is all that the writer, the reader and the entropy need:

- `write` draws choices and appends text;
- `read` says what may stand at its place, and with which weight;
- `measure` adds its exact entropy and its expected length.

Facts of characters and words chosen before are looked up in the *scene*, a dictionary that fills
while the text goes on. No weight and no number of options ever depends on what was looked up, so
entropy and length add up over the parts without enumerating texts.
"""

import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from tinylm.corpora.fables.draws import NO_DRAWS, Draws, Lexicon

Scene = dict[str, Any]  # words by name; characters and places by role, each a mapping of facts


class Part(Protocol):
    """A piece of a template."""

    def write(self, scene: Scene, draws: Draws, out: list[str]) -> None:
        """Append text, and note in the scene what was chosen."""

    def read(self, scene: Scene) -> "Reading":
        """What may stand here."""

    def measure(self, scene: Scene, weight: float, totals: "Totals") -> None:
        """Add entropy and expected length, times the probability `weight` of coming here.

        This scene holds the expected length of each word and fact in place of its text.
        """


Parts = tuple[Part, ...]


@dataclass(slots=True)
class Totals:
    """What `measure` adds up: nats by kind of choice, and characters of text."""

    nats: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    length: float = 0.0


@dataclass(frozen=True, slots=True)
class Reading:
    """What may stand at a place: one of some sequences of parts, with weights; or one of the words
    of a lexicon, but for some; or this text.
    """

    text: str = ""
    options: Sequence[Parts] = ()
    weights: Sequence[int] = ()
    words: Lexicon | None = None
    without: Sequence[str] = ()
    note: Callable[[Scene, str], None] | None = None  # puts into a scene what was read


@dataclass(frozen=True, slots=True)
class Text:
    """Fixed text."""

    text: str

    def write(self, scene: Scene, draws: Draws, out: list[str]) -> None:
        """Append it."""
        out.append(self.text)

    def read(self, scene: Scene) -> Reading:
        """Nothing else may stand here."""
        return Reading(self.text)

    def measure(self, scene: Scene, weight: float, totals: Totals) -> None:
        """It has a length and no entropy."""
        totals.length += weight * len(self.text)


@dataclass(frozen=True, slots=True)
class Said:
    """A word that was chosen before, with its article if the key begins with "a "."""

    key: str

    def write(self, scene: Scene, draws: Draws, out: list[str]) -> None:
        """Append the word."""
        out.append(scene[self.key])

    def read(self, scene: Scene) -> Reading:
        """The same word."""
        return Reading(scene[self.key])

    def measure(self, scene: Scene, weight: float, totals: Totals) -> None:
        """What was chosen before costs nothing now."""
        totals.length += weight * scene[self.key]


@dataclass(frozen=True, slots=True)
class Fact:
    """A lasting fact of a character or place that is in the scene."""

    role: str
    fact: str

    def write(self, scene: Scene, draws: Draws, out: list[str]) -> None:
        """Append the fact."""
        out.append(scene[self.role][self.fact])

    def read(self, scene: Scene) -> Reading:
        """The same fact."""
        return Reading(scene[self.role][self.fact])

    def measure(self, scene: Scene, weight: float, totals: Totals) -> None:
        """Who knows the world can foresee it."""
        totals.length += weight * scene[self.role][self.fact]


@dataclass(frozen=True, slots=True)
class Words:
    """A list of words, bare and with their articles."""

    bare: Lexicon
    with_article: Lexicon


@dataclass(frozen=True, slots=True)
class Word:
    """A word from a list, each equally likely, but none of those noted under the keys `but`."""

    words: Words
    has_article: bool = False
    key: str | None = None
    but: Sequence[str] = ()  # keys of words from the same list, all different

    def write(self, scene: Scene, draws: Draws, out: list[str]) -> None:
        """Draw until the word is allowed."""
        i = draws.word(self.words.bare, [scene[key] for key in self.but])
        out.append(self._lexicon().words[i])
        if self.key is not None:
            self._note(scene, i)

    def _lexicon(self) -> Lexicon:
        return self.words.with_article if self.has_article else self.words.bare

    def _note(self, scene: Scene, i: int) -> None:
        scene[self.key or ""] = self.words.bare.words[i]
        scene[f"a {self.key}"] = self.words.with_article.words[i]

    def read(self, scene: Scene) -> Reading:
        """Any allowed word of the list."""
        lexicon = self._lexicon()

        def note(scene: Scene, word: str) -> None:
            self._note(scene, lexicon.index[word])

        taken = [lexicon.words[self.words.bare.index[scene[key]]] for key in self.but]
        return Reading(words=lexicon, without=taken, note=None if self.key is None else note)

    def measure(self, scene: Scene, weight: float, totals: Totals) -> None:
        """Uniform over the list; what is excluded is uniform as well, so every word is as likely
        as any other before one knows which were excluded.
        """
        totals.nats["words"] += weight * math.log(len(self.words.bare.words) - len(self.but))
        totals.length += weight * self._lexicon().mean_length
        if self.key is not None:
            scene[self.key] = self.words.bare.mean_length
            scene[f"a {self.key}"] = self.words.with_article.mean_length


@dataclass(frozen=True, slots=True)
class Choice:
    """One of some wordings. Its probability is its share of the weights."""

    options: Sequence[Parts]
    words: Lexicon  # numbers of the options, with their weights

    def write(self, scene: Scene, draws: Draws, out: list[str]) -> None:
        """Draw one and write it."""
        for part in self.options[draws.word(self.words, ())]:
            part.write(scene, draws, out)

    def read(self, scene: Scene) -> Reading:
        """Any of them."""
        return Reading(options=self.options, weights=self.words.weights)

    def measure(self, scene: Scene, weight: float, totals: Totals) -> None:
        """The entropy of the choice and the mean over the wordings. A later part can look up what
        every wording notes.
        """
        shares = [one / self.words.cumulative[-1] for one in self.words.weights]
        totals.nats["wordings"] -= weight * sum(share * math.log(share) for share in shares)
        after = []
        for share, parts in zip(shares, self.options, strict=True):
            after.append(dict(scene))
            for part in parts:
                part.measure(after[-1], weight * share, totals)
        for key in set.intersection(*map(set, after)):
            if isinstance(after[0][key], float):
                scene[key] = sum(share * one[key] for share, one in zip(shares, after, strict=True))
            else:
                scene[key] = after[0][key]


@dataclass(frozen=True, slots=True)
class Note:
    """Says nothing, and notes a text without choices under a key for later."""

    key: str
    parts: Parts

    def write(self, scene: Scene, draws: Draws, out: list[str]) -> None:
        """Put the text into the scene."""
        said: list[str] = []
        for part in self.parts:
            part.write(scene, draws, said)
        scene[self.key] = "".join(said)

    def read(self, scene: Scene) -> Reading:
        """No text at all."""

        def note(scene: Scene, text: str) -> None:
            self.write(scene, NO_DRAWS, [])

        return Reading(note=note)

    def measure(self, scene: Scene, weight: float, totals: Totals) -> None:
        """No entropy; the noted text has an expected length."""
        noted = Totals()
        for part in self.parts:
            part.measure(scene, 1.0, noted)
        scene[self.key] = float(noted.length)


class Source(Protocol):
    """Where characters and places come from; the scene holds it under "source"."""

    def lexicon(self, law: str) -> Lexicon:
        """The names that a law gives, with their weights."""

    def enter(self, scene: Scene, role: str, name: str) -> None:
        """Put the facts of the one with this name into the scene."""

    def measure(self, scene: Scene, role: str, law: str) -> float:
        """Put expected lengths of facts into the scene; returns the entropy of the draw in nats."""


@dataclass(frozen=True, slots=True)
class Enter:
    """A character or place enters: a draw from a long-tailed law, but for those in some roles."""

    role: str
    law: str
    but: Sequence[str] = ()

    def write(self, scene: Scene, draws: Draws, out: list[str]) -> None:
        """Draw until the name is allowed, and append it."""
        lexicon = scene["source"].lexicon(self.law)
        name = lexicon.words[draws.word(lexicon, self._taken(scene))]
        out.append(name)
        scene["source"].enter(scene, self.role, name)

    def _taken(self, scene: Scene) -> list[str]:
        return [scene[role]["name"] for role in self.but]

    def read(self, scene: Scene) -> Reading:
        """Any allowed name."""

        def note(scene: Scene, name: str) -> None:
            scene["source"].enter(scene, self.role, name)

        lexicon = scene["source"].lexicon(self.law)
        return Reading(words=lexicon, without=self._taken(scene), note=note)

    def measure(self, scene: Scene, weight: float, totals: Totals) -> None:
        """The entropy of the law without those who are there, averaged over who that may be."""
        nats = scene["source"].measure(scene, self.role, self.law)
        totals.nats["names"] += weight * nats
        totals.length += weight * scene[self.role]["name"]


@dataclass(frozen=True, slots=True)
class Story:
    """One of the plots that this document has not told yet, each equally likely.

    Its number in the document (from 1) says which of the texts of a plot is told, since later
    stories recall earlier ones. The plot of story N leaves the notes "pastN" and "deedN".
    """

    number: int
    plots: Sequence[Parts]

    def write(self, scene: Scene, draws: Draws, out: list[str]) -> None:
        """Draw a plot and tell it."""
        told = scene["told"]
        left = [j for j in range(len(self.plots)) if j not in told]
        j = left[draws.below(len(left))]
        scene["told"] = (*told, j)
        for part in self.plots[j]:
            part.write(scene, draws, out)

    def read(self, scene: Scene) -> Reading:
        """Any plot that was not told."""
        told = scene["told"]
        left = [(_Tells(j), *plot) for j, plot in enumerate(self.plots) if j not in told]
        return Reading(options=left, weights=[1] * len(left))

    def measure(self, scene: Scene, weight: float, totals: Totals) -> None:
        """Every plot is as likely as any other; if it is plot j, the earlier ones are any two
        different others, so what is recalled of them has their mean length.
        """
        n = len(self.plots)
        totals.nats["plots"] += weight * math.log(n + 1 - self.number)
        earlier: dict[str, list[float]] = scene["told"]
        noted: dict[str, list[float]] = {f"past{self.number}": [], f"deed{self.number}": []}
        for j, plot in enumerate(self.plots):
            telling = dict(scene)
            for key, lengths in earlier.items():
                telling[key] = (sum(lengths) - lengths[j]) / (n - 1)
            for part in plot:
                part.measure(telling, weight / n, totals)
            for key, lengths in noted.items():
                lengths.append(telling[key])
        scene["told"] = {**earlier, **noted}
        scene.update({key: sum(lengths) / n for key, lengths in noted.items()})


@dataclass(frozen=True, slots=True)
class _Tells:
    """Notes which plot is being told."""

    plot: int

    def write(self, scene: Scene, draws: Draws, out: list[str]) -> None:
        scene["told"] = (*scene["told"], self.plot)

    def read(self, scene: Scene) -> Reading:
        return Reading(note=lambda scene, _: self.write(scene, NO_DRAWS, []))

    def measure(self, scene: Scene, weight: float, totals: Totals) -> None:
        """`Story` does it."""
