"""How often a 95% interval holds the truth, in studies made up by `tinylm.studies.synthetic`."""

from typing import Any

import pandas as pd

from tinylm.bench.aside import Kept, pool, scratch
from tinylm.bench.frame import Benchmark, Findings
from tinylm.studies.synthetic import PARABOLAS, Plan, count, plans
from tinylm.sweeps.run import usable_cores


def run_plan(plan: Plan, studies: int) -> list[dict[str, Any]]:
    """A row for each quantity, from so many studies on all cores."""
    with pool(usable_cores()) as workers:
        return count(plan.name, workers.map(plan.study, range(studies), chunksize=10))


def measure(studies: int = 1000) -> pd.DataFrame:
    """Run what is left of the studies of each kind: half an hour."""
    kept = Kept(scratch("coverage") / "plans.json", studies)
    return pd.DataFrame([row for p in plans() for row in kept(p.name, run_plan, p, studies)])


def findings(table: pd.DataFrame) -> Findings:
    """The lowest and the highest share, of laws and surfaces, and of parabolas."""
    found: dict[str, Any] = {"studies": int(table["studies"].min())}
    for is_parabolas, part in table.groupby(table["plan"] == PARABOLAS):
        ends = {"lowest": float(part["covered"].min()), "highest": float(part["covered"].max())}
        found["parabolas" if is_parabolas else "laws"] = ends
    return {"coverage": found}


BENCHMARK = Benchmark("coverage.csv", measure, findings)
