"""How long runs will take, from timing a few real steps of each shape on one core."""

import time
from collections.abc import Sequence

import torch

from tinylm.batches import prepare
from tinylm.config import ModelConfig, RunConfig
from tinylm.experiments.declare import Run
from tinylm.model import GPT
from tinylm.optim import make_optimizer
from tinylm.train import evaluation_steps

TIMED_STEPS = 3
START_SECONDS = 0.5  # to start a run's process and open its data


def _seconds_a_step(config: RunConfig, model_config: ModelConfig) -> tuple[float, float]:
    """Seconds a training step and a forward pass of the same batch take, the fastest of a few."""
    model = GPT(model_config)
    optimizer = make_optimizer(model, config.optimizer)
    shape = (config.batch_size, model_config.context_length)
    tokens = torch.randint(model_config.vocab_size, shape)
    training, reading = [], []
    for _ in range(1 + TIMED_STEPS):
        began = time.perf_counter()
        loss = model.loss(tokens, tokens)
        between = time.perf_counter()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        optimizer.zero_grad()
        training.append(time.perf_counter() - began)
        reading.append(between - began)
    return min(training), min(reading)


def estimate_seconds(runs: Sequence[Run]) -> dict[str, float]:
    """Estimated seconds of each run on one core, its evaluations included."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    timed: dict[tuple[ModelConfig, int], tuple[float, float]] = {}
    seconds = {}
    for run in runs:
        config = run.config
        data = prepare(config.data.corpus, config.data.tokenizer)
        model = config.model.model_copy(update={"vocab_size": data.tokenizer.vocab_size})
        key = model, config.batch_size
        if key not in timed:
            timed[key] = _seconds_a_step(config, model)
        step, reading = timed[key]
        curve = data.validation.head(
            min(config.evaluation.curve_documents, data.validation.n_documents)
        )
        evaluated = curve.n_tokens * (len(evaluation_steps(config)) - 1) + data.validation.n_tokens
        total = config.steps * step + evaluated / config.batch_tokens * reading
        seconds[run.run_id] = START_SECONDS + total
    torch.set_num_threads(threads)
    return seconds
