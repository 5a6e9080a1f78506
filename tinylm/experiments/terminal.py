"""Sweeps in a terminal: the plan as a table, then bars while it runs; plain lines in a log."""

from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Table

from tinylm.experiments.declare import Run, expand, load_experiment
from tinylm.experiments.sweep import Outcome, Plan, SweepListener, plan_sweep, sweep, usable_cores
from tinylm.files import results_dir
from tinylm.records import RunRecord
from tinylm.train import Progress as Steps


def shape(run: Run) -> str:
    """A run in a few words."""
    config = run.config
    return (
        f"d_model {config.model.d_model}, context {config.model.context_length}, "
        f"lr {config.optimizer.learning_rate:g}, seed {run.seed}"
    )


def duration(seconds: float) -> str:
    """Seconds as a person would say them."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def megabytes(n_bytes: float) -> str:
    """Bytes as a person would say them, to two digits."""
    size = float(f"{n_bytes / 1e6:.2g}")
    return f"{size:.0f} MB" if size < 1000 else f"{size / 1000:.2g} GB"


class TerminalListener(SweepListener):
    """A bar for the whole sweep and one for each run under way; a line for each run that ends."""

    def __init__(self, console: Console, plan: Plan) -> None:
        self.console, self.plan = console, plan
        self.bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f} %"),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self.by_id = {run.run_id: run for run in plan.todo}
        self.whole = self.bars.add_task("all runs", total=sum(plan.seconds.values()))
        self.tasks: dict[str, TaskID] = {}
        self.spent: dict[str, float] = {}  # estimated seconds' worth of each run done so far
        self.ended = 0

    def progressed(self, progress: Steps) -> None:
        """Move the run's bar and the sweep's."""
        run = self.by_id[progress.run_id]
        if progress.run_id not in self.tasks:
            self.tasks[progress.run_id] = self.bars.add_task(shape(run), total=progress.n_steps)
        self.bars.update(self.tasks[progress.run_id], completed=progress.step)
        self._spend(run, progress.step / progress.n_steps)

    def _spend(self, run: Run, fraction: float) -> None:
        self.spent[run.run_id] = fraction * self.plan.seconds[run.run_id]
        self.bars.update(self.whole, completed=sum(self.spent.values()))

    def _end(self, run: Run) -> str:
        self.ended += 1
        if run.run_id in self.tasks:
            self.bars.remove_task(self.tasks.pop(run.run_id))
        self._spend(run, 1.0)
        return f"[{self.ended:>3}/{len(self.plan.todo)}] {run.run_id}  {shape(run)}"

    def finished(self, run: Run, record: RunRecord) -> None:
        """Say what the run reached."""
        result: str = record.status
        if record.validation is not None:
            result = f"{record.validation.bits_per_byte:.4f} bits per byte"
        self.console.print(
            f"{self._end(run)}: {result}, {duration(record.timing.wall_seconds)}",
            markup=False,
            highlight=False,
            soft_wrap=True,
        )

    def failed(self, run: Run, reason: str) -> None:
        """Say why the run has no record."""
        self.console.print(
            f"{self._end(run)}: FAILED: {reason}", markup=False, highlight=False, soft_wrap=True
        )


def print_plan(console: Console, plan: Plan, profile: str, jobs: int) -> None:
    """What is done, what is to do, and what time and memory it should take."""
    table = Table(title=f"profile {profile}")
    for heading in ("run", "shape", "tokens", "state", "time", "memory"):
        numeric = heading in {"tokens", "time", "memory"}
        table.add_column(heading, justify="right" if numeric else "left")
    for run in plan.runs:
        record = plan.done.get(run.run_id)
        state = record.status if record else "to do"
        seconds = "" if record else duration(plan.seconds[run.run_id])
        memory = megabytes(plan.memory[run.run_id]) if run.run_id in plan.memory else ""
        tokens = f"{run.config.tokens:,}"
        table.add_row(run.run_id, shape(run), tokens, state, seconds, memory)
    console.print(table)
    print_summary(console, plan, jobs)


def print_summary(console: Console, plan: Plan, jobs: int) -> None:
    """The plan in one line."""
    left = duration(3600 * plan.hours_left(jobs))
    memory = f", up to {megabytes(max(plan.memory.values()))} a process" if plan.memory else ""
    console.print(
        f"{len(plan.runs)} runs: {len(plan.done)} done, {len(plan.todo)} to do, "
        f"about {left} on {jobs} core{'s' if jobs > 1 else ''}{memory}",
        highlight=False,
    )


def run_experiments(
    names: list[str], profile: str, *, jobs: int | None = None, dry_run: bool = False
) -> Outcome:
    """Plan and sweep some experiments together, showing it in the terminal.

    Raises:
        InputError: an unknown name or profile, or data that cannot be had; nothing is trained.
    """
    console = Console()
    jobs = jobs or usable_cores()
    runs = [run for name in names for run in expand(load_experiment(name), profile)]
    with console.status("timing a few steps of each shape"):
        plan = plan_sweep(runs, profile, jobs=jobs)
    if dry_run:
        print_plan(console, plan, profile, jobs)
        return Outcome()
    print_summary(console, plan, jobs)
    listener = TerminalListener(console, plan)
    with listener.bars:
        outcome = sweep(plan, profile, jobs=jobs, listener=listener)
    folder = Path(results_dir(profile)) / "runs"
    console.print(
        f"{len(outcome.trained)} runs trained, {len(outcome.failed)} failed; records in {folder}",
        highlight=False,
        soft_wrap=True,
    )
    return outcome
