"""`train_together(runs)` is `train` for many runs of one shape at once."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack

from tinylm.batches import PreparedData, prepare
from tinylm.config import OptimizerConfig, Run, RunConfig
from tinylm.errors import BadInput
from tinylm.records import RunRecord
from tinylm.speed.by_hand import supports
from tinylm.speed.side_by_side import Ensemble, SideBySide
from tinylm.speed.stacked import MEMBERS_OWN, Stacked, check_stackable
from tinylm.store import RunLocked, Store
from tinylm.train import Listener, Trainer, conclude, pick_device

Finished = Callable[[Run, RunRecord], None]


def shape(config: RunConfig) -> RunConfig:
    """What runs must have in common to train together: all but AdamW's numbers and its schedule."""
    defaults = OptimizerConfig().model_dump(include=set(MEMBERS_OWN))
    optimizer = config.optimizer.model_copy(update=defaults)
    return config.model_copy(update={"optimizer": optimizer})


def train_together(
    runs: Sequence[Run],
    *,
    profile: str = "quick",
    device: str | None = None,
    stacked: bool | None = None,
    listener: Listener | None = None,
    finished: Finished = lambda run, record: None,
    busy: Callable[[Run], None] = lambda run: None,
) -> None:
    """Train runs of one shape together; each writes its record as it ends.

    A run that has its record is only told of, through `finished`; one that another process is
    training is left to it and told of through `busy`. Each run checkpoints as if alone: killed,
    it goes on in the same company, in another, or alone. `stacked`: as one program rather than side
    by side; by default where the runs cannot be trained by hand, as on a GPU.

    Raises:
        TinyLMError: the runs are not of one shape, or cannot be stacked, or as for `train`; nothing
            has been trained.
    """
    differing = [run for run in runs if shape(run.config) != shape(runs[0].config)]
    if differing:
        raise BadInput(
            f"run {differing[0].run_id} cannot train together with {runs[0].run_id}: expected the "
            f"same config but for the optimiser and the seed"
        )
    place = pick_device(device)
    if stacked is None:
        stacked = not supports(runs[0].config.model, place)
    if stacked:
        check_stackable(runs[0].config)
    data = prepare(runs[0].config.data.corpus, runs[0].config.data.tokenizer)
    trainers = {}
    for run in runs:
        if (record := Store(profile).find(run.run_id)) is not None:
            finished(run, record)
            continue
        checkpoint = Store(profile).checkpoint_path(run.run_id).parent / "checkpoint.safetensors"
        trainers[run] = Trainer(run.config, run.seed, data, checkpoint, place)
    with ExitStack() as claims:
        for run in list(trainers):
            try:
                claims.enter_context(Store(profile).lock(run.run_id))
            except RunLocked:
                busy(run)
                del trainers[run]
                continue
            if (record := Store(profile).find(run.run_id)) is not None:  # made meanwhile
                finished(run, record)
                del trainers[run]
        if trainers:
            _train_claimed(trainers, profile, data, stacked, listener, finished)


def _train_claimed(
    trainers: Mapping[Run, Trainer],
    profile: str,
    data: PreparedData,
    stacked: bool,
    listener: Listener | None,
    finished: Finished,
) -> None:
    """Train runs that this process has claimed."""
    for run, trainer in trainers.items():
        Store(profile).remove_temporaries(run.run_id)
        trainer.resume()
        trainer.company = {"batched_with": len(trainers) - 1}
    members = list(trainers.items())
    all_trainers = [trainer for _, trainer in members]
    ensemble: Ensemble
    if stacked:
        ensemble = Stacked(all_trainers, compiled=all_trainers[0].device.type == "cuda")
    else:
        ensemble = SideBySide(all_trainers)
    ensemble.save()  # so that a full disk or a read-only folder shows now, not after the work

    def heard(member: int, seconds: float) -> None:
        if listener:
            run, trainer = members[member]
            listener(trainer.progress(run.run_id, seconds))

    def ended(member: int, done: bool) -> None:
        run, trainer = members[member]
        finished(run, conclude(trainer, run.run_id, data, profile, done))

    ensemble.train(heard, ended)
