"""Speed of many models in one program against one at a time, both through torch.compile.
`python -m tinylm.bench.batched`, on a machine with a GPU; without one it says so.
"""

import json
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from tinylm.batches import prepare
from tinylm.bench.summary import bench_dir, merge_summary
from tinylm.config import RunConfig, parse_run_config
from tinylm.cost import parameter_count
from tinylm.files import write_atomic
from tinylm.speed.stacked import Stacked
from tinylm.trainer import Trainer

SHAPES = (  # N of about 10k, 100k and 1M
    {"d_model": 16, "n_layers": 3, "n_heads": 1},
    {"d_model": 64, "n_layers": 2, "n_heads": 2},
    {"d_model": 128, "n_layers": 5, "n_heads": 4},
)
NOT_MEASURED = "not yet measured: no CUDA device here"


@dataclass(frozen=True)
class BatchedSpeed:
    """Training tokens a second, batches included, evaluations not; medians over the rounds."""

    non_embedding: int  # N of a model
    members: int
    one_at_a_time: float
    together: float  # of all members
    ratio: float  # median of the rounds' ratios


def measure_batched(
    device: torch.device,
    *,
    members: int = 64,
    compiled: bool = True,
    rounds: int = 3,
    seconds: float = 2.0,
) -> list[BatchedSpeed]:
    """Both sides at each size, in alternating rounds of about `seconds` each."""
    return [_measure_shape(shape, device, members, compiled, rounds, seconds) for shape in SHAPES]


def measure() -> dict[str, Any]:
    """Measure on a GPU, write `batched.csv` and the summary; without one null and the reason."""
    if not torch.cuda.is_available():
        findings: dict[str, Any] = {"batched": None}
        merge_summary(findings, threads=torch.get_num_threads(), reason=NOT_MEASURED)
        return findings
    speeds = [asdict(speed) for speed in measure_batched(torch.device("cuda"))]
    findings = {"batched": speeds}
    write_atomic(bench_dir() / "batched.csv", pd.DataFrame(speeds).to_csv(index=False))
    merge_summary(
        findings,
        threads=torch.get_num_threads(),
        device=torch.cuda.get_device_name(),
        file="batched.csv",
    )
    return findings


def _measure_shape(
    shape: dict[str, int],
    device: torch.device,
    members: int,
    compiled: bool,
    rounds: int,
    seconds: float,
) -> BatchedSpeed:
    config = parse_run_config({"model": shape}, where="bench")
    steps = _one_step(config, device, compiled), _joint_step(config, device, members, compiled)
    n_steps = []
    for step in steps:
        _seconds_for(step, 3, device)  # compiles
        n_steps.append(max(2, round(seconds / (_seconds_for(step, 4, device) / 4))))
    tokens = n_steps[0] * config.batch_tokens, members * n_steps[1] * config.batch_tokens
    pace = [
        [
            count / _seconds_for(step, n, device)
            for step, n, count in zip(steps, n_steps, tokens, strict=True)
        ]
        for _ in range(rounds)
    ]
    return BatchedSpeed(
        non_embedding=parameter_count(config.model).non_embedding,
        members=members,
        one_at_a_time=round(statistics.median(one for one, _ in pace)),
        together=round(statistics.median(joint for _, joint in pace)),
        ratio=round(statistics.median(joint / one for one, joint in pace), 2),
    )


def _trainer(config: RunConfig, seed: int, device: torch.device) -> Trainer:
    data = prepare(config.data.corpus, config.data.tokenizer)
    return Trainer(config, seed, data, Path("no checkpoint"), device)


def _one_step(config: RunConfig, device: torch.device, compiled: bool) -> Callable[[int], object]:
    trainer = _trainer(config, 0, device)
    if compiled:
        trainer.loss = torch.compile(trainer.loss)

    def step(number: int) -> None:
        trainer.state.step = number % config.steps
        trainer.take_step()

    return step


def _joint_step(
    config: RunConfig, device: torch.device, members: int, compiled: bool
) -> Callable[[int], object]:
    trainers = [_trainer(config, seed, device) for seed in range(members)]
    ensemble = Stacked(trainers, compiled=compiled)

    def step(number: int) -> None:
        ensemble.steps.fill_(number % config.steps)
        for trainer in trainers:
            trainer.state.step = number % config.steps
        ensemble.take_step()

    return step


def _seconds_for(step: Callable[[int], object], n_steps: int, device: torch.device) -> float:
    """Wall-clock of `n_steps` steps, to the end of the last one on the device."""
    _wait_for(device)
    began = time.perf_counter()
    for number in range(n_steps):
        step(number)
    _wait_for(device)
    return time.perf_counter() - began


def _wait_for(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def main() -> int:
    """Run the measurement; returns the exit code."""
    print(json.dumps(measure(), indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
