"""One run over several processes:
`torchrun --nproc-per-node 2 -m tinylm.sweeps.torchrun --config base`.

Each process takes its share of the rows of every batch and holds a copy of the model;
DistributedDataParallel averages their gradients, so that all copies move as one. The first process
alone evaluates, checkpoints and writes. What could make processes part (bad input, a record that
is there, a run locked elsewhere) it decides too, and tells the others. Whoever waits looks whether
those that it waits for still live: each process leaves a sign of life every few seconds.
"""

import argparse
import os
import pickle
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, TypeVar, cast

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from tinylm.config import Run, RunConfig, load_run_config
from tinylm.corpora.token_files import prepare
from tinylm.errors import BadInput, TinyLMError
from tinylm.model import GPT
from tinylm.records import Losses, RunRecord
from tinylm.speed.memory import keep_freed_memory
from tinylm.store import Store
from tinylm.sweeps.progress import ProgressFiles
from tinylm.texts import check_records
from tinylm.train import Steps, conclude, describe, identify, save_all, train_to_the_end
from tinylm.trainer import Listener, Trainer, pick_device

Result = TypeVar("Result")
STEP_TIME = timedelta(minutes=5)  # that processes wait for each other within a step
PULSE_SECONDS = 2.0  # between two signs of life
LOST_SECONDS = 60.0  # without one, and a process is taken for lost
STOPPED = "stopped; started again, the run goes on from its last checkpoint"
ENDED = "tinylm/ended"  # set in the processes' common store by one that gives up


class Told(TinyLMError):
    """An error that another process, the first, has said."""


class Lost(RuntimeError):
    """The first process gives no more sign of life."""


class _Pulse:
    """Counts up in the common store, every few seconds, for as long as this process lives."""

    def __init__(self, store: Any, rank: int) -> None:
        self.store, self.key, self.over = store, f"tinylm/pulse/{rank}", threading.Event()
        self.thread = threading.Thread(target=self._beat, daemon=True)
        store.add(self.key, 1)
        self.thread.start()

    def _beat(self) -> None:
        while not self.over.wait(PULSE_SECONDS):
            try:
                self.store.add(self.key, 1)
            except RuntimeError:  # the store's process is gone, and with it all others' interest
                return

    def stop(self) -> None:
        """No more signs of life."""
        self.over.set()
        self.thread.join()


@dataclass
class Processes:
    """The processes that train together, as one of them sees them."""

    rank: int  # 0 is the first
    size: int
    device: torch.device
    decided: int = field(default=0, init=False)  # questions so far, the same in all of them

    @property
    def first(self) -> bool:
        """Whether this is the one that decides and writes."""
        return self.rank == 0

    def decide(self, question: Callable[[], Result]) -> Result:
        """What the first process answers, in all of them, however long it takes.

        Raises:
            TinyLMError: in all of them, if the first raises it.
            Lost: the first gave no sign of life for a minute.
        """
        self.decided += 1
        key = f"tinylm/answer/{self.decided}"
        if self.first:
            try:
                result = question()
            except TinyLMError as error:
                _common_store().set(key, pickle.dumps((None, str(error))))
                raise
            _common_store().set(key, pickle.dumps((result, None)))
            return result
        answer, said = pickle.loads(self._wait_for(key))
        if said is not None:
            raise Told(said)
        return cast(Result, answer)

    def _wait_for(self, key: str) -> bytes:
        """The bytes that the first process sets, unless it is lost before."""
        store, pulse, seen = _common_store(), -1, time.monotonic()
        while not store.check([key]):
            if (now := store.add("tinylm/pulse/0", 0)) != pulse:
                pulse, seen = now, time.monotonic()
            elif time.monotonic() - seen > LOST_SECONDS:
                raise Lost(f"the first process gave no sign of life for {LOST_SECONDS:.0f} s")
            time.sleep(0.01)
        return bytes(store.get(key))


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
    dist.init_process_group(backend, timeout=STEP_TIME)
    pulse = _Pulse(_common_store(), dist.get_rank())
    try:
        yield Processes(dist.get_rank(), dist.get_world_size(), place)
    finally:
        pulse.stop()
        dist.destroy_process_group()


class _Loss(nn.Module):
    """The model's loss as a forward pass, which is what DistributedDataParallel wraps."""

    def __init__(self, model: GPT) -> None:
        super().__init__()
        self.model = model

    def forward(self, inputs: Tensor, targets: Tensor) -> Tensor:
        return self.model.loss(inputs, targets)


class SharedTrainer(Trainer):
    """One run in progress in several processes, as one of them sees it."""

    def __init__(self, run: Run, store: Store, group: Processes) -> None:
        """Raises BadInput if the processes cannot share the rows of a batch evenly."""
        data = prepare(run.config.data.corpus, run.config.data.tokenizer)
        super().__init__(run, data, store.checkpoint_path(run.run_id), group.device)
        self.group = group
        self.company = {"processes": group.size}
        if self.config.batch_size % group.size:
            raise BadInput(
                f"{group.size} processes cannot share a batch of {self.config.batch_size} rows "
                f"evenly; expected a divisor of {self.config.batch_size}"
            )

    def batch(self) -> tuple[Tensor, Tensor]:
        """This process's rows of the batch of the step that comes."""
        inputs, targets = super().batch()
        share, rank = len(inputs) // self.group.size, self.group.rank
        mine = slice(rank * share, (rank + 1) * share)
        return inputs[mine], targets[mine]

    def take_over(self) -> None:
        """Take the first process's state and moments; DistributedDataParallel gives its weights."""
        held: list[Any] = [self.state, self.optimizer.state_dict()]
        dist.broadcast_object_list(held, src=0)
        if not self.group.first:
            self.state = held[0]
            self.optimizer.load_state_dict(held[1])

    def save(self) -> None:
        """Write the checkpoint, in the first process."""
        if self.group.first:
            super().save()


class SharedSteps(Steps):
    """The plain step, with gradients averaged over the processes of a group."""

    name = "shared"

    def __init__(self, trainers: Sequence[SharedTrainer]) -> None:
        super().__init__(trainers)
        (self.trainer,) = trainers
        self.group, device = self.trainer.group, self.trainer.device
        ids = [device.index] if device.type == "cuda" else None
        self.loss = DistributedDataParallel(_Loss(self.trainer.model), device_ids=ids)
        self.cpu_before = self.trainer.state.cpu_seconds

    def take(self) -> tuple[Tensor, Tensor]:
        """One optimiser step; the whole batch's mean loss and its gradient norm, each (1)."""
        inputs, targets = self.trainer.batch()
        self.trainer.set_rates()
        self.trainer.optimizer.zero_grad()
        with self.trainer.autocast():
            loss = self.loss(inputs, targets)
        loss.backward()
        norm, mean = self.trainer.update(), loss.detach().clone()
        dist.all_reduce(mean)
        return mean[None] / self.group.size, norm[None]

    def evaluate(self, members: Sequence[int], *, whole: bool) -> list[Losses]:
        """Validation losses, taken in the first process and told to the others."""
        return self.group.decide(lambda: super(SharedSteps, self).evaluate(members, whole=whole))

    def sum_cpu_time(self) -> None:
        """Count the processor time that all processes spent in these steps in the run's."""
        state = self.trainer.state
        spent = torch.tensor(state.cpu_seconds - self.cpu_before, device=self.trainer.device)
        dist.all_reduce(spent)
        state.cpu_seconds = self.cpu_before + float(spent)


def train_shared(
    config: RunConfig,
    seed: int,
    group: Processes,
    *,
    store: Store,
    listener: Listener | None = None,
) -> RunRecord:
    """`train`, called by every process of a group at once; every one returns the record.

    Raises:
        TinyLMError: as `train`, in all of them; nothing is written.
    """
    run = group.decide(lambda: identify(config, seed))
    opened: list[SharedTrainer] = []
    with ExitStack() as held:

        def begin() -> RunRecord | None:
            if (existing := store.find(run.run_id)) is not None:
                check_records([existing])
                return existing
            opened.append(SharedTrainer(run, store, group))
            held.enter_context(store.lock(run.run_id))
            store.remove_temporaries(run.run_id)
            if (existing := store.find(run.run_id)) is None:
                opened[0].begin()
            else:  # made while data were opened
                check_records([existing])
            return existing

        if (existing := group.decide(begin)) is not None:
            return existing
        if not group.first:
            opened.append(SharedTrainer(run, store, group))
        return _train_opened(opened[0], store, listener)


def _train_opened(trainer: SharedTrainer, store: Store, listener: Listener | None) -> RunRecord:
    """Train a run that the first process has locked and begun."""
    group = trainer.group
    finished: list[bool] = []
    trainer.take_over()
    steps = SharedSteps([trainer])
    trainer.begin_segment(steps.name)
    group.decide(lambda: save_all(steps))  # so that a full disk or a read-only folder shows now
    train_to_the_end(steps, listener, lambda _, done: finished.append(done))
    steps.sum_cpu_time()
    return group.decide(lambda: conclude(trainer, store, finished[0]))


def main(arguments: list[str] | None = None) -> int:
    """Train one run in the processes that torchrun has started; the first one prints the result, or
    why there is none.
    """
    parser = argparse.ArgumentParser(prog="-m tinylm.sweeps.torchrun", description=main.__doc__)
    parser.add_argument("--config", default="base", help="name of a config, or a YAML file")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--profile", default="quick", help="results/<profile>/ takes the record")
    parser.add_argument("--device", help="cpu or cuda; default: cuda where there is one")
    options = parser.parse_args(arguments)
    if not dist.is_torchelastic_launched():
        print("error: start it by torchrun; one process trains by `tinylm train`", file=sys.stderr)
        return 2
    first = os.environ["RANK"] == "0"
    keep_freed_memory()
    try:
        with processes(options.device) as group:
            record = _train_or_tell(options, group)
    except Told:  # torchrun ends all when one has ended: the first, still importing, has to say it
        time.sleep(LOST_SECONDS)
        return 2
    except TinyLMError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        if first:
            print(STOPPED, file=sys.stderr)
        return 130
    except Lost as error:
        print(f"error: {error}; {STOPPED}", file=sys.stderr)
        return 1
    if first:
        print(describe(record))
    return 0


def _train_or_tell(options: argparse.Namespace, group: Processes) -> RunRecord:
    """Train; if this process gives up, tell the others, which wait for it in a step."""
    try:
        store = group.decide(lambda: Store(options.profile))
        config = group.decide(lambda: load_run_config(options.config))
        with ProgressFiles(store) as listener:
            heard = listener if group.first else None
            return train_shared(config, options.seed, group, store=store, listener=heard)
    except (TinyLMError, KeyboardInterrupt):
        _common_store().set(ENDED, "")
        raise
    except Lost:
        raise
    except RuntimeError:
        if not _common_store().check([ENDED]):
            raise
        raise KeyboardInterrupt from None


def _common_store() -> Any:
    """What all processes can read and write, also while one has gone."""
    return dist.distributed_c10d._get_default_store()


if __name__ == "__main__":
    sys.exit(main())
