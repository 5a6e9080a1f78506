"""Studies that are made up and so have a known truth: does an interval hold it?

Each has the settings, the number of seeds and the noise of runs of the paper profile, and exact
losses of a law or surface of about their size. It is fitted as if it were measured. How often the
intervals hold the truth is counted by `tinylm bench coverage`, which takes half an hour.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from tinylm.cost import FLOPS_PER_PARAMETER_AND_TOKEN
from tinylm.laws import (
    PowerLaw,
    Surface,
    bootstrap_isoflops,
    bootstrap_power_law,
    bootstrap_surface,
    fit_power_law,
)
from tinylm.laws.scatter import FitStatus, Settings, interval, settings_of
from tinylm.laws.solver import Array
from tinylm.store import Store
from tinylm.studies.floor import known_floor
from tinylm.studies.runs import to_table
from tinylm.sweeps.declare import expand, load_experiment

RESAMPLES, SEEDS = 400, 3
BUDGETS = np.geomspace(1e11, 1e13, 5)  # 6·N·D of the made-up surface's runs
SPREAD = np.geomspace(1 / 5, 5, 6)  # sizes of a budget, over its best
FURTHER = 10.0  # times the largest: where a loss or an optimum is predicted
PLANTED = {"A": 30.0, "alpha": 0.38, "B": 200.0, "beta": 0.42}  # over the floor of fables
PARABOLAS = "isoFLOP parabolas"
Interval = tuple[str, float, float, float]  # quantity, truth, low, high
Intervals = dict[str, tuple[Any, float]]  # by quantity: its interval and its true value


@dataclass(frozen=True)
class Plan:
    """What is alike in all studies of one kind. Arrays have an entry for each run."""

    name: str
    loss: Array  # exact
    noise: Array  # standard deviation of log loss
    measure: Callable[[Array], Intervals]  # from the losses of one study

    def study(self, number: int) -> list[Interval]:
        """The intervals of one study."""
        rng = np.random.default_rng([number, len(self.loss)])
        losses = self.loss * np.exp(self.noise * rng.standard_normal(len(self.loss)))
        return [
            (name, truth, float(np.asarray(low)), float(np.asarray(high)))
            for name, ((low, high), truth) in self.measure(losses).items()
        ]


def measure_law(
    n: Array, seed: Array, floor: float | None, truth: PowerLaw, loss: Array
) -> Intervals:
    """Intervals of a power law through one study."""
    fit = bootstrap_power_law(n, seed, loss, floor, RESAMPLES)
    found: Intervals = {"alpha": (fit.alpha_interval, truth.alpha)}
    for where, size in (("the largest N", n.max()), ("ten times the largest N", FURTHER * n.max())):
        found[f"loss at {where}"] = (fit.loss_interval(size), float(truth.loss(size)))
    return found | ({"E": (fit.E_interval, truth.E)} if floor is None else {})


def measure_surface(
    n: Array, d: Array, seed: Array, floor: float | None, truth: Surface, loss: Array
) -> Intervals:
    """Intervals of a surface through one study."""
    fit, far = bootstrap_surface(n, d, seed, loss, floor, RESAMPLES), FURTHER * BUDGETS[-1]
    best, draws = truth.optimal(far), fit.optimal_resamples(far)
    names = ["alpha", "beta", *(["E"] if floor is None else [])]
    found: Intervals = {name: (fit.interval(name), float(getattr(truth, name))) for name in names}
    found["exponent of the optimal N"] = (fit.interval("size_exponent"), truth.size_exponent)
    for name, values, true in (("N", draws[0], best.N), ("loss", draws[2], best.loss)):
        found[f"optimal {name} at ten times the largest C"] = (interval(values), true)
    return found


def measure_isoflops(n: Array, d: Array, seed: Array, truth: Surface, loss: Array) -> Intervals:
    """Intervals of the line through the minima of isoFLOP parabolas of one study."""
    fit, far = bootstrap_isoflops(n, d, seed, loss, RESAMPLES), FURTHER * BUDGETS[-1]
    size = (fit.size_interval(far), truth.optimal(far).N)
    exponent = (fit.exponent_interval, truth.size_exponent)
    return {"exponent of the optimal N": exponent, "optimal N at ten times the largest C": size}


def cut_plan(name: str, runs: pd.DataFrame, floor: float | None) -> Plan:
    """The sizes of runs, about the law that is fitted to them; without a floor E is fitted too."""
    n, losses = runs["n_non_embedding"].to_numpy(float), runs["nats"].to_numpy(float)
    seed, law = runs["seed"].to_numpy(), fit_power_law(n, losses, floor)
    noise = settings_of({"x": n}, seed, losses).noise_at(law.loss(n))
    return Plan(name, law.loss(n), noise, partial(measure_law, n, seed, floor, law))


def surface_plans(floor: float, noise: Settings) -> list[Plan]:
    """Budgets of compute, each with sizes about its best, on a planted surface over a floor."""
    status = FitStatus(True, (), 1, 0)
    surface = Surface(
        E=floor,
        A=PLANTED["A"],
        alpha=PLANTED["alpha"],
        B=PLANTED["B"],
        beta=PLANTED["beta"],
        status=status,
        n_points=0,
        residual_rms=0.0,
    )
    best = [surface.optimal(flops) for flops in BUDGETS]
    n = np.concatenate([np.repeat(one.N * SPREAD, SEEDS) for one in best])
    d = np.repeat(BUDGETS / FLOPS_PER_PARAMETER_AND_TOKEN, len(SPREAD) * SEEDS) / n
    seed = np.tile(np.arange(float(SEEDS)), len(n) // SEEDS)
    loss = surface.loss(n, d)
    measures: dict[str, Callable[[Array], Intervals]] = {
        "surface, E fitted": partial(measure_surface, n, d, seed, None, surface),
        "surface, E known": partial(measure_surface, n, d, seed, floor, surface),
        PARABOLAS: partial(measure_isoflops, n, d, seed, surface),
    }
    return [Plan(name, loss, noise.noise_at(loss), one) for name, one in measures.items()]


def paper_runs(experiment: str) -> pd.DataFrame:
    """The finished runs of an experiment of the paper profile, all of which must have records."""
    table = to_table(Store("paper").load(expand(load_experiment(experiment), "paper")))
    return table[table["status"] == "done"]


def plans() -> list[Plan]:
    """A cut with the floor fitted and known, a surface likewise, and isoFLOP parabolas."""
    sizes, data = paper_runs("fables_size"), paper_runs("fables_data")
    floor = known_floor(Store("paper"), "fables", str(sizes["tokenizer"].iloc[0])).nats
    both = pd.concat([sizes.assign(axis=1.0, x=sizes["n_non_embedding"]),
                      data.assign(axis=0.0, x=data["tokens"])])  # fmt: skip
    places = {name: both[name].to_numpy(float) for name in ("x", "axis")}
    noise = settings_of(places, both["seed"].to_numpy(), both["nats"].to_numpy(float))
    return [
        cut_plan("sizes on TinyStories, E fitted", paper_runs("model_size"), None),
        cut_plan("sizes on fables, E known", sizes, floor),
        *surface_plans(floor, noise),
    ]


def count(name: str, studies: Iterable[list[Interval]]) -> list[dict[str, Any]]:
    """A row for each quantity: the share of studies whose interval holds the truth, with the 95%
    interval of that share (Wilson 1927), and the median width of the intervals.
    """
    from scipy.stats import binomtest  # takes a second to import

    rows = [row for study in studies for row in study]
    table, found = pd.DataFrame(rows, columns=["of", "truth", "low", "high"]), []
    for quantity, part in table.groupby("of", sort=False):
        held = int(part["truth"].between(part["low"], part["high"]).sum())
        low, high = binomtest(held, len(part)).proportion_ci(0.95, "wilson")
        found.append(
            {
                "plan": name,
                "of": quantity,
                "truth": float(part["truth"].iloc[0]),
                "studies": len(part),
                "covered": held / len(part),
                "covered_low": float(low),
                "covered_high": float(high),
                "median_width": float((part["high"] - part["low"]).median()),
            }
        )
    return found
