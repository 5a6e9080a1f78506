"""The study of fables against their true floor, on runs whose law is planted."""

import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from test_records import made_up_record
from tiny_runs import tiny_config

from tinylm.batches import prepare
from tinylm.corpora import fables, open_corpus
from tinylm.experiments.declare import Run, expand, load_experiment
from tinylm.experiments.fables import (
    COMPRESSED_BYTES,
    character_losses,
    compressed,
    fables_study,
    predicted_exponent,
    story,
    token_floor,
    token_information,
    write_fables,
)
from tinylm.files import results_dir
from tinylm.records import save_record
from tinylm.train import train


@pytest.fixture
def few(project: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project whose corpus is the few fables that it has prepared."""
    monkeypatch.setitem(fables.N_DOCUMENTS, "train", 120)
    monkeypatch.setitem(fables.N_DOCUMENTS, "validation", 6)
    monkeypatch.setitem(COMPRESSED_BYTES, "smoke", 20_000)
    return project


def grid(name: str) -> list[Run]:
    return expand(load_experiment(name), "smoke")


def plant(runs: list[Run], excess: Callable[[float, float], float], floor: float) -> None:
    """Records of these runs, with the excess loss that a law of N and D gives."""
    for run in runs:
        n = 24 * run.config.model.d_model**2
        made = made_up_record(run.run_id)
        assert made.validation is not None
        nats = floor + excess(n, run.config.tokens) * (1 + 0.001 * run.seed)
        save_record(
            made.model_copy(
                update={
                    "seed": run.seed,
                    "config": run.config,
                    "tokens": run.config.tokens,
                    "parameters": made.parameters.model_copy(update={"non_embedding": n}),
                    "validation": made.validation.model_copy(
                        update={"nats": nats, "bits_per_byte": nats / 2}
                    ),
                }
            ),
            "smoke",
        )


def test_the_floor_of_tokens_is_that_of_their_characters(few: Path) -> None:
    data, texts = prepare("fables", "bpe-512"), open_corpus("fables").documents["validation"]
    for text in texts:
        nats = token_information(text, data.tokenizer)
        assert len(nats) == len(data.tokenizer.encode(text)) + 1
        assert nats[-1] == 0
        assert nats.sum() == pytest.approx(-fables.log_probability(text), abs=1e-9)
    ours, exact = token_floor(texts, data.validation, data.tokenizer), fables.floor(texts)
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
    ("axis", "tail", "exponent"),
    [("n_non_embedding", 0.5, 0.5), ("tokens", 0.5, 1 / 3), ("tokens", 1.0, 0.5)],
)
def test_theory(axis: str, tail: float, exponent: float) -> None:
    assert predicted_exponent(axis, tail) == pytest.approx(exponent)


def test_planted_exponents_are_found_above_the_true_floor(few: Path) -> None:
    floor = fables_study("smoke").floor.nats
    for name in ("fables_size", "fables_data"):
        plant(grid(name), lambda n, d: 900 * n**-0.3 * d**-0.4, floor)
    study = fables_study("smoke")
    for cut, exponent in ((study.size, 0.3), (study.data, 0.4)):
        assert len(cut.runs) == cut.wanted
        assert cut.law is not None
        assert cut.law.loss(1e60) == pytest.approx(floor)
        assert cut.free is not None
        low, high = cut.free.E_interval
        assert low < floor < high
        assert cut.law.law.alpha == pytest.approx(exponent, abs=0.002)
        assert cut.law.alpha_interval[0] < exponent < cut.law.alpha_interval[1]
    assert study.data.fold == pytest.approx(8**0.4, rel=1e-3)


def test_what_has_no_record_is_counted_and_not_made_up(few: Path) -> None:
    nothing = fables_study("smoke")
    assert (len(nothing.size.runs), nothing.size.wanted, nothing.size.law) == (0, 8, None)
    plant(grid("fables_size")[:3], lambda n, d: 1.0, nothing.floor.nats)
    some = fables_study("smoke")
    assert (len(some.size.runs), some.size.law) == (3, None)
    [path] = write_fables("smoke")
    content = json.loads(path.read_text())
    assert content["exponents"]["default"]["N"]["measured"] is None
    assert content["exponents"]["default"]["N"]["runs"] == 3
    assert content["exponents"]["heavy"]["D"]["predicted"] == pytest.approx(0.2)
    assert content["exponents"]["heavy"]["D"]["measured"] is None
    assert set(content["entropy"]) == {"default", "heavy", "light"}


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


def test_a_story_shows_what_its_largest_model_pays(few: Path) -> None:
    assert story(fables_study("smoke")) is None
    config = tiny_config(model={"context_length": 2048}, batch_tokens=2048, tokens=4096)
    record = train(config, 0, profile="smoke")
    text = open_corpus("fables").documents["validation"][0]
    data = prepare("fables", "bpe-512")
    folder = results_dir("smoke") / "models" / record.run_id
    paid = character_losses(text, data.tokenizer, folder)
    assert len(paid) == len(text)
    assert paid.sum() > -fables.log_probability(text)
    assert record.validation is not None
    per_token = paid.sum() / len(data.tokenizer.encode(text))
    assert per_token == pytest.approx(record.validation.nats, rel=0.1)
