"""Many runs of one shape, trained as one: what their trainers share, and the loop over steps.

A small model leaves a GPU mostly idle, and on a processor it spends much of a step between the
matrix products. Here the steps of several runs are taken together: on a GPU as one program with
stacked weights (`tinylm.speed.stacked`), on a processor side by side (`SideBySide`). Each run
keeps its own weights, order of batches, learning rate, clipping, divergence, curve, checkpoint and
record.
"""

import math
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from tinylm.speed.by_hand import fast_losses
from tinylm.train import CHECK_EVERY, CHECKPOINT_SECONDS, Trainer, evaluation_steps


class Ensemble(ABC):
    """Trainers of one shape, whose steps are taken together.

    Members may stand at different steps, as they do after a kill between two of their checkpoints.
    """

    def __init__(self, trainers: Sequence[Trainer]) -> None:
        self.trainers = trainers
        self.config, self.device = trainers[0].config, trainers[0].device
        self.running = list(range(len(trainers)))  # members that have not ended or diverged
        self.clocks = time.monotonic(), time.process_time()

    @abstractmethod
    def take_step(self) -> tuple[Tensor, Tensor]:
        """One optimiser step of all that run; returns their train losses and gradient norms, each
        (M), of all members.
        """

    @abstractmethod
    def evaluate(self, members: Sequence[int], norms: Tensor) -> None:
        """Add to the curves of members, all of which are at an evaluation step."""

    def rest(self, members: Sequence[int]) -> None:
        """Leave members at rest: they no longer learn."""
        for member in members:
            self.running.remove(member)

    def batch(self) -> tuple[Tensor, Tensor]:
        """Each member's batch of its own next step: inputs and targets, (M, B, T)."""
        rows, length = self.config.batch_size, self.config.model.context_length
        both = np.zeros((2, len(self.trainers), rows, length), np.int64)
        for member in self.running:
            trainer = self.trainers[member]
            both[:, member] = trainer.batches.batch(trainer.state.step)
        tensor = torch.from_numpy(both)
        if self.device.type == "cuda":  # pinned, so that the copy does not wait for the GPU
            tensor = tensor.pin_memory().to(self.device, non_blocking=True)
        return tensor[0], tensor[1]

    def train(
        self, listener: Callable[[int, float], None], ended: Callable[[int, bool], None]
    ) -> None:
        """Train every member to its end, and tell of each that has come to it, and whether it
        finished or diverged. `listener` hears of members whose loss has been looked at, and how
        many seconds a step of all takes.
        """
        opened, taken = time.monotonic(), 0
        evaluations = set(evaluation_steps(self.config))
        pending: list[Tensor] = []  # losses not yet looked at: looking makes a GPU wait
        self.clocks, last_saved = (time.monotonic(), time.process_time()), time.monotonic()
        while self.running:
            began = time.monotonic()
            losses, norms = self.take_step()
            pending.append(losses)
            taken += 1
            at = {member: self.trainers[member].state.step for member in self.running}
            due = [m for m, step in at.items() if step % CHECK_EVERY == 0 or step in evaluations]
            diverged = self.look(pending, due) if due else []
            for member in set(due) - set(diverged):
                listener(member, (time.monotonic() - opened) / taken)
            for member in self.running:
                spent = (time.monotonic() - began) / len(self.running)
                self.trainers[member].state.train_seconds += spent
            self.evaluate([m for m in due if at[m] in evaluations and m not in diverged], norms)
            over = [m for m in due if m in diverged or at[m] == self.config.steps]
            if over:
                self.settle_clocks()
                for member in over:
                    final = self.trainers[member].final
                    ended(member, final is not None and math.isfinite(final.nats))
                self.rest(over)
            waited = time.monotonic() - last_saved
            if self.running and not pending and waited > CHECKPOINT_SECONDS:
                last_saved = time.monotonic()
                self.save()

    def look(self, pending: list[Tensor], due: Sequence[int]) -> list[int]:
        """Bring pending losses to their trainers; returns members, of those due, that diverged."""
        rows = torch.stack(pending).tolist()
        pending.clear()
        for member in self.running:
            self.trainers[member].state.losses += [row[member] for row in rows]
        return [member for member in due if self.trainers[member].has_diverged()]

    def settle_clocks(self) -> None:
        """Share out the time since the last call evenly among the members still running."""
        now = time.monotonic(), time.process_time()
        wall, cpu = ((b - a) / len(self.running) for a, b in zip(self.clocks, now, strict=True))
        for member in self.running:
            self.trainers[member].add_time(wall, cpu)
        self.clocks = now

    def save(self) -> None:
        """Write every running member's own checkpoint, the same as of a run trained alone."""
        self.settle_clocks()
        for member in self.running:
            self.trainers[member].save()


class SideBySide(Ensemble):
    """Runs whose forward and backward passes are taken side by side, on a processor, by hand.

    Everything else each trainer does itself, so that its record is that of its run trained alone,
    bit for bit.
    """

    def take_step(self) -> tuple[Tensor, Tensor]:
        """One optimiser step of all that run."""
        trainers = [self.trainers[member] for member in self.running]
        inputs, targets = (both[self.running] for both in self.batch())
        models, micro = [trainer.model for trainer in trainers], self.config.accumulate
        losses, norms = torch.zeros(2, len(self.trainers))
        for trainer in trainers:
            trainer.optimizer.zero_grad()
        for x, y in zip(inputs.chunk(micro, dim=1), targets.chunk(micro, dim=1), strict=True):
            each = fast_losses(models, x, y, self.config.precision) / micro
            each.sum().backward()  # type: ignore[no-untyped-call]
            losses[self.running] += each.detach()
        for member, trainer in zip(self.running, trainers, strict=True):
            trainer.set_rates()
            norms[member] = trainer.update()
            trainer.state.step += 1
        return losses, norms

    def evaluate(self, members: Sequence[int], norms: Tensor) -> None:
        """Add to the curves of members, all of which are at an evaluation step."""
        for member in members:
            self.trainers[member].add_to_curve(norms[member])
