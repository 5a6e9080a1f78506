"""Words with weights, and choices drawn from a stream of integers."""

import math
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import accumulate


class Lexicon:
    """Words with integer weights, to draw from and to read character by character.

    The weights are whole numbers, so that every machine draws the same.
    """

    def __init__(self, words: Sequence[str], weights: Sequence[int] | None = None) -> None:
        self.words = words
        self.is_uniform = weights is None
        self.weights = [1] * len(words) if weights is None else weights
        self.cumulative = list(accumulate(self.weights))
        self.index = {word: i for i, word in enumerate(words)}
        self.mean_length = sum(map(len, words)) / len(words)
        prefixes: dict[str, int] = defaultdict(int)
        for word, weight in zip(words, self.weights, strict=True):
            for end in range(len(word) + 1):
                prefixes[word[:end]] += weight
        self._prefixes = dict(prefixes)

    def weight(self, prefix: str, without: Sequence[str]) -> int:
        """Weight of the words that begin with the prefix, but for some; 0 if there is none."""
        weight = self._prefixes.get(prefix, 0)
        for word in without:
            if word.startswith(prefix):
                weight -= self.weight_of(word)
        return weight

    def weight_of(self, word: str) -> int:
        """Weight of this very word; 0 if it is not in the lexicon."""
        i = self.index.get(word)
        return 0 if i is None else self.weights[i]


def article(noun: str) -> str:
    """The noun with a or an before it."""
    is_vowel = noun[0] in "aeiou" and not noun.startswith(("use", "uni", "one"))
    return f"an {noun}" if is_vowel or noun.startswith(("honest", "hour")) else f"a {noun}"


class Draws:
    """Choices drawn from a stream of integers, uniform over 0 .. 2^64 - 1."""

    def __init__(self, stream: Iterator[int]) -> None:
        self._next = stream.__next__

    def below(self, n: int) -> int:
        """A number from 0 to n - 1."""
        return self._next() * n >> 64

    def word(self, lexicon: Lexicon, taken: Sequence[str]) -> int:
        """The number of a word that is not taken: draws until there is one."""
        while True:
            point = self._next() * lexicon.cumulative[-1] >> 64
            i = point if lexicon.is_uniform else bisect_right(lexicon.cumulative, point)
            if lexicon.words[i] not in taken:
                return i


class CountedDraws(Draws):
    """Draws that add up their own information, -log p of every choice, in `nats`."""

    def __init__(self, stream: Iterator[int]) -> None:
        super().__init__(stream)
        self.nats = 0.0

    def below(self, n: int) -> int:
        """A number from 0 to n - 1."""
        self.nats += math.log(n)
        return super().below(n)

    def word(self, lexicon: Lexicon, taken: Sequence[str]) -> int:
        """The number of a word that is not taken."""
        i = super().word(lexicon, taken)
        self.nats += math.log(lexicon.weight("", taken) / lexicon.weights[i])
        return i


NO_DRAWS = Draws(iter(()))
