"""How often a 95% interval holds the truth, in studies that are made up and so have a known one.
`python -m tinylm.bench.coverage`: half an hour on two cores, resumable.

Each made-up study has the settings, the number of seeds and the noise of runs of the paper profile,
and exact losses of a law or surface of about their size. It is fitted as if it were measured.
"""

import argparse
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.stats import binomtest

from tinylm.bench.scratch import scratch_root
from tinylm.bench.summary import bench_dir, run_command
from tinylm.cost import FLOPS_PER_PARAMETER_AND_TOKEN
from tinylm.files import write_atomic
from tinylm.laws import (
    PowerLaw,
    Surface,
    bootstrap_isoflops,
    bootstrap_power_law,
    bootstrap_surface,
    fit_power_law,
    profile_interval,
)
from tinylm.laws.scatter import FitStatus, Settings, interval, settings_of
from tinylm.laws.solver import Array
from tinylm.records import git_state, to_table
from tinylm.store import Store
from tinylm.studies.cuts import fables_study
from tinylm.sweeps.declare import expand, load_experiment
from tinylm.sweeps.processes import end_with_parent
from tinylm.sweeps.run import usable_cores

STUDIES, RESAMPLES = 1000, 400
SEEDS = 3
BUDGETS = np.geomspace(1e11, 1e13, 5)  # 6·N·D of the made-up surface's runs
SPREAD = np.geomspace(1 / 5, 5, 6)  # sizes of a budget, over its best
FURTHER = 10.0  # times the largest budget: where an optimum is predicted
PLANTED = {"A": 30.0, "alpha": 0.38, "B": 200.0, "beta": 0.42}  # over the floor of fables
PARABOLAS = "isoFLOP parabolas"
Bounds = tuple[float, float]
Intervals = dict[str, tuple[Bounds, float]]  # by quantity: its interval and its true value


@dataclass(frozen=True)
class Plan:
    """What is alike in all studies of one kind. Arrays have an entry a run."""

    name: str
    loss: Array  # exact
    noise: Array  # standard deviation of log loss
    measure: Callable[[Array], Intervals]  # from the losses of one study

    def study(self, number: int) -> list[dict[str, object]]:
        """A row for each interval of one study."""
        rng = np.random.default_rng([number, len(self.loss)])
        losses = self.loss * np.exp(self.noise * rng.standard_normal(len(self.loss)))
        return [
            {
                "plan": self.name,
                "study": number,
                "of": name,
                "truth": truth,
                "low": low,
                "high": high,
                "held": low <= truth <= high,
            }
            for name, ((low, high), truth) in self.measure(losses).items()
        ]


def bounds(ends: tuple[ArrayLike, ArrayLike]) -> Bounds:
    """An interval as two floats."""
    low, high = ends
    return float(np.asarray(low)), float(np.asarray(high))


def measure_law(
    x: Array, seed: Array, floor: float | None, truth: PowerLaw, loss: Array
) -> Intervals:
    """Intervals of a power law through one study."""
    fit = bootstrap_power_law(x, seed, loss, floor, RESAMPLES)
    found = {"alpha": (fit.alpha_interval, truth.alpha)}
    for name, n in (("the largest N", x.max()), ("ten times the largest N", 10 * x.max())):
        found[f"loss at {name}"] = (bounds(fit.loss_interval(n)), float(truth.loss(n)))
    return found | ({"E": (fit.E_interval, truth.E)} if floor is None else {})


def measure_surface(
    n: Array, d: Array, seed: Array, floor: float | None, truth: Surface, loss: Array
) -> Intervals:
    """Intervals of a surface through one study."""
    fit = bootstrap_surface(n, d, seed, loss, floor, RESAMPLES)
    far = FURTHER * BUDGETS[-1]
    best, draws = truth.optimal(far), fit.optimal_resamples(far)
    names = ["alpha", "beta", *(["E"] if floor is None else [])]
    found = {name: (fit.interval(name), float(getattr(truth, name))) for name in names}
    found["exponent of the optimal N"] = (fit.interval("size_exponent"), truth.size_exponent)
    for name, values, true in (("N", draws[0], best.N), ("loss", draws[2], best.loss)):
        found[f"optimal {name} at ten times the largest C"] = (interval(values), true)
    profiled = profile_interval(n, d, loss, "alpha", floor)
    return found | {"alpha, by profile likelihood": (profiled, truth.alpha)}


def measure_isoflops(n: Array, d: Array, seed: Array, truth: Surface, loss: Array) -> Intervals:
    """Intervals of the line through the minima of isoFLOP parabolas of one study."""
    fit = bootstrap_isoflops(n, d, seed, loss, RESAMPLES)
    far = FURTHER * BUDGETS[-1]
    return {
        "exponent of the optimal N": (fit.exponent_interval, truth.size_exponent),
        "optimal N at ten times the largest C": (
            bounds(fit.size_interval(far)),
            truth.optimal(far).N,
        ),
    }


def plans() -> list[Plan]:
    """A cut with the floor fitted and known, a surface likewise, and isoFLOP parabolas.

    Raises:
        TinyLMError: runs of the paper profile have no records.
    """
    sizes = to_table(Store("paper").load(expand(load_experiment("model_size"), "paper")))
    sizes = sizes[sizes["status"] == "done"]
    fables = fables_study(Store("paper"))
    cut, floor = fables.cuts["N"].runs, fables.floor.nats
    both = pd.concat([one.runs.assign(axis=axis) for axis, one in fables.cuts.items()])
    places = {"x": both["x"].to_numpy(float), "axis": (both["axis"] == "N").to_numpy(float)}
    fables_noise = settings_of(places, both["seed"].to_numpy(), both["loss"].to_numpy(float))
    chapter_5 = sizes.rename(columns={"n_non_embedding": "x", "nats": "loss"})
    return [
        cut_plan("cut in N of chapter 5, E fitted", chapter_5, None),
        cut_plan("cut in N of chapter 7, E known", cut, floor),
        *surface_plans(floor, fables_noise),
    ]


def cut_plan(name: str, runs: pd.DataFrame, floor: float | None) -> Plan:
    """The settings of runs along one axis x, about the law that is fitted to them."""
    x, losses = runs["x"].to_numpy(float), runs["loss"].to_numpy(float)
    seed = runs["seed"].to_numpy()
    law = fit_power_law(x, losses, floor)
    noise = settings_of({"x": x}, seed, losses).noise_at(law.loss(x))
    return Plan(name, law.loss(x), noise, partial(measure_law, x, seed, floor, law))


def surface_plans(floor: float, noise: Settings) -> list[Plan]:
    """Budgets of compute, each with sizes about its best, on a planted surface over a floor."""
    status = FitStatus(True, (), 1, 0)
    surface = Surface(floor, **PLANTED, status=status, n_points=0, residual_rms=0.0)
    best = [surface.optimal(flops) for flops in BUDGETS]
    n = np.concatenate([np.repeat(one.N * SPREAD, SEEDS) for one in best])
    d = np.repeat(BUDGETS / FLOPS_PER_PARAMETER_AND_TOKEN, len(SPREAD) * SEEDS) / n
    seed = np.tile(np.arange(float(SEEDS)), len(n) // SEEDS)
    loss = surface.loss(n, d)
    return [
        Plan(name, loss, noise.noise_at(loss), measure)
        for name, measure in (
            ("surface, E fitted", partial(measure_surface, n, d, seed, None, surface)),
            ("surface, E known", partial(measure_surface, n, d, seed, floor, surface)),
            (PARABOLAS, partial(measure_isoflops, n, d, seed, surface)),
        )
    ]


def run_plan(plan: Plan, studies: int) -> pd.DataFrame:
    """All studies of a plan, a row an interval."""
    with ProcessPoolExecutor(
        usable_cores(), mp_context=get_context("spawn"), initializer=end_with_parent
    ) as pool:
        found = pool.map(plan.study, range(studies), chunksize=10)
        return pd.DataFrame([row for rows in found for row in rows])


def summarise(rows: pd.DataFrame) -> pd.DataFrame:
    """A row a plan and quantity: the share of studies whose interval holds the truth, with the 95%
    interval of that share, and the median width of the intervals.
    """
    table = []
    for (plan, name), part in rows.groupby(["plan", "of"], sort=False):
        held = int(part["held"].sum())
        low, high = binomtest(held, len(part)).proportion_ci(0.95, "wilson")
        table.append(
            {
                "plan": plan,
                "of": name,
                "truth": part["truth"].iloc[0],
                "studies": len(part),
                "covered": held / len(part),
                "covered_low": low,
                "covered_high": high,
                "median_width": float((part["high"] - part["low"]).median()),
                "commit": git_state()[0],
            }
        )
    return pd.DataFrame(table)


def measure(studies: int = STUDIES, root_name: str = "coverage") -> pd.DataFrame:
    """Run what is left to run; writes `coverage.csv`.

    Raises:
        TinyLMError: as `plans`.
    """
    folder, parts = scratch_root(root_name), []
    for plan in plans():
        kept = folder / f"{plan.name}-{studies}.csv"
        if not kept.exists():
            write_atomic(kept, run_plan(plan, studies).to_csv(index=False))
        parts.append(pd.read_csv(kept))
    table = summarise(pd.concat(parts))
    write_atomic(bench_dir() / "coverage.csv", table.to_csv(index=False))
    return table


def main(arguments: list[str] | None = None) -> int:
    """Run the measurement; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tinylm.bench.coverage")
    parser.add_argument("--studies", type=int, default=STUDIES, help="of each kind")
    return run_command(partial(measure, parser.parse_args(arguments).studies))


if __name__ == "__main__":
    sys.exit(main())
