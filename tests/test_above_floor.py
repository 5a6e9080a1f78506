"""What the chapter on the floor shows and says, on runs whose law is planted."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from planted_fables import plant, power_law, reported
from test_records import made_up_record

from tinylm.corpora.fables import Entropy
from tinylm.laws import bootstrap_power_law
from tinylm.plots import bits_figure
from tinylm.store import Store
from tinylm.studies.above_floor import (
    corner,
    corner_figure,
    corner_words,
    cuts_figure,
    cuts_table,
    cuts_words,
    entropy_table,
    entropy_words,
    fitted_floors,
    fitted_floors_words,
    position_curves,
    position_gap_figure,
    predictors,
    predictors_figure,
    predictors_words,
    slopes_title,
)
from tinylm.studies.compressors import compressed
from tinylm.studies.cuts import CUTS, Cut, CutLaws, FablesStudy, grid
from tinylm.studies.findings import computing_findings

SMOKE = Store("smoke")


def planted(alpha: float = 0.3, beta: float = 0.4) -> FablesStudy:
    floor = reported().floor.nats
    for name in CUTS.values():
        plant(grid(SMOKE, name), power_law(alpha, beta), floor)
    study = reported()
    with computing_findings():
        compressed(SMOKE)
    return study


def test_entropies_are_told_by_corpus() -> None:
    one = Entropy(100.0, 1_000.0, {"words": 50.0, "wordings": 25.0, "names": 15.0, "plots": 10.0})
    table = entropy_table({"default": one, "heavy": one, "light": one})
    assert table.loc["fables", "bits per byte"] == f"{0.1 / math.log(2):.4f}"
    assert table["tail exponent a"].tolist() == ["0.50", "0.25", "1.00"]
    assert "50% is the choice of words from lists, 25% the choice" in entropy_words(one)


def test_predictors_are_held_against_the_floor(few_fables: Path) -> None:
    study = planted()
    groups = predictors(study)
    assert list(groups) == ["compressor", "n-gram", "GPT"]
    runs = study.cuts["N"].runs
    largest = runs[runs["x"] == runs["x"].max()]["bits_per_byte"].mean()
    assert list(groups["GPT"].values())[-1] == pytest.approx(largest)
    assert "Nothing goes below the floor" in predictors_figure(study).get_suptitle()
    said = predictors_words(study)
    assert f"the {study.best_ngram.order}-gram is the best" in said
    assert f"{study.floor.nats:.4f} nats per token" in said
    below = replace(study, floor=replace(study.floor, bits_per_byte=1e3))
    assert "Something goes below the floor" in predictors_figure(below).get_suptitle()


def test_cuts_are_drawn_and_told(few_fables: Path) -> None:
    study = planted()
    figure = cuts_figure(study.cuts, study.floor.nats)
    assert figure is not None
    falls = figure.get_suptitle().replace("\n", " ")
    assert "2.3-fold over the range of D" in falls  # 8^0.4
    table = cuts_table(study.cuts)
    assert table.loc["N", "exponent"] == "0.300"
    assert cuts_words(study.cuts) == "The lines are as straight as seeds can tell."
    further = cuts_figure(study.cuts, study.floor.nats, where="On a GPU")
    assert further is not None
    assert further.get_suptitle().startswith("On a GPU, loss above the true floor")


def test_before_there_are_runs_nothing_is_drawn(few_fables: Path) -> None:
    study = reported()
    assert cuts_figure(study.cuts, study.floor.nats) is None
    assert corner_figure(study.cuts) is None
    assert corner_words(study.cuts) == ""
    assert position_gap_figure(study) is None
    assert list(predictors_of(study)) == ["compressor", "n-gram"]
    assert cuts_table(study.cuts)["exponent"].tolist() == ["not yet measured"] * 2
    assert cuts_words(study.cuts).count("Not all of it is measured yet") == 2
    assert fitted_floors_words(fitted_floors(study.cuts, 1.0)) == (
        "Too few runs have ended for this fit."
    )


def predictors_of(study: FablesStudy) -> dict[str, dict[str, float]]:
    with computing_findings():
        return predictors(study)


def cut(exponents: list[float], half: float) -> Cut:
    """A cut of which only the slopes between neighbours count."""
    table = pd.DataFrame({"x": np.arange(1, len(exponents) + 1), "exponent": exponents})
    slopes = table.assign(low=table["exponent"] - half, high=table["exponent"] + half)
    runs = pd.DataFrame(columns=["x", "seed", "loss", "bits_per_byte", "excess"])
    return Cut(runs, 0.5, 0, 0.5, (0.1, 0.2), CutLaws(), slopes)


def test_the_corner_says_what_would_help_more() -> None:
    size, tokens = cut([0.5, 0.1], 0.01), cut([0.6, 0.2], 0.01)
    last = corner({"N": size, "D": tokens})
    assert last is not None
    assert "more tokens would help more than more size" in slopes_title(last)
    turned = corner({"N": tokens, "D": size})
    assert turned is not None
    assert "more size would help more than more tokens" in slopes_title(turned)
    alike = corner({"N": cut([0.5, 0.1], 0.1), "D": cut([0.6, 0.2], 0.1)})
    assert alike is not None
    assert "would help alike" in slopes_title(alike)
    said = corner_words({"N": size, "D": tokens}).replace("\N{NO-BREAK SPACE}", " ")
    assert "twice the size would lower the excess by 7% [6, 7]" in said
    assert "twice the tokens by 13% [12, 14]" in said
    assert "neither size nor text is quick to mend" in said
    straight = {"N": cut([0.3, 0.3], 0.01), "D": cut([0.4, 0.4], 0.01)}
    assert "quick to mend" not in corner_words(straight)
    assert corner({"N": size}) is None


def with_free(floor: float) -> Cut:
    x = np.repeat(np.geomspace(1e3, 1e6, 6), 3)
    seed = np.tile([0, 1, 2], 6)
    loss = floor + 30 * x**-0.4 * (1 + 0.002 * (seed - 1))
    free = bootstrap_power_law(x, seed, loss, n_resamples=100)
    return replace(cut([0.4], 0.1), laws=CutLaws(None, free))


def test_a_fitted_floor_is_no_estimate_and_has_no_interval_where_the_law_breaks() -> None:
    good, bad = with_free(1.0), with_free(1.2)
    assert bad.free is not None
    broken = replace(bad, laws=CutLaws(None, replace(bad.free, misfit=3.1)))
    table = fitted_floors({"N": good, "D": broken}, 1.0)
    assert table.loc["D", "fitted E"] == "1.200"
    assert table["95% interval of E"].str.startswith("[").to_dict() == {"N": True, "D": False}
    assert "Along D the law does not hold" in fitted_floors_words(table)
    only = fitted_floors_words(table.loc[["N"]])
    assert "does not hold" not in only
    assert "no fitted E of this table estimates the true floor" in only


def test_the_gap_is_shown_at_every_position_but_the_first(few_fables: Path) -> None:
    study = reported()
    made = made_up_record()
    assert made.validation is not None
    bins = [
        made.validation.by_position[0].model_copy(
            update={"first": first, "last": last, "nats": nats + 0.25}
        )
        for first, last, nats in study.floor.by_position.to_numpy().tolist()
    ]
    losses = made.validation.model_copy(update={"by_position": bins})
    study = replace(study, records=[made.model_copy(update={"validation": losses})])
    curves = position_curves(study)
    assert len(curves) == 2
    assert all(table["first"].min() == 2 for table in curves.values())
    figure = position_gap_figure(study)
    assert figure is not None
    title = figure.get_suptitle().replace("\n", " ")
    assert "stands 0.25 nats above the floor up to token 31 and 0.25 after token 128" in title


def test_a_bits_figure_speaks_of_bits_per_byte() -> None:
    figure = bits_figure({"GPT": {"one": 0.5}}, 0.2, title="One")
    assert figure.axes[0].get_xlabel() == "bits per byte"
