"""Which way of taking steps is the fastest for a group of runs on the device at hand."""

from collections.abc import Callable, Sequence
from typing import Any

from tinylm.config import OptimizerConfig, Run, RunConfig
from tinylm.errors import BadInput
from tinylm.speed.by_hand import supports
from tinylm.speed.cuda_graph import CudaGraph
from tinylm.speed.side_by_side import SideBySide
from tinylm.speed.stacked import MEMBERS_OWN, Stacked, check_stackable
from tinylm.train import Steps, train_runs
from tinylm.trainer import Trainer, pick_device


def choose_steps(trainers: Sequence[Trainer]) -> Steps:
    """By hand where that is possible, on a processor; several runs as one program elsewhere; one
    run on a GPU as a graph, unless chance rounds its weights; else the plain step.
    """
    if supports(trainers[0].config.model, trainers[0].device):
        return SideBySide(trainers)
    if len(trainers) > 1:
        return Stacked(trainers)
    chance = trainers[0].config.optimizer.rounding == "stochastic"
    return (CudaGraph if trainers[0].device.type == "cuda" and not chance else Steps)(trainers)


def shape(config: RunConfig) -> RunConfig:
    """What runs must have in common to train together: all but AdamW's numbers and its schedule."""
    defaults = OptimizerConfig().model_dump(include=set(MEMBERS_OWN))
    optimizer = config.optimizer.model_copy(update=defaults)
    return config.model_copy(update={"optimizer": optimizer})


def train_together(
    runs: Sequence[Run],
    *,
    device: str | None = None,
    choose: Callable[[Sequence[Trainer]], Steps] = choose_steps,
    **named: Any,
) -> None:
    """`train_runs` for runs of one shape, the fastest way; `named` is passed on to it.

    Raises:
        BadInput: the runs are not of one shape, or cannot be stacked where they would have to be;
            nothing has been trained.
        TinyLMError: as for `train_runs`.
    """
    differing = [run for run in runs if shape(run.config) != shape(runs[0].config)]
    if differing:
        raise BadInput(
            f"run {differing[0].run_id} cannot train together with {runs[0].run_id}: expected the "
            f"same config but for the optimiser and the seed"
        )
    by_hand = supports(runs[0].config.model, pick_device(device))
    if choose is Stacked or (choose is choose_steps and len(runs) > 1 and not by_hand):
        check_stackable(runs[0].config)
    train_runs(runs, device=device, choose=choose, **named)
