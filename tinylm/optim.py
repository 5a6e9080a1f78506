"""The optimiser, its learning-rate schedules, and how the rate depends on the model's width."""

import math
from typing import Any

import torch

from tinylm.bf16 import baddbmm, matmul
from tinylm.config import OptimizerConfig
from tinylm.model import GPT


def peak_learning_rate(config: OptimizerConfig, d_model: int) -> float:
    """The largest learning rate: learning_rate · (base_width / d_model)^width_exponent.

    Wider models want smaller steps (Yang et al. 2021 derive exponent 1 for hidden matrices under
    Adam; the exponent that suits these sizes is measured by the learning_rate experiment).
    """
    return float(config.learning_rate * (config.base_width / d_model) ** config.width_exponent)


def warmup_length(config: OptimizerConfig, n_steps: int) -> int:
    """Steps of the warm-up."""
    if config.warmup_steps is not None:
        return min(config.warmup_steps, n_steps)
    return math.ceil(config.warmup_fraction * n_steps)


def cooldown_start(config: OptimizerConfig, n_steps: int) -> int:
    """The step after which a warm-up-stable-decay schedule falls. If the warm-up has a length of
    its own, all steps before are those of every longer schedule.
    """
    steady = n_steps - math.ceil(config.decay_fraction * n_steps)
    return steady if config.warmup_steps is None else max(steady, warmup_length(config, n_steps))


def schedule_factor(config: OptimizerConfig, step: int, n_steps: int) -> float:
    """Learning rate at `step` of 0..n_steps-1 over the peak one.

    A linear warm-up from 1/warm-up steps, then: constant; cosine or linear down to final_fraction
    at the last step; or wsd, constant until a linear cool-down to final_fraction over the last
    decay_fraction of the steps (Hu et al. 2024; Hägele et al. 2024).
    """
    warmup = warmup_length(config, n_steps)
    if step < warmup:
        return (step + 1) / warmup
    if config.schedule == "constant":
        return 1.0
    start = warmup if config.schedule != "wsd" else cooldown_start(config, n_steps)
    if step <= start:
        return 1.0
    progress = (step - start) / (n_steps - 1 - start)  # 0 at the start, 1 at the last step
    fall = (1 - math.cos(math.pi * progress)) / 2 if config.schedule == "cosine" else progress
    return 1 - (1 - config.final_fraction) * fall


def make_optimizer(model: GPT, config: OptimizerConfig) -> "torch.optim.Optimizer | MuonWithAdamW":
    """AdamW (Loshchilov & Hutter 2019) or Lion, that decay matrices and leave norms and biases
    alone; or Muon for the matrices of the blocks, and AdamW without decay for embeddings, norms and
    biases.

    Each group keeps its largest learning rate under "peak". With the maximal-update parametrisation
    (Yang et al. 2021, table 8) that of AdamW and Lion on the matrices of the blocks falls as
    1/d_model, and no other, and with it their decay a step; Muon's steps have the right size at
    every width already.
    """
    peak = peak_learning_rate(config, model.config.d_model)
    device = next(model.parameters()).device
    vectors = [p for p in model.parameters() if p.dim() < 2]
    inner = [p for p in model.blocks.parameters() if p.dim() >= 2]
    outer = [p for p in model.parameters() if p.dim() >= 2 and not any(p is q for q in inner)]
    muon = config.name == "muon"
    groups: list[tuple[list[torch.nn.Parameter], float, float]]  # parameters, rate, decay
    if muon:
        groups = [(outer, peak, 0.0)]
    elif model.config.mup_base is None:
        groups = [([*outer, *inner], peak, config.weight_decay)]
    else:
        inner_peak = peak / model.config.mup_factor
        groups = [(outer, peak, config.weight_decay), (inner, inner_peak, config.weight_decay)]
    groups.append((vectors, peak, 0.0))
    betas = (config.beta1, config.beta2)
    decayed = [
        {"params": members, "weight_decay": decay, **_rates(rate, device)}
        for members, rate, decay in groups
        if members
    ]
    if config.name == "lion":
        return Lion(decayed, betas)
    on_gpu = device.type == "cuda"
    adamw = torch.optim.AdamW(decayed, lr=peak, betas=betas, fused=True, capturable=on_gpu)
    return MuonWithAdamW(inner, config, adamw) if muon else adamw


def _rates(peak: float, device: torch.device) -> dict[str, Any]:
    """Learning rates of a group: the largest, and that of the next step. On a GPU this is a tensor,
    for a captured step to read.
    """
    on_gpu = device.type == "cuda"
    return {"peak": peak, "lr": torch.tensor(peak, device=device) if on_gpu else peak}


class Lion(torch.optim.Optimizer):
    """Every weight moves by the rate, along the sign of a momentum (Chen et al. 2023, algorithm 2).

    The momentum forgets more slowly (beta2) than what is taken the sign of (beta1), in which the
    newest gradient counts more. It is all that is kept: half of AdamW's moments.
    """

    def __init__(self, groups: list[dict[str, Any]], betas: tuple[float, float]) -> None:
        super().__init__(groups, {"betas": betas})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """Update every weight that has a gradient."""
        for group in self.param_groups:
            (beta1, beta2), rate = group["betas"], group["lr"]
            for weight in group["params"]:
                if weight.grad is None:
                    continue
                if "momentum" not in self.state[weight]:
                    self.state[weight]["momentum"] = torch.zeros_like(weight)
                momentum = self.state[weight]["momentum"]
                direction = torch.lerp(weight.grad, momentum, beta1).sign()
                weight.mul_(1 - rate * group["weight_decay"]).sub_(rate * direction)
                momentum.lerp_(weight.grad, 1 - beta2)


class StackedMuon(torch.optim.Muon):
    """Muon that takes matrices of one shape together, which spares small ones most calls; and whose
    rate may be a tensor, so that its step can be captured on a GPU.
    """

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """Update every matrix that has a gradient."""
        for group in self.param_groups:
            shapes: dict[torch.Size, list[torch.Tensor]] = {}
            for matrix in group["params"]:
                if matrix.grad is not None:
                    shapes.setdefault(matrix.shape, []).append(matrix)
            for matrices in shapes.values():
                self._step_alike(matrices, group)

    def _step_alike(self, matrices: list[torch.Tensor], group: dict[str, Any]) -> None:
        gradients = [matrix.grad for matrix in matrices if matrix.grad is not None]
        for matrix in matrices:
            if "momentum_buffer" not in self.state[matrix]:
                self.state[matrix]["momentum_buffer"] = torch.zeros_like(matrix)
        buffers = [self.state[matrix]["momentum_buffer"] for matrix in matrices]
        momentum = group["momentum"]
        torch._foreach_lerp_(buffers, gradients, 1 - momentum)
        updates = torch.stack(torch._foreach_lerp(gradients, buffers, momentum))
        steps = orthogonalise(updates, group["ns_coefficients"], group["ns_steps"], group["eps"])
        rows, columns = matrices[0].shape
        rate = group["lr"] * math.sqrt(max(1, rows / columns))
        for matrix, step in zip(matrices, steps, strict=True):
            matrix.mul_(1 - group["lr"] * group["weight_decay"])
            matrix.sub_(rate * step)


def orthogonalise(
    matrices: torch.Tensor, coefficients: tuple[float, float, float], n_steps: int, eps: float
) -> torch.Tensor:
    """About the nearest semi-orthogonal matrix to each of (M, R, C), in bf16: Newton-Schulz steps
    of fifth order (Jordan et al. 2024).
    """
    a, b, c = coefficients
    tall = matrices.shape[1] > matrices.shape[2]
    x = matrices.bfloat16()
    x = x.mT if tall else x
    x = x / torch.linalg.vector_norm(x, dim=(1, 2), keepdim=True).clamp(min=eps)
    for _ in range(n_steps):
        gram = matmul(x, x.mT)
        x = baddbmm(x, baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.mT if tall else x


class MuonWithAdamW:
    """Muon and AdamW as one optimiser: what a trainer and its checkpoints need of one.

    Muon steps along the nearest semi-orthogonal matrix to a matrix's momentum, so that all its
    singular directions learn alike. It counts its parameters after AdamW's.
    """

    def __init__(
        self, matrices: list[torch.nn.Parameter], config: OptimizerConfig, adamw: torch.optim.AdamW
    ) -> None:
        rate = config.matrix_learning_rate
        device = matrices[0].device
        group = {"params": matrices, **_rates(rate, device)}
        self.muon = StackedMuon(
            [group], lr=rate, weight_decay=config.weight_decay, momentum=config.momentum
        )
        self.adamw = adamw
        self.n_adamw = sum(len(group["params"]) for group in adamw.param_groups)

    @property
    def param_groups(self) -> list[dict[str, Any]]:
        """AdamW's groups, then Muon's."""
        return [*self.adamw.param_groups, *self.muon.param_groups]

    def zero_grad(self) -> None:
        """Drop all gradients."""
        self.adamw.zero_grad()
        self.muon.zero_grad()

    def step(self) -> None:
        """Update every parameter."""
        self.adamw.step()
        self.muon.step()

    def state_dict(self) -> dict[str, Any]:
        """Both states under one numbering of the parameters."""
        first, second = self.adamw.state_dict(), self.muon.state_dict()
        shifted = {self.n_adamw + i: slots for i, slots in second["state"].items()}
        groups = [*first["param_groups"], *second["param_groups"]]
        return {"state": first["state"] | shifted, "param_groups": groups}

    def load_state_dict(self, content: dict[str, Any]) -> None:
        """Take back what `state_dict` gave."""
        state, groups = content["state"], content["param_groups"]
        n_groups = len(self.adamw.param_groups)
        first = {i: slots for i, slots in state.items() if i < self.n_adamw}
        second = {i - self.n_adamw: slots for i, slots in state.items() if i >= self.n_adamw}
        self.adamw.load_state_dict({"state": first, "param_groups": groups[:n_groups]})
        self.muon.load_state_dict({"state": second, "param_groups": groups[n_groups:]})
