"""What fraction of the machine's matmul peak a training step reaches.

Both are measured as a sweep uses the machine: one process of one thread on every core, all doing
the same at the same time, their FLOP/s added up. The peak is the best over square products from 256
to 2048 in the same precision. Steps and products take turns in rounds; a fraction is that of a
step's FLOPs (every matrix product, causal attention; `tinylm.cost.flops_exact`) per second in the
peak of its round, the median over rounds.
"""

import itertools
from collections.abc import Callable, Sequence
from multiprocessing import get_context
from threading import Barrier

import pandas as pd
import torch

from tinylm.bench.aside import pool
from tinylm.bench.frame import Benchmark, Findings, Goal
from tinylm.bench.timed_steps import bench_config, pace, trainer_step
from tinylm.config import RunConfig
from tinylm.corpora.token_files import prepare
from tinylm.cost import flops_exact
from tinylm.sweeps.run import usable_cores

WIDTHS, BATCHES = (64, 128, 256, 384), (512, 4096)  # tokens per step: the experiments', and more
Configs = dict[str, RunConfig]
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}
GATE_SECONDS = 300.0  # that a process waits for the others before it takes them for failed


def steps(widths: Sequence[int] = WIDTHS, batches: Sequence[int] = BATCHES) -> Configs:
    """Runs whose steps are measured; their heads are 64 wide from width 128 on, and 32 below."""
    heads = {width: 64 if width >= 128 else min(32, width) for width in widths}
    return {
        f"step of {width}, {n}, {kind}": bench_config(width, n, heads[width], precision=kind)
        for kind, width, n in itertools.product(DTYPES, widths, batches)
    }


def product(size: int, dtype: torch.dtype) -> Callable[[int], object]:
    """A square matrix product into memory that is there already."""
    a, b = (torch.randn(size, size).to(dtype) for _ in range(2))
    out = torch.empty(size, size, dtype=dtype)
    return lambda _: torch.mm(a, b, out=out)


def rounds_of(
    configs: Configs, sizes: Sequence[int], rounds: int, seconds: float, gate: Barrier
) -> list[tuple[int, str, str, float]]:
    """In one of the processes, which wait for each other at the gate before each of them: round,
    precision, name and FLOP/s of every product and step.
    """
    torch.set_num_threads(1)
    work: list[tuple[str, str, Callable[[int], object], float]] = []
    for kind, dtype in DTYPES.items():
        work += [(kind, f"product of {n}", product(n, dtype), 2.0 * n**3) for n in sizes]
    for name, config in configs.items():
        vocab_size = prepare(config.data.corpus, config.data.tokenizer).tokenizer.vocab_size
        model = config.model.model_copy(update={"vocab_size": vocab_size})
        flops = flops_exact(model, config.batch_tokens)
        work.append((config.precision, name, trainer_step(config), flops))
    rows = []
    for number in range(rounds + 1):  # the first warms up
        for precision, name, act, flops in work:
            gate.wait(GATE_SECONDS)
            rows.append((number, precision, name, flops / pace(act, seconds)))
    return [row for row in rows if row[0] > 0]


def fractions(configs: Configs, timed: pd.DataFrame) -> pd.DataFrame:
    """One row per step: its FLOP/s, the peak's, and the median fraction over the rounds. `timed` is
    the FLOP/s of all cores for each round and each product and step.
    """
    products = timed[timed["of"].str.startswith("product")]
    peaks = products.groupby(["precision", "round"])["rate"].max()
    rates = timed.set_index(["of", "round"])["rate"]
    rows = []
    for name, config in configs.items():
        peak, reached = peaks[config.precision], rates[name]
        shares = (reached / peak).quantile([0.5, 0.0, 1.0]).round(3)
        pace_of_both = [round(one.median() / 1e9, 1) for one in (reached, peak)]
        setting = config.model.d_model, config.precision, config.batch_tokens
        rows.append((*setting, *pace_of_both, *shares))
    columns = ["d_model", "precision", "batch_tokens", "step_gflops_per_second"]
    columns += ["peak_gflops_per_second", "fraction", "lowest_fraction", "highest_fraction"]
    return pd.DataFrame(rows, columns=columns)


def measure(
    configs: Configs | None = None,
    sizes: Sequence[int] = (256, 512, 1024, 2048),
    rounds: int = 5,
    seconds: float = 0.8,
) -> pd.DataFrame:
    """Time products and steps for so many seconds in each round, on all cores: three minutes."""
    configs, cores = configs or steps(), usable_cores()
    prepare("fables", "bpe-512")
    with get_context("spawn").Manager() as manager, pool(cores) as workers:
        task = (configs, sizes, rounds, seconds, manager.Barrier(cores))
        asked = [workers.submit(rounds_of, *task) for _ in range(cores)]
        rows = [row for one in asked for row in one.result()]
    timed = pd.DataFrame(rows, columns=["round", "precision", "of", "rate"])
    together = timed.groupby(["round", "precision", "of"])["rate"].sum()
    return fractions(configs, together.reset_index())


def findings(table: pd.DataFrame) -> Findings:
    """Fractions by precision and width, at the better batch; the lowest of wide bf16 steps."""
    best: dict[str, dict[str, float]] = {}
    for (precision, width), rows in table.groupby(["precision", "d_model"]):
        best.setdefault(str(precision), {})[str(width)] = float(rows["fraction"].max())
    peaks = table.groupby("precision")["peak_gflops_per_second"].median()
    wide = [share for width, share in best["bf16"].items() if int(width) >= 256]
    return {
        "matmul_peak_fraction": best,
        "matmul_peak_gflops_per_second": {str(name): float(peaks[name]) for name in peaks.index},
        "matmul_peak_when_wide": min(wide, default=None),
    }


GOAL = Goal("bf16 steps from width 256 on", "matmul_peak_when_wide", "least", 0.4, "% of the peak")
BENCHMARK = Benchmark("matmul_peak.csv", measure, findings, (GOAL,))
