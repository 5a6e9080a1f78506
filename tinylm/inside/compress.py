"""Weights in few bits: each group of a row becomes whole numbers from 0 to 2^bits - 1, a step and a
lowest value.

Rounded to the nearest; or by GPTQ (Frantar et al. 2023), column after column, where the columns
that are still to come make up for what was rounded off, as the layer's inputs weigh it.
"""

import copy
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from tinylm.errors import BadInput
from tinylm.model import GPT

BITS = (1, 16)  # of a weight: the fewest and the most
RANGE_BITS = 32  # of a group: its step and its lowest value, 16 each
PLAIN_BITS = 32  # of what is not a matrix: gains of norms and shifts
EMBEDDING_BITS = 8  # at least: it is read as it is, and makes the scores of all tokens
SHRINKS = torch.linspace(1.0, 0.4, 25)  # of a group's range that clipping tries
DAMPING = 0.01  # of the mean square of an input, added to each, so that GPTQ can divide


@dataclass(frozen=True)
class Coding:
    """How weights are stored."""

    bits: int
    group: int | None = None  # weights of a row that share a step; None: the whole row
    clip: bool = False  # narrow each group's range to where its squared error is least
    method: Literal["nearest", "gptq"] = "nearest"

    def __post_init__(self) -> None:
        if not BITS[0] <= self.bits <= BITS[1]:
            raise BadInput(f"bits {self.bits}: expected {BITS[0]} to {BITS[1]}")
        if self.group is not None and self.group < 1:
            raise BadInput(f"group {self.group}: expected 1 or more weights, or none")
        if self.method not in ("nearest", "gptq"):
            raise BadInput(f"method {self.method!r}: expected 'nearest' or 'gptq'")


@dataclass(frozen=True)
class Compressed:
    """A model with the weights that come back out, and what storing them takes."""

    model: GPT
    stored_bits: int  # codes, ranges, and what is left as it was

    @property
    def stored_bytes(self) -> float:
        """Of all weights."""
        return self.stored_bits / 8


# --- a matrix -------------------------------------------------------------------------------------


def stored_bits(shape: tuple[int, int], coding: Coding) -> int:
    """Bits that a matrix takes; where the group does not divide a row, its last one is shorter."""
    rows, columns = shape
    groups = -(-columns // (coding.group or columns))
    return rows * (columns * coding.bits + groups * RANGE_BITS)


def find_range(weights: Tensor, coding: Coding) -> tuple[Tensor, Tensor]:
    """Lowest value and step of each row of a group (R, n): two (R, 1). A row whose weights are all
    alike has step 1.
    """
    low, high = weights.amin(1, keepdim=True), weights.amax(1, keepdim=True)
    if not coding.clip:
        return low, _step(low, high, coding.bits)
    best_low, best_step = low, _step(low, high, coding.bits)
    least = torch.full_like(low, torch.inf)
    for shrink in SHRINKS:
        step = _step(low * shrink, high * shrink, coding.bits)
        back = _code(weights, low * shrink, step, coding.bits)
        error = (back - weights).square().sum(1, keepdim=True)
        better = error < least
        least = torch.where(better, error, least)
        best_low = torch.where(better, low * shrink, best_low)
        best_step = torch.where(better, step, best_step)
    return best_low, best_step


def _step(low: Tensor, high: Tensor, bits: int) -> Tensor:
    step = (high - low) / (2**bits - 1)
    return torch.where(step > 0, step, torch.ones_like(step))


def _code(weights: Tensor, low: Tensor, step: Tensor, bits: int) -> Tensor:
    """The nearest of the values that the codes stand for."""
    codes = ((weights - low) / step).round().clamp(0, 2**bits - 1)
    return low + step * codes


def round_to_nearest(weights: Tensor, coding: Coding) -> Tensor:
    """A matrix (R, C), each group of a row on its own."""
    parts = torch.split(weights, coding.group or weights.shape[1], dim=1)
    return torch.cat([_code(part, *find_range(part, coding), coding.bits) for part in parts], dim=1)


def gptq(weights: Tensor, gram: Tensor, coding: Coding) -> Tensor:
    """A matrix (R, C) whose inputs have the mean products `gram` (C, C).

    After each column the later ones move by what leaves the layer's outputs nearest to what they
    were: for an error e in column j by -e·U[j, k]/U[j, j], where U is the upper Cholesky factor of
    the inverse of `gram`.
    """
    left, columns = weights.double().clone(), weights.shape[1]
    damped = gram.double() + DAMPING * gram.double().diagonal().mean() * torch.eye(columns)
    dead = gram.diagonal() == 0  # inputs that never come
    damped[dead, dead] = 1.0
    upper = torch.linalg.cholesky(torch.linalg.inv(damped), upper=True)
    found = torch.zeros_like(left)
    group = coding.group or columns
    low = step = torch.zeros(len(left), 1, dtype=torch.float64)
    for j in range(columns):
        if j % group == 0:
            low, step = find_range(left[:, j : j + group], coding)
        found[:, j : j + 1] = _code(left[:, j : j + 1], low, step, coding.bits)
        error = (left[:, j] - found[:, j]) / upper[j, j]
        left[:, j:] -= error[:, None] * upper[j, j:]
    return found.to(weights.dtype)


# --- a model --------------------------------------------------------------------------------------


def compress(model: GPT, coding: Coding, tokens: Tensor | None = None) -> Compressed:
    """A model with all its matrices coded, the embedding in EMBEDDING_BITS or more. For GPTQ
    `tokens` (B, T) are what the model's layers are to go on doing well on; layers are coded in
    order, each on the inputs that the coded ones before leave it.

    Raises:
        BadInput: GPTQ without tokens.
    """
    if coding.method == "gptq" and tokens is None:
        raise BadInput("method 'gptq' needs tokens to read; none were given")
    coded = copy.deepcopy(model).eval()
    total = 0
    for name, module in coded.named_modules():
        if isinstance(module, nn.Embedding):
            wide = Coding(max(coding.bits, EMBEDDING_BITS), coding.group, coding.clip)
            _replace(module, round_to_nearest(module.weight.data, wide))
            total += stored_bits(_shape(module), wide)
        elif isinstance(module, nn.Linear):
            if coding.method == "gptq":
                assert tokens is not None
                found = gptq(module.weight.data, gram_matrix(coded, name, tokens), coding)
            else:
                found = round_to_nearest(module.weight.data, coding)
            _replace(module, found)
            total += stored_bits(_shape(module), coding)
    plain = sum(p.numel() for p in coded.parameters() if p.dim() < 2)
    return Compressed(coded, total + plain * PLAIN_BITS)


def _shape(module: nn.Linear | nn.Embedding) -> tuple[int, int]:
    rows, columns = module.weight.shape
    return rows, columns


@torch.no_grad()
def _replace(module: nn.Linear | nn.Embedding, weights: Tensor) -> None:
    module.weight.copy_(weights)


@torch.inference_mode()
def gram_matrix(model: GPT, name: str, tokens: Tensor) -> Tensor:
    """Mean products (C, C) of the inputs of a linear layer, over tokens (B, T).

    Raises:
        BadInput: the model has no such layer.
    """
    layers = {at: module for at, module in model.named_modules() if isinstance(module, nn.Linear)}
    if name not in layers:
        raise BadInput(f"layer {name!r}: expected one of {', '.join(layers)}")
    gathered: list[Tensor] = []

    def see(_: nn.Module, inputs: tuple[Any, ...]) -> None:
        rows = inputs[0].flatten(0, -2).float()
        gathered.append(rows.T @ rows / len(rows))

    hook = layers[name].register_forward_pre_hook(see)
    try:
        model(tokens)
    finally:
        hook.remove()
    return gathered[0]
