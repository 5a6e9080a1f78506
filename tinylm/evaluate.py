"""Validation loss under one protocol: documents from their beginning, every token scored once."""

import math

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from tinylm.batches import validation_windows
from tinylm.corpora.token_files import TokenFile
from tinylm.model import GPT
from tinylm.records import Losses, PositionLoss, position_bins

WINDOW_TOKENS = 2048  # tokens a forward pass reads; more would leave the caches


@torch.inference_mode()
def evaluate(
    model: GPT, tokens: TokenFile, stride_fraction: float, device: torch.device | None = None
) -> Losses:
    """Loss of a model on every document of a token file, in fp32.

    A document is read from its beginning. One longer than the context is read in overlapping
    windows that move by stride_fraction of the context, and a token is scored in the first window
    that holds it. The mean is over tokens, not over batches or documents.
    """
    device = device or next(model.parameters()).device
    context = model.config.context_length
    longest = int(np.diff(tokens.starts).max())
    sums, counts = np.zeros(longest + 1), np.zeros(longest + 1, dtype=np.int64)
    rows = max(1, WINDOW_TOKENS // context)
    training = model.training
    model.eval()
    for batch in validation_windows(tokens, context, stride_fraction, rows):
        logits = model(torch.from_numpy(batch.inputs).to(device))
        targets = torch.from_numpy(batch.targets).to(device)
        nats = F.cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="none")
        scored = batch.scored.ravel()
        where = batch.position_in_document.ravel()[scored] + 1
        values = nats.double().cpu().numpy()[scored]
        sums += np.bincount(where, weights=values, minlength=longest + 1)
        counts += np.bincount(where, minlength=longest + 1)
    model.train(training)
    return summarise(sums, counts, tokens)


def summarise(sums: NDArray[np.float64], counts: NDArray[np.int64], tokens: TokenFile) -> Losses:
    """Losses from the sum of nats and the number of tokens at each position (index 0 unused)."""
    total, n_tokens = float(sums.sum()), int(counts.sum())
    nats = total / n_tokens
    first = position_bins(len(counts) - 1)
    last = np.append(first[1:] - 1, len(counts) - 1)
    bins = [
        PositionLoss(
            first=int(a),
            last=int(b),
            tokens=int(counts[a : b + 1].sum()),
            nats=float(sums[a : b + 1].sum() / counts[a : b + 1].sum()),
        )
        for a, b in zip(first, last, strict=True)
    ]
    return Losses(
        nats=nats,
        bits_per_byte=total / math.log(2) / tokens.n_bytes,
        perplexity=math.exp(min(nats, 700.0)),
        tokens=n_tokens,
        n_bytes=tokens.n_bytes,
        documents=tokens.n_documents,
        by_position=bins,
    )
