"""The trainer: `train(config, seed)` goes from a configuration to a run record.

Everything that decides the result is a pure function of the config and the seed: the weights are
drawn from the seed, batch number `step` is always the same batch, and there is no dropout. So a
run that is killed and started again from its checkpoint ends with the same loss, bit for bit.
"""

import argparse
import math
import shutil
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tinylm.batches import PreparedData, TrainingBatches, documents_for, prepare
from tinylm.checkpoints import Checkpoint, read_checkpoint, restore, save_checkpoint, save_model
from tinylm.config import RunConfig, load_run_config
from tinylm.corpora import corpus_version
from tinylm.cost import flops_6nd, flops_exact, parameter_count
from tinylm.errors import BadInput, TinyLMError
from tinylm.evaluate import evaluate
from tinylm.model import GPT
from tinylm.optim import make_optimizer, peak_learning_rate, schedule_factor
from tinylm.records import (
    Compute,
    CurvePoint,
    Losses,
    Parameters,
    RunRecord,
    Timing,
    collect_provenance,
)
from tinylm.speed.by_hand import fast_loss, supports
from tinylm.speed.cuda_graph import CapturedStep
from tinylm.speed.memory import keep_freed_memory, peak_memory
from tinylm.store import Store
from tinylm.sweeps.trunks import Trunk

CHECK_EVERY = 10  # steps between looks at the loss, for divergence and progress
CHECKPOINT_SECONDS = 30.0
COMPILED_TOKENS = 20_000_000  # runs of so many are compiled on a GPU, which takes half a minute


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
    train_seconds: float = 0.0
    wall_seconds: float = 0.0
    cpu_seconds: float = 0.0
    resumptions: int = 0
    trunk: str | None = None  # the run that took the first steps, if another one did
    branched_at: int | None = None  # how many


def evaluation_steps(config: RunConfig) -> list[int]:
    """Steps after which the validation loss is taken: log-spaced in tokens, the last included."""
    grid = np.geomspace(max(1, config.steps / 256), config.steps, config.evaluation.points)
    return sorted({round(float(step)) for step in grid})


def pick_device(name: str | None = None) -> torch.device:
    """The device named, or CUDA where there is one, else the CPU.

    Raises:
        TinyLMError: a device that this machine lacks.
    """
    available = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
    if name is not None and name not in available:
        raise BadInput(f"device {name!r} is not available; expected one of {available}")
    return torch.device(name or available[-1])


class Trainer:
    """One run in progress."""

    def __init__(
        self,
        config: RunConfig,
        seed: int,
        data: PreparedData,
        checkpoint: Path,
        device: torch.device,
    ) -> None:
        keep_freed_memory()
        model_config = config.model.model_copy(update={"vocab_size": data.tokenizer.vocab_size})
        self.config = config.model_copy(update={"model": model_config})
        self.seed, self.device, self.checkpoint = seed, device, checkpoint
        self.tokenizer, self.validation = data.tokenizer, data.validation
        self.train_tokens = documents_for(data.train, config.data.train_documents)
        self.curve_tokens = data.validation.head(
            min(config.evaluation.curve_documents, data.validation.n_documents)
        )
        self.batches = TrainingBatches(
            self.train_tokens, model_config.context_length, config.batch_size, seed
        )
        self.model = GPT(model_config, seed=seed).to(device)
        self.loss: Callable[[torch.Tensor, torch.Tensor], torch.Tensor] = self.model.loss
        self.by_hand = supports(model_config, device)
        if self.by_hand:
            self.loss = lambda x, y: fast_loss(self.model, x, y, config.precision)
        elif device.type == "cuda" and config.tokens >= COMPILED_TOKENS:
            self.loss = torch.compile(self.loss)
        self.optimizer = make_optimizer(self.model, config.optimizer)
        self.peak = peak_learning_rate(config.optimizer, model_config.d_model)
        self.state = State()
        self.final: Losses | None = None
        self.trunk: Trunk | None = None  # of a family of runs that share their first steps
        self.captures = device.type == "cuda"  # whether the step is recorded
        self.captured: CapturedStep | None = None  # and launched as a whole, once it is
        self.company: dict[str, int] = {}  # of its provenance: what it was trained beside or by

    def resume(self) -> None:
        """Go on from the checkpoint, if there is one.

        Raises:
            TinyLMError: it is damaged.
        """
        if self.checkpoint.exists():
            self.go_on_from(read_checkpoint(self.checkpoint))

    def go_on_from(self, saved: Checkpoint) -> None:
        """Take weights, moments and state from a checkpoint."""
        restore(saved, self.model, self.optimizer)
        self.state = State(**saved.state)
        self.state.resumptions += 1

    def branch_off(self) -> None:
        """Take over the steps that another run of the family has taken, if it left any."""
        saved = None
        if self.trunk:
            saved = self.trunk.best(self.config, evaluation_steps(self.config))
        if saved is not None:
            restore(saved, self.model, self.optimizer)
            self.state = State(**saved.state)
            self.state.train_seconds = self.state.wall_seconds = self.state.cpu_seconds = 0.0
            self.state.resumptions = 0
            self.state.branched_at = self.state.step

    def leave_branch(self, run_id: str) -> None:
        """Leave the state for runs of the family that begin to cool down here."""
        if self.trunk and self.state.step in self.trunk.branches:
            state = asdict(self.state) | {"trunk": self.state.trunk or run_id}
            save_checkpoint(self.trunk.path(self.state.step), self.model, self.optimizer, state)

    def train(self, run_id: str, listener: Listener | None) -> bool:
        """Train to the end from wherever the run stands; False if it diverged."""
        evaluations = set(evaluation_steps(self.config))
        branches: frozenset[int] = frozenset()
        if self.trunk:
            evaluations |= {s for s in self.trunk.evaluations if s < self.config.steps}
            branches = self.trunk.branches
        pending: list[torch.Tensor] = []  # losses not yet looked at: looking makes a GPU wait
        first, before = self.state.step, self.state.train_seconds
        started = last_saved = time.monotonic()
        started_cpu = time.process_time()
        while self.state.step < self.config.steps:
            began = time.monotonic()
            loss, norm = self.take_step()
            pending.append(loss)
            step = self.state.step = self.state.step + 1
            looked_at = step % CHECK_EVERY == 0 or step == self.config.steps
            if looked_at or step in evaluations or step in branches:
                self.state.losses += [float(value) for value in pending]
                pending.clear()
                if self.has_diverged():
                    break
                if listener:
                    seconds = self.state.train_seconds - before + time.monotonic() - began
                    listener(self.progress(run_id, seconds / (step - first)))
            self.state.train_seconds += time.monotonic() - began
            if step in evaluations:
                self.add_to_curve(norm)
            self.leave_branch(run_id)
            now = time.monotonic()
            if not pending and now - last_saved > CHECKPOINT_SECONDS and step < self.config.steps:
                self.add_time(now - started, time.process_time() - started_cpu)
                started, last_saved, started_cpu = now, now, time.process_time()
                self.save()
        self.add_time(time.monotonic() - started, time.process_time() - started_cpu)
        return self.final is not None and math.isfinite(self.final.nats)

    def has_diverged(self) -> bool:
        """Whether the last loss is above twice that of knowing nothing, or no number."""
        return not self.state.losses[-1] <= 2 * math.log(self.config.model.vocab_size)

    def progress(self, run_id: str, seconds: float) -> Progress:
        """Where the run stands, at so many seconds a step."""
        step, n_steps = self.state.step, self.config.steps
        pace = max(seconds, 1e-9)
        return Progress(
            run_id=run_id,
            step=step,
            n_steps=n_steps,
            train_nats=self.state.losses[-1],
            tokens_per_second=self.config.batch_tokens / pace,
            seconds_left=(n_steps - step) * pace,
        )

    def save(self) -> None:
        """Write the checkpoint from which the run can go on."""
        save_checkpoint(self.checkpoint, self.model, self.optimizer, asdict(self.state))

    def take_step(self) -> tuple[torch.Tensor, torch.Tensor]:
        """One optimiser step; returns its mean train loss and its gradient norm, on the device."""
        inputs, targets = self.batch(self.state.step)
        self.set_rates()
        if not self.captures:
            return self.step_on(inputs, targets)
        if self.captured is None:
            weights = self.model.parameters()
            self.captured = CapturedStep(self.step_on, weights, self.moments, inputs, targets)
        return self.captured(inputs, targets)

    def step_on(
        self, inputs: torch.Tensor, targets: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """`take_step` on a batch, at the rates that are set."""
        micro = self.config.accumulate
        total = torch.zeros((), device=self.device)
        self.optimizer.zero_grad()
        for x, y in zip(inputs.chunk(micro), targets.chunk(micro), strict=True):
            with nullcontext() if self.by_hand else self.autocast():
                loss = self.loss(x, y) / micro
            loss.backward()  # type: ignore[no-untyped-call]
            total += loss.detach()
        return total, self.update()

    def moments(self) -> dict[tuple[int, str], torch.Tensor]:
        """The optimiser's tensors, by parameter and name."""
        slots = self.optimizer.state_dict()["state"]
        return {(i, name): held for i, each in slots.items() for name, held in each.items()}

    def set_rates(self) -> None:
        """Set the learning rates of the step that comes."""
        factor = schedule_factor(self.config.optimizer, self.state.step, self.config.steps)
        for group in self.optimizer.param_groups:
            rate = group["peak"] * factor
            if isinstance(group["lr"], torch.Tensor):
                group["lr"].fill_(rate)
            else:
                group["lr"] = rate

    def update(self) -> torch.Tensor:
        """Move the weights along the gradients they hold; returns the norm of those."""
        clip = self.config.optimizer.gradient_clip
        norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), clip)
        self.optimizer.step()
        return norm

    def batch(self, step: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Inputs and targets of a step, on the device."""
        inputs, targets = self.batches.batch(step)
        return torch.from_numpy(inputs).to(self.device), torch.from_numpy(targets).to(self.device)

    def autocast(self) -> AbstractContextManager[Any]:
        """bf16 matrix products where the config asks for them."""
        if self.config.precision == "fp32":
            return nullcontext()
        return torch.autocast(self.device.type, dtype=torch.bfloat16)

    def add_to_curve(self, norm: torch.Tensor) -> None:
        """Evaluate, on the curve's documents, or after the last step on all of them."""
        last = self.state.step == self.config.steps
        tokens = self.validation if last else self.curve_tokens
        stride = self.config.evaluation.stride_fraction
        self.add_point(evaluate(self.model, tokens, stride, self.device), norm)

    def add_point(self, losses: Losses, norm: torch.Tensor) -> None:
        """Add an evaluation at this step to the curve; `norm` is the gradient's."""
        if self.state.step == self.config.steps:
            self.final = losses
        since = self.state.curve[-1]["step"] if self.state.curve else 0
        point = CurvePoint(
            step=self.state.step,
            tokens=self.state.step * self.config.batch_tokens,
            train_nats=float(np.mean(self.state.losses[since:])),
            validation_nats=losses.nats,
            validation_documents=losses.documents,
            learning_rate=float(self.optimizer.param_groups[0]["lr"]),
            gradient_norm=float(norm),
        )
        self.state.curve.append(point.model_dump())

    def add_time(self, wall: float, cpu: float) -> None:
        """Add to the run's clocks, which go on over resumptions."""
        self.state.wall_seconds += wall
        self.state.cpu_seconds += cpu

    def record(self, run_id: str, data: PreparedData, finished: bool) -> RunRecord:
        """The record of the run as it stands at its end."""
        config, state = self.config, self.state
        parameters = parameter_count(config.model)
        tokens = state.step * config.batch_tokens
        return RunRecord(
            run_id=run_id,
            seed=self.seed,
            config=config,
            corpus_version=data.corpus_version,
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
            bytes_per_token=self.validation.bytes_per_token,
            train_nats=float(np.mean(state.losses[-max(1, state.step // 10) :])),
            validation=self.final if finished else None,
            curve=self.curve(),
            timing=Timing(
                wall_seconds=round(state.wall_seconds, 3),
                cpu_seconds=round(state.cpu_seconds, 3),
                tokens_per_second=round(tokens / max(state.train_seconds, 1e-9), 1),
                peak_memory_bytes=peak_memory(self.device),
                resumptions=state.resumptions,
            ),
            provenance=collect_provenance(
                self.device,
                dict(data.provenance),
                data.train.manifest["sha256"],
                data.validation.manifest["sha256"],
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


def train(
    config: RunConfig,
    seed: int,
    *,
    profile: str = "quick",
    device: str | None = None,
    listener: Listener | None = None,
    trunk: Trunk | None = None,
) -> RunRecord:
    """Train one run to its end and write its record, or return the record it already has.

    Checkpoints every half minute under results/<profile>/checkpoints/; a run that was killed goes
    on from there. The final weights go to results/<profile>/models/<run_id>/. `trunk` is where a
    family of runs shares its first steps; see `tinylm.sweeps.trunks`.

    Raises:
        RunLocked: another process is training this run.
        TinyLMError: the config does not fit the data, or a file is damaged; nothing is written.
    """
    run_id = identify(config, seed)
    if (existing := Store(profile).find(run_id)) is not None:
        return existing
    data = prepare(config.data.corpus, config.data.tokenizer)
    folder = Store(profile).checkpoint_path(run_id).parent
    trainer = Trainer(config, seed, data, folder / "checkpoint.safetensors", pick_device(device))
    with Store(profile).lock(run_id):
        if (existing := Store(profile).find(run_id)) is not None:  # made while data were opened
            return existing
        Store(profile).remove_temporaries(run_id)
        trainer.trunk = trunk
        if trainer.checkpoint.exists():
            trainer.resume()
        else:
            trainer.branch_off()
        trainer.save()  # so that a full disk or a read-only folder shows now, not after the work
        finished = trainer.train(run_id, listener)
        return conclude(trainer, run_id, data, profile, finished)


def identify(config: RunConfig, seed: int) -> str:
    """The id of a run.

    Raises:
        TinyLMError: unknown corpus, or a seed that is none.
    """
    if not 0 <= seed < 1 << 63:
        raise BadInput(f"seed {seed}: expected a whole number from 0 to 2^63 - 1")
    return config.identity(seed, corpus_version(config.data.corpus))


def conclude(
    trainer: Trainer, run_id: str, data: PreparedData, profile: str, finished: bool
) -> RunRecord:
    """Write what a run leaves, the record last, and drop its checkpoint."""
    record = trainer.record(run_id, data, finished)
    if finished:
        save_model(Store(profile).folder / "models" / run_id, trainer.model, data.tokenizer)
    Store(profile).save(record)
    shutil.rmtree(trainer.checkpoint.parent, ignore_errors=True)
    return record


def print_record(record: RunRecord) -> None:
    """Print a run's result in a few lines."""
    model, timing = record.config.model, record.timing
    print(
        f"run {record.run_id} · {record.status} · seed {record.seed} · "
        f"{record.config.data.corpus} · {record.config.data.tokenizer}"
    )
    print(
        f"  N {record.parameters.non_embedding:,} (d_model {model.d_model}, "
        f"{model.n_layers} layers, context {model.context_length}) · "
        f"D {record.tokens:,} tokens · C {record.compute.exact:.3g} FLOPs"
    )
    if record.validation is not None:
        print(
            f"  validation {record.validation.nats:.4f} nats a token · "
            f"{record.validation.bits_per_byte:.4f} bits per byte · "
            f"perplexity {record.validation.perplexity:.2f}"
        )
    print(f"  {timing.wall_seconds:.1f} s · {timing.tokens_per_second:,.0f} tokens/s")


def main(arguments: list[str] | None = None) -> int:
    """`python -m tinylm.train --config base --seed 0`: train one run and print its result. Under
    torchrun, several processes train the run.
    """
    from rich.progress import Progress as Bar

    from tinylm.sweeps.progress import ProgressFiles

    parser = argparse.ArgumentParser(prog="python -m tinylm.train", description=main.__doc__)
    parser.add_argument("--config", default="base", help="name of a config, or a YAML file")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--profile", default="quick", help="results/<profile>/ takes the record")
    parser.add_argument("--device", help="cpu or cuda; default: cuda where there is one")
    options = parser.parse_args(arguments)
    if torch.distributed.is_torchelastic_launched():
        from tinylm.sweeps.torchrun import main as main_of_several

        return main_of_several(options.config, options.seed, options.profile, options.device)
    try:
        config = load_run_config(options.config)
        with Bar(transient=True) as bar:
            task = bar.add_task(f"training {options.config}", total=config.steps)

            def show(progress: Progress) -> None:
                bar.update(task, completed=progress.step)

            with ProgressFiles(Store(options.profile), show) as listener:
                record = train(
                    config,
                    options.seed,
                    profile=options.profile,
                    device=options.device,
                    listener=listener,
                )
    except TinyLMError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print_record(record)
    return 0


if __name__ == "__main__":
    sys.exit(main())
