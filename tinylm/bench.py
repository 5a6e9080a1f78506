"""Speed of the trainer against a plain PyTorch loop, as ratios measured side by side in one run."""

import itertools
import json
import multiprocessing
import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import torch
import torch.nn.functional as F
from rich.console import Console

from tinylm.batches import prepare
from tinylm.config import RunConfig, parse_run_config
from tinylm.experiments.sweep import usable_cores
from tinylm.files import project_root, write_atomic
from tinylm.model import GPT
from tinylm.records import collect_provenance
from tinylm.train import Trainer

WIDTHS = (64, 128, 256)
BATCHES = (512, 2048)  # tokens a step: that of the model_size experiment, and four times it
ROUNDS = 3  # a measurement is the median over rounds that alternate between the two sides
SECONDS_A_ROUND = 1.0
SWEEP_RUNS = 4
Step = Callable[[int], object]


@dataclass(frozen=True)
class Comparison:
    """Tokens a second of both sides in one setting, and the median of the rounds' ratios."""

    measure: str  # "one run" or "sweep of 4 runs"
    batch_tokens: int
    d_model: int
    plain_tokens_per_second: float
    tinylm_tokens_per_second: float
    ratio: float


def bench_config(d_model: int, batch_tokens: int) -> RunConfig:
    """The benchmark's run in one setting: 2 layers, heads of width 32, context 256."""
    model = {"d_model": d_model, "n_heads": d_model // 32}
    return parse_run_config({"model": model, "batch_tokens": batch_tokens}, where="bench")


def plain_step(config: RunConfig) -> Step:
    """A training step as anyone would write it: eager fp32, torch's AdamW and cross-entropy."""
    data = prepare(config.data.corpus, config.data.tokenizer)
    tokens = torch.from_numpy(data.train.tokens.astype("int64"))
    model = GPT(config.model.model_copy(update={"vocab_size": data.tokenizer.vocab_size}))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.1)
    length, rows = config.model.context_length, config.batch_size
    generator = torch.Generator().manual_seed(0)

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


def compare_one_run(d_model: int, batch_tokens: int, threads: int) -> Comparison:
    """One run against one run, each with all threads, in alternating rounds."""
    torch.set_num_threads(threads)
    config = bench_config(d_model, batch_tokens)
    plain, ours = plain_step(config), trainer_step(config)
    seconds_for(ours, 2)
    n_steps = max(2, round(SECONDS_A_ROUND / (seconds_for(plain, 2) / 2)))
    rounds = [(seconds_for(plain, n_steps), seconds_for(ours, n_steps)) for _ in range(ROUNDS)]
    return _comparison("one run", config, n_steps * batch_tokens, rounds)


def _runs_in_process(config: RunConfig, n_runs: int, n_steps: int, gate: object) -> None:
    """Body of a worker: some runs, one after another, on one thread."""
    torch.set_num_threads(1)
    step = trainer_step(config)
    seconds_for(step, 2)
    gate.wait()  # type: ignore[attr-defined]  # all workers start together
    for _ in range(n_runs):
        seconds_for(step, n_steps)
    gate.wait()  # type: ignore[attr-defined]


def compare_sweep(d_model: int, batch_tokens: int, threads: int) -> Comparison:
    """Four runs in sequence on all threads against the sweep's way, one thread and process a run.

    Start-up is left out on both sides.
    """
    torch.set_num_threads(threads)
    config = bench_config(d_model, batch_tokens)
    plain = plain_step(config)
    n_steps = max(2, round(SECONDS_A_ROUND / (seconds_for(plain, 4) / 4)))
    context = multiprocessing.get_context("spawn")
    rounds = []
    for _ in range(ROUNDS):
        before = seconds_for(plain, SWEEP_RUNS * n_steps)
        gate = context.Barrier(threads + 1)
        arguments = (config, SWEEP_RUNS // threads, n_steps, gate)
        workers = [context.Process(target=_runs_in_process, args=arguments) for _ in range(threads)]
        for worker in workers:
            worker.start()
        gate.wait()
        began = time.perf_counter()
        gate.wait()
        rounds.append((before, time.perf_counter() - began))
        for worker in workers:
            worker.join()
    tokens = SWEEP_RUNS * n_steps * batch_tokens
    return _comparison(f"sweep of {SWEEP_RUNS} runs", config, tokens, rounds)


def _comparison(
    measure: str, config: RunConfig, tokens: int, rounds: list[tuple[float, float]]
) -> Comparison:
    return Comparison(
        measure,
        config.batch_tokens,
        config.model.d_model,
        plain_tokens_per_second=round(tokens / statistics.median(r[0] for r in rounds)),
        tinylm_tokens_per_second=round(tokens / statistics.median(r[1] for r in rounds)),
        ratio=round(statistics.median(r[0] / r[1] for r in rounds), 3),
    )


def book_build_seconds() -> float:
    """Wall-clock of building the whole book from its committed notebooks."""
    from tinylm.book.build import build_book

    began = time.perf_counter()
    build_book("paper")
    return round(time.perf_counter() - began, 1)


def run_bench() -> None:
    """Measure everything; print a table, write results/bench/{trainer.csv,summary.json}."""
    threads = min(2, usable_cores())
    settings = list(itertools.product(WIDTHS, BATCHES))
    comparisons = [compare_one_run(width, batch, threads) for width, batch in settings]
    comparisons += [compare_sweep(width, batch, threads) for width, batch in settings]
    table = pd.DataFrame(comparisons)
    data = prepare("fables", "bpe-512")
    provenance = collect_provenance(
        torch.device("cpu"), {"name": "fables", "version": data.corpus_version}, "", ""
    )
    summary = {
        "date": provenance.date,
        "commit": provenance.commit,
        "processor": provenance.processor,
        "platform": platform.platform(terse=True),
        "threads": threads,
        "torch": provenance.packages["torch"],
        "rounds": ROUNDS,
        "one_run_ratio": _ratios(table, "one run"),
        "sweep_ratio": _ratios(table, f"sweep of {SWEEP_RUNS} runs"),
        "book_build_seconds": book_build_seconds(),
    }
    folder = project_root() / "results" / "bench"
    write_atomic(folder / "trainer.csv", table.to_csv(index=False))
    write_atomic(folder / "summary.json", json.dumps(summary, indent=1) + "\n")
    console = Console()
    console.print(table.to_string(index=False), markup=False, highlight=False)
    console.print(f"the book builds in {summary['book_build_seconds']} s", highlight=False)


def _ratios(table: pd.DataFrame, measure: str) -> dict[str, dict[str, float]]:
    """Ratios of one measure by batch, then by width."""
    rows = table[table["measure"] == measure]
    return {
        str(batch): {str(w): float(r) for w, r in zip(part["d_model"], part["ratio"], strict=True)}
        for batch, part in rows.groupby("batch_tokens")
    }
