"""What other grids would have told of the law."""

import numpy as np
import pytest
from test_grid import planted_grid

from tinylm.studies.findings import computing_findings
from tinylm.studies.grid import GridStudy, grid_study
from tinylm.studies.plans import plans, plans_said, plans_table


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> GridStudy:
    with pytest.MonkeyPatch.context() as patch:
        store = planted_grid(tmp_path_factory.mktemp("plans"), patch)
        with computing_findings():
            return grid_study(store)


def test_plans_are_told_of_this_grid_and_of_others(study: GridStudy) -> None:
    table = plans(study).set_index("plan")
    this = table.loc["this grid"]
    assert (this["settings"], this["seeds"]) == (47, 3)
    half = float(np.diff(study.best.interval("alpha"))[0]) / 2
    assert float(table["alpha"].iloc[0]) == pytest.approx(half, rel=0.4)
    for name in ("E", "alpha", "beta"):
        column = table[name]
        twice, text = column["twice the seeds"], column["twice and four times the text"]
        assert twice == pytest.approx(column["this grid"] / np.sqrt(2))
        assert text < column["this grid"] < column["one seed"]
        assert column["two cuts through its corner"] > column["this grid"]
        assert column["this grid, tuned to within 1\N{NO-BREAK SPACE}%"] > column["this grid"]


def test_what_the_chapter_says_of_plans(study: GridStudy) -> None:
    table = plans_table(study)
    assert table.index[0] == "this grid, by bootstrap"
    assert table["settings"].tolist()[:3] == ["", "47", "12"]
    this = float(plans(study)["beta"].iloc[0])
    assert f"where the grid leaves ±{this:.2f}" in plans_said(study)
