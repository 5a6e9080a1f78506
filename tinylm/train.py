"""From a configuration and a seed to a run record.

`Steps` is how a group of runs takes its steps, `train_to_the_end` the loop over them; a single run
is a group of one. The plain step, `Trainer.take_step`, is the one to read. Faster ones, whatever
the machine, are in `tinylm.speed`, and are handed in.
"""

import math
import shutil
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack

import torch
from torch import Tensor

from tinylm.checkpoints import save_model
from tinylm.config import Run, RunConfig
from tinylm.corpora import corpus_version
from tinylm.corpora.token_files import prepare
from tinylm.errors import BadInput
from tinylm.evaluate import evaluate
from tinylm.provenance import forget_peak_memory
from tinylm.records import Losses, RunRecord
from tinylm.store import RunLocked, Store
from tinylm.texts import check_records
from tinylm.trainer import Listener, Trainer, pick_device
from tinylm.trunks import Trunk

CHECKPOINT_SECONDS = 30.0
QUICK = Store("quick")


class Steps:
    """How a group of runs takes its steps: here each run by itself, in plain PyTorch.

    Members may stand at different steps, as they do after a kill between two of their checkpoints.
    """

    name = "plain"  # in the records

    def __init__(self, trainers: Sequence[Trainer]) -> None:
        self.trainers = trainers
        self.running = list(range(len(trainers)))  # members that have not ended or diverged

    def take(self) -> tuple[Tensor, Tensor]:
        """One optimiser step of every running member; returns train losses and gradient norms of
        all members, on the device, each (M); those of members at rest mean nothing.
        """
        losses, norms = torch.zeros(2, len(self.trainers), device=self.trainers[0].device)
        for member in self.running:
            losses[member], norms[member] = self.trainers[member].take_step()
        return losses, norms

    def evaluate(self, members: Sequence[int], *, whole: bool) -> list[Losses]:
        """Validation losses of some members, on the documents of the last evaluation or on those of
        the learning curve.
        """
        trainers = [self.trainers[member] for member in members]
        return [
            evaluate(
                trainer.model,
                trainer.final_tokens if whole else trainer.curve_tokens,
                trainer.config.evaluation.stride_fraction,
                trainer.device,
            )
            for trainer in trainers
        ]

    def rest(self, members: Iterable[int]) -> None:
        """Leave members at rest: they no longer learn."""
        for member in members:
            self.running.remove(member)

    def settle(self) -> None:
        """Called before trainers are saved: bring their weights and moments up to date."""


class _Clock:
    """Shares out the time that passes among the members still running."""

    def __init__(self, steps: Steps) -> None:
        self.steps, self.read = steps, self._now()

    @staticmethod
    def _now() -> tuple[float, float]:
        return time.monotonic(), time.process_time()

    def share(self) -> None:
        """Give each running member its part of the time since the last call."""
        now, n = self._now(), len(self.steps.running)
        wall, cpu = ((b - a) / n for a, b in zip(self.read, now, strict=True))
        for member in self.steps.running:
            self.steps.trainers[member].add_time(wall, cpu)
        self.read = now


def train_to_the_end(
    steps: Steps, listener: Listener | None, ended: Callable[[Trainer, bool], None]
) -> None:
    """Train every member to its end from wherever it stands, and tell of each that comes to it, and
    whether it finished or diverged. `listener` hears of members whose loss has been looked at.
    """
    trainers, clock = steps.trainers, _Clock(steps)
    pending: list[Tensor] = []  # losses not yet looked at: looking makes a GPU wait
    seconds, taken, last_saved = 0.0, 0, time.monotonic()
    while steps.running:
        began = time.monotonic()
        losses, norms = steps.take()
        pending.append(losses)
        for member in steps.running:
            trainers[member].state.step += 1
        due = [member for member in steps.running if trainers[member].is_due]
        diverged = _look(steps, pending, due) if due else []
        spent = time.monotonic() - began
        seconds, taken = seconds + spent, taken + 1
        for member in steps.running:
            trainers[member].state.train_seconds += spent / len(steps.running)
        healthy = [member for member in due if member not in diverged]
        if listener:
            for member in healthy:
                listener(trainers[member].progress(seconds / taken))
        _evaluate(steps, healthy, norms)
        if due:
            steps.settle()
        for member in healthy:
            trainers[member].leave_branch()
        over = [member for member in due if member in diverged or trainers[member].ends]
        if over:
            clock.share()
            for member in over:
                final = trainers[member].final
                ended(trainers[member], final is not None and math.isfinite(final.nats))
            steps.rest(over)
        if steps.running and not pending and time.monotonic() - last_saved > CHECKPOINT_SECONDS:
            clock.share()
            save_all(steps)
            last_saved = time.monotonic()


def _look(steps: Steps, pending: list[Tensor], due: Sequence[int]) -> list[int]:
    """Bring pending losses to their trainers; returns members, of those due, that diverged."""
    rows = torch.stack(pending).tolist()
    pending.clear()
    for member in steps.running:
        steps.trainers[member].state.losses += [row[member] for row in rows]
    return [member for member in due if steps.trainers[member].has_diverged()]


def _evaluate(steps: Steps, members: Sequence[int], norms: Tensor) -> None:
    """Add to the curves of those members that are at an evaluation step."""
    trainers = steps.trainers
    for whole in (False, True):
        now = [
            member
            for member in members
            if trainers[member].ends is whole
            and trainers[member].state.step in trainers[member].evaluations
        ]
        if now:
            for member, losses in zip(now, steps.evaluate(now, whole=whole), strict=True):
                trainers[member].add_point(losses, norms[member])


def save_all(steps: Steps) -> None:
    """Write every running member's own checkpoint, the same as of a run trained alone."""
    steps.settle()
    for member in steps.running:
        steps.trainers[member].save()


# --- from a config to a record --------------------------------------------------------------------


def identify(config: RunConfig, seed: int) -> Run:
    """A run, with its id.

    Raises:
        BadInput: unknown corpus, or a seed that is none.
    """
    if not 0 <= seed < 1 << 63:
        raise BadInput(f"seed {seed}: expected a whole number from 0 to 2^63 - 1")
    return Run(config, seed, config.identity(seed, corpus_version(config.data.corpus)))


def train(
    config: RunConfig,
    seed: int,
    *,
    store: Store = QUICK,
    device: str | None = None,
    listener: Listener | None = None,
    trunk: Trunk | None = None,
    choose: Callable[[Sequence[Trainer]], Steps] = Steps,
) -> RunRecord:
    """Train one run to its end and write its record, or return the record it already has.

    Checkpoints every half minute; a run that was killed goes on from there. `trunk` is where a
    family of runs shares its first steps, see `tinylm.trunks`; `choose` says how steps are taken.

    Raises:
        RunLocked: another process is training this run.
        TinyLMError: the config does not fit the data, or a file is damaged; nothing is written.
    """
    records: list[RunRecord] = []

    def busy(run: Run) -> None:
        raise RunLocked(
            f"run {run.run_id} is being trained by another process; wait for its record"
        )

    train_runs(
        [identify(config, seed)],
        store=store,
        device=device,
        listener=listener,
        trunk=trunk,
        choose=choose,
        finished=lambda run, record: records.append(record),
        busy=busy,
    )
    return records[0]


def train_runs(
    runs: Sequence[Run],
    *,
    store: Store,
    device: str | None = None,
    listener: Listener | None = None,
    trunk: Trunk | None = None,
    choose: Callable[[Sequence[Trainer]], Steps] = Steps,
    finished: Callable[[Run, RunRecord], None] = lambda run, record: None,
    busy: Callable[[Run], None] = lambda run: None,
) -> None:
    """Train runs as one group; each writes its record as it ends.

    A run that has its record is only told of, through `finished`; one that another process is
    training is left to it and told of through `busy`. Each run checkpoints as if alone: killed,
    it goes on in the same company, in another, or alone.

    Raises:
        TinyLMError: as for `train`; nothing has been trained.
    """
    place = pick_device(device)
    left = []
    for run in runs:
        if (record := store.find(run.run_id)) is not None:
            check_records([record])
            finished(run, record)
        else:
            data = prepare(run.config.data.corpus, run.config.data.tokenizer)
            left.append(Trainer(run, data, store.checkpoint_path(run.run_id), place))
    with ExitStack() as locks:
        trainers = []
        for trainer in left:
            try:
                locks.enter_context(store.lock(trainer.run.run_id))
            except RunLocked:
                busy(trainer.run)
                continue
            if (record := store.find(trainer.run.run_id)) is not None:  # made meanwhile
                check_records([record])
                finished(trainer.run, record)
            else:
                trainers.append(trainer)

        def ended(trainer: Trainer, done: bool) -> None:
            finished(trainer.run, conclude(trainer, store, done))

        if trainers:
            _train_locked(trainers, store, listener, trunk, choose, ended)


def repeat(
    record: RunRecord,
    *,
    store: Store,
    device: str | None = None,
    listener: Listener | None = None,
    choose: Callable[[Sequence[Trainer]], Steps] = Steps,
) -> RunRecord:
    """Train a run that has its record again, and leave its model where it belongs; the record stays
    as it is. Returns the one that it would have now.

    Raises:
        RunLocked: another process is training this run.
        TinyLMError: the text is another one now, or a file is damaged; nothing is written.
    """
    run, names = Run(record.config, record.seed, record.run_id), record.config.data
    check_records([record])
    data = prepare(names.corpus, names.tokenizer)
    made: list[RunRecord] = []

    def ended(trainer: Trainer, done: bool) -> None:
        made.append(conclude(trainer, store, done, anew=True))

    with store.lock(run.run_id):
        trainer = Trainer(run, data, store.checkpoint_path(run.run_id), pick_device(device))
        _train_locked([trainer], store, listener, None, choose, ended)
    return made[0]


def _train_locked(
    trainers: Sequence[Trainer],
    store: Store,
    listener: Listener | None,
    trunk: Trunk | None,
    choose: Callable[[Sequence[Trainer]], Steps],
    ended: Callable[[Trainer, bool], None],
) -> None:
    """Train runs that this process has locked."""
    for trainer in trainers:
        store.remove_temporaries(trainer.run.run_id)
        trainer.begin(trunk)
        if len(trainers) > 1:
            trainer.company = {"batched_with": len(trainers) - 1}
    forget_peak_memory(trainers[0].device)
    steps = choose(trainers)
    for trainer in trainers:
        trainer.begin_segment(steps.name)
    save_all(steps)  # so that a full disk or a read-only folder shows now, not after the work
    train_to_the_end(steps, listener, ended)


def conclude(trainer: Trainer, store: Store, finished: bool, *, anew: bool = False) -> RunRecord:
    """Write what a run leaves, the record last, and drop its checkpoint. A run that is trained anew
    keeps the record that it has.
    """
    record = trainer.record(finished)
    if finished:
        folder = store.model_dir(record.run_id)
        save_model(folder, trainer.model, trainer.data.tokenizer, record.run_id)
    if not anew:
        store.save(record)
    shutil.rmtree(trainer.checkpoint.parent, ignore_errors=True)
    return record


def describe(record: RunRecord) -> str:
    """A run's result in a few lines."""
    model, timing = record.config.model, record.timing
    lines = [
        f"run {record.run_id} · {record.status} · seed {record.seed} · "
        f"{record.config.data.corpus} · {record.config.data.tokenizer}",
        f"  N {record.parameters.non_embedding:,} (d_model {model.d_model}, "
        f"{model.n_layers} layers, context {model.context_length}) · "
        f"D {record.tokens:,} tokens · C {record.compute.exact:.3g} FLOPs",
    ]
    if record.validation is not None:
        lines.append(
            f"  validation {record.validation.nats:.4f} nats per token · "
            f"{record.validation.bits_per_byte:.4f} bits per byte · "
            f"perplexity {record.validation.perplexity:.2f}"
        )
    else:
        lines.append(f"  {why_diverged(record)}")
    lines.append(f"  {timing.wall_seconds:.1f} s · {timing.tokens_per_second:,.0f} tokens/s")
    return "\n".join(lines)


def why_diverged(record: RunRecord) -> str:
    """How a diverged run ended, in a sentence."""
    chance = math.log(record.config.model.vocab_size)
    return (
        f"stopped at step {record.steps} of {record.config.steps}: its train loss, "
        f"{record.train_nats:.4g} nats per token over its last steps, was beyond twice that of "
        f"knowing nothing ({chance:.2f}), or no number; a smaller learning rate may help"
    )
