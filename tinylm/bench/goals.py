"""The goals that were set before anything was measured, and whether the findings reach them."""

from collections.abc import Iterable
from dataclasses import dataclass

import pandas as pd

from tinylm.bench.findings import Findings
from tinylm.say import NO_BREAK

TIMES_TO_LOSS = 15.0
TIMES_SWEEP = 2.0
PEAK_FRACTION, PEAK_FROM_WIDTH = 0.40, 256
TIMES_BATCHED, BATCHED_MOST_N = 10.0, 1_000_000
COST_MODEL_SHARE = 0.9
NOTHING = "not yet measured"


@dataclass(frozen=True)
class Goal:
    """One row: what was asked for, what was found, and whether that reaches it; None: unknown."""

    measured: str
    goal: str
    found: str = NOTHING
    reached: bool | None = None

    @property
    def verdict(self) -> str:
        """As the book prints it."""
        if self.reached is None:
            return "open"
        return "**reached**" if self.reached else "**not reached**"


def goals(found: Findings) -> list[Goal]:
    """Every goal, in the order of the page."""
    return [
        _time_to_loss(found),
        *_sweep(found),
        _peak(found),
        _precision(found),
        _branches(found),
        _batched(found),
        _cost_model(found),
    ]


def goals_table(found: Findings) -> pd.DataFrame:
    """The goals as the page shows them."""
    rows = [(each.measured, each.goal, each.found, each.verdict) for each in goals(found)]
    return pd.DataFrame(rows, columns=["measured", "goal", "found", "goal is"])


def _percent(share: float) -> str:
    return f"{100 * share:.1f}{NO_BREAK}%"


def _listed(items: Iterable[str]) -> str:
    return ", ".join(items)


def _time_to_loss(found: Findings) -> Goal:
    goal = Goal("time to loss, against the reference", f"{TIMES_TO_LOSS:.0f} times as fast")
    if found.time_to_loss is None:
        return goal
    said = _listed(
        f"{each.ratio:.1f} on {name}" + ("" if each.reached else ", but the loss is higher")
        for name, each in found.time_to_loss.items()
    )
    ratio = found.time_to_loss_ratio
    return Goal(goal.measured, goal.goal, said, ratio is not None and ratio >= TIMES_TO_LOSS)


def _sweep(found: Findings) -> list[Goal]:
    speed = Goal("sweep of 12 runs, against a plain loop", f"{TIMES_SWEEP:.0f} times as fast")
    if found.sweep_ratio is not None:
        ratio = found.sweep_ratio
        speed = Goal(speed.measured, speed.goal, f"{ratio:.2f}", ratio >= TIMES_SWEEP)
    equal = Goal("losses of the sweep, against the run alone", "equal bit for bit")
    if (seen := found.sweep_bit_equal) is not None:
        said = f"{seen.equal} of {seen.checked} equal"
        equal = Goal(equal.measured, equal.goal, said, seen.equal == seen.checked > 0)
    return [speed, equal]


def _peak(found: Findings) -> Goal:
    goal = Goal(
        "share of the bf16 matmul peak",
        f"{100 * PEAK_FRACTION:.0f}{NO_BREAK}% from width {PEAK_FROM_WIDTH} on",
    )
    by_width = (found.matmul_peak_fraction or {}).get("bf16", {})
    wide = {int(w): share for w, share in by_width.items() if int(w) >= PEAK_FROM_WIDTH}
    if not wide:
        return goal
    said = _listed(f"{_percent(share)} at width {width}" for width, share in sorted(wide.items()))
    return Goal(goal.measured, goal.goal, said, min(wide.values()) >= PEAK_FRACTION)


def _precision(found: Findings) -> Goal:
    goal = Goal("loss in bf16, against fp32", "within the noise of seeds")
    if not found.bf16_harmless:
        return goal
    harmful = [width for width, each in found.bf16_harmless.items() if not each.harmless]
    said = f"harmless at widths {_listed(found.bf16_harmless)}"
    if harmful:
        said = f"not harmless at widths {_listed(harmful)}"
    return Goal(goal.measured, goal.goal, said, not harmful)


def _branches(found: Findings) -> Goal:
    goal = Goal("loss of a branch, against a run from scratch", "within the noise of seeds")
    if (each := found.branching) is None:
        return goal
    noise = min(each.seed_std_nats.values())
    said = f"{each.equal_bit_for_bit} of {each.runs} equal bit for bit"
    return Goal(goal.measured, goal.goal, said, each.largest_difference_nats <= noise)


def _batched(found: Findings) -> Goal:
    goal = Goal(
        "many models as one program on a GPU",
        f"{TIMES_BATCHED:.0f} times the tokens/s of one at a time, N up to "
        f"{BATCHED_MOST_N / 1e6:.0f}M",
    )
    small = [each for each in found.batched or [] if each.non_embedding <= BATCHED_MOST_N]
    if not small:
        return goal
    said = _listed(f"{each.ratio:.1f} at N = {each.non_embedding:,}" for each in small)
    return Goal(goal.measured, goal.goal, said, min(each.ratio for each in small) >= TIMES_BATCHED)


def _cost_model(found: Findings) -> Goal:
    goal = Goal(
        "predicted time and memory of a run",
        f"within 25{NO_BREAK}% for {100 * COST_MODEL_SHARE:.0f}{NO_BREAK}% of the runs",
    )
    if (share := found.cost_model_within_25_percent) is None:
        return goal
    said = f"{_percent(share)} of the runs"
    return Goal(goal.measured, goal.goal, said, share >= COST_MODEL_SHARE)
