"""The tables and words of the book's prose pages, on studies whose answers are known."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from test_records import made_up_record
from tiny_runs import tiny_config

from tinylm.book.report import page_tables
from tinylm.book.summary import page_numbers
from tinylm.errors import BadInput
from tinylm.laws.table_words import NO_LAW
from tinylm.ngrams import NgramFloor
from tinylm.records import RunRecord
from tinylm.store import Store
from tinylm.studies import size_words
from tinylm.studies.runs import to_table
from tinylm.studies.size import Bend, SizeStudy, Study, fit_sizes, size_figure
from tinylm.train import identify

FLOORS = [NgramFloor(1, 5.0, 3.0), NgramFloor(2, 2.5, 1.5), NgramFloor(3, 2.6, 1.6)]
COUNTED = {"n_non_embedding": 0, "n_with_output": 8_192, "n_total": 8_192}
CORPUS = {"origin": "generated", "licence": "MIT", "documents": {"train": 4000, "validation": 1}}


def plain(text: object) -> str:
    return str(text).replace("\N{NO-BREAK SPACE}", " ")


def record() -> RunRecord:
    made = made_up_record()
    provenance = made.provenance.model_copy(update={"corpus": CORPUS})
    return made.model_copy(update={"provenance": provenance})


def runs(column: str, losses: dict[int, list[float]]) -> pd.DataFrame:
    """A table of runs with these losses, a seed each, at each value of a column."""
    row = to_table([record()]).iloc[0].to_dict()
    made = [
        row
        | {column: value, "seed": seed, "nats": nats}
        | {count: 24 * value**2 + more for count, more in COUNTED.items()}
        for value, by_seed in losses.items()
        for seed, nats in enumerate(by_seed)
    ]
    return pd.DataFrame(made)


def size_study() -> SizeStudy:
    widths = (16, 32, 64, 128, 256)
    law = {width: 2.0 + 10.0 * (24 * width**2) ** -0.3 for width in widths}
    table = runs("d_model", {w: [loss - 0.001, loss, loss + 0.001] for w, loss in law.items()})
    return SizeStudy(Store("quick"), [record()], table, FLOORS, **fit_sizes(table, 50))


def context_study(losses: dict[int, list[float]]) -> Study:
    return Study(Store("quick"), [record()], runs("context_length", losses), FLOORS)


LENGTHS = {128: [2.6, 2.7], 256: [2.1, 2.3], 512: [2.2, 2.4], 1024: [2.4, 2.7]}


def test_words_follow_from_the_numbers() -> None:
    numbers = page_numbers(size_study(), context_study(LENGTHS))
    losses = size_study().by("d_model")["nats"]
    assert numbers["size_n_below_ngram"] == int((losses < 2.5).sum()) > 0
    assert numbers["size_ngram_gap"] == f"{2.5 - losses.iloc[-1]:.3f} nats per token below"
    assert numbers["size_prediction_holds"] == "inside"
    assert numbers["size_pure_prediction_holds"] in {"inside", "outside"}
    assert numbers["most_epochs"] == "0.26"  # 256 tokens of 1000
    assert numbers["example_run"] == record().run_id


def test_context_lengths_are_compared_within_a_seed() -> None:
    numbers = page_numbers(size_study(), context_study(LENGTHS))
    assert (numbers["context_worst"], numbers["context_longest"]) == (128, 1024)
    # seed by seed 0.5 and 0.4; 0.2 and 0.3
    assert plain(numbers["context_worst_cost"]) == "0.450 ± 0.071"
    assert plain(numbers["context_last_step"]) == "0.250 ± 0.071"
    assert numbers["context_last_step_way"] == "more"
    falling = context_study({128: [2.5], 256: [2.4]})
    assert page_numbers(size_study(), falling)["context_last_step_way"] == "less"


def test_a_largest_model_above_the_ngrams_is_said_to_be_above() -> None:
    better = replace(size_study(), floors=[NgramFloor(4, 0.5, 0.3)])
    numbers = page_numbers(better, context_study(LENGTHS))
    assert numbers["size_n_below_ngram"] == 0
    assert str(numbers["size_ngram_gap"]).endswith("nats per token above")


def test_tables_have_a_row_for_each_setting_order_and_run() -> None:
    size, context = size_study(), context_study(LENGTHS)
    diverged = made_up_record(identify(tiny_config(), 4), diverged=True)
    tables = page_tables(size, context, [record(), diverged])
    assert [len(tables[name]) for name in ("model_size", "context_length", "floors", "runs")] == [
        5,
        4,
        3,
        2,
    ]
    assert plain(tables["context_length"].iloc[0]["nats per token"]) == "2.650 ± 0.071"
    assert list(tables["runs"]["status"]) == ["done", "diverged"]
    laws = tables["laws"].set_index(tables["laws"].columns[0])
    assert laws.loc["E (nats per token)"].iloc[1] == "0, by choice"
    assert laws.loc["exponent α"].iloc[0].startswith("0.3")


def test_a_run_is_said_to_be_made_where_it_was() -> None:
    on_gpu = record().model_copy(
        update={"provenance": record().provenance.model_copy(update={"device": "NVIDIA H100"})}
    )
    where = page_tables(size_study(), context_study(LENGTHS), [record(), on_gpu])["runs"]["where"]
    assert [plain(name) for name in where] == [record().provenance.processor, "NVIDIA H100"]


def test_what_chapter_5_says_follows_from_the_laws() -> None:
    study = size_study()
    assert "15 runs of 256 tokens each; none diverged" in size_words.runs_said(study)
    assert "grows 256-fold" in size_words.runs_said(study)
    n = study.by("d_model")["n_non_embedding"]
    fall = float(np.diff(study.law.loss([10 * n.iloc[0], n.iloc[0]]))[0])
    assert f"the loss falls by {fall:.2f} nats" in size_words.gain_said(study)
    assert "The law with a floor lies closer" in size_words.misfit_said(study)
    assert "the other is not" in size_words.misfit_said(study)
    assert "lies inside the interval" in size_words.held_out_said(study)
    assert "with a floor comes closer" in size_words.held_out_said(study)
    assert "the best α goes from" in size_words.trade_said(study)
    told = size_words.verdict_table(study)
    assert study.pure.misfit > NO_LAW > study.law.misfit
    assert told["the claim lies"].iloc[0] == "beside a law that does not hold here"
    assert told["our α, 95%"].str.contains(r"\[").tolist() == [False, True, True]
    assert "no verdict. This law does not hold for our sizes" in size_words.verdict_said(study)
    assert size_words.counts_table(study).loc["total", "N"] == "14,336 to 1,581,056"
    assert "57 % of the smallest model" in size_words.counts_said(study)
    assert "exponent 0.3" in size_figure(study).get_suptitle()


def test_shapes_of_one_size_are_compared() -> None:
    shapes = pd.DataFrame({"n_layers": [1, 1, 2, 2], "loss": [2.5, 2.6, 2.3, 2.4]})
    sizes = pd.DataFrame({"N": [1, 1, 9, 9], "loss": [3.0, 3.2, 2.0, 2.2]})
    said = size_words.shapes_said(shapes, sizes)
    assert "The lowest mean is that of 2 layers; from the best shape to the worst it is" in said
    assert "0.200 nats" in said
    assert "1.000 nats below the smallest" in said


def test_a_bend_is_told_from_a_straight_line() -> None:
    straight = runs("d_model", {w: [w**-0.1, 1.01 * w**-0.1] for w in (16, 32, 64, 128)})
    assert Bend.of(straight).value == pytest.approx(0.0, abs=1e-12)
    assert Bend.of(straight).place == "around 0"
    assert Bend.of(size_study().finished).place == "above 0"
    assert "**No single power law" in size_words.bend_said(size_study())
    with pytest.raises(BadInput, match="2 sizes and 2 repeats; a bend needs 3 and 1"):
        Bend.of(straight[straight["d_model"] < 64])
