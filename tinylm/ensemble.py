"""Many runs of one shape, trained as one program: `train_together(runs)` is `train` for each.

A small model leaves a GPU mostly idle. Here the models of several runs are stacked
(`tinylm.stacked`), so that a step of all takes as many kernels as a step of one. Each run keeps
its own weights, order of batches, learning rate, clipping, divergence, curve, checkpoint and
record: those of a run trained alone, to fp32 rounding.
"""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from tinylm.batches import PreparedData, TokenFile, prepare, validation_windows
from tinylm.claims import RunClaimed, checkpoint_dir, claim, remove_leftovers
from tinylm.config import OptimizerConfig, RunConfig
from tinylm.errors import InputError
from tinylm.evaluate import WINDOW_TOKENS, summarise
from tinylm.experiments.declare import Run
from tinylm.optim import schedule_factor
from tinylm.records import Losses, RunRecord, find_record
from tinylm.stacked import MEMBERS_OWN, StackedAdamW, StackedGPT
from tinylm.train import (
    CHECK_EVERY,
    CHECKPOINT_SECONDS,
    Listener,
    Trainer,
    conclude,
    evaluation_steps,
    pick_device,
)

Finished = Callable[[Run, RunRecord], None]


def shape(config: RunConfig) -> RunConfig:
    """What runs must have in common to train together: all but AdamW's numbers and its schedule."""
    defaults = OptimizerConfig().model_dump(include=set(MEMBERS_OWN))
    optimizer = config.optimizer.model_copy(update=defaults)
    return config.model_copy(update={"optimizer": optimizer})


@torch.inference_mode()
def evaluate_stacked(
    model: StackedGPT, tokens: TokenFile, stride_fraction: float, device: torch.device
) -> list[Losses]:
    """`evaluate` for every member at once."""
    context, members = model.config.context_length, model.members
    longest = int(np.diff(tokens.starts).max())
    sums, counts = np.zeros((members, longest + 1)), np.zeros(longest + 1, dtype=np.int64)
    rows = max(1, WINDOW_TOKENS // context // members)
    for batch in validation_windows(tokens, context, stride_fraction, rows):
        inputs, targets = (
            torch.from_numpy(part).to(device).repeat(members, 1)
            for part in (batch.inputs, batch.targets)
        )
        logits = model(inputs).flatten(0, 1)
        nats = F.cross_entropy(logits, targets.flatten(), reduction="none").view(members, -1)
        scored = batch.scored.ravel()
        where = batch.position_in_document.ravel()[scored] + 1
        for member, values in enumerate(nats.double().cpu().numpy()[:, scored]):
            sums[member] += np.bincount(where, weights=values, minlength=longest + 1)
        counts += np.bincount(where, minlength=longest + 1)
    return [summarise(each, counts, tokens) for each in sums]


class Ensemble:
    """Trainers of one shape, stacked. Their weights and moments become rows of the stack, so that
    each can still save, resume and record itself; only steps and evaluations are taken together.

    Members may stand at different steps, as they do after a kill between two of their checkpoints.
    A member that has ended or diverged stays in the stack, at rest.
    """

    def __init__(self, trainers: Sequence[Trainer], *, compiled: bool) -> None:
        """`compiled`: through torch.compile, which takes a minute and pays on a GPU."""
        self.trainers, first = trainers, trainers[0]
        self.config, self.device = first.config, first.device
        self.model = StackedGPT([trainer.model for trainer in trainers])
        self.optimizer = StackedAdamW(
            self.model,
            [trainer.config.optimizer for trainer in trainers],
            [trainer.config.steps for trainer in trainers],
        )
        for member, trainer in enumerate(trainers):
            self.share(member, trainer)
        self.parameters = list(self.model.parameters())
        self.losses, self.update = self.model.losses, self.optimizer.step
        if compiled:
            self.losses, self.update = torch.compile(self.losses), torch.compile(self.update)
        self.steps = torch.tensor([t.state.step for t in trainers], device=self.device)
        self.running = list(range(len(trainers)))
        self.clocks = time.monotonic(), time.process_time()

    def share(self, member: int, trainer: Trainer) -> None:
        """Make a trainer's weights and moments views of its row of the stack."""
        stack = self.optimizer
        weights, first, second = (
            self.model.views(held[member]) for held in (stack.weights, stack.first, stack.second)
        )
        assert isinstance(trainer.optimizer, torch.optim.AdamW)
        for name, parameter in trainer.model.named_parameters():
            parameter.data = weights[name]
            slots = trainer.optimizer.state[parameter]
            if slots:  # of a checkpoint
                first[name].copy_(slots["exp_avg"])
                second[name].copy_(slots["exp_avg_sq"])
            slots |= {"exp_avg": first[name], "exp_avg_sq": second[name]}

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

    def gradients(self, inputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Each member's mean loss (M) and its gradient (M, P) on (M, B, T) tokens."""
        with self.trainers[0].autocast():
            losses = self.losses(inputs, targets)
        parts = torch.autograd.grad(losses.sum(), self.parameters)
        return losses.detach(), torch.cat([part.flatten(1) for part in parts], dim=1)

    def take_step(self) -> tuple[Tensor, Tensor]:
        """One optimiser step of all; returns their train losses and gradient norms, each (M)."""
        inputs, targets = self.batch()
        micro = self.config.accumulate
        pieces = zip(inputs.chunk(micro, dim=1), targets.chunk(micro, dim=1), strict=True)
        losses, gradients = self.gradients(*next(pieces))
        for piece in pieces:
            more_losses, more_gradients = self.gradients(*piece)
            losses, gradients = losses + more_losses, gradients + more_gradients
        norms = self.update(gradients / micro, self.steps)
        self.steps += 1
        for member in self.running:
            self.trainers[member].state.step += 1
        return losses / micro, norms

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
        limit = 2 * math.log(self.config.model.vocab_size)  # as in Trainer.train
        return [m for m in due if not self.trainers[m].state.losses[-1] <= limit]

    def evaluate(self, members: Sequence[int], norms: Tensor) -> None:
        """Add to the curves of members, all of which are at an evaluation step."""
        for last in (False, True):
            now = [m for m in members if (self.trainers[m].state.step == self.config.steps) is last]
            if not now:
                continue
            tokens = self.trainers[0].validation if last else self.trainers[0].curve_tokens
            stride = self.config.evaluation.stride_fraction
            found = evaluate_stacked(self.model, tokens, stride, self.device)
            for member in now:
                trainer = self.trainers[member]
                factor = schedule_factor(
                    trainer.config.optimizer, trainer.state.step - 1, trainer.config.steps
                )
                for group in trainer.optimizer.param_groups:
                    group["lr"] = trainer.peak * factor
                trainer.add_point(found[member], norms[member])

    def rest(self, members: Sequence[int]) -> None:
        """Leave members at rest: they no longer learn, and their batches are empty."""
        for member in members:
            self.running.remove(member)
            self.optimizer.freeze(member)

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
            trainer = self.trainers[member]
            assert isinstance(trainer.optimizer, torch.optim.AdamW)
            for slots in trainer.optimizer.state.values():
                slots["step"] = torch.tensor(float(trainer.state.step))
            trainer.save()


def train_together(
    runs: Sequence[Run],
    *,
    profile: str = "quick",
    device: str | None = None,
    compiled: bool | None = None,
    listener: Listener | None = None,
    finished: Finished = lambda run, record: None,
    busy: Callable[[Run], None] = lambda run: None,
) -> None:
    """Train runs of one shape as one program; each writes its record as it ends.

    A run that has its record is only told of, through `finished`; one that another process is
    training is left to it and told of through `busy`. Each run checkpoints as if alone: killed,
    it goes on in the same company, in another, or alone. `compiled` is by default true on CUDA.

    Raises:
        InputError: the runs are not of one shape, or as for `train`; nothing has been trained.
    """
    if runs[0].config.model.shift:
        shift = runs[0].config.model.shift
        raise InputError(f"model.shift {shift}: expected 0, for runs with a shift are not batched")
    differing = [run for run in runs if shape(run.config) != shape(runs[0].config)]
    if differing:
        raise InputError(
            f"run {differing[0].run_id} cannot train together with {runs[0].run_id}: expected the "
            f"same config but for the optimiser and the seed"
        )
    place = pick_device(device)
    data = prepare(runs[0].config.data.corpus, runs[0].config.data.tokenizer)
    trainers = {}
    for run in runs:
        if (record := find_record(profile, run.run_id)) is not None:
            finished(run, record)
            continue
        checkpoint = checkpoint_dir(profile, run.run_id) / "checkpoint.safetensors"
        trainers[run] = Trainer(run.config, run.seed, data, checkpoint, place)
        if type(trainers[run].optimizer) is not torch.optim.AdamW:
            name = type(trainers[run].optimizer).__name__
            raise InputError(f"run {run.run_id} trains with {name}, and only AdamW is batched")
    with ExitStack() as claims:
        for run in list(trainers):
            try:
                claims.enter_context(claim(profile, run.run_id))
            except RunClaimed:
                busy(run)
                del trainers[run]
                continue
            if (record := find_record(profile, run.run_id)) is not None:  # made meanwhile
                finished(run, record)
                del trainers[run]
        if trainers:
            use_compiler = place.type == "cuda" if compiled is None else compiled
            _train_claimed(trainers, profile, data, use_compiler, listener, finished)


def _train_claimed(
    trainers: Mapping[Run, Trainer],
    profile: str,
    data: PreparedData,
    compiled: bool,
    listener: Listener | None,
    finished: Finished,
) -> None:
    """Train runs that this process has claimed."""
    for run, trainer in trainers.items():
        remove_leftovers(profile, run.run_id)
        trainer.resume()
        trainer.company = {"batched_with": len(trainers) - 1}
    members = list(trainers.items())
    ensemble = Ensemble([trainer for _, trainer in members], compiled=compiled)
    ensemble.save()  # so that a full disk or a read-only folder shows now, not after the work

    def heard(member: int, seconds: float) -> None:
        if listener:
            run, trainer = members[member]
            listener(trainer.progress(run.run_id, seconds))

    def ended(member: int, done: bool) -> None:
        run, trainer = members[member]
        finished(run, conclude(trainer, run.run_id, data, profile, done))

    ensemble.train(heard, ended)
