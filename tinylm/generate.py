"""Sampling text from a GPT, token by token, with a key-value cache."""

import torch
from torch import Tensor

from tinylm.errors import BadInput
from tinylm.model import GPT, KeyValueCache


def filter_logits(logits: Tensor, top_k: int | None, top_p: float | None) -> Tensor:
    """Set to -inf all but the `top_k` best tokens, and all beyond the smallest set of best tokens
    whose probability reaches `top_p` (nucleus sampling, Holtzman et al. 2020). logits: (B, V).
    """
    if top_k is not None:
        threshold = logits.topk(min(top_k, logits.shape[-1])).values[:, -1:]
        logits = logits.masked_fill(logits < threshold, -torch.inf)
    if top_p is not None:
        ordered, order = logits.sort(descending=True)
        before = ordered.softmax(-1).cumsum(-1) - ordered.softmax(-1)  # mass of all better tokens
        dropped = (before >= top_p).scatter(1, order, before >= top_p)
        logits = logits.masked_fill(dropped, -torch.inf)
    return logits


GREEDY = 1e-6  # a temperature that leaves no choice, and by which logits cannot be divided


def _check(
    tokens: Tensor, temperature: float, top_k: int | None, top_p: float | None, seed: int
) -> None:
    if tokens.shape[1] == 0:
        raise BadInput("the prompt has no tokens; expected at least one")
    if not 0 <= seed < 1 << 63:
        raise BadInput(f"seed {seed}: expected a whole number from 0 to 2^63 - 1")
    if not 0 <= temperature < float("inf"):
        raise BadInput(f"temperature {temperature} is out of range; expected 0 (greedy) or more")
    if top_k is not None and top_k < 1:
        raise BadInput(f"top_k {top_k} is below 1; expected a positive number of tokens")
    if top_p is not None and not 0 < top_p <= 1:
        raise BadInput(f"top_p {top_p} is out of range; expected 0 < top_p <= 1")


@torch.inference_mode()
def generate(
    model: GPT,
    tokens: Tensor,
    n_tokens: int,
    *,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    stop: int | None = None,
    seed: int = 0,
    use_cache: bool = True,
) -> Tensor:
    """Continue `tokens` (B, T) by up to `n_tokens`: (B, T + n), n less only if all rows `stop`.

    Temperature 0, or below GREEDY, takes the best token. When the context is full, its older half
    is forgotten and the newer half read again. The cache changes the speed, not the result. After
    its `stop` token a row is filled with `stop`.

    Raises:
        TinyLMError: an empty prompt, or a sampling setting out of its range.
    """
    _check(tokens, temperature, top_k, top_p, seed)
    generator = torch.Generator(device=tokens.device).manual_seed(seed)
    context = model.config.context_length
    window = tokens[:, -context:]  # what the model reads
    cache = KeyValueCache(model.config.n_layers) if use_cache else None
    unread = window  # what the cache has not seen
    finished = torch.zeros(tokens.shape[0], 1, dtype=torch.bool, device=tokens.device)
    for _ in range(n_tokens):
        logits = model(unread, cache)[:, -1] if cache else model(window)[:, -1]  # (B, V)
        if temperature < GREEDY:
            new = logits.argmax(-1, keepdim=True)
        else:
            filtered = filter_logits(logits / temperature, top_k, top_p)
            new = filtered.softmax(-1).multinomial(1, generator=generator)
        if stop is not None:
            new = new.masked_fill(finished, stop)
            finished |= new == stop
        tokens = torch.cat([tokens, new], dim=1)
        if bool(finished.all()):
            break
        window, unread = torch.cat([window, new], dim=1), new
        if window.shape[1] > context:
            window = unread = window[:, -max(1, context // 2) :]
            cache = KeyValueCache(model.config.n_layers) if use_cache else None
    return tokens
