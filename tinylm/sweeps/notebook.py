"""A sweep in a notebook: bars that move while it runs, and text where no widget can be shown."""

import os
from collections.abc import Sequence
from html import escape
from typing import Any

from tinylm.extras import needs
from tinylm.store import Store
from tinylm.sweeps.declare import expand, load_experiment
from tinylm.sweeps.executors import make_executor
from tinylm.sweeps.overview import Overview, pace, shape
from tinylm.sweeps.run import Outcome, Plan, Timing, plan_sweep, sweep, usable_cores
from tinylm.trainer import Progress

with needs("book"):
    import ipywidgets
    from IPython import get_ipython
    from IPython.display import display

LINES = 8  # the latest, shown under the bars
VIEW = "application/vnd.jupyter.widget-view+json"


class NotebookView(Overview):
    """A bar for the sweep and one for each run under way; the latest lines below.

    Its output also holds the summary as text, for readers of the notebook without a kernel.
    """

    def __init__(self, plan: Plan, slots: int) -> None:
        super().__init__(plan, slots)
        self.lines: list[str] = []
        self.bars: dict[str, ipywidgets.HBox] = {}
        self.whole = _bar("all runs", max(1, len(plan.todo)))
        self.rows = ipywidgets.VBox()
        self.log = ipywidgets.HTML()
        self.box = ipywidgets.VBox([self.whole, self.rows, self.log])
        self.output: Any = None

    def show(self) -> None:
        """Display it below the cell."""
        self.update()
        self.output = display(self.bundle(), raw=True, display_id=True)  # type: ignore[no-untyped-call]

    def bundle(self) -> dict[str, Any]:
        """The output: the widget, and its text for whoever cannot show one."""
        view = {"version_major": 2, "version_minor": 0, "model_id": self.box.model_id}
        return {VIEW: view, "text/plain": "\n".join([*self.lines, self.summary()])}

    def close(self) -> None:
        """Leave the text as it is at the end."""
        self.update()
        if self.output is not None:
            self.output.update(self.bundle(), raw=True)

    def say(self, line: str) -> None:
        """Add a line."""
        self.lines.append(line)
        self.update()

    def progressed(self, progress: Progress) -> None:
        """Move the run's bar."""
        super().progressed(progress)
        if progress.run_id in self.under_way:
            self.update()

    def update(self) -> None:
        """Bring the widgets up to date."""
        for run_id in self.bars.keys() - self.under_way.keys():
            self.bars.pop(run_id).close()
        for run_id, progress in self.under_way.items():
            if run_id not in self.bars:
                self.bars[run_id] = _bar(shape(self.by_id[run_id]), progress.n_steps)
            speed, left = pace(progress)
            parts = [f"{progress.step}/{progress.n_steps}", f"loss {progress.train_nats:.3f}"]
            parts += [f"{speed} tokens/s"] if speed else []
            parts += [left if left == "evaluating" else f"{left} left"] if left else []
            _move(self.bars[run_id], progress.step, ", ".join(parts))
        self.rows.children = list(self.bars.values())
        _move(self.whole, len(self.ended), self.summary())
        self.log.value = "<br>".join(escape(line) for line in self.lines[-LINES:])


class TextView(Overview):
    """The same as lines, where there is no kernel to show widgets."""

    def show(self) -> None:
        """Say what is to do."""
        self.say(self.summary())

    def say(self, line: str) -> None:
        """Print a line."""
        print(line, flush=True)

    def close(self) -> None:
        """Say what was done."""
        self.say(self.summary())


def _bar(label: str, total: int) -> ipywidgets.HBox:
    """A label, a bar and a text."""
    wide = ipywidgets.Layout(width="22em")
    return ipywidgets.HBox(
        [
            ipywidgets.Label(label, layout=wide),
            ipywidgets.IntProgress(0, 0, total),
            ipywidgets.Label(),
        ]
    )


def _move(bar: ipywidgets.HBox, value: int, text: str) -> None:
    _, progress, label = bar.children
    progress.value, label.value = value, text


def has_widgets() -> bool:
    """Whether this is a kernel, whose front end may show widgets."""
    shell = get_ipython()
    return hasattr(shell, "kernel") and os.environ.get("TINYLM_STATIC") != "1"


def sweep_in_notebook(
    names: str | Sequence[str],
    profile: str = "quick",
    *,
    executor: str = "local",
    **options: Any,
) -> Outcome:
    """Train every run of some experiments that has no record yet, showing it below the cell.

    `options` are the executor's: `jobs=2` is the local one's number of runs at a time. To stop,
    interrupt the kernel; the same call goes on where it was.

    Raises:
        TinyLMError: an unknown name or profile, or data that cannot be had; nothing is trained.
    """
    store = Store(profile)
    names = [names] if isinstance(names, str) else names
    runs = [run for name in names for run in expand(load_experiment(name), profile)]
    if executor == "local":
        options.setdefault("jobs", usable_cores())
    with make_executor(executor, **options) as chosen:
        timing: Timing = "tried" if executor == "local" else "unknown"
        plan = plan_sweep(runs, store, timing=timing)
        view = (NotebookView if has_widgets() else TextView)(plan, chosen.slots)
        view.show()
        try:
            return sweep(plan, store, chosen, listener=view)
        finally:
            view.close()
