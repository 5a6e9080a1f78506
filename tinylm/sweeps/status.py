"""How far the runs of a profile are, whoever trains them: `tinylm status`."""

import time
from collections import Counter
from dataclasses import dataclass
from typing import Literal, get_args

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from tinylm.config import Run
from tinylm.errors import TinyLMError
from tinylm.store import Store
from tinylm.sweeps.declare import expand, load_experiment
from tinylm.sweeps.overview import shape
from tinylm.sweeps.progress import Seen, find_failure, read_progress
from tinylm.sweeps.terminal import STATUS_SECONDS, run_cells, runs_table
from tinylm.texts import check_records

WATCH_SECONDS = 1.0
LOG_WIDTH = 140  # of lines that no terminal limits
State = Literal["done", "diverged", "damaged", "failed", "under way", "to do"]
STATES = get_args(State)


@dataclass(frozen=True)
class RunStatus:
    """Where a run stands."""

    run: Run
    state: State
    seen: Seen | None = None  # of a run under way, once it has told
    reason: str = ""  # of a failed run, or of a record that cannot be used


class Status:
    """Looks at the runs of some experiments, as often as asked to."""

    def __init__(self, names: list[str], profile: str) -> None:
        """Raises TinyLMError for an unknown experiment, or one without this profile."""
        self.store = Store(profile)
        self.by_experiment = {name: expand(load_experiment(name), profile) for name in names}
        self.ended: dict[str, State] = {}  # by run id; a record that is there stays

    def look(self) -> dict[str, RunStatus]:
        """Every run's status, by its id."""
        runs = {run.run_id: run for runs in self.by_experiment.values() for run in runs}
        return {run_id: self._of(run) for run_id, run in runs.items()}

    def _of(self, run: Run) -> RunStatus:
        run_id = run.run_id
        try:
            if run_id not in self.ended and (record := self.store.find(run_id)):
                check_records([record], preparing=False)
                self.ended[run_id] = record.status
        except TinyLMError as error:
            return RunStatus(run, "damaged", reason=str(error))
        if run_id in self.ended:
            return RunStatus(run, self.ended[run_id])
        if self.store.is_locked(run_id):
            return RunStatus(run, "under way", read_progress(self.store, run_id))
        if failure := find_failure(self.store, run_id):
            return RunStatus(run, "failed", reason=failure.reason)
        return RunStatus(run, "to do")

    def render(self, found: dict[str, RunStatus]) -> RenderableType:
        """Counts by experiment, the runs under way, and those that failed or whose record cannot be
        used.
        """
        parts: list[RenderableType] = [self._counts(found)]
        under_way = [status for status in found.values() if status.state == "under way"]
        if under_way:
            parts += ["", _under_way(under_way)]
        for status in found.values():
            if status.state == "damaged":
                parts.append(Text(f"DAMAGED {shape(status.run)}: {status.reason}"))
            if status.state == "failed":
                line = f"FAILED {status.run.run_id}  {shape(status.run)}: {status.reason}"
                log = self.store.log_path(status.run.run_id)
                parts.append(Text(line + (f"; its log: {log}" if log.exists() else "")))
        return Group(*parts)

    def _counts(self, found: dict[str, RunStatus]) -> Table:
        table = Table(box=None, pad_edge=False)
        table.add_column(f"profile {self.store.profile}")
        for state in STATES:
            table.add_column(state, justify="right")
        rows = {name: [r.run_id for r in runs] for name, runs in self.by_experiment.items()}
        if len(rows) > 1:
            rows["all runs"] = list(found)  # which experiments may share
        for name, run_ids in rows.items():
            counts = Counter(found[run_id].state for run_id in set(run_ids))
            table.add_row(name, *(str(counts[state]) for state in STATES))
        return table


def _under_way(statuses: list[RunStatus]) -> Table:
    table = runs_table("process")
    for status in statuses:
        if seen := status.seen:
            table.add_row(*run_cells(status.run, seen.progress), f"{seen.host}:{seen.pid}")
        else:
            table.add_row(status.run.run_id[:8], shape(status.run), "starting")
    return table


def show_status(names: list[str], profile: str, *, watch: bool = False) -> None:
    """Print where the runs stand; with `watch`, until all have ended or Ctrl-C.

    Raises:
        TinyLMError: an unknown experiment or profile.
    """
    console, status = Console(), Status(names, profile)
    if not console.is_terminal:
        console.width = max(console.width, LOG_WIDTH)
    found = status.look()
    if not watch:
        console.print(status.render(found), soft_wrap=True)
        return
    in_place = console.is_terminal
    with Live(status.render(found), console=console, auto_refresh=False) as live:
        while any(one.state in ("under way", "to do") for one in found.values()):
            time.sleep(WATCH_SECONDS if in_place else STATUS_SECONDS)
            found = status.look()
            if in_place:
                live.update(status.render(found), refresh=True)
            else:
                console.print(status.render(found), soft_wrap=True)
