"""One thing changed: each arm at its own best rate, against a reference, seed by seed.

An arm is compared at the rate that is best for it, where a parabola through the mean losses over
the log rate is lowest. Each seed's loss there is that seed's own parabola, so that differences are
of runs that share data and, where shapes agree, initial weights.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from tinylm.config import RunConfig
from tinylm.errors import BadInput
from tinylm.records import RunRecord
from tinylm.store import Store
from tinylm.studies.pooled import half_interval
from tinylm.studies.runs import short_names, to_table
from tinylm.sweeps.declare import expand, load_experiment

PLACE = ["corpus", "d_model", "asked"]  # where arms are compared
SETTING = [*PLACE, "arm"]
NEIGHBOURS = 1  # rates on each side of the best one that its parabola goes through

ArmOf = Callable[[RunConfig], tuple[str, float]]  # the arm of a run, and the rate that was swept
SizeOf = Callable[[RunConfig], tuple[int, int]]  # a run's width and tokens, or those it stands for


@dataclass(frozen=True)
class Ablation:
    """Runs of some arms at some places, each arm at several rates."""

    runs: pd.DataFrame  # short_names', with arm, rate and asked (tokens)
    diverged: int  # runs that are left out
    # A row a place and arm: PLACE, arm, N, rate (the best), on_edge (whether it is the smallest or
    # the largest tried), loss (mean over seeds at the best rate, nats per token); and, but for the
    # reference, difference (of the log loss to the reference's), half (of its 95% interval).
    arms: pd.DataFrame
    reference: str


def own_size(config: RunConfig) -> tuple[int, int]:
    """A run's width and tokens."""
    return config.model.d_model, config.tokens


def runs_of_arms(
    records: Sequence[RunRecord], arm_of: ArmOf, size_of: SizeOf = own_size
) -> tuple[pd.DataFrame, int]:
    """The runs that did not diverge, with their arms; and how many did."""
    table = to_table(records)
    told = [arm_of(record.config) for record in records]
    table["arm"], table["rate"] = [arm for arm, _ in told], [rate for _, rate in told]
    sizes = [size_of(record.config) for record in records]
    table["d_model"], table["asked"] = [n for n, _ in sizes], [tokens for _, tokens in sizes]
    done = short_names(table)
    return done, len(table) - len(done)


def ablation(
    records: Sequence[RunRecord], arm_of: ArmOf, reference: str, size_of: SizeOf = own_size
) -> Ablation:
    """Compare the arms of some runs at each place.

    Raises:
        BadInput: the reference is no arm, or an arm has fewer than three rates at a place.
    """
    runs, diverged = runs_of_arms(records, arm_of, size_of)
    return Ablation(runs, diverged, compared(runs, reference), reference)


OPTIMIZERS = {"adamw": "AdamW", "lion": "Lion", "muon": "Muon"}


def optimizer_arm(config: RunConfig) -> tuple[str, float]:
    """A run's optimizer and its rate: of Muon that of the matrices of the blocks."""
    used = config.optimizer
    rate = used.matrix_learning_rate if used.name == "muon" else used.learning_rate
    return OPTIMIZERS[used.name], rate


def schedule_arm(config: RunConfig) -> tuple[str, float]:
    """A run's schedule and the rate of the matrices of the blocks, with which all others go."""
    used = config.optimizer
    without = "" if used.warmup_steps else ", no warm-up"
    return f"{used.schedule}{without}", used.matrix_learning_rate


PRECISIONS = {
    ("fp32", "none"): "fp32",
    ("bf16", "none"): "bf16 products",
    ("bf16", "nearest"): "bf16 weights too, to the nearest",
    ("bf16", "stochastic"): "bf16 weights too, by chance",
}


def precision_arm(config: RunConfig) -> tuple[str, float]:
    """How a run's products and weights are rounded, and the rate as `schedule_arm`."""
    used = config.optimizer
    return PRECISIONS[config.precision, used.rounding], used.matrix_learning_rate


RECIPE = "the recipe"
CHANGES: dict[tuple[str, object], str] = {  # of a model's fields, in the order they are looked for
    ("mixing", "linear"): "gated linear attention",
    ("positions", "learned"): "learned positions",
    ("positions", "none"): "no positions",
    ("mlp", "gelu"): "GELU",
    ("mlp", "swiglu"): "SwiGLU",
    ("norm", "layernorm"): "LayerNorm",
    ("qk_norm", False): "no QK-norm",
    ("n_kv_heads", 2): "4 heads, 2 of keys",
    ("n_heads", 4): "4 heads",
    ("tied", False): "an output of its own",
    ("shift", 0): "no shift",
    ("shift_layers", True): "shift in every layer",
    ("n_layers", 1): "1 layer, wider",
    ("n_layers", 4): "4 layers, narrower",
}


def architecture_arm(config: RunConfig) -> tuple[str, float]:
    """What of a run's model is not as in the recipe, and Muon's rate."""
    model = config.model.model_dump()
    found = (name for (field, value), name in CHANGES.items() if model[field] == value)
    return next(found, RECIPE), config.optimizer.matrix_learning_rate


def architecture_size(config: RunConfig) -> tuple[int, int]:
    """Width and tokens of the recipe's model that spends what a run does."""
    return (64, 1_000_000) if config.model.d_model < 100 else (192, 500_000)


@dataclass(frozen=True)
class Arms:
    """How the arms of an experiment are told apart, and what they are held against."""

    arm_of: ArmOf
    reference: str
    size_of: SizeOf = own_size


ABLATIONS = {
    "optimizers": Arms(optimizer_arm, "AdamW"),
    "schedules": Arms(schedule_arm, "wsd"),
    "precision": Arms(precision_arm, "fp32"),
    "architectures": Arms(architecture_arm, RECIPE, architecture_size),
}


def ablation_study(experiment: str, store: Store) -> Ablation:
    """The ablation that an experiment of ABLATIONS makes, all of whose runs must have records.

    Raises:
        Missing: a run has no record.
        BadInput: as `ablation`.
    """
    records, arms = (
        store.load(expand(load_experiment(experiment), store.profile)),
        ABLATIONS[experiment],
    )
    return ablation(records, arms.arm_of, arms.reference, arms.size_of)


def compared(runs: pd.DataFrame, reference: str) -> pd.DataFrame:
    """The arms of an Ablation. Seeds scatter alike about every difference in log loss, so that all
    of them say how wide each interval is.
    """
    if reference not in set(runs["arm"]):
        raise BadInput(f"reference {reference!r}: expected one of {sorted(set(runs['arm']))}")
    best = {key: _best(some) for key, some in runs.groupby(SETTING, sort=False)}
    rows, off = [], []
    for key, arm in best.items():
        losses = arm.by_seed
        row = dict(zip(SETTING, key, strict=True)) | {
            "N": arm.n,
            "rate": arm.rate,
            "on_edge": arm.on_edge,
            "loss": float(np.exp(losses).mean()),
        }
        if key[-1] != reference:
            pairs = losses.sub(best[(*key[:-1], reference)].by_seed).dropna()
            row |= {"difference": float(pairs.mean()), "seeds": len(pairs)}
            off.append(pairs - pairs.mean())
        rows.append(row)
    arms = pd.DataFrame(rows)
    squares = sum(float((pairs**2).sum()) for pairs in off)
    freedom = sum(len(pairs) - 1 for pairs in off)
    arms["half"] = [half_interval(squares, freedom, n) for n in arms["seeds"]]
    return arms.drop(columns="seeds")


@dataclass(frozen=True)
class _Best:
    n: int
    rate: float
    on_edge: bool
    by_seed: "pd.Series[float]"  # log loss at the best rate


def _best(runs: pd.DataFrame) -> _Best:
    """An arm at one place, at its best rate."""
    losses = runs.pivot_table(index="rate", columns="seed", values="loss").dropna().map(np.log)
    arm = runs["arm"].iloc[0]
    if len(losses) < 2 * NEIGHBOURS + 1:
        raise BadInput(
            f"arm {arm!r} has {len(losses)} rates that ended with every seed; expected at least "
            f"{2 * NEIGHBOURS + 1}"
        )
    means = losses.mean(axis=1).to_numpy()
    lowest = int(means.argmin())
    on_edge = lowest in (0, len(means) - 1)
    middle = min(max(lowest, NEIGHBOURS), len(means) - 1 - NEIGHBOURS)
    near = losses.iloc[middle - NEIGHBOURS : middle + NEIGHBOURS + 1]
    x = np.log(near.index.to_numpy(float))
    parabolas = np.polyfit(x - x[1], near.to_numpy(), 2)  # (3, seeds)
    square, slope, _ = parabolas.mean(axis=1)
    at = x[lowest - middle + NEIGHBOURS] - x[1] if on_edge else -slope / (2 * square)
    by_seed = pd.Series(np.polyval(parabolas, at), index=near.columns)
    return _Best(int(runs["N"].iloc[0]), float(np.exp(x[1] + at)), on_edge, by_seed)
