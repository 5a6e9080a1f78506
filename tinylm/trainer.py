"""One run in progress: its weights, optimiser and batches, where it stands, and its record.

Everything that decides the result is a pure function of the config and the seed: the weights are
drawn from the seed, batch number `step` is always the same batch, and there is no dropout. So a
run that is killed and started again from its checkpoint ends with the same loss, bit for bit.
"""

import math
import os
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tinylm.batches import TrainingBatches
from tinylm.bf16 import round_to_bf16
from tinylm.checkpoints import Checkpoint, read_checkpoint, restore, save_checkpoint
from tinylm.config import Run, RunConfig
from tinylm.corpora.token_files import PreparedData, documents_for
from tinylm.cost import flops_6nd, flops_exact, parameter_count, training_memory_bytes
from tinylm.errors import BadInput
from tinylm.model import GPT
from tinylm.optim import make_optimizer, peak_learning_rate, schedule_factor
from tinylm.provenance import make_provenance, peak_memory, this_segment
from tinylm.records import (
    Compute,
    CurvePoint,
    Losses,
    Parameters,
    RunRecord,
    Segment,
    Timing,
)
from tinylm.say import size
from tinylm.texts import prepared_text
from tinylm.trunks import Trunk

ROUNDING_SEEDS = 1 << 32  # more than a run has steps
CHECK_EVERY = 10  # steps between looks at the loss, for divergence and progress


@dataclass(frozen=True)
class Progress:
    """What a running training tells whoever listens."""

    run_id: str
    step: int
    n_steps: int
    train_nats: float
    tokens_per_second: float | None = None  # of this process so far, training steps only
    seconds_left: float | None = None  # at that pace


Listener = Callable[[Progress], None]


@dataclass
class State:
    """What changes while training, besides weights and moments: all that a checkpoint adds."""

    step: int = 0
    losses: list[float] = field(default_factory=list)  # train nats of every step so far
    curve: list[dict[str, Any]] = field(default_factory=list)
    segments: list[dict[str, Any]] = field(default_factory=list)  # the processes that took part
    train_seconds: float = 0.0
    wall_seconds: float = 0.0
    cpu_seconds: float = 0.0
    resumptions: int = 0
    trunk: str | None = None  # the run that took the first steps, if another one did
    branched_at: int | None = None  # how many


def evaluation_steps(config: RunConfig) -> list[int]:
    """Steps after which the validation loss is taken: evenly in tokens or their log, the last
    included.
    """
    points = config.evaluation.points
    grid = np.geomspace(max(1, config.steps / 256), config.steps, points)
    if config.evaluation.spacing == "linear":
        grid = config.steps * np.arange(1, points + 1) / points
    return sorted({max(1, round(float(step))) for step in grid})


def pick_device(name: str | None = None) -> torch.device:
    """The device named, or CUDA where there is one, else the CPU.

    Raises:
        BadInput: a device that this machine lacks.
    """
    available = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
    if name is not None and name not in available:
        raise BadInput(f"device {name!r} is not available; expected one of {available}")
    return torch.device(name or available[-1])


def check_memory(config: RunConfig, device: torch.device) -> None:
    """Refuse, as a BadInput, a model that cannot be trained in all the memory that there is."""
    needed = training_memory_bytes(config.model, config.batch_size, precision=config.precision)
    there = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if device.type == "cuda":
        there = torch.cuda.get_device_properties(device).total_memory
    if needed > there:
        raise BadInput(
            f"model.d_model {config.model.d_model} with model.n_layers {config.model.n_layers} and "
            f"batch_tokens {config.batch_tokens} takes about {size(needed)} to train; expected at "
            f"most the {size(there)} of this machine's memory"
        )


class Trainer:
    """One run in progress: its weights, optimiser, batches and state."""

    def __init__(
        self, run: Run, data: PreparedData, checkpoint: Path, device: torch.device
    ) -> None:
        model_config = run.config.model.model_copy(update={"vocab_size": data.tokenizer.vocab_size})
        self.config = run.config.model_copy(update={"model": model_config})
        check_memory(self.config, device)
        self.run, self.seed = run, run.seed
        self.data, self.device, self.checkpoint = data, device, checkpoint
        self.text = prepared_text(data)
        self.train_tokens = documents_for(data.train, self.config.data.train_documents)
        self.curve_tokens = data.on_curve(self.config.evaluation)
        self.final_tokens = data.evaluated(self.config.evaluation)
        self.batches = TrainingBatches(
            self.train_tokens, model_config.context_length, self.config.batch_size, run.seed
        )
        self.model = GPT(model_config, seed=run.seed).to(device)
        self.optimizer = make_optimizer(self.model, self.config.optimizer)
        self.state = State()
        self.round_weights()
        self.final: Losses | None = None
        self.company: dict[str, int] = {}  # of its provenance: what it is trained beside or by
        self.trunk: Trunk | None = None  # of a family of runs that share their first steps
        self.evaluations = set(evaluation_steps(self.config))

    # --- a step ---

    def take_step(self) -> tuple[Tensor, Tensor]:
        """One optimiser step, the plain way; train loss and gradient norm, on the device."""
        inputs, targets = self.batch()
        self.set_rates()
        self.optimizer.zero_grad()
        with self.autocast():
            loss = self.model.loss(inputs, targets)
        loss.backward()  # type: ignore[no-untyped-call]
        return loss.detach(), self.update()

    def batch(self) -> tuple[Tensor, Tensor]:
        """Inputs and targets of the step that comes, each (batch_size, context_length)."""
        inputs, targets = self.batches.batch(self.state.step)
        return torch.from_numpy(inputs).to(self.device), torch.from_numpy(targets).to(self.device)

    def set_rates(self) -> None:
        """Set the learning rates of the step that comes."""
        factor = schedule_factor(self.config.optimizer, self.state.step, self.config.steps)
        for group in self.optimizer.param_groups:
            rate = group["peak"] * factor
            if isinstance(group["lr"], Tensor):
                group["lr"].fill_(rate)
            else:
                group["lr"] = rate

    def autocast(self) -> AbstractContextManager[Any]:
        """bf16 matrix products where the config asks for them."""
        if self.config.precision == "fp32":
            return nullcontext()
        return torch.autocast(self.device.type, dtype=torch.bfloat16)

    def update(self) -> Tensor:
        """Move the weights along the gradients they hold; returns the norm of those."""
        clip = self.config.optimizer.gradient_clip
        norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), clip)
        self.optimizer.step()
        self.round_weights()
        return norm

    def round_weights(self) -> None:
        """Round the weights to bf16 where the config asks for it, as if nothing finer were kept."""
        rounding, generator = self.config.optimizer.rounding, None
        if rounding == "stochastic":
            generator = torch.Generator(self.device).manual_seed(
                self.seed * ROUNDING_SEEDS + self.state.step
            )
        if rounding != "none":
            round_to_bf16(self.model.parameters(), generator)

    # --- where it stands ---

    @property
    def ends(self) -> bool:
        """Whether the last step has been taken."""
        return self.state.step == self.config.steps

    @property
    def is_due(self) -> bool:
        """Whether the loss of the last step is to be looked at."""
        step = self.state.step
        branches = self.trunk is not None and step in self.trunk.branches
        return step % CHECK_EVERY == 0 or step in self.evaluations or branches

    def has_diverged(self) -> bool:
        """Whether the last loss is above twice that of knowing nothing, or no number."""
        return not self.state.losses[-1] <= 2 * math.log(self.config.model.vocab_size)

    def progress(self, seconds: float) -> Progress:
        """Where the run stands, at so many seconds per step."""
        step, n_steps = self.state.step, self.config.steps
        pace = max(seconds, 1e-9)
        return Progress(
            run_id=self.run.run_id,
            step=step,
            n_steps=n_steps,
            train_nats=self.state.losses[-1],
            tokens_per_second=self.config.batch_tokens / pace,
            seconds_left=(n_steps - step) * pace,
        )

    def add_point(self, losses: Losses, norm: Tensor) -> None:
        """Add an evaluation at this step to the curve; `norm` is the gradient's."""
        if self.ends:
            self.final = losses
        since = self.state.curve[-1]["step"] if self.state.curve else 0
        point = CurvePoint(
            step=self.state.step,
            tokens=self.state.step * self.config.batch_tokens,
            train_nats=float(np.mean(self.state.losses[since:])),
            validation_nats=losses.nats,
            validation_documents=losses.documents,
            learning_rate=self.rate_of_last_step(),
            gradient_norm=float(norm),
        )
        self.state.curve.append(point.model_dump())

    def rate_of_last_step(self) -> float:
        """The learning rate of the step taken last, of AdamW on matrices outside the blocks."""
        optimizer = self.config.optimizer
        factor = schedule_factor(optimizer, self.state.step - 1, self.config.steps)
        return peak_learning_rate(optimizer, self.config.model.d_model) * factor

    def add_time(self, wall: float, cpu: float) -> None:
        """Add to the run's clocks, which go on over resumptions."""
        self.state.wall_seconds += wall
        self.state.cpu_seconds += cpu

    # --- checkpoints ---

    def begin(self, trunk: Trunk | None = None) -> None:
        """Go on from the checkpoint if there is one, or from what a trunk has left, or at step 0.

        Raises:
            Damaged: the checkpoint cannot be used, or is of another text.
        """
        self.trunk = trunk
        if trunk:
            self.evaluations |= {s for s in trunk.evaluations if s < self.config.steps}
        if self.checkpoint.exists():
            self.restore(read_checkpoint(self.checkpoint))
            self.state.resumptions += 1
        elif trunk and (saved := trunk.best(self.config, self.text, evaluation_steps(self.config))):
            self.restore(saved)
            self.state.train_seconds = self.state.wall_seconds = self.state.cpu_seconds = 0.0
            self.state.resumptions = 0
            self.state.branched_at = self.state.step

    def restore(self, saved: Checkpoint) -> None:
        """Take weights, moments and state from a checkpoint."""
        restore(saved, self.model, self.optimizer, self.text)
        self.state = State(**saved.state)

    def begin_segment(self, steps: str) -> None:
        """Note that this process trains the run from here on, and how it takes its steps."""
        self.state.segments.append(this_segment(self.device, steps, self.state.step).model_dump())

    def save(self) -> None:
        """Write the checkpoint from which the run can go on."""
        self._save_to(self.checkpoint)

    def leave_branch(self) -> None:
        """Leave the state for runs of the family that begin to cool down here."""
        if self.trunk and self.state.step in self.trunk.branches:
            self._save_to(
                self.trunk.path(self.state.step), trunk=self.state.trunk or self.run.run_id
            )

    def _save_to(self, path: Path, **changed: Any) -> None:
        self._end_segment()
        save_checkpoint(path, self.model, self.optimizer, asdict(self.state) | changed, self.text)

    def _end_segment(self) -> None:
        self.state.segments[-1]["last_step"] = self.state.step

    # --- the record ---

    def record(self, finished: bool) -> RunRecord:
        """The record of the run as it stands at its end."""
        config, state = self.config, self.state
        self._end_segment()
        parameters = parameter_count(config.model)
        tokens = state.step * config.batch_tokens
        own_tokens = tokens - (state.branched_at or 0) * config.batch_tokens
        return RunRecord(
            run_id=self.run.run_id,
            seed=self.seed,
            config=config,
            corpus_version=self.data.corpus_version,
            status="done" if finished else "diverged",
            parameters=Parameters(
                non_embedding=parameters.non_embedding,
                with_output=parameters.with_output,
                total=parameters.total,
            ),
            tokens=tokens,
            unique_tokens=self.train_tokens.n_tokens,
            steps=state.step,
            compute=Compute(
                six_nd=flops_6nd(config.model, tokens), exact=flops_exact(config.model, tokens)
            ),
            bytes_per_token=self.data.validation.bytes_per_token,
            train_nats=float(np.mean(state.losses[-max(1, state.step // 10) :])),
            validation=self.final if finished else None,
            curve=self.curve(),
            timing=Timing(
                wall_seconds=round(state.wall_seconds, 3),
                cpu_seconds=round(state.cpu_seconds, 3),
                tokens_per_second=round(own_tokens / max(state.train_seconds, 1e-9), 1),
                peak_memory_bytes=peak_memory(self.device),
                resumptions=state.resumptions,
            ),
            provenance=make_provenance(
                [Segment.model_validate(segment) for segment in state.segments],
                dict(self.data.provenance),
                self.data.train.manifest["sha256"],
                self.data.validation.manifest["sha256"],
            ).model_copy(update=self.company | self.descent()),
        )

    def curve(self) -> list[CurvePoint]:
        """The evaluations of this run's own, without those taken for others of its family."""
        own, points, since = set(evaluation_steps(self.config)), [], 0
        for point in map(CurvePoint.model_validate, self.state.curve):
            if point.step in own:
                train_nats = float(np.mean(self.state.losses[since : point.step]))
                points.append(point.model_copy(update={"train_nats": train_nats}))
                since = point.step
        return points

    def descent(self) -> dict[str, Any]:
        """Of its provenance: the run whose first steps it took over."""
        if self.state.branched_at is None:
            return {}
        return {"trunk": self.state.trunk, "branched_at": self.state.branched_at}
