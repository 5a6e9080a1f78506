"""Reach into a model's forward pass: see what is at a place, put something else there, and tell by
how much that brings one answer back.

Places are named by what they hold, each (B, T, width):

- `embedding`: what the first block reads;
- `layer L, head H`: what a head has mixed, before the matrix that writes it to the stream;
- `layer L, attention` and `layer L, MLP`: what these add to the residual stream;
- `layer L`: the stream after the layer.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

import pandas as pd
import torch
from torch import Tensor, nn

from tinylm.errors import BadInput
from tinylm.model import GPT, Block

Change = Callable[[Tensor], Tensor]  # of what is at a place
Hook = Callable[..., Any]


def places(model: GPT) -> list[str]:
    """Every place of a model, from the embedding on."""
    found = ["embedding"]
    for layer in range(model.config.n_layers):
        heads = [f"layer {layer}, head {head}" for head in range(model.config.n_heads)]
        found += [*heads, f"layer {layer}, attention", f"layer {layer}, MLP", f"layer {layer}"]
    return found


def check_places(model: GPT, some: Sequence[str]) -> None:
    """Raises BadInput for a place that a model has not; it names those that it has."""
    known = places(model)
    for place in some:
        if place not in known:
            raise BadInput(f"place {place!r}: expected one of {', '.join(known)}")


@torch.inference_mode()
def activations(model: GPT, tokens: Tensor) -> dict[str, Tensor]:
    """What is at every place when a model reads tokens (B, T)."""
    seen: dict[str, Tensor] = {}

    def see(place: str, here: Tensor) -> Tensor:
        seen[place] = here.clone()
        return here

    with changed(model, {place: partial(see, place) for place in places(model)}):
        model(tokens)
    return seen


@contextmanager
def changed(model: GPT, changes: Mapping[str, Change]) -> Iterator[None]:
    """Within it, what is at these places is what the changes make of it.

    Raises:
        BadInput: no such place.
    """
    check_places(model, [*changes])
    with ExitStack() as stack:
        for place, change in changes.items():
            stack.enter_context(_hooked(model, place, change))
        yield


def put(here: Tensor, positions: Sequence[int] | None = None) -> Change:
    """Put another's activations (B, T, width), or one for all (width), in place, at some positions
    or at all.
    """

    def change(there: Tensor) -> Tensor:
        if positions is None:
            return here.expand_as(there)
        at = torch.tensor(positions)
        moved = there.clone()
        moved[:, at] = here.expand_as(there)[:, at]
        return moved

    return change


@contextmanager
def _hooked(model: GPT, place: str, change: Change) -> Iterator[None]:
    module, before, part = _find(model, place)

    def on_input(_: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
        whole = inputs[0].clone()
        whole[..., part] = change(whole[..., part])
        return (whole, *inputs[1:])

    def on_output(_: nn.Module, __: tuple[Any, ...], output: Tensor) -> Tensor:
        return change(output)

    hook = (
        module.register_forward_pre_hook(on_input)
        if before
        else module.register_forward_hook(on_output)
    )
    try:
        yield
    finally:
        hook.remove()


def _find(model: GPT, place: str) -> tuple[nn.Module, bool, slice]:
    """The module at whose input or output a place is, and which channels of it are its."""
    if place == "embedding":
        return model.blocks[0], True, slice(None)
    layer, _, part = place.removeprefix("layer ").partition(", ")
    block = cast(Block, model.blocks[int(layer)])
    if part.startswith("head "):
        width, head = model.config.head_width, int(part.removeprefix("head "))
        return block.attention.out, True, slice(head * width, (head + 1) * width)
    module = {"": block, "attention": block.attention, "MLP": block.mlp}[part]
    return module, False, slice(None)


# --- patching -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Pair:
    """Two texts of one length whose next tokens differ: what is put from the first into the second
    should bring the first's answer back.
    """

    clean: Tensor  # (T,)
    corrupted: Tensor  # (T,)
    answer: int  # the next token of the clean text
    other: int  # that of the corrupted one

    def __post_init__(self) -> None:
        if self.clean.shape != self.corrupted.shape:
            raise BadInput(
                f"a pair of {len(self.clean)} and {len(self.corrupted)} tokens: expected as many "
                f"in both, so that positions are the same"
            )


def logit_difference(logits: Tensor, pairs: Sequence[Pair]) -> Tensor:
    """By how much the last logits (B, T, V) prefer each pair's answer to the other: (B,)."""
    rows = torch.arange(len(pairs))
    answers, others = (
        torch.tensor([getattr(p, name) for p in pairs]) for name in ("answer", "other")
    )
    last = logits[:, -1]
    return last[rows, answers] - last[rows, others]


@torch.inference_mode()
def patching(
    model: GPT,
    pairs: Sequence[Pair],
    at: Sequence[str] | None = None,
    positions: Sequence[Sequence[int] | None] = (None,),
) -> pd.DataFrame:
    """Put what is at each place in the clean texts into the corrupted ones, at each of these sets
    of positions (None: at all): a row each, with place, positions and `recovered`, the share of the
    logit difference between both texts that comes back, in the mean over pairs; and `low` and
    `high`, its 95% interval by the scatter of the pairs.

    Raises:
        BadInput: no such place, no pairs, or pairs of different lengths.
    """
    chosen = places(model) if at is None else at
    check_places(model, chosen)
    if not pairs or len({len(pair.clean) for pair in pairs}) > 1:
        raise BadInput(f"{len(pairs)} pairs: expected one or more, all of one length")
    clean, corrupted = (
        torch.stack([getattr(pair, name) for pair in pairs]) for name in ("clean", "corrupted")
    )
    source = activations(model, clean)
    best, worst = (logit_difference(model(tokens), pairs) for tokens in (clean, corrupted))
    gap = float((best - worst).mean())
    rows = []
    for place in chosen:
        for some in positions:
            with changed(model, {place: put(source[place], some)}):
                back = (logit_difference(model(corrupted), pairs) - worst) / gap
            half = 1.96 * float(back.std()) / len(pairs) ** 0.5 if len(pairs) > 1 else float("nan")
            mean = float(back.mean())
            row = {"place": place, "positions": some, "recovered": mean}
            rows.append(row | {"low": mean - half, "high": mean + half})
    return pd.DataFrame(rows)


@torch.inference_mode()
def ablation_losses(
    model: GPT, tokens: Tensor, targets: Tensor, at: Sequence[str] | None = None
) -> pd.DataFrame:
    """Mean loss, in nats per token, on tokens (B, T) when a place holds nothing, its mean over all
    texts and positions, or what another of the texts has there: a row a place, with columns plain,
    zero, mean and resampled.

    Raises:
        BadInput: no such place, or fewer than two texts.
    """
    chosen = places(model) if at is None else at
    check_places(model, chosen)
    if len(tokens) < 2:
        raise BadInput(f"{len(tokens)} texts: expected two or more, to take one for another")
    source = activations(model, tokens)
    plain, rows = float(model.loss(tokens, targets)), []
    for place in chosen:
        here = source[place]
        instead = {
            "zero": torch.zeros_like(here),
            "mean": here.mean(dim=(0, 1)),
            "resampled": here.roll(1, dims=0),
        }
        losses = {}
        for name, other in instead.items():
            with changed(model, {place: put(other)}):
                losses[name] = float(model.loss(tokens, targets))
        rows.append({"place": place, "plain": plain, **losses})
    return pd.DataFrame(rows)
