"""Sweeps in a terminal: the plan as a table, then a live one of what runs; plain lines in a log."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypedDict, Unpack

import torch
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress import Progress as Bar
from rich.progress_bar import ProgressBar
from rich.table import Table

from tinylm import say
from tinylm.config import Run, RunConfig, load_run_config
from tinylm.corpora.token_files import prepare
from tinylm.errors import Damaged
from tinylm.evaluate import evaluate
from tinylm.files import sha256_file
from tinylm.records import Losses, RunRecord
from tinylm.speed.choose import choose_steps
from tinylm.speed.memory import keep_freed_memory
from tinylm.store import Store, find_run
from tinylm.sweeps.declare import expand, load_experiment
from tinylm.sweeps.executors import make_executor
from tinylm.sweeps.overview import Overview, pace, shape
from tinylm.sweeps.processes import interruptible
from tinylm.sweeps.progress import ProgressFiles
from tinylm.sweeps.run import Outcome, Plan, Timing, plan_sweep, sweep, usable_cores
from tinylm.texts import check_records, prepared_text
from tinylm.train import describe, repeat, train
from tinylm.trainer import Progress

SAME_LOSS = 5e-3  # relative: far more than two processors differ by for the same weights
STATUS_SECONDS = 30.0  # between two lines on how far a sweep is, where there is no terminal
BAR_WIDTH = 16


def runs_table(*more: str) -> Table:
    """An empty table of runs under way, perhaps with more columns than `run_cells` fills."""
    table = Table(box=None, pad_edge=False)
    for heading in ("run", "shape", "steps", "train loss", "tokens/s", "left", *more):
        table.add_column(heading, no_wrap=True)
    return table


def run_cells(run: Run, progress: Progress) -> list[RenderableType]:
    """A run in such a table, its steps as a bar and as numbers."""
    steps = Table.grid(padding=(0, 1))
    bar = ProgressBar(total=progress.n_steps, completed=progress.step, width=BAR_WIDTH)
    steps.add_row(bar, f"{progress.step}/{progress.n_steps}")
    return [run.run_id[:8], shape(run), steps, f"{progress.train_nats:.3f}", *pace(progress)]


class TerminalListener(Overview):
    """A row for each run under way, and a line for each that ends; in a log only lines."""

    def __init__(self, console: Console, plan: Plan, slots: int) -> None:
        super().__init__(plan, slots)
        self.console = console
        self.last_said = self.began
        self.live = Live(
            console=console,
            get_renderable=self.render,
            refresh_per_second=4,
            transient=True,
        )

    def __enter__(self) -> "TerminalListener":
        if self.console.is_terminal:
            self.live.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.live.stop()

    def say(self, line: str) -> None:
        """Print a line, above the table if there is one."""
        self.last_said = time.monotonic()
        self.console.print(line, markup=False, highlight=False, soft_wrap=True)

    def waited(self) -> None:
        """Without a terminal, say now and then how far it is."""
        if not self.console.is_terminal and time.monotonic() - self.last_said > STATUS_SECONDS:
            under_way = [
                f"{shape(self.by_id[run_id])} at step {progress.step}/{progress.n_steps}"
                for run_id, progress in self.under_way.items()
            ]
            self.say("; ".join([self.summary(), *under_way]))

    def render(self) -> RenderableType:
        """The table of runs under way, and the whole sweep in a line."""
        table = runs_table()
        for progress in list(self.under_way.values()):
            table.add_row(*run_cells(self.by_id[progress.run_id], progress))
        return Group(table, self.summary())


def print_plan(console: Console, plan: Plan, store: Store, slots: int) -> None:
    """What is done, what is to do, and what time and memory it should take."""
    table = Table(title=f"profile {store.profile}")
    for heading in ("run", "shape", "tokens", "state", "time", "memory"):
        numeric = heading in {"tokens", "time", "memory"}
        table.add_column(heading, justify="right" if numeric else "left")
    for run in plan.runs:
        record = plan.done.get(run.run_id)
        state = record.status if record else "to do"
        timed = record is None and plan.timing != "unknown"
        seconds = say.duration(plan.seconds[run.run_id]) if timed else ""
        memory = say.size(plan.memory[run.run_id]) if run.run_id in plan.memory else ""
        tokens = f"{run.config.tokens:,}"
        table.add_row(run.run_id, shape(run), tokens, state, seconds, memory)
    console.print(table)
    print_summary(console, plan, slots)


def print_summary(console: Console, plan: Plan, slots: int) -> None:
    """The plan in one line."""
    said = f"{len(plan.runs)} runs: {len(plan.done)} done, {len(plan.todo)} to do"
    if plan.timing != "unknown":
        about = {"tried": "about", "rough": "very roughly"}[plan.timing]
        left = say.duration(3600 * plan.hours_left(slots))
        said += f", {about} {left} on {slots} core{'s' if slots > 1 else ''}"
    if plan.memory:
        said += f", up to {say.size(max(plan.memory.values()))} per process"
    console.print(said, highlight=False)


def print_outcome(console: Console, outcome: Outcome, store: Store) -> None:
    """What came of a sweep, and of each run that failed where to look."""
    for run_id, reason in outcome.failed.items():
        log = store.log_path(run_id)
        where = f"; its log: {log}" if log.exists() else ""
        line = f"FAILED {run_id}: {reason}{where}"
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    console.print(
        f"{len(outcome.trained)} runs trained, {len(outcome.failed)} failed; "
        f"records in {store.folder / 'runs'}",
        highlight=False,
        soft_wrap=True,
    )


def train_one(config_name: str, seed: int, profile: str, device: str | None = None) -> RunRecord:
    """Train one run with a bar that shows how far it is.

    Raises:
        TinyLMError: as `tinylm.train.train`.
    """
    config, store = load_run_config(config_name), Store(profile)
    with _one_run(store, f"training {config_name}", config) as listener:
        return train(
            config, seed, store=store, device=device, listener=listener, choose=choose_steps
        )


def repeat_one(run: str, device: str | None = None) -> str:
    """Train a recorded run again with such a bar; its result, beside that of its record.

    Raises:
        TinyLMError: no such run, or as `tinylm.train.repeat`.
    """
    store, record = find_run(run)
    with _one_run(store, f"repeating {record.run_id[:8]}", record.config) as listener:
        made = repeat(record, store=store, device=device, listener=listener, choose=choose_steps)
    return f"{describe(made)}\n  {_beside(record, made.validation)}"


def evaluate_one(run: str) -> str:
    """The losses of a finished run's model, on the text that it was trained for.

    Raises:
        TinyLMError: no such run; its model is not here, or not its own; another text or tokenizer
            than its record's; a loss that is not that of its record.
    """
    store, record = find_run(run)
    model, _ = store.load_model(record)
    check_records([record])
    names = record.config.data
    data = prepare(names.corpus, names.tokenizer)
    file = store.model_dir(record.run_id) / "tokenizer.json"
    if sha256_file(file) != prepared_text(data).tokenizer_sha256:
        raise Damaged(
            f"tokenizer file {file} is not the one that {names.corpus} is cut by; "
            f"`tinylm repeat {record.run_id}` writes it again"
        )
    losses = evaluate(
        model, data.evaluated(record.config.evaluation), record.config.evaluation.stride_fraction
    )
    assert record.validation is not None  # it is done, and left its model
    if abs(losses.nats / record.validation.nats - 1) > SAME_LOSS:
        raise Damaged(
            f"run {record.run_id}: its model reaches {losses.nats:.4f} nats per token, and "
            f"{_beside(record, losses)}: weights and record do not belong together"
        )
    return (
        f"run {record.run_id} · {names.corpus} · {names.tokenizer}\n"
        f"  validation {losses.nats:.4f} nats per token · "
        f"{losses.bits_per_byte:.4f} bits per byte\n"
        f"  perplexity {losses.perplexity:.2f} over {losses.tokens:,} tokens of "
        f"{losses.documents:,} documents\n"
        f"  {_beside(record, losses)}"
    )


def _beside(record: RunRecord, losses: Losses | None) -> str:
    """What a run's record says, and how far that is from what was found now."""
    if record.validation is None:
        return "its record says diverged"
    said = f"its record says {record.validation.nats:.4f} nats per token"
    if losses is None:
        return said
    off = losses.nats - record.validation.nats
    return f"{said}, {'the same' if off == 0 else f'{say.signed(off, digits=6)} from it'}"


@contextmanager
def _goes_on() -> Iterator[None]:
    """Within it Ctrl-C ends well what is under way, and says that nothing is lost."""
    with interruptible():
        try:
            yield
        except KeyboardInterrupt:
            print("stopped; the same command goes on where it was", flush=True)
            raise


@contextmanager
def _one_run(store: Store, what: str, config: RunConfig) -> Iterator[ProgressFiles]:
    """A bar that shows how far one run is, as a listener."""
    keep_freed_memory()
    with _goes_on(), Bar(transient=True) as bar:
        task = bar.add_task(what, total=config.steps)

        def show(progress: Progress) -> None:
            bar.update(task, completed=progress.step)

        with ProgressFiles(store, show) as listener:
            yield listener


class How(TypedDict, total=False):
    """How runs are swept, as `run_all` explains it."""

    jobs: int | None
    dry_run: bool
    executor: str
    options: dict[str, Any] | None
    batched: int


def run_experiments(names: list[str], profile: str, **how: Unpack[How]) -> Outcome:
    """Plan and sweep some experiments together.

    Raises:
        TinyLMError: an unknown name or profile, or as `run_all`.
    """
    runs = [run for name in names for run in expand(load_experiment(name), profile)]
    return run_all(runs, Store(profile), **how)


def run_all(
    runs: list[Run],
    store: Store,
    *,
    jobs: int | None = None,
    dry_run: bool = False,
    executor: str = "local",
    options: dict[str, Any] | None = None,
    batched: int = 1,
) -> Outcome:
    """Plan and sweep runs, showing it in the terminal.

    `jobs` is how many train at a time, by default all that the executor has room for, and on a
    machine whose GPU trains up to `batched` runs together, one; `options` are the other ones of
    the executor named.

    Raises:
        TinyLMError: data that cannot be had, or a record that is damaged; nothing is trained.
    """
    console, options = Console(), dict(options or {})
    timing: Timing = "rough" if dry_run else "tried"
    if executor == "local":
        on_gpu = batched > 1 and torch.cuda.is_available()
        device = options.setdefault("device", "cuda" if on_gpu else "cpu")
        jobs = jobs or (1 if device == "cuda" and batched > 1 else usable_cores())
    if executor != "local" or device == "cuda":
        timing = "unknown"
    with _goes_on(), make_executor(executor, jobs=jobs, **options) as chosen:
        with console.status("timing a few steps of each shape"):
            plan = plan_sweep(runs, store, jobs=chosen.slots, timing=timing)
        if dry_run:
            print_plan(console, plan, store, chosen.slots)
            return Outcome()
        print_summary(console, plan, chosen.slots)
        with TerminalListener(console, plan, chosen.slots) as listener:
            outcome = sweep(plan, store, chosen, listener=listener, batched=batched)
    print_outcome(console, outcome, store)
    return outcome
