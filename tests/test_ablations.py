"""Arms are compared at their own best rates, seed by seed."""

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from planted import planted_records

from tinylm.config import RunConfig
from tinylm.errors import BadInput
from tinylm.records import RunRecord
from tinylm.studies import ablations_words as words
from tinylm.studies.ablations import ABLATIONS, Ablation, ablation, compared
from tinylm.sweeps.declare import expand, load_experiment

RATES = np.array([0.25, 0.5, 1.0, 2.0, 4.0])
BEST = {"old": 0.8, "new": 1.7}  # rates
GAIN = {"old": 0.0, "new": -0.03}  # of the log loss, at the best rate
SEEDS = {0: 0.0, 1: 0.1, 2: -0.05}  # that shift all arms alike


def planted(noise: float = 0.0, rates: NDArray[np.float64] = RATES, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    rows = [
        {"corpus": corpus, "d_model": width, "asked": 1_000, "N": 24 * width**2}
        | {"arm": arm, "rate": rate, "seed": each}
        | {
            "loss": np.exp(
                1 + shift + GAIN[arm] + 0.02 * np.log(rate / BEST[arm]) ** 2
                + noise * rng.standard_normal()
            )
        }
        for corpus in ("a", "b")
        for width in (16, 64)
        for arm in BEST
        for rate in rates
        for each, shift in SEEDS.items()
    ]  # fmt: skip
    return pd.DataFrame(rows)


def of(arms: pd.DataFrame, arm: str) -> pd.DataFrame:
    return arms[arms["arm"] == arm]


def test_an_arm_is_judged_at_its_own_best_rate() -> None:
    arms = compared(planted(), "old")
    assert len(arms) == 8
    for name, best in BEST.items():
        np.testing.assert_allclose(of(arms, name)["rate"], best)
    np.testing.assert_allclose(of(arms, "new")["difference"], GAIN["new"])
    np.testing.assert_allclose(of(arms, "new")["half"], 0.0, atol=1e-12)
    assert of(arms, "old")["difference"].isna().all()
    assert not arms["on_edge"].any()
    mean = np.exp(1) * np.mean(np.exp(list(SEEDS.values())))
    np.testing.assert_allclose(of(arms, "old")["loss"], mean)


def test_a_best_rate_at_the_end_of_those_tried_is_told() -> None:
    arms = compared(planted(rates=RATES[1:4]), "old")
    assert of(arms, "new")["on_edge"].all()
    np.testing.assert_allclose(of(arms, "new")["rate"], 2.0)
    assert not of(arms, "old")["on_edge"].any()


def test_intervals_cover_what_was_planted() -> None:
    inside = [
        (arms["difference"] - GAIN["new"]).abs() <= arms["half"]
        for seed in range(150)
        for arms in [compared(planted(0.002, seed=seed), "old").dropna(subset="difference")]
    ]
    # A parabola's lowest point lies a little below the best rate's loss where there is noise.
    assert 0.91 < np.mean(inside) < 0.985


def test_what_cannot_be_compared_is_told() -> None:
    with pytest.raises(BadInput, match="reference 'x': expected one of"):
        compared(planted(), "x")
    with pytest.raises(BadInput, match="arm 'old' has 2 rates that ended with every seed"):
        compared(planted(rates=RATES[:2]), "old")
    runs = planted(rates=RATES[1:4])
    with pytest.raises(BadInput, match="has 2 rates"):  # a seed diverged at one of three
        compared(runs.drop(index=runs.index[0]), "old")


def test_words_say_what_was_found() -> None:
    runs = planted(rates=RATES[1:4])
    study = Ablation(runs, 2, compared(runs, "old"), "old")
    said = words.arms_said(study)
    assert said.startswith("72 runs, 3 seeds of each. new against old: the loss is lower by 2.")
    assert "surely another at 4 of 4 places" in said
    assert "4 best rates are the last of those tried" in said
    assert said.endswith("2 runs diverged and are left out.")
    table = words.arms_table(study)
    assert table.index[1] == ("a, width 16, 1k tokens", "new")
    assert table["best rate"].str.contains("the end of those tried").sum() == 4
    assert set(words.gains_columns(study)) == {f"{c}, width {w}" for c in "ab" for w in (16, 64)}
    panels = list(words.rate_panels(study))
    assert [(panel.row, panel.column) for panel in panels][:2] == [
        ("a", "width 16"),
        ("a", "width 64"),
    ]
    for panel in panels:  # each arm is lowest where it is best
        lowest = panel.curves.loc[panel.curves.groupby("label")["y"].idxmin(), "x"]
        assert (lowest.abs() < 0.5).all()


@pytest.mark.parametrize("name", ABLATIONS)
def test_the_declared_arms_are_told_apart(name: str) -> None:
    """Planted are losses that are lowest within the rates of each arm at each place."""
    runs, arms = expand(load_experiment(name), "next"), ABLATIONS[name]
    arm_of, reference = arms.arm_of, arms.reference

    def place(config: RunConfig) -> tuple[str, int, str]:
        return config.data.corpus, arms.size_of(config)[0], arm_of(config)[0]

    rates: dict[tuple[str, int, str], list[float]] = {}
    for run in runs:
        rates.setdefault(place(run.config), []).append(arm_of(run.config)[1])
    names = sorted({arm for _, _, arm in rates})

    def law(record: RunRecord, _: int) -> float:
        arm, rate = arm_of(record.config)
        worth = 0.01 * names.index(arm)
        middle = np.median(rates[place(record.config)])
        return float(np.exp(0.7 + worth + 0.01 * np.log(rate / middle) ** 2))

    study = ablation(planted_records(runs, law, noise=0.0005), arm_of, reference, arms.size_of)
    assert len(study.arms) == len(rates)
    assert not study.arms["on_edge"].any()
    for arm in set(names) - {reference}:
        worth = 0.01 * (names.index(arm) - names.index(reference))
        np.testing.assert_allclose(of(study.arms, arm)["difference"], worth, atol=0.008)
    figure = words.ablation_figure(study)
    assert len(figure.axes) == 4  # two texts at two sizes
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == [
        arm for arm in dict.fromkeys(study.arms["arm"]) if arm != reference
    ]
    nothing = "Nothing has a lower loss" in words.ablation_title(study)
    assert nothing == (names[0] == reference)
