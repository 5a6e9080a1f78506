"""The optimiser, its learning-rate schedules, and how the rate depends on the model's width."""

import math

import torch

from tinylm.config import OptimizerConfig
from tinylm.model import GPT


def peak_learning_rate(config: OptimizerConfig, d_model: int) -> float:
    """The largest learning rate: learning_rate · (base_width / d_model)^width_exponent.

    Wider models want smaller steps (Yang et al. 2021 derive exponent 1 for hidden matrices under
    Adam; the exponent that suits these sizes is measured by the learning_rate experiment).
    """
    return float(config.learning_rate * (config.base_width / d_model) ** config.width_exponent)


def schedule_factor(config: OptimizerConfig, step: int, n_steps: int) -> float:
    """Learning rate at `step` of 0..n_steps-1 over the peak one.

    A linear warm-up from 1/warm-up steps, then: constant; cosine or linear down to final_fraction
    at the last step; or wsd, constant until a linear cool-down to final_fraction over the last
    decay_fraction of the steps (Hu et al. 2024; Hägele et al. 2024).
    """
    warmup = math.ceil(config.warmup_fraction * n_steps)
    if step < warmup:
        return (step + 1) / warmup
    if config.schedule == "constant":
        return 1.0
    start = (
        warmup if config.schedule != "wsd" else n_steps - math.ceil(config.decay_fraction * n_steps)
    )
    if step <= start:
        return 1.0
    progress = (step - start) / (n_steps - 1 - start)  # 0 at the start, 1 at the last step
    fall = (1 - math.cos(math.pi * progress)) / 2 if config.schedule == "cosine" else progress
    return 1 - (1 - config.final_fraction) * fall


def make_optimizer(model: GPT, config: OptimizerConfig) -> torch.optim.AdamW:
    """AdamW (Loshchilov & Hutter 2019) that decays matrices and leaves norms and biases alone."""
    matrices = [p for p in model.parameters() if p.dim() >= 2]
    vectors = [p for p in model.parameters() if p.dim() < 2]
    groups = [
        {"params": matrices, "weight_decay": config.weight_decay},
        {"params": vectors, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(
        [group for group in groups if group["params"]],
        lr=peak_learning_rate(config, model.config.d_model),
        betas=(config.beta1, config.beta2),
        fused=True,
    )
