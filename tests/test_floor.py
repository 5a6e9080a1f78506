"""The exact floor of tokens is that of their characters, and the theory of exponents."""

from pathlib import Path

import numpy as np
import pytest

from tinylm.corpora import fables
from tinylm.corpora.fables.source import HEAD
from tinylm.corpora.token_files import prepare
from tinylm.errors import Missing
from tinylm.store import Store
from tinylm.studies.findings import computing_findings
from tinylm.studies.floor import entropies, known_floor, token_floor, token_information
from tinylm.studies.theory import finite_exponent, predicted_exponent


def test_the_floor_of_tokens_is_that_of_their_characters(few_fables: Path) -> None:
    data = prepare("fables", "bpe-512")
    texts = [fables.document("validation", i) for i in range(6)]
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


def test_a_floor_is_computed_by_the_report_and_read_elsewhere(
    few_fables: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store("smoke")
    with pytest.raises(Missing, match="run `tinylm report --profile smoke`"):
        known_floor(store, "fables", "bpe-512")
    with computing_findings():
        computed = known_floor(store, "fables", "bpe-512")
    monkeypatch.setattr("tinylm.studies.floor.prepare", None)  # reading needs no data
    read = known_floor(store, "fables", "bpe-512")
    assert read.nats == pytest.approx(computed.nats, rel=1e-6)
    assert known_floor(store, "fables-long", "bpe-512").nats == read.nats  # the same documents
    data = prepare("fables", "bpe-512")
    exact = token_floor("fables", data.validation, data.tokenizer)
    assert read.nats == pytest.approx(exact.nats, rel=1e-6)
    assert read.by_position["nats"].tolist() == pytest.approx(
        exact.by_position["nats"].tolist(), rel=1e-4
    )


def test_entropies_are_those_of_the_source(few_fables: Path) -> None:
    with pytest.raises(Missing):
        entropies(Store("smoke"))
    with computing_findings():
        entropies(Store("smoke"))
    read = entropies(Store("smoke"))
    assert set(read) == set(fables.VARIANTS)
    one = fables.entropy("light")
    assert read["light"].bits_per_byte == pytest.approx(one.bits_per_byte, rel=1e-6)
    assert read["light"].nats_by_kind == pytest.approx(dict(one.nats_by_kind), rel=1e-6)
    assert sum(read["light"].nats_by_kind.values()) == pytest.approx(read["light"].nats)


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
