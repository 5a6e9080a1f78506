"""What training at 10M, 100M and 1B parameters would take, by the cost model: a dry run.

FLOPs are counted, memory is estimated by `tinylm.cost` (checked on small models, on a CPU), and
time is FLOPs over a share of a GPU's published peak that is assumed. Nothing here was measured on
a GPU. Time for communication, evaluation and checkpoints comes on top.
"""

import math
from typing import Any, NamedTuple

import pandas as pd

from tinylm.config import ModelConfig
from tinylm.cost import activation_bytes, flops_exact, parameter_count, training_memory_bytes
from tinylm.errors import BadInput
from tinylm.files import project_root, write_atomic

ASSUMED_UTILISATION = (0.30, 0.40)  # of the published peak; what well-tuned training often reaches
USABLE_MEMORY = 0.9  # of a GPU's memory; the rest goes to its libraries and to gaps
SHOWN = ("tokens", "flops", "memory_gb", "gpus", "hours_at_high_share", "hours_at_low_share")
NOTE = """bf16 autocast, AdamW; recomputing activations costs a third more FLOPs. The share of the
peak is assumed, not measured; no communication, evaluation or checkpoints."""


class Gpu(NamedTuple):
    """A GPU by its vendor's data sheet."""

    name: str
    memory_bytes: float
    peak_flops: float  # FLOP/s in bf16, dense: data sheets often show twice that, "with sparsity"
    source: str  # key in book/references.bib


GPUS = {
    "rtx4090": Gpu("RTX 4090", 24e9, 165.2e12, "nvidia2023ada"),
    "a100": Gpu("A100 80 GB", 80e9, 312e12, "nvidia2021a100"),
    "h100": Gpu("H100 SXM", 80e9, 989e12, "nvidia2023h100"),
    "h200": Gpu("H200 SXM", 141e9, 989e12, "nvidia2024h200"),
}
FIELDS = ("n_layers", "d_model", "n_heads", "context_length", "vocab_size")
SCALES = {
    name: ModelConfig.model_validate(dict(zip(FIELDS, shape, strict=True)))
    for name, *shape in (
        ("10M", 12, 256, 4, 512, 4096),
        ("100M", 12, 768, 12, 1024, 16_384),
        ("1B", 24, 1792, 14, 2048, 32_768),
    )
}
MICRO_BATCH = {"10M": 32, "100M": 16, "1B": 4}  # sequences that one GPU trains on at a time


def fewest_gpus(model: ModelConfig, rows: int, memory: float, *, recompute: bool) -> int | None:
    """GPUs of so many bytes that memory needs at least, weights, gradients and moments split evenly
    between them (Rajbhandari et al. 2020, stage 3); None if the activations of one micro-batch of
    `rows` sequences alone are too many.
    """
    activations = activation_bytes(model, rows, precision="bf16", recompute=recompute)
    whole = training_memory_bytes(model, rows, precision="bf16", recompute=recompute)
    left = USABLE_MEMORY * memory - activations
    return math.ceil((whole - activations) / left) if left > 0 else None


def estimate_scale(
    scale: str, gpu: Gpu, tokens_per_parameter: float, shares: tuple[float, float]
) -> dict[str, Any]:
    """A row of the table. Memory is that of a micro-batch, all on one GPU; hours are of one GPU."""
    model, rows = SCALES[scale], MICRO_BATCH[scale]
    parts = parameter_count(model)
    tokens = round(tokens_per_parameter * parts.with_output)  # as Hoffmann et al. (2022) count
    flops = flops_exact(model, tokens)
    row: dict[str, Any] = {"model": scale} | model.model_dump(include=set(FIELDS))
    row |= {"non_embedding": parts.non_embedding, "with_output": parts.with_output}
    row |= {"tokens": tokens, "flops": flops, "micro_batch": rows, "gpu": gpu.name}
    for name, recompute in (("", False), ("_recomputed", True)):
        size = training_memory_bytes(model, rows, precision="bf16", recompute=recompute)
        row[f"memory_gb{name}"] = size / 1e9
        row[f"gpus{name}"] = fewest_gpus(model, rows, gpu.memory_bytes, recompute=recompute)
    for name, share in zip(("low", "high"), shares, strict=True):
        row[f"{name}_share"] = share
        row[f"hours_at_{name}_share"] = flops / (share * gpu.peak_flops) / 3600
    return row


def show_estimate(gpu: str | None, tokens_per_parameter: float, utilisation: float | None) -> None:
    """`tinylm estimate`: print the table, and write it to results/bench/scale_estimate.csv.

    Raises:
        TinyLMError: an unknown GPU, or a number out of its range.
    """
    if gpu is not None and gpu not in GPUS:
        raise BadInput(f"unknown gpu {gpu!r}; expected one of {', '.join(GPUS)}")
    if not 0 < tokens_per_parameter < 1e6:
        raise BadInput(f"tokens-per-parameter {tokens_per_parameter}: expected more than 0")
    if utilisation is not None and not 0 < utilisation <= 1:
        raise BadInput(f"utilisation {utilisation}: expected more than 0 and at most 1, as 0.35")
    shares = ASSUMED_UTILISATION if utilisation is None else (utilisation, utilisation)
    gpus = list(GPUS.values()) if gpu is None else [GPUS[gpu]]
    rows = [estimate_scale(s, each, tokens_per_parameter, shares) for s in SCALES for each in gpus]
    path, table = project_root() / "results" / "bench" / "scale_estimate.csv", pd.DataFrame(rows)
    write_atomic(path, table.to_csv(index=False, float_format="%.3g"))
    shown = table[["model", "gpu", *SHOWN]].to_string(index=False, float_format="{:.3g}".format)
    print(f"{shown}\n{NOTE}\nwritten: {path}")
