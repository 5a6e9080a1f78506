"""One training step, of the trainer and as anyone would write it: what speed is measured on."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F

from tinylm.batches import prepare
from tinylm.config import RunConfig, parse_run_config
from tinylm.model import GPT
from tinylm.trainer import Trainer

HEAD_WIDTH = 32
BATCH_TOKENS = 512  # that of the model_size experiment
Step = Callable[[int], object]  # called with 0, 1, 2, ...


def bench_config(
    d_model: int, batch_tokens: int = BATCH_TOKENS, head_width: int = HEAD_WIDTH, **fields: Any
) -> RunConfig:
    """The benchmarks' run: 2 layers, context 256, on the embedded corpus; `fields` are others."""
    model = {"d_model": d_model, "n_heads": d_model // head_width, "n_layers": 2}
    model["context_length"] = min(256, batch_tokens)
    values = {"model": model, "batch_tokens": batch_tokens, **fields}
    return parse_run_config(values, where="bench")


def plain_model(config: RunConfig, seed: int = 0) -> GPT:
    """The model of `tinylm/model.py` for a run's data."""
    vocab_size = prepare(config.data.corpus, config.data.tokenizer).tokenizer.vocab_size
    return GPT(config.model.model_copy(update={"vocab_size": vocab_size}), seed=seed)


def plain_step(config: RunConfig, model: GPT, seed: int = 0) -> Step:
    """A training step as anyone would write it: eager fp32, torch's AdamW and cross-entropy."""
    data = prepare(config.data.corpus, config.data.tokenizer)
    tokens = torch.from_numpy(data.train.tokens.astype("int64"))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.1)
    length, rows = config.model.context_length, config.batch_size
    generator = torch.Generator().manual_seed(seed)

    def step(_: int) -> None:
        starts = torch.randint(len(tokens) - length - 1, (rows,), generator=generator)
        inputs = torch.stack([tokens[at : at + length] for at in starts])
        targets = torch.stack([tokens[at + 1 : at + 1 + length] for at in starts])
        loss = F.cross_entropy(model(inputs).flatten(0, 1), targets.flatten())
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()

    return step


def trainer_step(config: RunConfig) -> Step:
    """A training step of the trainer: batches, schedule, clipping, optimiser."""
    data = prepare(config.data.corpus, config.data.tokenizer)
    trainer = Trainer(config, 0, data, Path("no checkpoint"), torch.device("cpu"))

    def step(number: int) -> None:
        trainer.state.step = number % config.steps
        trainer.take_step()

    return step


def seconds_for(step: Step, n_steps: int) -> float:
    """Wall-clock of `n_steps` steps."""
    began = time.perf_counter()
    for number in range(n_steps):
        step(number)
    return time.perf_counter() - began


def pace(step: Step, seconds: float) -> float:
    """Seconds a call, over as many calls as fit into about `seconds`, one at least."""
    calls, began = 0, time.perf_counter()
    while calls == 0 or time.perf_counter() - began < seconds:
        step(calls)
        calls += 1
    return (time.perf_counter() - began) / calls
