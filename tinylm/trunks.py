"""Runs that differ only in how long they train share their first steps.

Under a warm-up-stable-decay schedule with a warm-up of fixed length, runs on D and on 8 D tokens
are the same run until the shorter one begins to cool down: same weights, same batches, same rate.
So the longest run of such a family, the trunk, leaves a checkpoint wherever a shorter one starts
its cool-down, and each of those trains only its cool-down (Hu et al. 2024; Hägele et al. 2024).
A branch ends with the loss of a run trained from scratch, bit for bit.
"""

import hashlib
import shutil
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tinylm.checkpoints import Checkpoint, read_checkpoint
from tinylm.config import RunConfig
from tinylm.errors import Damaged
from tinylm.optim import cooldown_start
from tinylm.store import Store
from tinylm.texts import Text


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

    def best(self, config: RunConfig, text: Text, evaluations: Iterable[int]) -> Checkpoint | None:
        """The latest shared state that a run can go on from, if there is any: before its cool-down
        and its last step, and evaluated wherever the run itself would have been.

        A damaged one, or one of another text, is as good as none: the run then trains those steps
        itself.
        """
        last = min(branch_step(config) or 0, config.steps - 1)
        found = [int(path.stem) for path in self.folder.glob("*.safetensors")]
        for step in sorted((step for step in found if step <= last), reverse=True):
            with suppress(Damaged):
                saved = read_checkpoint(self.path(step))
                evaluated = {point["step"] for point in saved.state["curve"]}
                if text.is_of(saved.text) and {at for at in evaluations if at <= step} <= evaluated:
                    return saved
        return None

    def remove(self) -> None:
        """Drop the checkpoints once no run needs them."""
        shutil.rmtree(self.folder, ignore_errors=True)


def make_trunk(
    store: Store, configs: Sequence[RunConfig], seed: int, evaluations: Iterable[int]
) -> Trunk:
    """The trunk of runs of one family, the longest first. It has the family's name, so that runs
    left over by a sweep that was killed find what there is of it.
    """
    shared, _ = family(configs[0], seed)
    name = hashlib.sha256(f"{shared.model_dump_json()} {seed}".encode()).hexdigest()[:16]
    steps = {step for config in configs[1:] if (step := branch_step(config))}
    return Trunk(store.folder / "trunks" / name, frozenset(steps), frozenset(evaluations))
