"""Claims held against what is measured."""

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import CHECKOUT

from tinylm.errors import BadInput, Damaged, Missing
from tinylm.laws.table_words import NO_LAW
from tinylm.store import Store
from tinylm.studies import verdict
from tinylm.studies import verdict_words as words
from tinylm.studies.predictions import BACKED, read_prediction, score
from tinylm.studies.verdict import (
    Verdict,
    Verdicts,
    exponents_of,
    fitted_constants,
    law_figures,
    size_exponents,
    verdict_numbers,
    verdicts,
)
from tinylm.sweeps.declare import expand, load_experiment

NOTEBOOKS = CHECKOUT / "notebooks"
COMPUTE = ("compute_0", "compute_1", "tokens")
PARTS = ("_sizes", "_data", "_repetition", "_compute", "_context", "_tails", "_predictions")


def one(claimed: float, low: float, high: float) -> Verdict:
    return Verdict("key", "claim", "source", claimed, (low + high) / 2, (low, high), "chapter")


FORETOLD = Verdict("told", "we", "us", 2.0, 3.0, (1.9, 2.1), "chapter", interval_of="claimed")


@pytest.fixture
def committed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """The checkout's published results, whatever the folder that tests are started in."""
    monkeypatch.delenv("TINYLM_ROOT", raising=False)
    monkeypatch.chdir(tmp_path)
    return Store("paper")


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """A project without any results."""
    monkeypatch.setenv("TINYLM_ROOT", str(tmp_path))
    return Store("paper")


def only(part: str, say: object, monkeypatch: pytest.MonkeyPatch) -> None:
    """One part of the verdict says something, all others nothing."""
    for name in PARTS:
        monkeypatch.setattr(verdict, name, lambda store: iter(()))
    monkeypatch.setattr(verdict, part, say)


@pytest.mark.parametrize(("claimed", "distance"), [(0.2, 0.0), (0.1, 1.96), (0.4, -3.92)])
def test_a_claim_lies_so_many_standard_errors_off(claimed: float, distance: float) -> None:
    assert one(claimed, 0.1, 0.3).distance == pytest.approx(distance)
    assert one(claimed, 0.1, 0.3).is_near == (abs(distance) <= 2)


def test_the_side_of_an_interval_counts_that_faces_the_claim() -> None:
    lopsided = replace(one(0.1, 0.15, 0.3), measured=0.2)
    assert lopsided.distance == pytest.approx(0.1 / (0.05 / 1.96))
    assert replace(lopsided, claimed=0.3).distance == pytest.approx(-1.96)


def test_the_error_of_a_claim_counts_beside_ours() -> None:
    published = replace(one(0.5, 0.2 - 1.96 * 0.03, 0.2 + 1.96 * 0.03), claimed_error=0.04)
    assert published.distance == pytest.approx(-0.3 / 0.05)


def test_a_prediction_is_judged_by_its_own_interval() -> None:
    assert FORETOLD.distance == pytest.approx(1.96 * 1.0 / 0.1)
    assert replace(FORETOLD, measured=1.95).distance == pytest.approx(-0.98)


def test_where_a_law_does_not_hold_there_is_no_distance() -> None:
    unknown = replace(one(0.5, 0.1, 0.3), interval=None)
    assert np.isnan(unknown.distance)
    assert not unknown.is_near
    found = Verdicts((unknown, one(0.5, 0.1, 0.3), one(0.21, 0.1, 0.3)), ())
    assert [each.claimed for each in found.by_distance] == [0.5, 0.21, 0.5]
    assert found.by_distance[-1] is unknown
    assert unknown not in found.told
    assert len(found.told) == len(found.found) - 1
    table = words.claims_table(found)
    assert table["standard errors apart"].iloc[-1] == "our law does not hold"
    said = words.claims_said(found)
    assert said.startswith("Of 2 claims 1 lie within 2 standard errors")
    assert "Of 1 more the law does not hold here" in said
    numbers = verdict_numbers(Verdicts((unknown,), ()))
    assert "verdict_key_low" not in numbers
    assert "verdict_key_distance" not in numbers


def test_numbers_have_names() -> None:
    numbers = verdict_numbers(Verdicts((one(0.5, 0.1, 0.3), FORETOLD), ("tails: none", "x: y")))
    assert numbers == {
        "verdict_n": 2,
        "verdict_near": 0,
        "verdict_left_out": "tails: none; x: y",
        "verdict_key": pytest.approx(0.2),
        "verdict_key_low": 0.1,
        "verdict_key_high": 0.3,
        "verdict_key_claimed": 0.5,
        "verdict_key_distance": pytest.approx(-0.3 / (0.1 / 1.96)),
        "verdict_told": 3.0,
        "verdict_told_claimed": 2.0,
        "verdict_told_distance": pytest.approx(19.6),
        "verdict_told_claimed_low": 1.9,
        "verdict_told_claimed_high": 2.1,
    }


def test_a_prediction_claims_what_it_said_and_measures_what_came(committed: Store) -> None:
    said = {one.key: one for one in verdict._predictions(committed)}
    first = Store("first")  # where the bet on runs of the first recipe is
    prediction = read_prediction(first, "model_size_beyond")
    assert prediction is not None
    method = BACKED["model_size_beyond"]
    came = score(prediction, first).set_index(["n_non_embedding", "method"])["measured"]
    assert len(said) >= len(prediction.targets) == 2
    of_it = list(said.values())[: len(prediction.targets)]
    for each, target in zip(of_it, prediction.targets, strict=True):
        told = target.by[method]
        assert each.claimed == told.loss
        assert each.interval == told.interval
        assert each.measured == came[target.n_non_embedding, method]
    numbers = verdict_numbers(Verdicts(tuple(said.values()), ()))
    assert numbers["verdict_prediction_0_claimed"] == prediction.targets[0].by[method].loss
    assert "verdict_prediction_0_low" not in numbers  # it is not of what was measured


# --- what is missing is said, and nothing else is left out ----------------------------------------


def test_what_is_missing_is_left_out_and_said(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(store: Store) -> Iterator[Verdict]:
        raise Missing(f"no runs in {store.profile}")

    only("_repetition", missing, monkeypatch)
    monkeypatch.setattr(verdict, "_predictions", lambda store: iter([one(1.0, 0.0, 2.0)]))
    found = verdicts(store)
    assert [each.is_near for each in found.found] == [True]
    assert found.left_out == ("repetition: no runs in paper",)
    said = words.claims_said(found)
    assert said.startswith("Of 1 claims 1 lie within 2 standard errors of what was measured.")
    assert "Left out for want of runs: repetition: no runs in paper." in said


@pytest.mark.parametrize("error", [Damaged("record x is damaged"), BadInput("too few runs")])
def test_nothing_else_is_left_out(
    error: Exception, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wrong(store: Store) -> Iterator[Verdict]:
        raise error

    only("_compute", wrong, monkeypatch)
    with pytest.raises(type(error), match=str(error)):
        verdicts(store)


def test_a_damaged_record_is_told_by_all_that_reads_it(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    only("_repetition", verdict._repetition, monkeypatch)
    path = store.record_path(expand(load_experiment("data_epochs"), "paper")[0].run_id)
    assert "45 of 45 runs have no record" in verdicts(store).left_out[0]
    assert not fitted_constants(store)
    assert not law_figures(store)
    path.parent.mkdir(parents=True)
    shutil.copy(CHECKOUT / "results" / "paper" / "runs" / path.name, path)
    assert "44 of 45 runs have no record" in verdicts(store).left_out[0]
    path.write_text(path.read_text()[:100])
    for reads in (verdicts, fitted_constants, law_figures):
        with pytest.raises(Damaged, match=path.stem):
            reads(store)


def test_what_a_profile_does_not_ask_for_is_missing(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick = Store("quick")
    only("_repetition", verdict._repetition, monkeypatch)
    assert verdicts(quick).left_out == (
        "repetition: profile quick asks for no runs of data_epochs",
    )
    assert not fitted_constants(quick)
    assert not law_figures(quick)


# --- the committed results ------------------------------------------------------------------------


def test_the_claims_of_the_committed_records(committed: Store) -> None:
    """Both ends of an interval surround its value, and every key is there once."""
    found = [
        *verdict._sizes(committed),
        *verdict._data(committed),
        *verdict._repetition(committed),
        *verdict._compute(committed),
        *verdict._predictions(committed),
    ]
    keys = [one.key for one in found]
    assert len(set(keys)) == len(keys)
    assert {*COMPUTE, *(f"size_{i}" for i in range(3)), *(f"data_{i}" for i in range(3))} <= {*keys}
    for each in found:
        value = each.measured if each.interval_of == "measured" else each.claimed
        assert each.interval is None or each.interval[0] <= value <= each.interval[1]
        assert (NOTEBOOKS / f"{each.chapter}.py").is_file()
    table = words.claims_table(Verdicts(tuple(found), ()))
    assert len(table) == len(found)
    apart = [abs(each.distance) for each in Verdicts(tuple(found), ()).by_distance]
    told = [distance for distance in apart if not np.isnan(distance)]
    assert told == sorted(told, reverse=True)  # the furthest first
    assert all(np.isnan(apart[len(told) :]))
    ours = table[table["by"] == "this book, before the run"]
    assert ours["claimed"].str.contains(r"\[").all()
    assert not ours["ours"].str.contains(r"\[").any()


def test_a_row_of_the_table_has_one_number_of_decimals() -> None:
    tokens = replace(one(20.0, 2.3, 19.3), measured=6.02)
    row = words.claims_table(Verdicts((tokens,), ())).iloc[0]
    assert row["claimed"] == "20.0"
    assert row["ours"].replace("\N{NO-BREAK SPACE}", " ") == "6.0 [2.3, 19.3]"


def test_constants_stand_within_their_intervals(committed: Store) -> None:
    numbers = fitted_constants(committed)
    names = {name for name in numbers if f"{name}_low" in numbers}
    assert {"repeats_R_star", "repeats_beta", "grid_sum_alpha"} <= names
    for name in names:
        value = numbers[name]  # findings keep resamples to a few digits
        assert numbers[f"{name}_low"] <= value * (1 + 1e-5)
        assert value <= numbers[f"{name}_high"] * (1 + 1e-5)
    assert numbers["repeats_R_star"] == pytest.approx(
        next(one.measured for one in verdict._repetition(committed))
    )


def test_laws_are_drawn_where_there_are_runs(committed: Store) -> None:
    assert set(law_figures(committed)) == {"grid", "repeats"}


def test_our_predictions_are_told_with_their_errors(committed: Store) -> None:
    said = words.predictions_said(committed)
    first, second, *_ = said.split("\n\n")
    assert first.startswith("Written down before the runs of `model_size_beyond`, the law that was")
    assert "We had hoped for 1\N{NO-BREAK SPACE}%; chapter 11 asks why." in first
    assert "(power\N{NO-BREAK SPACE}of\N{NO-BREAK SPACE}the\N{NO-BREAK SPACE}sum)" in second
    assert "which was not" in second


def test_where_nothing_was_predicted_that_is_said(store: Store) -> None:
    assert "has none that can be scored yet" in words.predictions_said(store)


# --- one set of runs, many exponents --------------------------------------------------------------


def test_exponents_by_every_count() -> None:
    """On a planted law in N with the output layer, only that count finds its exponent."""
    n = np.geomspace(1e4, 1e6, 8)
    rng = np.random.default_rng(0)
    runs = pd.DataFrame(
        {
            "n_non_embedding": size**1.2 / 20,
            "n_with_output": size,
            "n_total": 1.3 * size,
            "seed": seed,
            "nats": (2 + 300 * size**-0.5) * (1 + 0.001 * rng.standard_normal()),
        }
        for size in n
        for seed in range(3)
    )
    found = exponents_of(runs)
    table = {
        (row["floor"], row["sizes"], row["count"]): row["exponent"]
        for row in found.to_dict("records")
    }
    assert table["fitted", "all", "with output"] == pytest.approx(0.5, abs=0.02)
    assert table["fitted", "all", "all"] == pytest.approx(0.5, abs=0.02)
    assert table["fitted", "all", "non-embedding"] == pytest.approx(0.5 / 1.2, abs=0.02)
    whole, top = (table["none", sizes, "with output"] for sizes in ("all", "largest 3"))
    assert top < whole < 0.5
    shown = words.exponents_table(found)
    assert len(shown) == 9
    holds = found["misfit"].to_numpy() <= NO_LAW
    assert 0 < holds.sum() < 9  # without a floor no power law describes runs that have one
    assert (shown["exponent"].str.contains("[", regex=False).to_numpy() == holds).all()
    said = words.exponents_said(found)
    assert "(no floor, the largest 3 sizes, N: " in said
    assert "(a fitted floor, all sizes, N: " in said


def test_committed_exponents_are_a_finding(committed: Store) -> None:
    found = size_exponents(committed)
    assert len(found) == 9
    assert ((found["low"] <= found["exponent"]) & (found["exponent"] <= found["high"])).all()
