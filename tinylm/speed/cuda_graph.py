"""A training step as one CUDA graph.

A small model's step is some hundred small kernels, which a GPU finishes faster than a process can
launch them. Here the step is recorded once and then launched as a whole; only its batch and its
learning rates change, and they lie in tensors that the graph reads.
"""

from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor

from tinylm.train import Steps
from tinylm.trainer import Trainer

WARM_UP = 3  # steps before the recording, in which libraries choose kernels and make workspaces
COMPILED_TOKENS = 20_000_000  # runs of so many are compiled too, which takes half a minute


class CapturedStep:
    """A step of fixed shapes, recorded on a GPU.

    `step` takes inputs and targets, moves `weights` and the optimiser's state, and returns loss and
    gradient norm. It must not look at a value on the device. `state` gives all tensors that a step
    changes besides the weights; those that a step is yet to make begin as zeros.
    """

    def __init__(
        self,
        step: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]],
        weights: Iterable[Tensor],
        state: Callable[[], dict[tuple[int, str], Tensor]],
        inputs: Tensor,
        targets: Tensor,
    ) -> None:
        """`inputs` and `targets` are a batch on the device, of the shapes of all to come."""
        self.inputs, self.targets = inputs.clone(), targets.clone()
        held = list(weights)
        before, slots = [weight.detach().clone() for weight in held], state()
        slots = {key: slot.clone() for key, slot in slots.items()}
        stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(WARM_UP):
                step(self.inputs, self.targets)
        torch.cuda.current_stream().wait_stream(stream)
        for weight in held:
            weight.grad = None  # to be made anew in the graph's own memory
        self.graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self.graph):
            self.results = step(self.inputs, self.targets)
        with torch.no_grad():  # as if nothing had been stepped
            for weight, value in zip(held, before, strict=True):
                weight.copy_(value)
            for key, slot in state().items():
                slot.copy_(slots[key]) if key in slots else slot.zero_()

    def __call__(self, inputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Take the step on a batch; returns loss and gradient norm."""
        self.inputs.copy_(inputs)
        self.targets.copy_(targets)
        self.graph.replay()
        loss, norm = self.results
        return loss.clone(), norm.clone()


class CudaGraph(Steps):
    """The plain step of each run, recorded as a graph, and of long runs compiled first."""

    name = "CUDA graph"

    def __init__(self, trainers: Sequence[Trainer]) -> None:
        super().__init__(trainers)
        self.losses = [
            torch.compile(t.model.loss) if t.config.tokens >= COMPILED_TOKENS else t.model.loss
            for t in trainers
        ]
        self.captured: dict[int, CapturedStep] = {}  # by member, once each is

    def take(self) -> tuple[Tensor, Tensor]:
        """One optimiser step of every running member."""
        losses, norms = torch.zeros(2, len(self.trainers), device=self.trainers[0].device)
        for member in self.running:
            trainer = self.trainers[member]
            inputs, targets = trainer.batch()
            trainer.set_rates()
            if member not in self.captured:
                self.captured[member] = self.capture(member, inputs, targets)
            losses[member], norms[member] = self.captured[member](inputs, targets)
        return losses, norms

    def capture(self, member: int, inputs: Tensor, targets: Tensor) -> CapturedStep:
        """Record a member's step."""
        trainer, loss_of = self.trainers[member], self.losses[member]

        def step(inputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
            trainer.optimizer.zero_grad()
            with trainer.autocast():
                loss: Tensor = loss_of(inputs, targets)
            loss.backward()  # type: ignore[no-untyped-call]
            return loss.detach(), trainer.update()

        def moments() -> dict[tuple[int, str], Tensor]:
            slots = trainer.optimizer.state_dict()["state"]
            return {(i, name): held for i, each in slots.items() for name, held in each.items()}

        return CapturedStep(step, trainer.model.parameters(), moments, inputs, targets)
