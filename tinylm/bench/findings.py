"""What `results/bench/` holds, with types: the summary's findings, and the tables beside it.

A measurement that was not made yet is None; what is there must be as its module writes it.
"""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from pydantic import BaseModel, ConfigDict, ValidationError

from tinylm.bench.summary import bench_dir, read_summary
from tinylm.errors import BadInput, Damaged


class _Found(BaseModel):
    """Frozen; what no page shows is passed over."""

    model_config = ConfigDict(frozen=True, allow_inf_nan=False)


class Behind(_Found):
    """Where, when and from what a finding was made."""

    date: str
    commit: str | None = None
    clean: bool | None = None
    processor: str
    platform: str
    threads: int
    torch: str
    device: str | None = None  # a GPU
    file: str | None = None
    reason: str | None = None  # why nothing was found


class TimeToLoss(_Found):
    """On one corpus."""

    ratio: float
    reached: bool


class BitEqual(_Found):
    """Runs trained by themselves too, and how many of them ended as in the sweep."""

    checked: int
    equal: int


class Picture(_Found):
    """What a figure shows, in a sentence, and for who cannot see it."""

    finding: str
    alt: str


class Precision(_Found):
    """bf16 against fp32 at one width; losses and differences in nats."""

    harmless: bool
    mean_difference_nats: float
    std_of_differences_nats: float
    seed_std_nats: float
    fp32_nats: float
    seeds: int


class Branching(_Found):
    """Branches against runs from scratch; by tokens, where there is one for each length."""

    largest_difference_nats: float
    equal_bit_for_bit: int
    runs: int
    cpu_seconds_share: float
    seed_std_nats: dict[str, float]
    wsd_minus_linear_nats: dict[str, float]
    wsd_minus_linear_std: dict[str, float]


class CostModel(_Found):
    """Shares (0 to 1) of runs predicted within 25 %."""

    wall_time_within_25_percent: float
    processor_time_within_25_percent: float
    memory_within_25_percent: float


class Batched(_Found):
    """Training tokens a second at one model size."""

    non_embedding: int
    members: int
    one_at_a_time: float
    together: float
    ratio: float


class Findings(_Found):
    """`results/bench/summary.json`."""

    time_to_loss_ratio: float | None = None
    time_to_loss: dict[str, TimeToLoss] | None = None  # by corpus
    sweep_ratio: float | None = None
    sweep_ratio_by_precision: dict[str, float] | None = None
    sweep_seconds: dict[str, float] | None = None  # "plain", and by precision
    sweep_bit_equal: BitEqual | None = None
    matmul_peak_fraction: dict[str, dict[str, float]] | None = None  # by precision and width
    matmul_peak_gflops_per_second: dict[str, float] | None = None  # by precision
    step_profile: Picture | None = None
    bf16_harmless: dict[str, Precision] | None = None  # by width
    branch_compute_share: float | None = None
    branching: Branching | None = None
    cost_model_within_25_percent: float | None = None
    cost_model: CostModel | None = None
    batched: list[Batched] | None = None
    behind: dict[str, Behind] = {}


def read_findings(folder: Path | None = None) -> Findings:
    """The findings in a folder, `results/bench/` by default.

    Raises:
        TinyLMError: the summary is damaged, or not what the measurements write.
    """
    folder = folder or bench_dir()
    try:
        return Findings.model_validate(read_summary(folder))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise BadInput(
            f"{folder / 'summary.json'}: {where} is {first['input']!r}: {first['msg']}"
        ) from None


def read_findings_table(name: str, columns: Sequence[str], folder: Path) -> pd.DataFrame | None:
    """The table of a measurement; None if it was not made yet.

    Raises:
        TinyLMError: the file is damaged, or lacks one of `columns`.
    """
    path = folder / name
    if not path.exists():
        return None
    try:
        table = pd.read_csv(path)
    except (OSError, ValueError) as error:
        raise Damaged(f"{path} is damaged ({error}); delete it and measure again") from None
    if missing := [column for column in columns if column not in table]:
        raise BadInput(f"{path}: column {missing[0]!r} is missing; measure again")
    return table
