"""What more text is worth to each size: exponents along D, and where each cut ends."""

from dataclasses import replace

import numpy as np
import pytest
from test_grid import ALPHA, BETA, A, E, planted_grid

from tinylm.errors import Missing
from tinylm.laws.table_words import NO_LAW
from tinylm.studies import amounts
from tinylm.studies import amounts_words as words
from tinylm.studies.amounts import AmountsStudy, amounts_study
from tinylm.studies.findings import computing_findings


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> AmountsStudy:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(amounts, "N_RESAMPLES", 40)
        store = planted_grid(tmp_path_factory.mktemp("amounts"), patch)
        with pytest.raises(Missing, match="of profile next"):
            amounts_study(store)
        with computing_findings():
            amounts_study(store)
        return amounts_study(store)


def test_each_cut_ends_where_its_size_does(study: AmountsStudy) -> None:
    """The floor of a cut holds what the size withholds: E + A/N^alpha of the planted law."""
    cuts = study.cuts
    ends = E + A * cuts["N"] ** -ALPHA
    assert ((cuts["E"] - ends).abs() < cuts["E_high"] - cuts["E_low"]).all()  # 4 standard errors
    np.testing.assert_allclose(cuts["end"], ends, atol=0.04)
    assert cuts["E"].iloc[0] > cuts["E"].iloc[-1] + 0.5
    assert ((cuts["E_low"] <= cuts["E"]) & (cuts["E"] <= cuts["E_high"])).all()
    assert ((cuts["beta_low"] <= BETA) & (cuts["beta_high"] >= BETA)).mean() > 0.7
    assert study.largest_pure.law.E == 0


def test_slopes_are_those_between_neighbours(study: AmountsStudy) -> None:
    slopes = study.slopes
    runs = study.grid.runs
    assert slopes.shape == (10, 5)
    largest = runs[runs["N"] == runs["N"].max()].groupby("asked")["loss"].mean()
    found = -np.diff(np.log(largest)) / np.diff(np.log(largest.index))
    np.testing.assert_allclose(
        slopes.iloc[-1].dropna(), found, rtol=1e-3
    )  # of logs of means, or means of logs
    table = words.slopes_table(study)
    assert table.columns[0] == "250k to 500k"
    assert table.index[0] == "3.54k"
    assert table.iloc[-1, -2:].tolist() == ["", ""]  # the largest reads no more
    assert f"to {float(slopes.iloc[:, -1].dropna().iloc[-1]):.3f}" in words.slopes_said(study)


def test_a_size_with_too_few_amounts_is_not_cut(study: AmountsStudy) -> None:
    fitted = study.grid.fitted
    assert fitted[fitted["N"] == fitted["N"].max()]["asked"].nunique() < amounts.MIN_AMOUNTS
    assert fitted["N"].max() not in study.cuts["N"].to_list()
    assert len(study.cuts) == fitted["N"].nunique() - 1


def test_what_the_chapter_says_of_it(study: AmountsStudy) -> None:
    assert "The last doubling of the text gives 3.54k parameters" in words.amounts_title(study)
    said = words.cuts_said(study)
    assert f"{study.cuts['E'].iloc[0]:.2f} nats at the smallest size" in said
    assert "no entropy" in said
    exponents = words.exponents_table(study)
    assert exponents["β"].iloc[0].startswith(f"{study.grid.fits['sum'].surface.beta:.3f} [")
    assert not any("Kaplan's" in name for name in exponents.index)  # its β is fixed


def test_a_cut_that_does_not_hold_has_no_interval(study: AmountsStudy) -> None:
    broken = replace(study, cuts=study.cuts.assign(misfit=NO_LAW + 0.1))
    assert words.cuts_table(study)["β"].str.contains(r"\[").all()
    assert not words.cuts_table(broken)["β"].str.contains(r"\[").any()
