"""The grid's laws before and after the runs beyond it are added."""

from dataclasses import replace

import pytest
from planted import planted_records
from test_grid import law, planted_grid

from tinylm.errors import Missing
from tinylm.studies import afterwards as study
from tinylm.studies.afterwards import (
    Afterwards,
    afterwards,
    afterwards_said,
    afterwards_table,
    judges_said,
)
from tinylm.studies.findings import computing_findings
from tinylm.sweeps.declare import expand, load_experiment

BEYOND = expand(load_experiment("grid_beyond"), "paper")


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Afterwards:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(study, "N_RESAMPLES", 40)
        store = planted_grid(tmp_path_factory.mktemp("afterwards"), patch, "paper")
        with computing_findings(), pytest.raises(Missing, match="9 of 9 runs have no record"):
            afterwards(store)
        for record in planted_records(BEYOND, law):
            store.save(record)
        with computing_findings():
            return afterwards(store)


def test_runs_that_follow_the_law_move_nothing(found: Afterwards) -> None:
    assert len(found.beyond) == 9
    assert found.race.sort_values("bic")["form"].iloc[0] == "sum"
    before, after = found.grid.fits["sum"], found.fits["sum"]
    assert after.surface.n_points == before.surface.n_points + 9
    assert after.misfit < 1.5
    low, high = before.interval("alpha")
    assert low <= after.surface.alpha <= high


def test_what_the_chapter_says_of_it(found: Afterwards) -> None:
    table = afterwards_table(found)
    assert len(table) == 2 * len(found.fits)
    assert table.loc[("sum", "and the runs beyond"), "misfit"] == f"{found.fits['sum'].misfit:.1f}"
    said = afterwards_said(found)
    assert "the lowest BIC is that of sum; of the grid alone it was that of sum" in said
    assert "A misfit of 3 or less have sum" in said


def test_the_judges_are_judged(found: Afterwards) -> None:
    said = judges_said(found)
    assert said.startswith("Of the grid alone, the BIC had chosen sum, and the error on hidden")
    assert "Closest to the runs beyond came sum" in said
    race = found.grid.race.assign(
        bic=[0.0 if form == "kaplan" else 1.0 for form in found.grid.race["form"]],
        hidden_rms=[0.0 if form == "sum" else 1.0 for form in found.grid.race["form"]],
    )
    other = replace(found, grid=replace(found.grid, race=race))
    assert judges_said(other).endswith("not by how well it fits those that it has.**")
