"""A finding is computed once, kept under what it was made from, and read back as it was."""

import re
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from test_records import made_up_record
from tiny_runs import tiny_config

from tinylm.errors import BadInput, Damaged, Missing
from tinylm.laws.power import PowerLaw, PowerLawWithIntervals, bootstrap_power_law
from tinylm.store import Store
from tinylm.studies import cuts, epochs, grid, size, verdict
from tinylm.studies.findings import (
    code_hash,
    computing_findings,
    finding,
    finding_path,
    records_hash,
)
from tinylm.train import identify

MODULES = ("tinylm.laws.power",)


@pytest.mark.parametrize(
    "code", [grid.CODE, epochs.CODE, size.CODE, cuts.LAWS, verdict.EXPONENTS_CODE]
)
def test_what_a_law_rests_on_is_hashed_with_it(code: tuple[str, ...]) -> None:
    """Else a finding would stay when the code under it has changed."""
    laws = [name for name in code if name.startswith("tinylm.laws.")]
    assert laws
    for law in laws:
        source = Path(import_module(law).__file__ or "").read_text(encoding="utf-8")
        assert set(re.findall(r"^from (tinylm\.laws\.\w+) import", source, re.M)) <= {*code}, law


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.setenv("TINYLM_ROOT", str(tmp_path))
    return Store("smoke")


def test_a_finding_is_computed_once_and_then_read(store: Store) -> None:
    calls = []

    def compute() -> dict[str, Any]:
        calls.append(1)
        return {"law": 1.5, "tuple": (1, "a"), "by size": {64: 0.25}, "none": None}

    with computing_findings():
        first = finding(store, "one", [], MODULES, compute)
    again = finding(store, "one", [], MODULES, compute)
    assert first == again == compute()
    assert len(calls) == 2  # the one above among them


def test_without_a_report_nothing_is_computed(store: Store) -> None:
    with pytest.raises(Missing, match="'one' of profile smoke is not there; run `tinylm report"):
        finding(store, "one", [], MODULES, lambda: 1)
    assert not finding_path(store, "one").exists()


@pytest.mark.parametrize("changed", ["records", "modules", "parameters"])
def test_what_was_made_from_something_else_does_not_count(store: Store, changed: str) -> None:
    record = made_up_record()
    with computing_findings():
        finding(store, "one", [record], MODULES, lambda: "old", resamples=10)
    records, modules, resamples = [record], MODULES, 10
    if changed == "records":
        assert record.validation is not None
        losses = record.validation.model_copy(update={"nats": 9.0})
        records = [record.model_copy(update={"validation": losses})]
    elif changed == "modules":
        modules = ("tinylm.laws.surface",)
    else:
        resamples = 11
    with pytest.raises(Missing, match="is of other records or code"):
        finding(store, "one", records, modules, lambda: "new", resamples=resamples)
    with computing_findings():
        assert finding(store, "one", records, modules, lambda: "new", resamples=resamples) == "new"


def test_the_order_of_records_and_where_they_were_made_do_not_count() -> None:
    one, other = made_up_record(), made_up_record(identify(tiny_config(), 4))
    moved = one.model_copy(
        update={"provenance": one.provenance.model_copy(update={"processor": "another"})}
    )
    assert records_hash([one, other]) == records_hash([other, moved])
    assert records_hash([one, other]) != records_hash([one])


def test_comments_and_docstrings_do_not_count_as_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    hashes = []
    for text in ("x = 1\n", '"""One."""\n# why\n\nx = 1  # one\n', "x = '#2'\n"):
        (tmp_path / "some_code.py").write_text(text)
        hashes.append(code_hash(["some_code"]))
    assert hashes[0] == hashes[1] != hashes[2]


def test_one_function_may_be_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    hashes = []
    for text in (
        "def one(x):\n    return x\n",
        'y = 2\n\ndef one(x):\n    """Says\n    why."""\n    return x\n',
        "def one(x):\n    return x + 1\n",
    ):
        (tmp_path / "part_code.py").write_text(text)
        hashes.append(code_hash(["part_code:one"]))
    assert hashes[0] == hashes[1] != hashes[2]
    with pytest.raises(BadInput, match="'part_code:two': the module has no such function"):
        code_hash(["part_code:two"])


def test_laws_arrays_and_tables_come_back(store: Store) -> None:
    size = np.repeat(np.geomspace(1e4, 1e6, 6), 3)
    loss = 1.5 + 40 * size**-0.4 + np.tile([0.001, 0.0, -0.001], 6)
    law = bootstrap_power_law(size, np.tile([0, 1, 2], 6), loss, n_resamples=60)
    table = pd.DataFrame({"N": [1, 2], "loss": [0.5, float("nan")], "of": ["a", "b"]})
    with computing_findings():
        found: dict[str, Any] = {"law": law, "table": table}
        made = finding(store, "law", [], MODULES, lambda: found)
    read: dict[str, Any] = finding(store, "law", [], MODULES, dict)
    assert np.array_equal(made["law"].resamples, read["law"].resamples)  # one truth for all
    assert isinstance(read["law"], PowerLawWithIntervals)
    assert isinstance(read["law"].law, PowerLaw)
    assert read["law"].law == law.law
    assert np.allclose(read["law"].resamples, law.resamples, rtol=5e-6)
    assert read["law"].alpha_interval == pytest.approx(law.alpha_interval, rel=5e-6)
    pd.testing.assert_frame_equal(read["table"], table)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"records": 1}'])
def test_a_damaged_file_is_told(store: Store, content: str) -> None:
    path = finding_path(store, "one")
    path.parent.mkdir(parents=True)
    path.write_text(content)
    with pytest.raises(Damaged, match="delete it"):
        finding(store, "one", [], MODULES, lambda: 1)


@dataclass(frozen=True)
class Foreign:
    x: int


def test_only_dataclasses_of_the_package_are_made(store: Store) -> None:
    with computing_findings(), pytest.raises(Damaged, match="expected a dataclass of tinylm"):
        finding(store, "one", [], MODULES, lambda: replace(Foreign(1), x=2))
    assert not finding_path(store, "one").exists()
