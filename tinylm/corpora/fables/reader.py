"""Reads a text back: the exact information of each of its characters.

The reader keeps every way in which the text so far may have come about, each with its
probability, and drops those that the next character rules out. What the character costs is the
logarithm of what was dropped: -log p(character | all before), exactly. Mostly one way is left
after a few characters, so the work is small.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinylm.corpora.fables.parts import Parts, Reading, Scene
from tinylm.errors import BadInput, TinyLMError

Frames = tuple[Parts, int, Any] | None  # parts, the next of them, and what comes after them


@dataclass(slots=True)
class _Way:
    """A way to go on: its probability, what it knows, what must come, and what comes then."""

    mass: float
    scene: Scene
    rest: Frames
    text: str = ""  # what must come next ...
    done: int = 0  # ... and how much of it has come
    words: Reading | None = None  # or: one of these words,
    prefix: str = ""  # which begins so,
    total: float = 1.0  # and whose weights are relative to this


def read(text: str, parts: Parts, scene: Scene) -> NDArray[np.float64]:
    """Nats of each character of the text, given all characters before it.

    Raises:
        TinyLMError: no way leads to the text.
    """
    nats = np.zeros(len(text))
    ways = _unfold(_Way(1.0, scene, (parts, 0, None)))
    at = 0
    while at < len(text):
        if len(ways) == 1 and ways[0].words is None and ways[0].text:
            way = ways[0]
            coming = way.text[way.done :]
            if not text.startswith(coming, at):
                raise _refusal(text, at + _common_length(text[at:], coming))
            at += len(coming)
            way.mass = 1.0
            ways = _unfold(way)
            continue
        before = sum(way.mass for way in ways)
        ways = [after for way in ways for after in _step(way, text[at])]
        mass = sum(way.mass for way in ways)
        if not mass:
            raise _refusal(text, at)
        nats[at] = max(0.0, math.log(before / mass))  # not below for want of digits
        for way in ways:
            way.mass /= mass
            way.total *= mass
        at += 1
    if not any(_is_ended(way) for way in ways):
        raise _refusal(text, at)
    return nats


def _is_ended(way: _Way) -> bool:
    return way.rest is None and not way.text and way.words is None


def _common_length(a: str, b: str) -> int:
    return next(
        (i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b))
    )


def _refusal(text: str, at: int) -> TinyLMError:
    if at == len(text):
        return BadInput(
            f"text of {at} characters ends too early: expected a whole document of fables"
        )
    return BadInput(
        f"text is no document of fables: at character {at} it has {text[at : at + 20]!r}, and "
        "no fable goes on so"
    )


def _unfold(way: _Way) -> list[_Way]:
    """The ways in which a way can go on, each up to the next text or word."""
    found: list[_Way] = []
    open_ways = [(way.mass, way.scene, way.rest)]
    while open_ways:
        mass, scene, rest = open_ways.pop()
        while True:
            if rest is None:
                found.append(_Way(mass, scene, None))
                break
            parts, i, after = rest
            if i == len(parts):
                rest = after
                continue
            rest = (parts, i + 1, after) if i + 1 < len(parts) else after
            reading = parts[i].read(scene)
            if reading.options:
                share = mass / sum(reading.weights)
                open_ways += [
                    (share * weight, scene, (option, 0, rest))
                    for weight, option in zip(reading.weights, reading.options, strict=True)
                ]
                break
            if reading.words is not None:
                total = reading.words.weight("", reading.without)
                found.append(_Way(mass, scene, rest, words=reading, total=total / mass))
                break
            if reading.note is not None:
                scene = dict(scene)
                reading.note(scene, "")
            elif reading.text:
                found.append(_Way(mass, scene, rest, text=reading.text))
                break
    return found


def _step(way: _Way, char: str) -> list[_Way]:
    """What is left of a way after one more character."""
    reading = way.words
    if reading is None:
        if way.done == len(way.text) or way.text[way.done] != char:
            return []
        way.done += 1
        return [way] if way.done < len(way.text) else _unfold(way)
    assert reading.words is not None
    way.prefix += char
    weight = reading.words.weight(way.prefix, reading.without)
    if not weight:
        return []
    whole = 0 if way.prefix in reading.without else reading.words.weight_of(way.prefix)
    if not whole:
        way.mass = weight / way.total
        return [way]
    scene = way.scene
    if reading.note is not None:
        scene = dict(scene)
        reading.note(scene, way.prefix)
    found = _unfold(_Way(whole / way.total, scene, way.rest))
    if weight > whole:
        way.mass = (weight - whole) / way.total
        found.append(way)
    return found
