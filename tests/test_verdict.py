"""Claims held against what is measured."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tinylm.errors import BadInput
from tinylm.studies import verdict
from tinylm.studies.verdict import Verdict, size_exponents, verdict_numbers, verdicts

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"


def one(claimed: float, low: float, high: float) -> Verdict:
    return Verdict("key", "claim", "source", claimed, (low + high) / 2, (low, high), "chapter")


@pytest.mark.parametrize(
    ("claimed", "holds"), [(0.1, "inside"), (0.3, "inside"), (0.31, "outside"), (0.0, "outside")]
)
def test_a_claim_lies_inside_or_outside(claimed: float, holds: str) -> None:
    assert one(claimed, 0.1, 0.3).holds == holds


def test_numbers_have_names() -> None:
    assert verdict_numbers([one(0.5, 0.1, 0.3)]) == {
        "verdict_n": 1,
        "verdict_inside": 0,
        "verdict_key": pytest.approx(0.2),
        "verdict_key_low": 0.1,
        "verdict_key_high": 0.3,
        "verdict_key_claimed": 0.5,
    }


def test_what_cannot_be_measured_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(profile: str) -> list[Verdict]:
        raise BadInput(f"no runs of {profile}")

    for name in ("_sizes", "_data", "_compute", "_context", "_floors", "_tails"):
        monkeypatch.setattr(verdict, name, missing)
    monkeypatch.setattr(verdict, "_predictions", lambda profile: [one(1.0, 0.0, 2.0)])
    assert [found.holds for found in verdicts("paper")] == ["inside"]


def test_the_claims_of_the_committed_records() -> None:
    """Both ends of an interval surround its value, and every key is there once."""
    found = list(verdict._sizes("paper")) + list(verdict._data("paper"))
    found += list(verdict._predictions("paper"))
    keys = [one.key for one in found]
    assert len(set(keys)) == len(keys) >= 10
    for each in found:
        assert each.interval[0] <= each.measured <= each.interval[1]
        assert (Path("notebooks") / f"{each.chapter}.py").is_file() or not Path(
            "notebooks"
        ).is_dir()


def test_exponents_by_every_count(monkeypatch: pytest.MonkeyPatch) -> None:
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

    class Planted:
        finished = runs

    monkeypatch.setattr(verdict, "size_study", lambda profile: Planted)
    table = {
        (row["floor"], row["sizes"], row["count"]): row["exponent"]
        for row in size_exponents("paper").to_dict("records")
    }
    assert table["fitted", "all", "with output"] == pytest.approx(0.5, abs=0.02)
    assert table["fitted", "all", "all"] == pytest.approx(0.5, abs=0.02)
    assert table["fitted", "all", "non-embedding"] == pytest.approx(0.5 / 1.2, abs=0.02)
    whole, top = (table["none", sizes, "with output"] for sizes in ("all", "largest 3"))
    assert top < whole < 0.5


def test_constants_stand_within_their_intervals() -> None:
    numbers = verdict.fitted_constants("paper")
    names = {name for name in numbers if f"{name}_low" in numbers}
    assert {"repeats_R_star", "repeats_beta", "surface_known_floor_alpha"} <= names
    for name in names:
        assert numbers[f"{name}_low"] <= numbers[name] <= numbers[f"{name}_high"]
    assert numbers["repeats_R_star"] == pytest.approx(
        next(one.measured for one in verdict._data("paper") if one.key == "repeats")
    )
    assert verdict.fitted_constants("quick") == {}


def test_laws_are_drawn_where_there_are_runs() -> None:
    assert set(verdict.law_figures("paper")) == {"isoflops", "repeats"}
    assert verdict.law_figures("quick") == {}
