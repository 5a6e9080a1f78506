"""What it costs the models of a grid to store their weights in few bits.

Measured where the weights are, and kept beside the records.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from tinylm import say
from tinylm.corpora.token_files import prepare
from tinylm.errors import BadInput, Missing
from tinylm.files import write_atomic
from tinylm.laws.scatter import interval
from tinylm.records import RunRecord
from tinylm.store import Store
from tinylm.studies.grid import runs_of_grid
from tinylm.studies.kept import read_kept
from tinylm.sweeps.declare import expand, load_experiment

if TYPE_CHECKING:
    from tinylm.inside import Coding

BITS = (8, 6, 5, 4, 3, 2)
GROUP = 32  # weights that share a step, where it is not the whole row
ROW, CLIPPED, GPTQ = "a step per row", "a step per 32, clipped", "GPTQ, a step per 32, clipped"
LOSS_TOKENS = 16_384  # of the validation text, the same for every model of a text
CALIBRATION_ROWS = 64  # of the training text, for GPTQ


def quantized(store: Store, experiment: str = "grid") -> pd.DataFrame:
    """A row a model, method and number of bits: run_id, N, D, C, d_model, asked, seed, method,
    bits, bytes (of all weights), plain (nats per token in fp32, on LOSS_TOKENS) and loss (of the
    coded model, there).

    Raises:
        Missing: a run has no record, or was not measured.
    """
    records = store.load(expand(load_experiment(experiment), store.profile))
    models = (read_kept(_path(store, experiment)) or {}).get("models", {})
    runs = runs_of_grid(records)
    if lacking := [run_id for run_id in runs["run_id"] if run_id not in models]:
        raise Missing(
            f"what few bits cost {len(lacking)} models of {experiment} was not measured; run "
            f"`tinylm report --profile {store.profile}` where their weights are"
        )
    rows = [
        {"run_id": run_id, "plain": models[run_id]["plain"], **coded}
        for run_id in runs["run_id"]
        for coded in models[run_id]["coded"]
    ]
    about = runs[["run_id", "N", "D", "C", "d_model", "asked", "seed"]]
    return about.merge(pd.DataFrame(rows), on="run_id")


def measure_quantized(store: Store, experiment: str = "grid") -> None:
    """Measure the models whose weights are here and that were not measured before.

    Raises:
        TinyLMError: a model is damaged, the text cannot be had, or the disk is full.
    """
    path = _path(store, experiment)
    models: dict[str, Any] = (read_kept(path) or {}).get("models", {})
    for record in store.found(expand(load_experiment(experiment), store.profile)):
        here = record.validation and store.model_dir(record.run_id).is_dir()
        if here and record.run_id not in models:
            models[record.run_id] = costs_of_bits(store, record)
            write_atomic(path, json.dumps({"models": models}, indent=1) + "\n")


def costs_of_bits(store: Store, record: RunRecord) -> dict[str, Any]:
    """What is kept of a model: `plain`, and a row a method and number of bits under `coded`."""
    import torch

    from tinylm.batches import TrainingBatches
    from tinylm.evaluate import evaluate
    from tinylm.inside import compress

    model, _ = store.load_model(record)
    data, config = prepare(record.config.data.corpus, record.config.data.tokenizer), record.config
    read = data.validation.within(LOSS_TOKENS)
    rows = TrainingBatches(data.train, config.model.context_length, CALIBRATION_ROWS, seed=0)
    tokens = torch.from_numpy(rows.batch(0)[0])
    stride = config.evaluation.stride_fraction
    coded = []
    for method, coding in codings():
        small = compress(model, coding, tokens)
        coded.append(
            {
                "method": method,
                "bits": coding.bits,
                "bytes": round(small.stored_bytes),
                "loss": round(evaluate(small.model, read, stride).nats, 5),
            }
        )
    return {"plain": round(evaluate(model, read, stride).nats, 5), "coded": coded}


def codings() -> "Sequence[tuple[str, Coding]]":
    """Every way of storing that is measured, by the name of its method."""
    from tinylm.inside import Coding

    ways: list[tuple[str, Coding]] = []
    for bits in BITS:
        ways += [
            (ROW, Coding(bits)),
            (CLIPPED, Coding(bits, GROUP, clip=True)),
            (GPTQ, Coding(bits, GROUP, clip=True, method="gptq")),
        ]
    return ways


def _path(store: Store, experiment: str) -> Path:
    return store.folder / "measured" / f"quantized-{experiment}.json"


# --- what the cost goes by ------------------------------------------------------------------------

LAW_BITS = (3, 4, 5)  # with fewer the loss breaks down, with more it is lost in the rounding of it
N_DRAWS = 500


@dataclass(frozen=True)
class PrecisionLaw:
    """log(loss / plain - 1) = constant + by_d·log D - by_n·log N - bits / scale: the law of weights
    rounded after training (Kumar et al. 2024); with 95% intervals, by drawing runs.
    """

    by_d: tuple[float, float, float]  # value, low, high
    by_n: tuple[float, float, float]
    scale: tuple[float, float, float]  # bits that make the cost e times smaller
    scatter: float  # of the log of the cost about the law, standard deviation
    runs: int


def precision_law(table: pd.DataFrame, method: str) -> PrecisionLaw:
    """The law of one method, from a table of `quantized`.

    Raises:
        BadInput: runs of fewer than three settings.
    """
    some = table[(table["method"] == method) & table["bits"].isin(LAW_BITS)]
    some = some[some["loss"] > some["plain"]]
    if len(some[["N", "asked"]].drop_duplicates()) < 3:
        raise BadInput(f"method {method!r}: expected runs of three sizes or amounts of text")
    design = np.column_stack(
        [np.ones(len(some)), np.log(some["D"]), -np.log(some["N"]), -some["bits"]]
    )
    cost = np.log(some["loss"] / some["plain"] - 1).to_numpy(float)
    solved, *_ = np.linalg.lstsq(design, cost, rcond=None)
    groups = [np.flatnonzero(some["run_id"] == run_id) for run_id in some["run_id"].unique()]
    rng, draws = np.random.default_rng(0), []
    for _ in range(N_DRAWS):
        rows = np.concatenate([groups[i] for i in rng.integers(len(groups), size=len(groups))])
        draws.append(np.linalg.lstsq(design[rows], cost[rows], rcond=None)[0])
    drawn = np.array(draws)
    scales = (1 / solved[3], *interval(1 / drawn[:, 3]))
    scatter = float(np.std(cost - design @ solved, ddof=4))
    by_d, by_n = ((float(solved[i]), *interval(drawn[:, i])) for i in (1, 2))
    return PrecisionLaw(by_d, by_n, scales, scatter, len(groups))


def costs_table(table: pd.DataFrame) -> pd.DataFrame:
    """What each method costs at each number of bits, in per cent of the loss: the median over
    models, and the least and the most.
    """
    cost = table.assign(cost=100 * (table["loss"] / table["plain"] - 1))
    rows: dict[str, dict[str, str]] = {}
    for (method, bits), some in cost.groupby(["method", "bits"], sort=False)["cost"]:
        rows.setdefault(str(method), {})[f"{bits} bits"] = (
            f"{some.median():.2f} ({some.min():.2f} to {some.max():.2f})"
        )
    return pd.DataFrame(rows).T.rename_axis("method")


def precision_said(law: PrecisionLaw) -> str:
    """What the cost goes by."""
    per_bit = float(np.exp(1 / law.scale[0]))
    d, n = law.by_d, law.by_n
    told = []
    for name, (value, low, high), grows in (("text", d, "grows"), ("size", n, "falls")):
        sure = low > 0 or high < 0
        way = grows if value > 0 else {"grows": "falls", "falls": "grows"}[grows]
        told.append(
            f"with {name} it {way} as the power {abs(value):.2f} "
            f"{say.interval((low, high), 2)}" + ("" if sure else ", which may be nothing")
        )
    return (
        f"Of {law.runs} models: each bit less makes the cost {per_bit:.1f} times as large; "
        f"{'; '.join(told)}. Models scatter about that by a factor of "
        f"{float(np.exp(law.scatter)):.2f}."
    )
