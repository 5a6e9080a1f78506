"""How long runs will take and how much memory: measured parts, times how many there are."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from tinylm.config import Run, RunConfig
from tinylm.corpora.token_files import PreparedData, prepare
from tinylm.cost import flops_exact, peak_memory_bytes
from tinylm.evaluate import WINDOW_TOKENS
from tinylm.sweeps.calibrate import Calibration, calibrate, window_tokens
from tinylm.train import CHECKPOINT_SECONDS
from tinylm.trainer import evaluation_steps

# For a shape that cannot be tried here (too large for the memory, say): by FLOPs, crudely.
UNTRIED_FLOPS_PER_SECOND = 40e9
UNTRIED_BASE_BYTES = 350_000_000  # of a process with Python, torch and the data


@dataclass(frozen=True)
class Estimate:
    """What a run will take, as one of a sweep's processes while all cores are busy."""

    seconds: float  # wall-clock, from starting its process to its record
    training_seconds: float  # of these, what its record will call wall_seconds
    cpu_seconds: float  # and cpu_seconds: training and evaluation
    memory_bytes: int  # the most its process will hold


def evaluated_tokens(config: RunConfig, data: PreparedData) -> int:
    """Tokens that all evaluations of a run read: the learning curve's, and the last one's."""
    curve = window_tokens(data.on_curve(config.evaluation), config)
    points = len(evaluation_steps(config))
    return (points - 1) * curve + window_tokens(data.evaluated(config.evaluation), config)


def estimate_run(
    config: RunConfig, data: PreparedData, parts: Calibration, start: float, core_share: float
) -> Estimate:
    """A run's cost from that of its parts, on a machine that takes `start` seconds to start a
    process and gives it so much of a core."""
    loop = parts.first_step + (config.steps - 1) * parts.step
    loop += evaluated_tokens(config, data) * parts.window_token
    loop += int(loop / CHECKPOINT_SECONDS) * parts.save
    wall = loop / core_share
    last = parts.save / core_share  # the model is written at the end
    return Estimate(start + wall + last, wall, loop, parts.peak_memory_bytes)


def _untried(config: RunConfig, data: PreparedData) -> Estimate:
    """A run's cost from its FLOPs and its size alone."""
    model = config.model.model_copy(update={"vocab_size": data.tokenizer.vocab_size})
    reading = evaluated_tokens(config, data) / 3  # forward only
    flops = flops_exact(model, config.steps * config.batch_tokens + int(reading))
    seconds = flops / UNTRIED_FLOPS_PER_SECOND
    memory = UNTRIED_BASE_BYTES + peak_memory_bytes(
        model, config.batch_size, WINDOW_TOKENS, precision=config.precision
    )
    return Estimate(seconds, seconds, seconds, int(memory))


def estimate_runs(runs: Sequence[Run], jobs: int, *, trials: bool = True) -> dict[str, Estimate]:
    """What each run will take when `jobs` of them train at a time; with `trials` each shape is
    tried first, unless it was within the last hour; without, the others are reckoned by FLOPs.

    Raises:
        TinyLMError: the data cannot be had.
    """
    named = {(run.config.data.corpus, run.config.data.tokenizer) for run in runs}
    opened = {names: prepare(*names) for names in sorted(named)}
    tried = calibrate([run.config for run in runs], max(1, min(jobs, len(runs))), trials=trials)
    measured = [parts for parts in tried if parts]
    start = statistics.median([parts.start_seconds for parts in measured] or [1.0])
    core_share = statistics.median([parts.core_share for parts in measured] or [1.0])
    estimates = {}
    for run, parts in zip(runs, tried, strict=True):
        data = opened[run.config.data.corpus, run.config.data.tokenizer]
        estimates[run.run_id] = (
            estimate_run(run.config, data, parts, start, core_share)
            if parts
            else _untried(run.config, data)
        )
    return estimates
