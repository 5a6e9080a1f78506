"""An experiment: a base configuration, axes that vary it, seeds, and a grid for each profile."""

import copy
import itertools
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from tinylm.config import ModelConfig, Run, RunConfig, explain, parse_run_config, read_yaml
from tinylm.corpora import corpus_version
from tinylm.cost import flops_6nd, flops_exact, parameter_count
from tinylm.errors import BadInput
from tinylm.sweeps.recipe import recipe

FOLDER = Path(__file__).resolve().parent.parent / "experiments"
Counted = Literal["exact", "6ND, N with output"]


class Grid(BaseModel):
    """Runs that differ along axes. Fields are named by dotted path: `model.d_model`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    axes: dict[str, list[Any]] = {}  # every combination of these is a run
    arms: list[dict[str, Any]] = Field([{}], min_length=1)  # and of these, whose fields go together
    flops: float | None = Field(None, gt=0)  # training FLOPs of every run; sets `tokens`
    counted: Counted = "exact"  # how FLOPs are counted


class ProfileGrid(Grid):
    """What a profile makes of an experiment: one grid, or several, its parts."""

    recipe: bool = False  # fields that are not given are the recipe's for a run's tokens
    set: dict[str, Any] = {}  # values for every run
    parts: list[Grid] = []
    seeds: list[int] = Field([0, 1, 2], min_length=1)

    @model_validator(mode="after")
    def _check_parts(self) -> Self:
        if self.parts and (self.axes or self.flops or self.arms != [{}]):
            raise ValueError(
                "parts beside axes, arms or flops: expected these in each of the parts"
            )
        return self

    @property
    def grids(self) -> Sequence[Grid]:
        """The parts, or this grid itself where it has none."""
        return self.parts or [self]


class Experiment(BaseModel):
    """One `<name>.yaml` of this folder."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    title: str
    base: dict[str, Any]
    profiles: dict[str, ProfileGrid]


def experiment_names() -> list[str]:
    """Every declared experiment."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def experiments_of(profile: str) -> list[str]:
    """The experiments that have a grid for a profile.

    Raises:
        TinyLMError: none has.
    """
    found = [name for name in experiment_names() if profile in load_experiment(name).profiles]
    if not found:
        raise BadInput(f"unknown profile {profile!r}; no experiment has a grid for it")
    return found


def load_experiment(name: str) -> Experiment:
    """Read and validate a declaration.

    Raises:
        TinyLMError: no such experiment, or an unknown or wrong field in it.
    """
    if name not in experiment_names():
        known = ", ".join(experiment_names())
        raise BadInput(f"unknown experiment {name!r}; expected one of {known}")
    try:
        return Experiment.model_validate(read_yaml(FOLDER / f"{name}.yaml") | {"name": name})
    except ValidationError as error:
        raise explain(error, f"experiment {name}") from None


def set_path(values: dict[str, Any], path: str, value: Any) -> None:
    """Set a dotted path in a nested dict, making the dicts on the way."""
    *parents, leaf = path.split(".")
    for parent in parents:
        values = values.setdefault(parent, {})
    values[leaf] = value


def tokens_for(config: RunConfig, flops: float, counted: Counted = "exact") -> int:
    """Training tokens that a compute budget buys, in whole optimiser steps (at least one)."""
    kind, _, size = config.data.tokenizer.partition("-")
    if kind != "bpe":
        raise BadInput(
            f"data.tokenizer {config.data.tokenizer!r}: a grid with flops needs bpe-K, whose "
            f"vocabulary size is known before the data"
        )
    model = config.model.model_copy(update={"vocab_size": int(size)})
    step = (
        flops_exact(model, config.batch_tokens)
        if counted == "exact"
        else flops_6nd(model, config.batch_tokens, with_output=True)
    )
    return max(1, math.floor(flops / step)) * config.batch_tokens


def configure(experiment: Experiment, profile: str, values: dict[str, Any]) -> RunConfig:
    """The config of a run with these values; with the recipe's where the profile asks for it."""
    where = f"experiment {experiment.name}, {profile}"
    if not experiment.profiles[profile].recipe:
        return parse_run_config(values, where)
    row = (values.get("model") or {}).get("context_length", ModelConfig().context_length)
    config = parse_run_config({"batch_tokens": row} | values, where)  # any batch that is allowed
    n = parameter_count(config.model).non_embedding
    filled = recipe(n, config.tokens, config.model.context_length)
    for block, fields in values.items():
        filled[block] = filled.get(block, {}) | fields if isinstance(fields, dict) else fields
    return parse_run_config(filled, where)


def expand(experiment: Experiment, profile: str) -> list[Run]:
    """The runs of an experiment under a profile, in the order of the parts, their axes and their
    arms, seeds innermost.

    Raises:
        TinyLMError: the experiment has no such profile, or a run's config is not valid.
    """
    if profile not in experiment.profiles:
        raise BadInput(
            f"unknown profile {profile!r} of experiment {experiment.name}; expected one of "
            f"{', '.join(experiment.profiles)}"
        )
    grid = experiment.profiles[profile]
    runs = []
    for part in grid.grids:
        for *point, arm in itertools.product(*part.axes.values(), part.arms):
            values = copy.deepcopy(experiment.base)
            chosen = grid.set | dict(zip(part.axes, point, strict=True)) | arm
            for path, value in chosen.items():
                set_path(values, path, value)
            config = configure(experiment, profile, values)
            if part.flops is not None:
                tokens = tokens_for(config, part.flops, part.counted)
                if grid.recipe:  # the batch goes by the tokens, which come in batches
                    config = configure(experiment, profile, values | {"tokens": tokens})
                    tokens = tokens_for(config, part.flops, part.counted)
                config = config.model_copy(update={"tokens": tokens})
            version = corpus_version(config.data.corpus)
            runs += [Run(config, seed, config.identity(seed, version)) for seed in grid.seeds]
    return runs
