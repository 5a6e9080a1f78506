"""Shows and checks the source: `tinylm fables`."""

import hashlib
import math
from collections.abc import Iterator
from dataclasses import dataclass

from tinylm.corpora.fables.draws import CountedDraws
from tinylm.corpora.fables.exact import entropy, information
from tinylm.corpora.fables.source import VARIANTS, world_source
from tinylm.corpora.fables.text import document, empty_scene, grammar, stream
from tinylm.errors import BadInput, TinyLMError

SWAPS = {" ": "  ", ".": ",", "e": "a", "a": "e", "t": "d", "o": "i"}


def counted_document(i: int, variant: str, world_seed: int = 0) -> tuple[str, float]:
    """Train document i, and -log p in nats as its writer counts it while choosing."""
    draws = CountedDraws(stream("train", i, variant, world_seed))
    scene = empty_scene(variant, world_seed)
    out: list[str] = []
    for part in grammar():
        part.write(scene, draws, out)
    return "".join(out), draws.nats


def perturbed(text: str, at: int) -> str:
    """The text with the first character from `at` that can be exchanged, exchanged."""
    while text[at] not in SWAPS:
        at = (at + 1) % len(text)
    return text[:at] + SWAPS[text[at]] + text[at + 1 :]


@dataclass(frozen=True)
class Check:
    """A property of the source, and whether it holds."""

    what: str
    holds: bool


def checks(n: int, variant: str) -> Iterator[Check]:
    """What should hold on the first n documents; parsing takes about 5 ms a document.

    Raises:
        TinyLMError: unknown variant, or n below 2.
    """
    if n < 2:
        raise BadInput(f"check is {n}: expected at least 2 documents")
    texts, worst, costs, refused = [], 0.0, [], 0
    for i in range(n):
        text, counted = counted_document(i, variant)
        cost = math.fsum(information(text, variant=variant))
        worst = max(worst, abs(cost - counted))
        costs.append(cost)
        texts.append(text)
        try:
            information(perturbed(text, 37 * i % len(text)), variant=variant)
        except TinyLMError:
            refused += 1
    yield Check(
        f"reader and writer agree on {n:,} documents; largest difference {worst:.1e} nats",
        worst < 1e-9,
    )
    exact = entropy(variant)
    mean = math.fsum(costs) / n
    error = math.sqrt(math.fsum((cost - mean) ** 2 for cost in costs) / (n - 1) / n)
    yield Check(
        f"mean code length {mean:.2f} ± {error:.2f} nats a document, entropy {exact.nats:.2f}",
        abs(mean - exact.nats) <= 3 * error,
    )
    yield Check(
        f"of {n:,} texts with one character exchanged {refused:,} are refused; the others are "
        "fables with another word",
        refused > 0.9 * n,
    )
    ours = {_digest(text) for text in texts}
    theirs = {_digest(document("validation", i, variant=variant)) for i in range(n)}
    yield Check(
        f"no document occurs twice in the first {n:,} of train and {n:,} of validation",
        len(ours | theirs) == 2 * n,
    )


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


def run(show: int, check: int, show_entropy: bool, variant: str) -> bool:
    """Print documents, the entropy and checks as asked; True if every check holds.

    Raises:
        TinyLMError: unknown variant, nothing asked for, or a number out of range.
    """
    world_source(variant, 0)
    if not (show or check or show_entropy):
        raise BadInput("nothing to do: expected --show N, --check N or --entropy")
    for i in range(show):
        if i:
            print("\n" + "-" * 80 + "\n")
        print(document("train", i, variant=variant))
    if show_entropy:
        _print_entropy(variant)
    every = True
    if check:
        for one in checks(check, variant):
            print(f"{'ok  ' if one.holds else 'FAIL'} {one.what}", flush=True)
            every &= one.holds
    return every


def _print_entropy(variant: str) -> None:
    exact = entropy(variant)
    print(
        f"fables, {variant} (tail exponent {VARIANTS[variant].tail}): {exact.nats:.3f} nats "
        f"a document of {exact.bytes:.1f} bytes, {exact.bits_per_byte:.4f} bits per byte"
    )
    for kind, nats in sorted(exact.nats_by_kind.items(), key=lambda item: -item[1]):
        print(f"  {kind:<9} {nats:8.3f} nats, {nats / exact.nats:.1%}")
