"""One run over several processes: `torchrun --nproc-per-node 2 -m tinylm.train --config base`.

Each process takes its share of the rows of every batch and holds a copy of the model;
DistributedDataParallel averages their gradients, so that all copies move as one. The first process
alone evaluates, checkpoints and writes. What could make processes part (bad input, a record that
is there, a run claimed elsewhere) it decides too, and tells the others.
"""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar, cast

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from tinylm.batches import PreparedData, prepare
from tinylm.checkpoints import read_checkpoint
from tinylm.config import RunConfig, load_run_config
from tinylm.errors import BadInput, TinyLMError
from tinylm.model import GPT
from tinylm.records import RunRecord
from tinylm.store import Store
from tinylm.sweeps.progress import ProgressFiles
from tinylm.train import Listener, Trainer, conclude, identify, pick_device, print_record

Result = TypeVar("Result")
EVALUATION_TIME = timedelta(hours=6)  # the others wait so long for the first to evaluate
STOPPED = "stopped; started again, the run goes on from its last checkpoint"
ENDED = "tinylm/ended"  # set in the processes' common store by one that gives up


class Told(TinyLMError):
    """An TinyLMError that another process, the first, has said."""


@dataclass(frozen=True)
class Processes:
    """The processes that train together, as one of them sees them."""

    rank: int  # 0 is the first
    size: int
    device: torch.device

    @property
    def first(self) -> bool:
        """Whether this is the one that decides and writes."""
        return self.rank == 0

    def decide(self, question: Callable[[], Result]) -> Result:
        """What the first process answers, in all of them.

        Raises:
            TinyLMError: in all of them, if the first raises it.
        """
        answer: list[Any] = [None, None]
        problem: TinyLMError | None = None
        if self.first:
            try:
                answer[0] = question()
            except TinyLMError as error:
                problem, answer[1] = error, str(error)
        dist.broadcast_object_list(answer, src=0)
        if problem is not None:
            raise problem
        if answer[1] is not None:
            raise Told(answer[1])
        return cast(Result, answer[0])


@contextmanager
def processes(device: str | None) -> Iterator[Processes]:
    """Join the processes that torchrun has started: over NCCL with CUDA, else over gloo.

    Raises:
        TinyLMError: a device that this machine lacks, or fewer GPUs than processes.
    """
    local, here = int(os.environ["LOCAL_RANK"]), int(os.environ["LOCAL_WORLD_SIZE"])
    try:
        place = pick_device(device)
        if place.type == "cuda" and here > torch.cuda.device_count():
            raise BadInput(
                f"{here} processes need a GPU each; expected --nproc-per-node of at most "
                f"{torch.cuda.device_count()} on this machine, or --device cpu"
            )
    except TinyLMError as error:
        raise (Told(str(error)) if local else error) from None  # each machine's first one says it
    if place.type == "cuda":
        place = torch.device("cuda", local)
        torch.cuda.set_device(place)
    backend = "nccl" if place.type == "cuda" else "gloo"
    dist.init_process_group(backend, timeout=EVALUATION_TIME)
    try:
        yield Processes(dist.get_rank(), dist.get_world_size(), place)
    finally:
        dist.destroy_process_group()


class _Loss(nn.Module):
    """The model's loss as a forward pass, which is what DistributedDataParallel wraps."""

    def __init__(self, model: GPT, loss: Callable[[Tensor, Tensor], Tensor]) -> None:
        super().__init__()
        self.model, self.loss = model, loss

    def forward(self, inputs: Tensor, targets: Tensor) -> Tensor:
        return self.loss(inputs, targets)


class SharedTrainer(Trainer):
    """One run in progress in several processes, as one of them sees it."""

    def __init__(
        self, config: RunConfig, seed: int, data: PreparedData, checkpoint: Path, group: Processes
    ) -> None:
        """Raises TinyLMError if the processes cannot share the rows of a batch evenly."""
        super().__init__(config, seed, data, checkpoint, group.device)
        self.group = group
        self.company = {"processes": group.size}
        self.captures = False  # gradients are averaged by processes that wait for each other
        pieces = group.size * config.accumulate
        if config.batch_size % pieces:
            micro = f" times accumulate {config.accumulate}" if config.accumulate > 1 else ""
            raise BadInput(
                f"{group.size} processes{micro} cannot share a batch of {config.batch_size} rows "
                f"evenly; expected a divisor of {config.batch_size}"
            )

    def connect(self) -> None:
        """Go on from the first process's checkpoint if it has one, and start averaging gradients.

        Raises:
            TinyLMError: the checkpoint is damaged, or cannot be written.
        """
        path = self.checkpoint
        saved = self.group.decide(lambda: read_checkpoint(path) if path.exists() else None)
        if saved is not None:
            self.go_on_from(saved)
        self.group.decide(self.save)  # so that a full disk or a read-only folder shows now
        self.cpu_before = self.state.cpu_seconds
        ids = [self.device.index] if self.device.type == "cuda" else None
        self.loss = DistributedDataParallel(_Loss(self.model, self.loss), device_ids=ids)

    def batch(self, step: int) -> tuple[Tensor, Tensor]:
        """This process's rows of a step's batch."""
        inputs, targets = super().batch(step)
        share, rank = len(inputs) // self.group.size, self.group.rank
        mine = slice(rank * share, (rank + 1) * share)
        return inputs[mine], targets[mine]

    def take_step(self) -> tuple[Tensor, Tensor]:
        """One optimiser step; returns the whole batch's mean loss and its gradient norm."""
        loss, norm = super().take_step()
        dist.all_reduce(loss)
        return loss / self.group.size, norm

    def add_to_curve(self, norm: Tensor) -> None:
        """Evaluate in the first process; the others wait for it in their next step."""
        if self.group.first:
            super().add_to_curve(norm)

    def sum_cpu_time(self) -> None:
        """Count the processor time of all processes since `connect` in the run's."""
        spent = torch.tensor(self.state.cpu_seconds - self.cpu_before, device=self.device)
        dist.all_reduce(spent)
        self.state.cpu_seconds = self.cpu_before + float(spent)

    def save(self) -> None:
        """Write the checkpoint, in the first process."""
        if self.group.first:
            super().save()


def train_shared(
    config: RunConfig,
    seed: int,
    group: Processes,
    *,
    profile: str = "quick",
    listener: Listener | None = None,
) -> RunRecord:
    """`train`, called by every process of a group at once; every one returns the record.

    Raises:
        TinyLMError: as `train`, in all of them; nothing is written.
    """
    run_id = group.decide(lambda: identify(config, seed))
    opened: list[tuple[SharedTrainer, PreparedData]] = []

    def open_run() -> None:
        data = prepare(config.data.corpus, config.data.tokenizer)
        checkpoint = Store(profile).checkpoint_path(run_id).parent / "checkpoint.safetensors"
        opened.append((SharedTrainer(config, seed, data, checkpoint, group), data))

    with ExitStack() as held:

        def begin() -> RunRecord | None:
            if (existing := Store(profile).find(run_id)) is not None:
                return existing
            open_run()
            held.enter_context(Store(profile).lock(run_id))
            Store(profile).remove_temporaries(run_id)
            return Store(profile).find(run_id)  # made while data were opened

        if (existing := group.decide(begin)) is not None:
            return existing
        if not group.first:
            open_run()
        trainer, data = opened[0]
        trainer.connect()
        finished = trainer.train(run_id, listener)
        trainer.sum_cpu_time()
        return group.decide(lambda: conclude(trainer, run_id, data, profile, finished))


def main(config_name: str, seed: int, profile: str, device: str | None) -> int:
    """`python -m tinylm.train` under torchrun: the first process prints the result, or why not."""
    first = os.environ["RANK"] == "0"
    try:
        with processes(device) as group:
            try:
                config = group.decide(lambda: load_run_config(config_name))
                with ProgressFiles(Store(profile)) as listener:
                    record = train_shared(
                        config,
                        seed,
                        group,
                        profile=profile,
                        listener=listener if group.first else None,
                    )
            except (TinyLMError, KeyboardInterrupt):
                _common_store().set(ENDED, "")  # others may wait in a step, which now fails
                raise
            except RuntimeError:
                if not _common_store().check([ENDED]):
                    raise
                raise KeyboardInterrupt from None
    except Told:
        return 2
    except TinyLMError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        if first:
            print(STOPPED, file=sys.stderr)
        return 130
    if first:
        print_record(record)
    return 0


def _common_store() -> Any:
    """What all processes can read and write, also while one has gone."""
    return dist.distributed_c10d._get_default_store()
