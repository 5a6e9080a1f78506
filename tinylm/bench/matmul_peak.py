"""What fraction of the machine's matmul peak a training step reaches, and where the rest goes.
`python -m tinylm.bench.matmul_peak`, on a quiet machine.

Both are measured as a sweep uses the machine: one process of one thread on every core, all doing
the same at the same time, their FLOP/s added up. The peak is the best over square products from 256
to 2048 in the same precision. Steps and products take turns in rounds; a fraction is that of a
step's FLOPs (every matrix product, causal attention; `tinylm.cost.flops_exact`) a second in the
peak of its round, the median over rounds.

Then, on one core, a profile of the steps says where their time goes, as `plots/step_profile.png`.
"""

import argparse
import statistics
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.synchronize import Barrier
from typing import Any

import pandas as pd
import torch

from tinylm.batches import prepare
from tinylm.bench.step_profile import alt_text, finding, profile_step, step_figure
from tinylm.bench.steps import bench_config, pace, trainer_step
from tinylm.bench.summary import bench_dir, merge_summary, run_command
from tinylm.config import RunConfig
from tinylm.cost import flops_exact
from tinylm.errors import BadInput
from tinylm.files import write_atomic
from tinylm.plots import save_figure
from tinylm.sweeps.run import usable_cores

WIDTHS = (64, 128, 256, 384)
BATCHES = (512, 4096)  # tokens a step: that of the experiments, and one that fills a core better
SIZES = (256, 512, 1024, 2048)
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}
Rates = dict[str, float]  # FLOP/s by the name of what was timed


@dataclass(frozen=True)
class Settings:
    """What is measured; the published measurement by default."""

    widths: tuple[int, ...] = WIDTHS
    batches: tuple[int, ...] = BATCHES
    sizes: tuple[int, ...] = SIZES
    rounds: int = 5
    seconds: float = 0.8  # of each thing in each round
    profiled_steps: int = 6

    def steps(self) -> dict[str, RunConfig]:
        """The training steps, by name."""
        return {
            f"step {precision} {width} {batch}": step_config(width, batch, precision)
            for precision in DTYPES
            for width in self.widths
            for batch in self.batches
        }


def step_config(d_model: int, batch_tokens: int, precision: str) -> RunConfig:
    """A run of one setting; its heads are 64 wide from width 128 on, and 32 below."""
    head_width = 64 if d_model >= 128 else min(32, d_model)
    return bench_config(d_model, batch_tokens, head_width, precision=precision)


def product(size: int, dtype: torch.dtype) -> Callable[[int], object]:
    """A square matrix product into memory that is there already."""
    a, b = (torch.randn(size, size).to(dtype) for _ in range(2))
    out = torch.empty(size, size, dtype=dtype)
    return lambda _: torch.mm(a, b, out=out)


def _time_everything(settings: Settings, gate: Barrier, sender: Any) -> None:
    """Body of a process: time every product and every step in rounds, in step with the others."""
    torch.set_num_threads(1)
    work: dict[str, tuple[Callable[[int], object], float]] = {}
    for precision, dtype in DTYPES.items():
        for size in settings.sizes:
            work[f"product {precision} {size}"] = product(size, dtype), 2.0 * size**3
    for name, config in settings.steps().items():
        vocabulary = prepare(config.data.corpus, config.data.tokenizer).tokenizer.vocab_size
        model = config.model.model_copy(update={"vocab_size": vocabulary})
        work[name] = trainer_step(config), flops_exact(model, config.batch_tokens)
    rounds = []
    for _ in range(settings.rounds + 1):  # the first warms up
        rates = {}
        for name, (act, flops) in work.items():
            gate.wait()
            rates[name] = flops / pace(act, settings.seconds)
        rounds.append(rates)
    sender.send(rounds[1:])


def time_everything(settings: Settings, cores: int) -> list[Rates]:
    """FLOP/s of all cores together, for every product and step, a dict for each round.

    Raises:
        TinyLMError: a process died.
    """
    context = get_context("spawn")
    gate, workers = context.Barrier(cores), []
    for _ in range(cores):
        receiver, sender = context.Pipe(duplex=False)
        process = context.Process(
            target=_time_everything, args=(settings, gate, sender), daemon=True
        )
        process.start()
        sender.close()
        workers.append((process, receiver))
    try:
        told = [receiver.recv() for _, receiver in workers]
    except EOFError:
        for process, _ in workers:
            process.terminate()
        raise BadInput("a process of the measurement died; is there enough memory?") from None
    for process, _ in workers:
        process.join()
    return [
        {name: sum(part[name] for part in parts) for name in parts[0]}
        for parts in zip(*told, strict=True)
    ]


def fractions(settings: Settings, rounds: Sequence[Rates]) -> pd.DataFrame:
    """One row a step: its FLOP/s, the peak's, and the median fraction over the rounds."""
    rows = []
    for name, config in settings.steps().items():
        precision = config.precision
        peaks = [max(one[f"product {precision} {n}"] for n in settings.sizes) for one in rounds]
        reached = [one[name] for one in rounds]
        shares = [rate / peak for rate, peak in zip(reached, peaks, strict=True)]
        rows.append(
            {
                "d_model": config.model.d_model,
                "precision": precision,
                "batch_tokens": config.batch_tokens,
                "step_gflops_per_second": round(statistics.median(reached) / 1e9, 1),
                "peak_gflops_per_second": round(statistics.median(peaks) / 1e9, 1),
                "fraction": round(statistics.median(shares), 3),
                "lowest_fraction": round(min(shares), 3),
                "highest_fraction": round(max(shares), 3),
            }
        )
    return pd.DataFrame(rows)


def summarise(table: pd.DataFrame) -> dict[str, Any]:
    """What `results/bench/summary.json` holds of it: by precision and width, at the best batch."""
    best: dict[str, dict[str, float]] = {}
    by_batch: dict[str, dict[str, dict[str, float]]] = {}
    for (precision, width), rows in table.groupby(["precision", "d_model"]):
        each = {
            str(b): float(f) for b, f in zip(rows["batch_tokens"], rows["fraction"], strict=True)
        }
        best.setdefault(str(precision), {})[str(width)] = max(each.values())
        by_batch.setdefault(str(precision), {})[str(width)] = each
    peak = table.groupby("precision")["peak_gflops_per_second"].median()
    return {
        "matmul_peak_fraction": best,
        "matmul_peak_fraction_by_batch": by_batch,
        "matmul_peak_gflops_per_second": {str(name): float(peak[name]) for name in peak.index},
    }


def measure(settings: Settings | None = None, cores: int | None = None) -> dict[str, Any]:
    """Measure, write `matmul_peak.csv`, `step_profile.csv`, its figure and the summary; returns the
    findings.

    Raises:
        TinyLMError: a process died.
    """
    settings, cores = settings or Settings(), cores or usable_cores()
    folder = bench_dir()
    prepare("fables", "bpe-512")
    table = fractions(settings, time_everything(settings, cores))
    write_atomic(folder / "matmul_peak.csv", table.to_csv(index=False))
    findings = summarise(table)
    merge_summary(findings, threads=cores, file="matmul_peak.csv")
    steps = settings.steps().values()
    parts = pd.concat([profile_step(config, settings.profiled_steps) for config in steps])
    write_atomic(folder / "step_profile.csv", parts.to_csv(index=False))
    save_figure(step_figure(parts, "bf16"), folder / "plots" / "step_profile.png")
    shown = {"step_profile": {"finding": finding(parts, "bf16"), "alt": alt_text(parts, "bf16")}}
    merge_summary(shown, threads=1, file="step_profile.csv")
    return findings | shown


def main(arguments: list[str] | None = None) -> int:
    """Run the measurement; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tinylm.bench.matmul_peak")
    parser.add_argument("--rounds", type=int, default=Settings.rounds)
    options = parser.parse_args(arguments)
    return run_command(lambda: measure(Settings(rounds=options.rounds)))


if __name__ == "__main__":
    sys.exit(main())
