"""Where the time of a training step goes, by `torch.profiler`, in a handful of classes."""

import statistics
from typing import Any

import pandas as pd
import torch
from matplotlib.figure import Figure
from torch.profiler import ProfilerActivity, profile

from tinylm.bench.steps import Step, seconds_for, trainer_step
from tinylm.config import RunConfig
from tinylm.plots import cost_figure

PRODUCTS, ATTENTION = "matrix products", "attention"
ELEMENTWISE, OPTIMISER = "elementwise", "optimiser"  # elementwise: norms, softmax, copies too
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
    with profile(activities=[ProfilerActivity.CPU], record_shapes=True) as profiler:
        step(0)
    spent = dict.fromkeys(CLASSES, 0.0)
    for event in profiler.events() or []:
        if kind := class_of(event):
            spent[kind] += event.self_cpu_time_total / 1e3
    return spent


def profile_step(config: RunConfig, n_steps: int) -> pd.DataFrame:
    """Milliseconds a step on one thread, a row a class: the median over steps.

    Steps with and without the profiler take turns. The last class is what is left of the
    wall-clock without it.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    walls, kernels = [], []
    try:
        step = trainer_step(config)
        seconds_for(step, 2)
        for _ in range(n_steps):
            walls.append(1e3 * seconds_for(step, 1))
            kernels.append(kernel_milliseconds(step))
    finally:
        torch.set_num_threads(threads)
    spent = {name: statistics.median(each[name] for each in kernels) for name in CLASSES}
    spent[REST] = max(0.0, statistics.median(walls) - sum(spent.values()))
    return pd.DataFrame(
        {
            "d_model": config.model.d_model,
            "precision": config.precision,
            "batch_tokens": config.batch_tokens,
            "part": CLASSES,
            "milliseconds": [round(spent[name], 3) for name in CLASSES],
        }
    )


def _wide(parts: pd.DataFrame, precision: str) -> pd.DataFrame:
    """Milliseconds: a row a batch size and width, a column a class."""
    rows = parts[parts["precision"] == precision]
    wide = rows.pivot(index=["batch_tokens", "d_model"], columns="part", values="milliseconds")
    return wide[list(CLASSES)].sort_index()


def _shares(parts: pd.DataFrame, precision: str) -> pd.DataFrame:
    """Percent of the step: a row a width, a column a class, at the largest batch."""
    wide = _wide(parts, precision)
    last = wide.loc[[parts["batch_tokens"].max()]].droplevel("batch_tokens")
    return last.div(last.sum(axis=1), axis=0) * 100


def finding(parts: pd.DataFrame, precision: str) -> str:
    """In a sentence: the share of matrix products at the narrowest and the widest."""
    shares, batch = _shares(parts, precision), parts["batch_tokens"].max()
    narrow, wide = shares.index[0], shares.index[-1]
    return (
        f"Matrix products are {shares.loc[narrow, PRODUCTS]:.0f} % of a {precision} step at width "
        f"{narrow} and {shares.loc[wide, PRODUCTS]:.0f} % at width {wide}, with {batch:,} tokens "
        f"a step"
    )


def step_figure(parts: pd.DataFrame, precision: str) -> Figure:
    """The share of each class in a step's time, a bar a batch size and width."""
    wide = _wide(parts, precision)
    wide.index = pd.Index([f"{batch:,} tokens, width {width}" for batch, width in wide.index])
    title = finding(parts, precision)
    return cost_figure(wide, quantity="a step's ms on one core", title=title)


def alt_text(parts: pd.DataFrame, precision: str) -> str:
    """What the figure shows, for who cannot see it."""
    shares, batch = _shares(parts, precision), parts["batch_tokens"].max()
    each = "; ".join(
        f"width {width}: " + ", ".join(f"{name} {row[name]:.0f} %" for name in CLASSES)
        for width, row in shares.iterrows()
    )
    return (
        f"Stacked bars of where a {precision} training step's time goes, by batch size and width. "
        f"With {batch:,} tokens a step, {each}."
    )
