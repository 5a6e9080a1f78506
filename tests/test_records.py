"""Records: what is written is read back, and what is not a record is refused by name."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from conftest import CHECKOUT
from tiny_runs import tiny_config

from tinylm.config import Run, RunConfig
from tinylm.corpora import corpus_version
from tinylm.errors import Damaged, TinyLMError
from tinylm.records import (
    SCHEMA_FILE,
    CurvePoint,
    Losses,
    PositionLoss,
    Provenance,
    RunRecord,
    read_record,
    record_schema,
)
from tinylm.store import Store, find_run
from tinylm.studies.runs import to_table
from tinylm.texts import known_text
from tinylm.train import identify

COMMITTED = sorted((CHECKOUT / "results" / "paper" / "runs").glob("*.json"))
VALIDATOR = jsonschema.Draft202012Validator(json.loads(record_schema()))


MADE_UP = identify(tiny_config(), 3)


def made_up_record(run: Run = MADE_UP, diverged: bool = False) -> RunRecord:
    """A record of a run that was never trained."""
    bins = [PositionLoss(first=1, last=4, tokens=4, nats=2.5)]
    losses = Losses(
        nats=2.5,
        bits_per_byte=1.25,
        perplexity=math.exp(2.5),
        tokens=4,
        n_bytes=9,
        documents=1,
        by_position=bins,
    )
    point = CurvePoint(
        step=1,
        tokens=256,
        train_nats=math.nan if diverged else 3.0,
        validation_nats=math.inf if diverged else 2.5,
        validation_documents=1,
        learning_rate=0.01,
        gradient_norm=-math.inf if diverged else 1.5,
    )
    config = run.config
    text = known_text(config.data.corpus, config.data.tokenizer)  # of the project, if it has any
    provenance = Provenance(
        commit=None,
        clean=None,
        date="2025-01-01T00:00:00+00:00",
        python="3.11",
        packages={},
        processor="abacus",
        device="cpu",
        threads=1,
        corpus={"title": "none"},
        train_sha256=text.train_sha256 if text else "",
        validation_sha256=text.validation_sha256 if text else "",
    )
    return RunRecord.model_validate(
        {
            "run_id": run.run_id,
            "seed": run.seed,
            "config": config,
            "corpus_version": corpus_version(config.data.corpus),
            "status": "diverged" if diverged else "done",
            "parameters": {"non_embedding": 1, "with_output": 2, "total": 3},
            "tokens": 256,
            "unique_tokens": 1000,
            "steps": 1,
            "compute": {"six_nd": 6.0, "exact": 7.5},
            "bytes_per_token": 2.25,
            "train_nats": math.nan if diverged else 3.0,
            "validation": None if diverged else losses,
            "curve": [point],
            "timing": {
                "wall_seconds": 1.5,
                "cpu_seconds": 1.25,
                "tokens_per_second": 170.7,
                "peak_memory_bytes": 1,
                "resumptions": 0,
            },
            "provenance": provenance,
        }
    )


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TINYLM_ROOT", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize("diverged", [False, True])
def test_a_record_survives_its_file_and_meets_the_schema(root: Path, diverged: bool) -> None:
    record = made_up_record(diverged=diverged)
    path = Store("smoke").save(record)
    assert path == root / "results" / "smoke" / "runs" / f"{record.run_id}.json"
    found = Store("smoke").find(record.run_id)
    assert found is not None
    assert repr(found) == repr(record)  # unlike ==, it holds of NaN too
    VALIDATOR.validate(json.loads(path.read_text()))
    assert Store("quick").find(record.run_id) is None


def test_the_schema_file_is_up_to_date() -> None:
    assert SCHEMA_FILE.read_text(encoding="utf-8") == record_schema(), (
        "write it anew: python -c 'from tinylm.records import *; "
        "SCHEMA_FILE.write_text(record_schema())'"
    )


def _set(path: str, value: Any) -> Callable[[dict[str, Any]], None]:
    *parents, leaf = path.split(".")

    def change(content: dict[str, Any]) -> None:
        for parent in parents:
            content = content[parent]
        content[leaf] = value

    return change


def _drop(name: str) -> Callable[[dict[str, Any]], None]:
    return lambda content: content.pop(name)


WRONG = [
    (_set("status", "fine"), "status: Input should be 'done' or 'diverged', not 'fine'"),
    (_set("seed", -1), "seed: Input should be greater than or equal to 0, not -1"),
    (_set("surprise", 1), "unknown field 'surprise' (value 1)"),
    (_set("validation.nats", "low"), "validation.nats: Input should be a valid number"),
    (_set("config.model.d_model", 15), "d_model 15 is not divisible by n_heads 2"),
    (_set("schema_version", 2), "schema_version 2, but this tinylm reads 1"),
    (_drop("timing"), "timing: Field required"),
    (_drop("schema_version"), "schema_version None, but this tinylm reads 1"),
    (_set("run_id", "fedcba9876543210"), "holds run_id 'fedcba9876543210'"),
]


@pytest.mark.parametrize(("change", "said"), WRONG, ids=[said for _, said in WRONG])
def test_a_wrong_record_is_refused(
    root: Path, change: Callable[[dict[str, Any]], None], said: str
) -> None:
    path = Store("smoke").save(made_up_record())
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))
    with pytest.raises(TinyLMError) as caught:
        Store("smoke").find(path.stem)
    assert said in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("change", [w[0] for w in WRONG[:4]], ids=[w[1] for w in WRONG[:4]])
def test_the_schema_refuses_it_too(change: Callable[[dict[str, Any]], None]) -> None:
    content = json.loads(made_up_record().model_dump_json())
    change(content)
    with pytest.raises(jsonschema.ValidationError):
        VALIDATOR.validate(content)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b"\xff\xfe", b'{"schema_version"'])
def test_a_damaged_file_is_named(root: Path, content: bytes) -> None:
    path = Store("smoke").record_path("0123456789abcdef")
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    with pytest.raises(TinyLMError, match=r"0123456789abcdef\.json.*delete it and the run"):
        Store("smoke").find("0123456789abcdef")
    with pytest.raises(TinyLMError, match="'fedc' has no record"):
        read_record(path.with_name("fedc.json"))


def test_a_run_is_found_by_a_beginning_that_only_it_has(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = ["abcd000000000000", "abce000000000000", "abcd111111111111"]
    monkeypatch.setattr(RunConfig, "identity", lambda config, seed, version: ids[seed])
    first, second, third = (made_up_record(identify(tiny_config(), seed)) for seed in range(3))
    Store("smoke").save(first)
    Store("quick").save(second)
    store, record = find_run("abce")
    assert (store, record.run_id) == (Store("quick"), "abce000000000000")
    assert find_run("abcd000000000000")[0] == Store("smoke")
    Store("paper").save(third)
    for wrong, said in {
        "abcd": "2 records",
        "ffff": "no record",
        "abc": "at least 4 hexadecimal digits",
        "": "at least 4 hexadecimal digits",
        "ABCD": "at least 4 hexadecimal digits",
        "ab*d": "at least 4 hexadecimal digits",
        "../x": "at least 4 hexadecimal digits",
    }.items():
        with pytest.raises(TinyLMError, match=said):
            find_run(wrong)


def test_the_table_has_a_row_for_each_run() -> None:
    other = identify(tiny_config(), 4)
    table = to_table([made_up_record(), made_up_record(other, diverged=True)])
    assert list(table["run_id"]) == [MADE_UP.run_id, other.run_id]
    assert table["nats"][0] == 2.5
    assert math.isnan(table["nats"][1])
    assert list(table["status"]) == ["done", "diverged"]
    assert list(table["flops_exact"]) == [7.5, 7.5]
    assert to_table([]).empty


def test_the_table_has_what_differs_between_configs() -> None:
    slower = identify(tiny_config(optimizer={"gradient_clip": 2.0}, batch_tokens=128), 3)
    table = to_table([made_up_record(), made_up_record(slower)])
    assert list(table["gradient_clip"]) == [1.0, 2.0]
    assert list(table["batch_tokens"]) == [256, 128]
    assert "momentum" not in table
    assert "batch_tokens" not in to_table([made_up_record()])


@pytest.mark.parametrize("path", COMMITTED, ids=lambda path: path.stem)
def test_every_committed_record_is_one(path: Path) -> None:
    """It meets the schema, is named by its config, and its sums add up."""
    VALIDATOR.validate(json.loads(path.read_text(encoding="utf-8")))
    record = read_record(path)
    assert record.run_id == record.config.identity(record.seed, record.corpus_version)
    assert record.tokens == record.steps * record.config.batch_tokens
    assert [point.tokens for point in record.curve] == sorted(p.tokens for p in record.curve)
    if record.validation is not None:
        losses = record.validation
        weighted = sum(part.nats * part.tokens for part in losses.by_position)
        assert sum(part.tokens for part in losses.by_position) == losses.tokens
        assert weighted / losses.tokens == pytest.approx(losses.nats)
        assert losses.bits_per_byte == pytest.approx(
            losses.nats * losses.tokens / losses.n_bytes / math.log(2)
        )
        assert record.curve[-1].validation_nats == losses.nats


def test_a_record_edited_to_be_of_another_run_is_refused(root: Path) -> None:
    path = Store("smoke").save(made_up_record())
    content = json.loads(path.read_text())
    for change in (
        {"seed": 4},
        {"config": content["config"] | {"tokens": 8192}},
        {"corpus_version": "none"},
    ):
        path.write_text(json.dumps(content | change))
        with pytest.raises(Damaged, match=rf"{path.name} is not of its run: .* restore it, or del"):
            Store("smoke").find(path.stem)


def test_a_loss_that_is_no_number_names_its_record(root: Path) -> None:
    path = Store("smoke").save(made_up_record())
    content = json.loads(path.read_text())
    for nats in (math.nan, math.inf, 0.0, -1.0):
        path.write_text(
            json.dumps(content | {"validation": content["validation"] | {"nats": nats}})
        )
        with pytest.raises(Damaged, match=rf"{path.name}: validation: nats .* of a run that ended"):
            Store("smoke").find(path.stem)
    path.write_text(json.dumps(content | {"validation": None}))
    with pytest.raises(Damaged, match=rf"{path.name}: validation: none of a run that is done"):
        Store("smoke").find(path.stem)
