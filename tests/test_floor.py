"""The study of fables against their true floor, on runs whose law is planted."""

import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from test_records import made_up_record

from tinylm.batches import prepare
from tinylm.config import Run
from tinylm.corpora import fables
from tinylm.corpora.fables.source import HEAD
from tinylm.ngrams import ngram_floors
from tinylm.store import Store
from tinylm.studies.floor import (
    COMPRESSED_BYTES,
    CUTS,
    TAILS,
    compressed,
    fables_numbers,
    fables_study,
    finite_exponent,
    grid,
    predicted_exponent,
    story,
    tail_exponents,
    tail_gaps,
    token_floor,
    token_information,
    write_fables,
)
from tinylm.texts import prepared_text
from tinylm.train import train


@pytest.fixture
def few(project: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project whose corpus is the few fables that it has prepared."""
    monkeypatch.setitem(fables.N_DOCUMENTS, "train", 120)
    monkeypatch.setitem(fables.N_DOCUMENTS, "validation", 6)
    monkeypatch.setitem(COMPRESSED_BYTES, "smoke", 20_000)
    return project


def validation_texts() -> list[str]:
    return [fables.document("validation", i) for i in range(6)]


def power_law(alpha: float, beta: float) -> Callable[[float, float], float]:
    return lambda n, d: 900 * n**-alpha * d**-beta


def plant(
    runs: list[Run],
    excess: Callable[[float, float], float],
    floor: float,
    profile: str = "smoke",
) -> None:
    """Records of these runs, with the excess loss that a law of N and D gives."""
    for run in runs:
        n = 24 * run.config.model.d_model**2
        made = made_up_record(run.run_id)
        assert made.validation is not None
        text = prepared_text(prepare(run.config.data.corpus, run.config.data.tokenizer))
        nats = floor + excess(n, run.config.tokens) * (1 + 0.001 * run.seed)
        Store(profile).save(
            made.model_copy(
                update={
                    "seed": run.seed,
                    "config": run.config,
                    "tokens": run.config.tokens,
                    "parameters": made.parameters.model_copy(update={"non_embedding": n}),
                    "provenance": made.provenance.model_copy(
                        update={
                            "train_sha256": text.train_sha256,
                            "validation_sha256": text.validation_sha256,
                        }
                    ),
                    "validation": made.validation.model_copy(
                        update={"nats": nats, "bits_per_byte": nats / 2}
                    ),
                }
            )
        )


def test_the_floor_of_tokens_is_that_of_their_characters(few: Path) -> None:
    data, texts = prepare("fables", "bpe-512"), validation_texts()
    for text in texts:
        nats = token_information(text, data.tokenizer)
        assert len(nats) == len(data.tokenizer.encode(text)) + 1
        assert nats[-1] == 0
        assert nats.sum() == pytest.approx(-fables.log_probability(text), abs=1e-9)
    ours, exact = token_floor("fables", data.validation, data.tokenizer), fables.floor(texts)
    assert ours.bits_per_byte == pytest.approx(exact.bits_per_byte, rel=1e-12)
    assert ours.nats == pytest.approx(exact.nats * len(texts) / data.validation.n_tokens)
    positions = np.diff(data.validation.starts)
    in_bin = [
        sum(int(min(n, last) - first + 1) for n in positions if n >= first)
        for first, last in ours.by_position[["first", "last"]].to_numpy()
    ]
    assert sum(in_bin) == data.validation.n_tokens
    total = float((ours.by_position["nats"] * in_bin).sum())
    assert total / data.validation.n_tokens == pytest.approx(ours.nats)


@pytest.mark.parametrize(
    ("axis", "tail", "exponent"), [("N", 0.5, 0.5), ("D", 0.5, 1 / 3), ("D", 1.0, 0.5)]
)
def test_theory(axis: str, tail: float, exponent: float) -> None:
    assert predicted_exponent(axis, tail) == pytest.approx(exponent)


@pytest.mark.parametrize("quarters", [1, 2, 4])
def test_in_an_endless_world_the_exponent_is_that_of_the_simple_theory(quarters: int) -> None:
    endless = fables.Variant(quarters, n_characters=10_000_000)
    for axis, met in (("N", 300), ("D", 3_000)):
        simple = predicted_exponent(axis, endless.tail)
        found = finite_exponent(axis, endless, met, head=0)
        assert found == pytest.approx(simple, rel=0.1 if quarters == 1 else 0.02)


def test_where_the_world_ends_the_excess_falls_faster() -> None:
    world = fables.VARIANTS["heavy"]
    slopes = [finite_exponent("N", world, n) for n in (1_000, 10_000, 19_000)]
    assert predicted_exponent("N", world.tail) < slopes[0] < slopes[1] < slopes[2]
    n, step = 2_000, 20  # against the slope of what is left between two ranks
    p = (np.arange(1, world.n_characters + 1) + HEAD) ** -(1 + world.tail)
    left = [p[rank:].sum() for rank in (n - step, n + step)]
    slope = -np.log(left[1] / left[0]) / np.log((n + step) / (n - step))
    assert finite_exponent("N", world, n) == pytest.approx(slope, rel=1e-3)


def test_the_exponents_of_three_tails(few: Path) -> None:
    planted = {"fables": (0.3, 0.25), "fables-heavy": (0.2, 0.15), "fables-light": (0.5, 0.35)}
    for corpus, (alpha, beta) in planted.items():
        data = prepare(corpus, "bpe-2048")
        floor = token_floor(corpus, data.validation, data.tokenizer).nats
        for name in TAILS.values():
            runs = grid(name, "paper", corpus)
            plant(runs, power_law(alpha, beta), floor, "paper")
    study = fables_study("paper")
    rows = tail_exponents(study).to_dict("records")
    assert len(rows) == 6
    for row in rows:
        exponent = planted[row["corpus"]]["ND".index(row["axis"])]
        assert row["low"] < exponent < row["high"]
        assert row["measured"] == pytest.approx(exponent, abs=0.002)
        assert row["runs"] == row["wanted"] > 0
    gaps = tail_gaps(study)
    for place, row in enumerate(gaps.to_dict("records")):
        gap = planted["fables-light"][place] - planted["fables-heavy"][place]
        assert row["axis"] == "ND"[place]
        assert row["low"] <= gap <= row["high"]
        assert row["gap"] == pytest.approx(gap, abs=0.002)
    assert gaps["predicted"].tolist() == pytest.approx([1 - 0.25, 1 / 2 - 0.2])
    assert study.cuts["N"].law is None  # its runs are others


def test_planted_exponents_are_found_above_the_true_floor(few: Path) -> None:
    floor = fables_study("smoke").floor.nats
    for name in CUTS.values():
        plant(grid(name, "smoke"), power_law(0.3, 0.4), floor)
    study = fables_study("smoke")
    for cut, exponent in ((study.cuts["N"], 0.3), (study.cuts["D"], 0.4)):
        assert len(cut.runs) == cut.wanted
        assert cut.law is not None
        assert cut.law.loss(1e60) == pytest.approx(floor)
        assert cut.free is not None
        low, high = cut.free.E_interval
        assert low < floor < high
        assert cut.law.law.alpha == pytest.approx(exponent, abs=0.002)
        assert cut.law.alpha_interval[0] < exponent < cut.law.alpha_interval[1]
        slopes = cut.slopes
        assert slopes is not None
        assert len(slopes) == cut.runs["x"].nunique() - 1
        np.testing.assert_allclose(slopes["exponent"], exponent, atol=0.002)
        assert ((slopes["low"] < exponent) & (exponent < slopes["high"])).all()
    assert study.cuts["D"].fold == pytest.approx(8**0.4, rel=1e-3)


def test_exponents_between_neighbours_need_repeats_and_an_excess(few: Path) -> None:
    runs, floor = grid(CUTS["N"], "smoke"), fables_study("smoke").floor.nats
    plant(runs[:3], power_law(0.3, 0.0), floor)
    assert fables_study("smoke").cuts["N"].slopes is None
    plant(runs, lambda n, d: -0.1, floor)
    assert fables_study("smoke").cuts["N"].slopes is None


def test_what_has_no_record_is_counted_and_not_made_up(few: Path) -> None:
    nothing = fables_study("smoke")
    assert (len(nothing.cuts["N"].runs), nothing.cuts["N"].wanted, nothing.cuts["N"].law) == (
        0,
        8,
        None,
    )
    plant(grid(CUTS["N"], "smoke")[:3], lambda n, d: 1.0, nothing.floor.nats)
    some = fables_study("smoke")
    assert (len(some.cuts["N"].runs), some.cuts["N"].law) == (3, None)
    path = write_fables(some)
    content = json.loads(path.read_text())
    assert content["cuts"]["N"]["measured"] is None
    assert content["cuts"]["N"]["runs"] == 3
    assert content["exponents"]["heavy"]["D"]["predicted"] == pytest.approx(0.2)
    assert content["exponents"]["heavy"]["D"]["measured"] is None
    assert set(content["entropy"]) == {"default", "heavy", "light"}


def test_ngram_floors_are_of_the_corpus_that_the_models_read(
    few: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The full profile reads further than the others."""
    monkeypatch.setitem(fables.LONG_DOCUMENTS, "train", 100)
    monkeypatch.setitem(fables.LONG_DOCUMENTS, "validation", 6)
    study = fables_study("full")
    data = prepare("fables-long", "bpe-2048")
    assert study.ngrams[:3] == ngram_floors(data.train, data.validation, (1, 2, 3))
    folder = Store("full").folder / "floors"
    assert [path.name for path in folder.glob("*bpe*")] == ["fables-long-bpe-2048.json"]


def test_nothing_general_goes_below_the_floor(few: Path) -> None:
    measured = compressed("smoke")
    assert measured["bytes"] >= 20_000
    exact = sum(
        -fables.log_probability(fables.document("train", i)) for i in range(measured["documents"])
    )
    bits = measured["floor_bits_per_byte"] * measured["bytes"]
    assert bits == pytest.approx(exact / math.log(2), rel=1e-9)
    assert min(measured["bits_per_byte"].values()) > measured["floor_bits_per_byte"]
    assert compressed("smoke") == measured  # kept


def test_a_story_shows_what_the_largest_model_pays(few: Path) -> None:
    assert story(fables_study("smoke")) is None
    run = grid(CUTS["D"], "smoke")[0]
    record = train(run.config, run.seed, store=Store("smoke"))
    assert record.validation is not None
    told = story(fables_study("smoke"))
    assert told is not None
    text = validation_texts()[0]
    assert (told["run_id"], told["text"]) == (run.run_id, text)
    assert len(told["floor"]) == len(told["loss"]) == len(text)
    assert sum(told["floor"]) == pytest.approx(-fables.log_probability(text), abs=0.01)
    n_tokens = len(prepare("fables", "bpe-512").tokenizer.encode(text))
    assert sum(told["loss"]) / n_tokens == pytest.approx(record.validation.nats, rel=0.05)
    shutil.rmtree(Store("smoke").folder / "models" / run.run_id)
    assert story(fables_study("smoke")) == told  # kept without the weights


def test_prose_says_what_is_not_yet_measured(few: Path) -> None:
    before = fables_numbers(fables_study("smoke"))
    assert (before["fables_runs"], before["fables_gpt"]) == (0, "not yet measured")
    floor = fables_study("smoke").floor.nats
    plant(grid(CUTS["N"], "smoke"), lambda n, d: 30 * n**-0.5, floor)
    after = fables_numbers(fables_study("smoke"))
    assert after["fables_runs"] == 8
    assert after["fables_fold"] == "4.0-fold"
    assert after["fables_lower"] == "nothing"


def test_prose_says_if_something_goes_below_the_floor(few: Path) -> None:
    floor = fables_study("smoke").floor.nats
    plant(grid(CUTS["N"], "smoke"), lambda n, d: 0.01 - floor, floor)
    assert fables_numbers(fables_study("smoke"))["fables_lower"] == "something wrongly"
