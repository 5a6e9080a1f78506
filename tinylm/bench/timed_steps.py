"""Steps that are timed: the trainer's, and training as anyone would write it."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F

from tinylm.config import Run, RunConfig, parse_run_config
from tinylm.corpora.token_files import PreparedData, prepare
from tinylm.evaluate import evaluate
from tinylm.model import GPT
from tinylm.speed.choose import choose_steps
from tinylm.train import identify
from tinylm.trainer import Trainer, evaluation_steps

Step = Callable[[int], object]  # called with 0, 1, 2, ...
STORIES = {"corpus": "tinystories-v2", "tokenizer": "bpe-512"}
AT_THE_END = {"points": 2, "curve_documents": 1, "stride_fraction": 1.0}  # what counts is the last


def bench_config(
    d_model: int, batch_tokens: int = 512, head_width: int = 32, **fields: Any
) -> RunConfig:
    """The benchmarks' run: 2 layers, context 256, on the embedded corpus; `fields` are others."""
    model = {"d_model": d_model, "n_heads": d_model // head_width, "n_layers": 2}
    model["context_length"] = min(256, batch_tokens)
    return parse_run_config({"model": model, "batch_tokens": batch_tokens, **fields}, "bench")


def trainer_step(config: RunConfig) -> Step:
    """A training step of the trainer: batches, schedule, clipping, optimiser."""
    data = prepare(config.data.corpus, config.data.tokenizer)
    run, device = identify(config, 0), torch.device("cpu")
    trainer = Trainer(run, data, Path("no checkpoint"), device)
    steps = choose_steps([trainer])

    def step(number: int) -> None:
        trainer.state.step = number % config.steps
        steps.take()

    return step


def pace(step: Step, seconds: float) -> float:
    """Seconds per call, over as many calls as fit into about `seconds`, one at least."""
    calls, began = 0, time.perf_counter()
    while calls == 0 or time.perf_counter() - began < seconds:
        step(calls)
        calls += 1
    return (time.perf_counter() - began) / calls


def train_plainly(config: RunConfig, seed: int, data: PreparedData) -> GPT:
    """Train the readable model in eager fp32 with torch's AdamW and cross-entropy, evaluating where
    a run evaluates: on few documents, and at its end on all.
    """
    shape = config.model.model_copy(update={"vocab_size": data.tokenizer.vocab_size})
    model, length, looks = GPT(shape, seed=seed), shape.context_length, evaluation_steps(config)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.1)
    tokens = torch.from_numpy(data.train.tokens.astype("int64"))
    few = data.on_curve(config.evaluation)
    generator = torch.Generator().manual_seed(seed)
    for number in range(1, config.steps + 1):
        starts = torch.randint(len(tokens) - length - 1, (config.batch_size,), generator=generator)
        inputs = torch.stack([tokens[at : at + length] for at in starts])
        targets = torch.stack([tokens[at + 1 : at + 1 + length] for at in starts])
        loss = F.cross_entropy(model(inputs).flatten(0, 1), targets.flatten())
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        if number in looks:
            documents = data.evaluated(config.evaluation) if number == config.steps else few
            evaluate(model, documents, config.evaluation.stride_fraction)
    return model


def plain_seconds(runs: Sequence[Run], threads: int) -> dict[str, float]:
    """Seconds of each run trained plainly, one after the other, by run id; building the model and
    evaluating count, imports do not.
    """
    torch.set_num_threads(threads)
    seconds = {}
    for run in runs:
        data = prepare(run.config.data.corpus, run.config.data.tokenizer)
        began = time.perf_counter()
        train_plainly(run.config, run.seed, data)
        seconds[run.run_id] = round(time.perf_counter() - began, 3)
    return seconds
