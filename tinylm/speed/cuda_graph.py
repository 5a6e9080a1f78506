"""A training step as one CUDA graph.

A small model's step is some hundred small kernels, which a GPU finishes faster than a process can
launch them. Here the step is recorded once and then launched as a whole; only its batch and its
learning rates change, and they lie in tensors that the graph reads.
"""

from collections.abc import Callable, Iterable

import torch
from torch import Tensor

WARM_UP = 3  # steps before the recording, in which libraries choose kernels and make workspaces


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
