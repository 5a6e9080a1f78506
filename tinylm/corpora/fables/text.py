"""The grammar of a document, and its writer."""

import hashlib
import struct
from collections.abc import Iterator
from functools import cache

from tinylm.corpora.documents import Split
from tinylm.corpora.fables import frames, plots_away, plots_home, rhymes
from tinylm.corpora.fables.draws import Draws
from tinylm.corpora.fables.parts import Enter, Note, Parts, Scene, Story
from tinylm.corpora.fables.source import world_source
from tinylm.corpora.fables.templates import CAST, Compiler, Plot, flow
from tinylm.corpora.fables.words import LISTS
from tinylm.corpora.fables.world import VERSION
from tinylm.errors import BadInput

PLOTS: tuple[Plot, ...] = plots_away.PLOTS + plots_home.PLOTS
RULES = {name: flow(text) for name, text in {**frames.RULES, **rhymes.RULES}.items()}
WITHOUT = ("hero", "friend")
ENTER = {
    "hero": Enter("hero", "any"),
    "goal": Enter("goal", "place", ("home", "haunt")),
    **{role: Enter(role, role, WITHOUT) for role in CAST},
}


@cache
def grammar() -> Parts:
    """The parts of a document: two stories between a beginning and a closing."""
    compiler = Compiler(LISTS, RULES, ENTER)

    def story(number: int) -> Parts:
        plots = []
        for plot in PLOTS:
            text = f"{plot.title}\n{flow(plot.story)}".replace("<when@>", f"<when{number}>")
            recall = "" if number == 1 else f" <recall{number}>"
            text = text.replace(" <recall@>", recall)
            past = Note(f"past{number}", compiler.parts(plot.name))
            deed = Note(f"deed{number}", compiler.parts("{deed}"))
            plots.append((*compiler.parts(text), past, deed))
        return (*compiler.parts(f"\n\n{number}. "), Story(number, plots))

    stories = [part for number in (1, 2) for part in story(number)]
    beginning, closing = flow(frames.BEGINNING), flow(frames.CLOSING)
    return (*compiler.parts(beginning), *stories, *compiler.parts(closing))


def empty_scene(variant: str, world_seed: int) -> Scene:
    """Before anything was told."""
    return {"source": world_source(variant, world_seed), "told": ()}


def document(split: Split, i: int, *, variant: str = "default", world_seed: int = 0) -> str:
    """Document i of a split, 1,500 to 4,000 characters, without end and in any order.

    Raises:
        TinyLMError: unknown split or variant, or a number below 0.
    """
    if split not in ("train", "validation"):
        raise BadInput(f"split is {split!r}: expected train or validation")
    if i < 0:
        raise BadInput(f"document number is {i}: expected a whole number from 0")
    scene = empty_scene(variant, world_seed)
    out: list[str] = []
    draws = Draws(stream(split, i, variant, world_seed))
    for part in grammar():
        part.write(scene, draws, out)
    return "".join(out)


def stream(split: Split, i: int, variant: str, world_seed: int) -> Iterator[int]:
    """Integers of 64 bits that depend on the document's address alone: SHAKE-128 of it."""
    address = f"tinylm fables/{VERSION}/{variant}/{world_seed}/{split}/{i}"
    state = hashlib.shake_128(address.encode())
    done, size = 0, 4096
    while True:
        yield from struct.unpack(f"<{(size - done) // 8}Q", state.digest(size)[done:])
        done, size = size, 2 * size
