"""Runs of one shape whose forward and backward passes are taken side by side, on a processor, by
hand.

A small model spends much of a step between the matrix products, and several models share that.
Everything else each trainer does itself, so that a run ends as it would end by itself, bit for bit.
"""

import torch
from torch import Tensor

from tinylm.speed.by_hand import fast_losses
from tinylm.train import Steps


class SideBySide(Steps):
    """The step of `tinylm.speed.by_hand`, for one run or for several at once."""

    name = "by hand"

    def take(self) -> tuple[Tensor, Tensor]:
        """One optimiser step of every running member."""
        running = [self.trainers[member] for member in self.running]
        batches = [trainer.batch() for trainer in running]
        inputs, targets = (torch.stack(parts) for parts in zip(*batches, strict=True))
        for trainer in running:
            trainer.set_rates()
            trainer.optimizer.zero_grad()
        models, precision = [trainer.model for trainer in running], running[0].config.precision
        each = fast_losses(models, inputs, targets, precision)
        each.sum().backward()  # type: ignore[no-untyped-call]
        losses, norms = torch.zeros(2, len(self.trainers))
        losses[self.running] = each.detach()
        for member, trainer in zip(self.running, running, strict=True):
            norms[member] = trainer.update()
        return losses, norms
