"""The exponents of three tails, on runs whose laws are planted."""

from dataclasses import replace
from pathlib import Path

import pytest
from planted_fables import plant, power_law, reported

from tinylm.corpora.token_files import prepare
from tinylm.store import Store
from tinylm.studies.cuts import TAILS, FablesStudy, grid
from tinylm.studies.floor import token_floor
from tinylm.studies.tails import (
    tail_exponents,
    tail_gaps,
    tails_figure,
    tails_table,
    tails_words,
    theory_words,
)

PLANTED = {"fables": (0.3, 0.25), "fables-heavy": (0.2, 0.15), "fables-light": (0.5, 0.35)}


def planted_study(left_out: int = 0) -> FablesStudy:
    """The paper's study of runs on each tail, but for some that have no record."""
    for corpus, (alpha, beta) in PLANTED.items():
        data = prepare(corpus, "bpe-2048")
        floor = token_floor(corpus, data.validation, data.tokenizer).nats
        for name in TAILS.values():
            runs = grid(Store("paper"), name, corpus)
            plant(runs[: len(runs) - left_out], power_law(alpha, beta), floor, "paper")
    return reported("paper")


def test_the_exponents_of_three_tails(few_fables: Path) -> None:
    study = planted_study()
    rows = tail_exponents(study).to_dict("records")
    assert len(rows) == 6
    for row in rows:
        exponent = PLANTED[row["corpus"]]["ND".index(row["axis"])]
        assert row["low"] < exponent < row["high"]
        assert row["measured"] == pytest.approx(exponent, abs=0.002)
        assert row["runs"] == row["wanted"] > 0
    gaps = tail_gaps(study)
    for place, row in enumerate(gaps.to_dict("records")):
        gap = PLANTED["fables-light"][place] - PLANTED["fables-heavy"][place]
        assert row["axis"] == "ND"[place]
        assert row["low"] <= gap <= row["high"]
        assert row["gap"] == pytest.approx(gap, abs=0.002)
    assert gaps["predicted"].tolist() == pytest.approx([1 - 0.25, 1 / 2 - 0.2])
    assert study.cuts["N"].law is None  # its runs are others
    title = tails_figure(study).get_suptitle().replace("\n", " ")
    assert "changes by +0.30 in N (theory: +0.75), +0.20 in D (theory: +0.30)" in title
    table = tails_table(tail_exponents(study))
    assert table.loc[("fables-light", "N"), "measured"] == "0.500"
    assert table.loc[("fables-light", "N"), "theory"] == "1.000"
    assert "lies in 0 of these 6 intervals" in tails_words(study)
    assert "in N, where the simple theory says 0.750" in tails_words(study)
    assert "Not all" not in tails_words(study)


def test_a_cut_that_leaves_its_line_decides_nothing(few_fables: Path) -> None:
    study = planted_study()
    cut = study.tails["fables-light"]["N"]
    assert cut.law is not None
    bent = replace(cut, laws=replace(cut.laws, known=replace(cut.law, misfit=3.1)))
    tails = study.tails | {"fables-light": study.tails["fables-light"] | {"N": bent}}
    exponents = tail_exponents(replace(study, tails=tails))
    rows = tails_table(exponents)
    assert rows.loc[("fables-light", "N"), "95% interval"] == ""
    assert rows["95% interval"].eq("").sum() == 1
    said = tails_words(replace(study, tails=tails))
    assert "1 of the 6 cuts leave their line by more than 3 times" in said
    assert "of these 5 intervals" in said


def test_what_is_missing_of_the_tails_is_said(few_fables: Path) -> None:
    study = planted_study(left_out=11)
    said, table = tails_words(study), tails_table(tail_exponents(study))
    wanted = sum(cut.wanted for cuts in study.tails.values() for cut in cuts.values())
    done = sum(len(cut.runs) for cuts in study.tails.values() for cut in cuts.values())
    assert f"want {wanted} losses and have {done}" in said
    assert "in these" not in said
    assert table.loc[("fables", "N"), "measured"] == "not yet"
    assert "; our measurements are not" in tails_figure(study).get_suptitle()


def test_a_profile_without_tails_says_so(few_fables: Path) -> None:
    study = reported("smoke")
    assert tails_words(study) == (
        "The `smoke` profile does not train on the other tails; `paper` does."
    )
    assert "our measurements" not in tails_figure(study).get_suptitle()


def test_the_band_of_the_theory_is_told() -> None:
    assert "between 1 and 100 characters known (for N)" in theory_words()
