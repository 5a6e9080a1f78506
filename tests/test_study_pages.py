"""The tables and words of the book's prose pages, on studies whose answers are known."""

from dataclasses import replace

import pandas as pd
from test_records import made_up_record

from tinylm.laws import bootstrap_power_law, held_out
from tinylm.ngrams import NgramFloor
from tinylm.records import RunRecord, to_table
from tinylm.studies.pages import page_numbers, page_tables
from tinylm.studies.size import SizeStudy, Study

FLOORS = [NgramFloor(1, 5.0, 3.0), NgramFloor(2, 2.5, 1.5), NgramFloor(3, 2.6, 1.6)]
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
        row | {column: value, "n_non_embedding": 24 * value**2, "seed": seed, "nats": nats}
        for value, by_seed in losses.items()
        for seed, nats in enumerate(by_seed)
    ]
    return pd.DataFrame(made)


def size_study() -> SizeStudy:
    widths = (16, 32, 64, 128, 256)
    law = {width: 2.0 + 10.0 * (24 * width**2) ** -0.3 for width in widths}
    table = runs("d_model", {w: [loss - 0.001, loss, loss + 0.001] for w, loss in law.items()})
    points = table["n_non_embedding"], table["seed"], table["nats"]
    return SizeStudy(
        "quick",
        [record()],
        table,
        FLOORS,
        law=bootstrap_power_law(*points, n_resamples=50),
        pure=bootstrap_power_law(*points, floor=0.0, n_resamples=50),
        prediction=held_out(*points, n_resamples=50),
        pure_prediction=held_out(*points, floor=0.0, n_resamples=50),
    )


def context_study(losses: dict[int, list[float]]) -> Study:
    return Study("quick", [record()], runs("context_length", losses), FLOORS)


LENGTHS = {128: [2.6, 2.7], 256: [2.1, 2.3], 512: [2.2, 2.4], 1024: [2.4, 2.7]}


def test_words_follow_from_the_numbers() -> None:
    numbers = page_numbers(size_study(), context_study(LENGTHS))
    losses = size_study().by("d_model")["nats"]
    assert numbers["size_n_below_ngram"] == int((losses < 2.5).sum()) > 0
    assert numbers["size_ngram_gap"] == f"{2.5 - losses.iloc[-1]:.3f} nats a token below"
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
    assert str(numbers["size_ngram_gap"]).endswith("nats a token above")


def test_tables_have_a_row_for_each_setting_order_and_run() -> None:
    size, context = size_study(), context_study(LENGTHS)
    diverged = made_up_record("fedcba9876543210", diverged=True)
    tables = page_tables(size, context, [record(), diverged])
    assert [len(tables[name]) for name in ("model_size", "context_length", "floors", "runs")] == [
        5,
        4,
        3,
        2,
    ]
    assert plain(tables["context_length"].iloc[0]["nats a token"]) == "2.650 ± 0.071"
    assert list(tables["runs"]["status"]) == ["done", "diverged"]
    laws = tables["laws"].set_index(tables["laws"].columns[0])
    assert laws.loc["E (nats a token)"].iloc[1] == "0, by choice"
    assert laws.loc["exponent α"].iloc[0].startswith("0.3")
