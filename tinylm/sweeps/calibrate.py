"""What a run's parts cost on this machine: each shape is tried, for about a second, in a process
of its own and with as many at a time as a sweep would run, so that memory and caches are as busy.
"""

import hashlib
import json
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from importlib.metadata import version
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import torch

from tinylm.batches import validation_windows
from tinylm.config import RunConfig
from tinylm.corpora.token_files import TokenFile, prepare
from tinylm.errors import CannotWrite, TinyLMError
from tinylm.evaluate import WINDOW_TOKENS, evaluate
from tinylm.files import write_atomic
from tinylm.provenance import peak_memory, processor_name
from tinylm.speed.choose import choose_steps
from tinylm.speed.memory import keep_freed_memory
from tinylm.sweeps.processes import process_context, project_process
from tinylm.train import Steps, identify
from tinylm.trainer import Trainer

LEAST_STEPS = 8
MOST_SECONDS = 0.5  # of timed steps, once there are LEAST_STEPS of them or one alone takes longer
FRESH_SECONDS = 3600.0  # how long a measurement counts: what else a machine does changes


@dataclass(frozen=True)
class Calibration:
    """What the parts of a run of one shape cost here, in seconds of processor time but for the
    start. Processor time repeats to a few per cent, whatever else the machine does; how much of a
    core a process gets, which makes wall-clock of it, is a matter of the machine and not the shape.
    """

    start_seconds: float  # wall-clock, from asking for the process to a trainer with a checkpoint
    first_step: float  # draws the epoch's order and makes the optimiser's moments
    step: float  # any other
    window_token: float  # evaluation, for each token of its windows, padding included
    save: float  # a checkpoint
    core_share: float  # processor time over wall-clock while the steps were timed
    peak_memory_bytes: int  # of the process, after all of these


def shape_of(config: RunConfig) -> dict[str, Any]:
    """What of a config decides the cost of its parts: not how long it trains, nor at what rate."""
    content = config.model_dump(mode="json", exclude={"tokens": True, "optimizer": True})
    content["evaluation"] = {"stride_fraction": config.evaluation.stride_fraction}
    optimizer = config.optimizer.model_dump(mode="json")
    content["optimizer"] = {k: v for k, v in optimizer.items() if isinstance(v, str)}
    return content


def window_tokens(tokens: TokenFile, config: RunConfig) -> int:
    """Tokens that a model reads to evaluate these documents, overlaps and padding included."""
    context = config.model.context_length
    rows = max(1, WINDOW_TOKENS // context)
    stride = config.evaluation.stride_fraction
    return sum(batch.inputs.size for batch in validation_windows(tokens, context, stride, rows))


def _timed(work: Callable[[], object]) -> float:
    """Processor time of some work."""
    began = time.process_time()
    work()
    return time.process_time() - began


def _time_steps(steps: Steps) -> tuple[float, float, float]:
    """The first step, the median of some more, and the share of a core they had."""

    (trainer,) = steps.trainers

    def step() -> None:
        steps.take()
        trainer.state.step = (trainer.state.step + 1) % trainer.config.steps

    first = _timed(step)
    began, taken = time.perf_counter(), [_timed(step)]
    while sum(taken) < MOST_SECONDS or (len(taken) < LEAST_STEPS and taken[0] < MOST_SECONDS):
        taken.append(_timed(step))
    return first, statistics.median(taken), sum(taken) / (time.perf_counter() - began)


def _first_documents(trainer: Trainer, tokens: int) -> TokenFile:
    """The first validation documents, enough to make a model read more than so many tokens."""
    validation, documents = trainer.data.validation, 1
    while documents < validation.n_documents:
        documents = min(2 * documents, validation.n_documents)
        if window_tokens(validation.head(documents), trainer.config) > tokens:
            break
    return validation.head(documents)


def _time_evaluation(trainer: Trainer) -> float:
    """Seconds a token of some validation documents that fill at least four forward passes."""
    stride = trainer.config.evaluation.stride_fraction
    evaluate(trainer.model, _first_documents(trainer, WINDOW_TOKENS), stride)  # this one allocates
    part = _first_documents(trainer, 4 * WINDOW_TOKENS)
    taken = _timed(lambda: evaluate(trainer.model, part, stride))
    return taken / window_tokens(part, trainer.config)


def try_shape(config: RunConfig, began: float) -> Calibration:
    """Measure the parts of a run in this process, whose start was asked for at `began` (monotonic).

    Raises:
        TinyLMError: the config does not fit its data.
    """
    torch.set_num_threads(1)
    keep_freed_memory()
    data = prepare(config.data.corpus, config.data.tokenizer)
    with tempfile.TemporaryDirectory() as folder:
        checkpoint = Path(folder) / "checkpoint.safetensors"
        run = identify(config, 0)
        trainer = Trainer(run, data, checkpoint, torch.device("cpu"))
        steps = choose_steps([trainer])
        trainer.begin_segment(steps.name)
        trainer.save()
        start = time.monotonic() - began
        first, step, share = _time_steps(steps)
        return Calibration(
            start_seconds=start,
            first_step=first,
            step=step,
            window_token=_time_evaluation(trainer),
            save=_timed(trainer.save),
            core_share=share,
            peak_memory_bytes=peak_memory(torch.device("cpu")),
        )


def _try_and_tell(config: RunConfig, began: float, sender: Connection) -> None:
    """Body of a process: silent where it fails (too little memory is a RuntimeError), for the run
    itself will say why."""
    with suppress(TinyLMError, OSError, RuntimeError):
        sender.send(try_shape(config, began))


def try_shapes(configs: Sequence[RunConfig], jobs: int) -> list[Calibration | None]:
    """Measure some configs, `jobs` at a time; None for one whose process failed."""
    context = process_context()
    # All cores are kept busy to the end: the first shapes are tried again, and not looked at.
    queue = list(range(len(configs)))
    queue += [i % len(configs) for i in range(-len(configs) % jobs)]
    found: list[Calibration | None] = [None] * len(configs)
    running: dict[Connection, tuple[int, BaseProcess]] = {}
    try:
        while queue or running:
            while queue and len(running) < jobs:
                index = queue.pop(0)
                receiver, sender = context.Pipe(duplex=False)
                arguments = (configs[index], time.monotonic(), sender)
                process = project_process(context, _try_and_tell, *arguments)
                process.start()
                sender.close()  # so that the receiver sees the end when the process dies
                running[receiver] = index, process
            for ready in wait(list(running)):
                assert isinstance(ready, Connection)
                index, ended = running.pop(ready)
                with suppress(EOFError, OSError):
                    found[index] = found[index] or ready.recv()
                ready.close()
                ended.join()
    finally:
        for _, ended in running.values():
            ended.terminate()
    return found


# --- kept on disk for an hour ---------------------------------------------------------------------


def cache_path() -> Path:
    """Where measurements are kept: with the user's caches, for they are of the machine and leave
    the project as it was."""
    folder = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return Path(folder) / "tinylm" / "calibrations.json"


def _circumstances(jobs: int) -> list[str]:
    """What else decides the cost: the processor, how busy it is, torch, and this package's code."""
    code = hashlib.sha256()
    package = Path(__file__).parent.parent
    for path in [
        *sorted(package.glob("*.py")),
        *sorted(package.glob("speed/*.py")),
        Path(__file__),
    ]:
        code.update(path.read_bytes())
    cores = f"{jobs} of {os.cpu_count()}"
    return [platform.node(), processor_name(), cores, version("torch"), code.hexdigest()]


def _read_cache() -> dict[str, Any]:
    """Measurements of the last hour; an unreadable file holds none."""
    try:
        content = json.loads(cache_path().read_text(encoding="utf-8"))
        now = time.time()
        return {k: v for k, v in content.items() if 0 <= now - v["time"] < FRESH_SECONDS}
    except (OSError, ValueError, AttributeError, TypeError, KeyError):
        return {}


def calibrate(
    configs: Sequence[RunConfig], jobs: int, *, trials: bool = True
) -> list[Calibration | None]:
    """What the parts of each config cost, one measurement for each shape and data, kept for an
    hour; None for a config that cannot be tried, or was not if there are to be no `trials`.

    Raises:
        TinyLMError: the data cannot be had.
    """
    named = {(config.data.corpus, config.data.tokenizer) for config in configs}
    data = {names: prepare(*names).train.manifest["sha256"] for names in named}
    cache, circumstances, keys = _read_cache(), _circumstances(jobs), []
    for config in configs:
        content = [circumstances, data[config.data.corpus, config.data.tokenizer], shape_of(config)]
        text = json.dumps(content, sort_keys=True)
        keys.append(hashlib.sha256(text.encode()).hexdigest()[:16])
    new: dict[str, RunConfig] = {}
    for key, config in zip(keys, configs, strict=True):
        if trials and key not in cache:
            new.setdefault(key, config)
    if new:
        for key, made in zip(new, try_shapes(list(new.values()), jobs), strict=True):
            if made is not None:
                cache[key] = {"time": time.time(), "calibration": asdict(made)}
        with suppress(CannotWrite):  # a read-only folder or a full disk: measured again next time
            write_atomic(cache_path(), json.dumps(cache, indent=1) + "\n")
    return [Calibration(**cache[k]["calibration"]) if k in cache else None for k in keys]
