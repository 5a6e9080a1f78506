"""What a sweep's viewers, in a terminal and in a notebook, know about it while it runs."""

import time
from abc import ABC, abstractmethod

from tinylm import say
from tinylm.config import Run
from tinylm.records import RunRecord
from tinylm.sweeps.run import Plan, SweepListener
from tinylm.trainer import Progress


def shape(run: Run) -> str:
    """A run in a few words."""
    config = run.config
    return (
        f"d_model {config.model.d_model}, context {config.model.context_length}, "
        f"lr {config.optimizer.learning_rate:g}, seed {run.seed}"
    )


def pace(progress: Progress) -> tuple[str, str]:
    """Tokens a second and the time left of a run, as far as they are known. After the last step
    there is still the validation loss to be taken, on all documents.
    """
    speed, seconds = progress.tokens_per_second, progress.seconds_left
    left = "" if seconds is None else say.duration(seconds)
    if progress.step == progress.n_steps:
        left = "evaluating"
    return "" if speed is None else f"{speed:,.0f}", left


class Overview(SweepListener, ABC):
    """Keeps count of a sweep. Viewers add `say`, which shows a line."""

    def __init__(self, plan: Plan, slots: int) -> None:
        self.plan, self.slots = plan, slots
        self.by_id = {run.run_id: run for run in plan.todo}
        self.under_way: dict[str, Progress] = {}
        self.ended: dict[str, bool] = {}  # run id to whether it has a record
        self.found: dict[str, float] = {}  # how much of a run was done when this sweep came to it
        self.reached: dict[str, float] = {}  # and is by now, 0 to 1
        self.began = time.monotonic()

    @abstractmethod
    def say(self, line: str) -> None:
        """Show a line."""

    @property
    def done(self) -> int:
        """Runs that have got their record in this sweep."""
        return sum(self.ended.values())

    @property
    def failed_runs(self) -> int:
        """Runs given up in this sweep."""
        return len(self.ended) - self.done

    def seconds_left(self) -> float | None:
        """Estimated wall-clock left: by the plan's estimate, and at the pace seen so far; None as
        long as there is neither.
        """
        worth = {run.run_id: max(self.plan.seconds[run.run_id], 1e-9) for run in self.plan.todo}
        left = [seconds * (1 - self.reached.get(run_id, 0.0)) for run_id, seconds in worth.items()]
        spent = sum(
            worth[run_id] * (fraction - self.found.get(run_id, 0.0))
            for run_id, fraction in self.reached.items()
        )
        slots = max(1, min(self.slots, len(worth)))
        measured = spent > 0.03 * sum(worth.values())  # before that the estimate is all there is
        if not measured and self.plan.timing == "unknown":
            return None
        slowness = (time.monotonic() - self.began) * slots / spent if measured else 1.0
        return max(sum(left) / slots, max(left, default=0.0)) * slowness

    def summary(self) -> str:
        """The sweep in one line."""
        n = len(self.plan.todo)
        failed = f", {self.failed_runs} failed" if self.failed_runs else ""
        left = n - len(self.ended)
        seconds = self.seconds_left() if left else None
        until = "" if seconds is None else f", about {say.duration(seconds)}"
        return f"{self.done} of {n} runs done{failed}, {left} left{until}"

    def progressed(self, progress: Progress) -> None:
        """Note how far the run has come."""
        run_id, fraction = progress.run_id, progress.step / progress.n_steps
        if run_id not in self.ended:
            self.under_way[run_id] = progress
            self.found.setdefault(run_id, fraction)
            self.reached[run_id] = max(fraction, self.reached.get(run_id, 0.0))

    def finished(self, run: Run, record: RunRecord) -> None:
        """Say what the run reached."""
        result: str = record.status
        if record.validation is not None:
            result = f"{record.validation.bits_per_byte:.4f} bits per byte"
        self._end(run, True, f"{result}, {say.duration(record.timing.wall_seconds)}")

    def retried(self, run: Run, reason: str) -> None:
        """Say that the run is tried again."""
        self.under_way.pop(run.run_id, None)
        self.say(f"{run.run_id}  {shape(run)}: {reason}; it will be tried again")

    def failed(self, run: Run, reason: str) -> None:
        """Say why the run has no record."""
        self._end(run, False, f"FAILED: {reason}")

    def _end(self, run: Run, recorded: bool, how: str) -> None:
        self.under_way.pop(run.run_id, None)
        self.ended[run.run_id] = recorded
        self.reached[run.run_id] = 1.0
        n = len(self.plan.todo)
        self.say(f"[{len(self.ended):>3}/{n}] {run.run_id}  {shape(run)}: {how}")
