"""What it costs the models of a grid to store their weights in few bits.

Measured where the weights are, and kept beside the records.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from tinylm.corpora.token_files import prepare
from tinylm.errors import Missing
from tinylm.files import write_atomic
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
