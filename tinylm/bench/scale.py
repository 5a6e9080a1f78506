"""What training at 10M, 100M and 1B parameters would take, by the cost model: a dry run.

FLOPs are counted, memory is estimated by `tinylm.cost` (checked on small models, on a CPU), and
time is FLOPs over a share of a GPU's published peak that is assumed. Nothing here was measured on
a GPU. Time for communication, evaluation and checkpoints comes on top.
"""

import csv
import io
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.table import Table

from tinylm.config import ModelConfig
from tinylm.cost import (
    activation_bytes,
    flops_exact,
    parameter_count,
    state_bytes,
    training_flops,
    training_memory_bytes,
)
from tinylm.errors import BadInput
from tinylm.files import project_root, write_atomic

ASSUMED_UTILISATION = (0.30, 0.40)  # of the published peak; what well-tuned training often reaches
USABLE_MEMORY = 0.9  # of a GPU's memory; the rest goes to its libraries and to gaps


@dataclass(frozen=True)
class Gpu:
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


@dataclass(frozen=True)
class Scale:
    """A model of about so many parameters, and the sequences one GPU trains on at a time."""

    name: str
    model: ModelConfig
    micro_batch: int


def _scale(
    name: str, layers: int, width: int, heads: int, context: int, vocab: int, micro_batch: int
) -> Scale:
    model = ModelConfig(
        n_layers=layers, d_model=width, n_heads=heads, context_length=context, vocab_size=vocab
    )
    return Scale(name, model, micro_batch)


SCALES = (
    _scale("10M", layers=12, width=256, heads=4, context=512, vocab=4096, micro_batch=32),
    _scale("100M", layers=12, width=768, heads=12, context=1024, vocab=16_384, micro_batch=16),
    _scale("1B", layers=24, width=1792, heads=14, context=2048, vocab=32_768, micro_batch=4),
)


def fewest_gpus(scale: Scale, gpu: Gpu, *, recompute: bool) -> int | None:
    """GPUs that memory needs at least, weights, gradients and moments split evenly between them
    (Rajbhandari et al. 2020, stage 3); None if one micro-batch's activations alone are too many."""
    model, rows = scale.model, scale.micro_batch
    activations = activation_bytes(model, rows, precision="bf16", recompute=recompute)
    whole = training_memory_bytes(model, rows, precision="bf16", recompute=recompute)
    left = USABLE_MEMORY * gpu.memory_bytes - activations
    return math.ceil((whole - activations) / left) if left > 0 else None


def gpu_hours(model: ModelConfig, tokens: int, gpu: Gpu, utilisation: float) -> float:
    """Hours that one GPU would train, at a share of its peak. FLOPs are `flops_exact`."""
    return flops_exact(model, tokens) / (utilisation * gpu.peak_flops) / 3600


def training_tokens(model: ModelConfig, tokens_per_parameter: float) -> int:
    """D for a number of tokens a parameter, the output layer counted (Hoffmann et al. 2022)."""
    return round(tokens_per_parameter * parameter_count(model).with_output)


# --- numbers for people ---------------------------------------------------------------------------


def rounded(value: float) -> str:
    """Two significant digits, without an exponent: 0.031, 4.2, 950, 12,000."""
    digits = 1 - math.floor(math.log10(value)) if value > 0 else 0
    return f"{round(value, digits):,.{max(0, digits)}f}"


def scientific(value: float) -> str:
    """Two significant digits and a power of ten: 1.3·10¹⁸."""
    mantissa, exponent = f"{value:.1e}".split("e")
    return (
        f"{mantissa}·10{str(int(exponent)).translate(str.maketrans('0123456789-', '⁰¹²³⁴⁵⁶⁷⁸⁹⁻'))}"
    )


def count(value: float) -> str:
    """A number of things, to two digits or three: 9.4 million, 110 million, 2.0 billion."""
    for size, name in ((1e12, "trillion"), (1e9, "billion"), (1e6, "million")):
        if value >= size:
            return f"{rounded(value / size)} {name}"
    return f"{value:,.0f}"


def gigabytes(value: float) -> str:
    """Bytes in GB (10⁹)."""
    return f"{rounded(value / 1e9)} GB"


def _range(low: str, high: str) -> str:
    return low if low == high else f"{low} to {high}"


# --- the table ------------------------------------------------------------------------------------


def estimate_scale(
    scale: Scale, gpus: Sequence[Gpu], tokens_per_parameter: float, utilisation: Sequence[float]
) -> dict[str, str]:
    """One column of the table: what a row is called, and what it says for this model."""
    model, parts = scale.model, parameter_count(scale.model)
    tokens = training_tokens(model, tokens_per_parameter)
    column = {
        "layers × width": f"{model.n_layers} × {model.d_model}",
        "heads": str(model.n_heads),
        "context length": f"{model.context_length:,}",
        "vocabulary": f"{model.vocab_size:,}",
        "parameters, non-embedding": count(parts.non_embedding),
        "parameters, with output layer": count(parts.with_output),
        f"training tokens, {tokens_per_parameter:g} a parameter": count(tokens),
    }
    for convention, flops in training_flops(model, tokens).items():
        column[f"FLOPs, {convention}"] = scientific(flops)
    for part, size in state_bytes(model).items():
        column[f"memory, {part}"] = gigabytes(size)
    rows = scale.micro_batch
    column["micro-batch, sequences a GPU"] = str(rows)
    for recompute, how in ((False, ""), (True, ", recomputed")):
        size = activation_bytes(model, rows, precision="bf16", recompute=recompute)
        whole = training_memory_bytes(model, rows, precision="bf16", recompute=recompute)
        column[f"memory, activations{how}"] = gigabytes(size)
        column[f"memory, all{how}"] = gigabytes(whole)
    for gpu in gpus:
        fewest = [fewest_gpus(scale, gpu, recompute=recompute) for recompute in (False, True)]
        needed, less = (str(n) if n else "smaller micro-batch" for n in fewest)
        column[f"GPUs for the memory, {gpu.name}"] = (
            needed if needed == less else f"{needed}; {less} if recomputed"
        )
    share = _range(*(f"{100 * u:.0f}" for u in (utilisation[0], utilisation[-1])))
    for gpu in gpus:
        hours = [
            rounded(gpu_hours(model, tokens, gpu, u)) for u in (utilisation[-1], utilisation[0])
        ]
        column[f"GPU hours, {gpu.name} at {share} % of its peak"] = _range(*hours)
    return column


def scale_table(
    gpus: Sequence[Gpu], tokens_per_parameter: float, utilisation: Sequence[float]
) -> list[list[str]]:
    """What is wanted of each scale: a heading, then a row for each quantity, a cell for each model.

    Raises:
        TinyLMError: a number out of its range.
    """
    if not 0 < tokens_per_parameter < 1e6:
        raise BadInput(f"tokens-per-parameter {tokens_per_parameter}: expected more than 0")
    for share in utilisation:
        if not 0 < share <= 1:
            raise BadInput(f"utilisation {share}: expected more than 0 and at most 1, as 0.35")
    columns = [estimate_scale(s, gpus, tokens_per_parameter, utilisation) for s in SCALES]
    rows = [[name, *(column[name] for column in columns)] for name in columns[0]]
    return [["model", *(scale.name for scale in SCALES)], *rows]


def measured_utilisation() -> list[str]:
    """What `results/bench/summary.json` says of this machine's own matmul peak, a line each."""
    path = project_root() / "results" / "bench" / "summary.json"
    try:
        found = json.loads(path.read_text(encoding="utf-8")).get("matmul_peak_fraction", {})
    except (OSError, ValueError):
        return []

    def lines(value: Any, names: tuple[str, ...]) -> list[str]:
        if isinstance(value, dict):
            return [line for key in value for line in lines(value[key], (*names, str(key)))]
        return [f"{', '.join(names)}: {100 * value:.0f} %"] if isinstance(value, float) else []

    return lines(found, ())


def show_estimate(gpu: str | None, tokens_per_parameter: float, utilisation: float | None) -> None:
    """`tinylm estimate`: print the table, and write it to results/bench/scale_estimate.csv.

    Raises:
        TinyLMError: an unknown GPU, or a number out of its range.
    """
    if gpu is not None and gpu not in GPUS:
        raise BadInput(f"unknown gpu {gpu!r}; expected one of {', '.join(GPUS)}")
    chosen = list(GPUS.values()) if gpu is None else [GPUS[gpu]]
    shares = ASSUMED_UTILISATION if utilisation is None else (utilisation,)
    made = scale_table(chosen, tokens_per_parameter, shares)
    console, table = Console(), Table(*made[0])
    for row in made[1:]:
        table.add_row(*row)
    console.print(table)
    console.print(
        "bf16 autocast, AdamW; recomputing activations costs a third more FLOPs. The share of the "
        "peak is assumed, not measured; no communication, evaluation or checkpoints.",
        highlight=False,
    )
    for line in measured_utilisation():
        console.print(f"measured on this machine's processor, {line}", highlight=False)
    path = project_root() / "results" / "bench" / "scale_estimate.csv"
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(made)
    write_atomic(path, text.getvalue())
    console.print(f"written: {path}", highlight=False, soft_wrap=True)
