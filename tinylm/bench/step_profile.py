"""Where the time of a training step goes, by `torch.profiler`, in a handful of classes."""

import statistics
import time
from typing import Any

import pandas as pd
import torch
from matplotlib.figure import Figure
from torch.profiler import ProfilerActivity, profile

from tinylm.bench.aside import in_new_process
from tinylm.bench.frame import Benchmark, Findings
from tinylm.bench.matmul_peak import steps
from tinylm.bench.timed_steps import Step, trainer_step
from tinylm.config import RunConfig
from tinylm.files import project_root
from tinylm.plots import cost_figure

PRODUCTS, ATTENTION, OPTIMISER = "matrix products", "attention", "optimiser"
ELEMENTWISE = "elementwise"  # norms, softmax of the output, activations, copies
REST = "dispatch"  # and Python
CLASSES = (PRODUCTS, ATTENTION, ELEMENTWISE, OPTIMISER, REST)

# Operations that only make tensors or look at them otherwise, or call another operation.
NO_KERNEL = {
    *("alias", "as_strided", "chunk", "contiguous", "detach", "detach_", "empty", "empty_like"),
    *("empty_strided", "expand", "item", "matmul", "narrow", "ones_like", "permute", "reshape"),
    *("result_type", "select", "slice", "split", "squeeze", "t", "to", "_to_copy", "transpose"),
    *("triu", "unsqueeze", "view", "view_as", "zeros", "zeros_like", "_unsafe_view"),
}


def class_of(event: Any) -> str | None:
    """The class of a profiled operation; None: it has no kernel of its own.

    Products and softmax of three axes are those of attention. Clipping counts as the optimiser's.
    """
    name = str(event.name)
    parent = event
    while parent is not None:
        if parent.name.startswith(("Optimizer.", "aten::_foreach")):
            return OPTIMISER if name.startswith("aten::") else None
        parent = parent.cpu_parent
    if name in {"aten::mm", "aten::addmm"}:
        return PRODUCTS
    softmax = name in {"aten::_softmax", "aten::_softmax_backward_data"}
    if name in {"aten::bmm", "aten::baddbmm"} or (softmax and len(event.input_shapes[0]) == 3):
        return ATTENTION
    kernel = name.startswith("aten::") and name.removeprefix("aten::") not in NO_KERNEL
    return ELEMENTWISE if kernel else None


def kernel_milliseconds(step: Step) -> dict[str, float]:
    """Milliseconds that one step spends in the kernels of each class."""
    spent = dict.fromkeys(CLASSES, 0.0)
    with profile(activities=[ProfilerActivity.CPU], record_shapes=True) as profiler:
        step(0)
    for event in profiler.events() or []:
        if kind := class_of(event):
            spent[kind] += event.self_cpu_time_total / 1e3
    return spent


def profile_steps(configs: list[RunConfig], n_steps: int) -> pd.DataFrame:
    """Milliseconds per step on one thread, a row for each class: the median over steps.

    Steps with and without the profiler take turns. The last class is what is left of the
    wall-clock without it.
    """
    torch.set_num_threads(1)
    rows = []
    for config in configs:
        step, walls, kernels = trainer_step(config), [], []
        for _ in range(n_steps + 2):  # the first two warm up
            began = time.perf_counter()
            step(0)
            walls.append(1e3 * (time.perf_counter() - began))
            kernels.append(kernel_milliseconds(step))
        spent = {name: statistics.median(each[name] for each in kernels[2:]) for name in CLASSES}
        spent[REST] = max(0.0, statistics.median(walls[2:]) - sum(spent.values()))
        setting = (config.model.d_model, config.precision, config.batch_tokens)
        rows += [(*setting, name, round(spent[name], 3)) for name in CLASSES]
    columns = ["d_model", "precision", "batch_tokens", "part", "milliseconds"]
    return pd.DataFrame(rows, columns=columns)


def measure() -> pd.DataFrame:
    """Profile the steps of `matmul_peak` in a process of its own."""
    return in_new_process(project_root(), profile_steps, list(steps().values()), 6)


def in_bf16(table: pd.DataFrame) -> pd.DataFrame:
    """Milliseconds: a row for each batch size and width, a column for each class."""
    rows = table[table["precision"] == "bf16"]
    wide = rows.pivot(index=["batch_tokens", "d_model"], columns="part", values="milliseconds")
    return wide[list(CLASSES)].sort_index()


def findings(table: pd.DataFrame) -> Findings:
    """The share of matrix products in bf16 at the largest batch, by width."""
    wide, batch = in_bf16(table), int(table["batch_tokens"].max())
    shares = (wide[PRODUCTS] / wide.sum(axis=1)).loc[batch].round(3)
    products = {str(width): float(share) for width, share in shares.items()}
    return {"step_profile": {"batch_tokens": batch, "products": products}}


def figure(table: pd.DataFrame) -> Figure:
    """The share of each class in a step's time, a bar for each batch size and width."""
    wide, found = in_bf16(table), findings(table)["step_profile"]
    wide.index = pd.Index([f"{batch:,} tokens, width {width}" for batch, width in wide.index])
    (first, narrow), *_, (last, broad) = found["products"].items()
    title = (
        f"Matrix products are {100 * narrow:.0f} % of a bf16 step at width {first} and "
        f"{100 * broad:.0f} % at width {last}, with {found['batch_tokens']:,} tokens per step"
    )
    return cost_figure(wide, quantity="a step's ms on one core", title=title)


BENCHMARK = Benchmark("step_profile.csv", measure, findings, figure=figure)
