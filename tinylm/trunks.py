"""Runs that differ only in how long they train share their first steps.

Under a warm-up-stable-decay schedule with a warm-up of fixed length, runs on D and on 8 D tokens
are the same run until the shorter one begins to cool down: same weights, same batches, same rate.
So the longest run of such a family, the trunk, leaves a checkpoint wherever a shorter one starts
its cool-down, and each of those trains only its cool-down (Hu et al. 2024; Hägele et al. 2024).
A branch ends with the loss of a run trained from scratch, bit for bit.
"""

import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tinylm.checkpoints import Checkpoint, read_checkpoint
from tinylm.config import RunConfig
from tinylm.errors import InputError
from tinylm.files import results_dir
from tinylm.optim import cooldown_start


def branch_step(config: RunConfig) -> int | None:
    """Steps that a run shares with every longer run of its family; None if it has no family."""
    optimizer = config.optimizer
    if optimizer.schedule != "wsd" or optimizer.warmup_steps is None:
        return None
    return cooldown_start(optimizer, config.steps)


def family(config: RunConfig, seed: int) -> tuple[RunConfig, int]:
    """What runs that share their first steps have in common: all but length and cool-down."""
    cooldown: dict[str, Any] = {"decay_fraction": 0.0, "final_fraction": 0.0}
    optimizer = config.optimizer.model_copy(update=cooldown)
    return config.model_copy(update={"optimizer": optimizer, "tokens": 1}), seed


@dataclass(frozen=True)
class Trunk:
    """Where a family's shared steps are kept while its runs train."""

    folder: Path
    branches: frozenset[int]  # steps at which a checkpoint is left
    evaluations: frozenset[int]  # steps that some run of the family evaluates at

    def path(self, step: int) -> Path:
        """The checkpoint left after a step."""
        return self.folder / f"{step}.safetensors"

    def best(self, config: RunConfig) -> Checkpoint | None:
        """The latest shared state that a run can go on from, if there is any.

        A damaged one is as good as none: the run then trains the shared steps itself.
        """
        last = branch_step(config)
        usable = [step for step in self.branches if last is not None and step <= last]
        for step in sorted(usable, reverse=True):
            if self.path(step).exists():
                try:
                    return read_checkpoint(self.path(step))
                except InputError:
                    continue
        return None

    def remove(self) -> None:
        """Drop the checkpoints once no run needs them."""
        shutil.rmtree(self.folder, ignore_errors=True)


def make_trunk(
    profile: str, name: str, configs: Sequence[RunConfig], evaluations: Iterable[int]
) -> Trunk:
    """The trunk of runs of one family; `name` is the id of the longest."""
    steps = {step for config in configs if (step := branch_step(config))}
    return Trunk(results_dir(profile) / "trunks" / name, frozenset(steps), frozenset(evaluations))
