"""Committed results still follow from their records: no table, number or finding goes stale.

Everything that the report writes is made again from the records and findings and compared; and
some findings are computed again, others every day, as all of them together take minutes.
"""

import datetime
import io
import json
import math
import shutil
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pandas as pd
import pytest

from tinylm.book.compare import difference
from tinylm.book.report import (
    STUDIES,
    all_records,
    chapter_studies,
    has_pages,
    page_files,
    run_tables,
)
from tinylm.records import SCHEMA_FILE
from tinylm.store import Store
from tinylm.studies import findings
from tinylm.studies.context import context_study
from tinylm.studies.cuts import fables_study
from tinylm.studies.excess import leftover
from tinylm.studies.fables_json import fables_summary
from tinylm.studies.findings import computing_findings, finding_path, records_hash
from tinylm.studies.knowledge import fact_exponents
from tinylm.studies.size import size_study
from tinylm.sweeps.declare import experiments_of

REPOSITORY = Path(__file__).parents[1]
STORES = [Store(name) for name in ("paper", "full", "first", "second", "next")]
PAPER = STORES[0]
RELATIVE = 1e-3  # of a number that an optimiser leaves
RESAMPLED = 0.005  # of one that 1,000 resamples were drawn for
MANY = 100  # numbers from here on are resamples
LEFT_TO_CHANCE = {"failed_starts"}  # which of the poor starts go astray, the last bit decides
QUICK_SECONDS = 5.0  # a finding that took longer is not computed again here

by_store = pytest.mark.parametrize("store", STORES, ids=lambda store: store.profile)
pytestmark = pytest.mark.skipif(
    not (REPOSITORY / "results" / "paper" / "runs").is_dir(), reason="not a checkout"
)


def differences(found: Any, kept: Any, where: str, relative: float = RELATIVE) -> list[str]:
    """Where two JSON values differ by more than that, each as a line. Of resamples, middle and
    95% interval count: a fit in a thousand may end elsewhere on another processor.
    """
    if isinstance(found, dict) and isinstance(kept, dict):
        if found.keys() == kept.keys() == {"array", "dtype", "numbers"}:
            found, kept = _summary_of(found), _summary_of(kept)
        strange = sorted(found.keys() ^ kept.keys())
        lines = [f"{where}: {name} is missing or new" for name in strange]
        for name in (found.keys() & kept.keys()) - LEFT_TO_CHANCE:
            lines += differences(found[name], kept[name], f"{where}.{name}", relative)
        return lines
    if isinstance(found, list) and isinstance(kept, list) and len(found) == len(kept):
        pairs = enumerate(zip(found, kept, strict=True))
        return [line for i, pair in pairs for line in differences(*pair, f"{where}[{i}]", relative)]
    if isinstance(found, float) and isinstance(kept, float | int):
        close = math.isclose(found, kept, rel_tol=relative, abs_tol=1e-6)
        same = close or (math.isnan(found) and math.isnan(kept))
    elif isinstance(found, str) and isinstance(kept, str):
        same = difference(kept, found, relative) is None
    else:
        same = found == kept
    return [] if same else [f"{where}: {found!r}, committed {kept!r}"]


def _summary_of(array: dict[str, Any]) -> dict[str, Any]:
    """Shape and percentiles over the first axis of an array, as `finding` keeps it."""
    numbers = np.array(array["numbers"].split(), dtype=float).reshape(array["array"])
    if len(numbers) < MANY:
        return {"shape": array["array"], "numbers": numbers.tolist()}
    return {
        "shape": array["array"],
        **{f"{at:g}%": np.percentile(numbers, at, axis=0).tolist() for at in (2.5, 50, 97.5)},
    }


def table_differences(found: str, kept: str, where: str) -> list[str]:
    """The same of two CSVs, cell by cell."""
    one, other = (
        pd.read_csv(io.StringIO(text), dtype=str, keep_default_na=False).to_dict("list")
        for text in (found, kept)
    )
    if list(one) != list(other):
        return [f"{where}: columns {list(one)}, committed {list(other)}"]
    return differences(one, other, where)


def test_a_changed_number_a_missing_row_and_a_changed_word_are_seen() -> None:
    table = "name,loss\na,1.25\nb,2.50\n"
    assert table_differences(table, table.replace("2.50", "2.51"), "t") == []
    for changed in (
        table.replace("2.50", "2.54"),
        table.replace("b,2.50\n", ""),
        table.replace("b,", "c,"),
        table.replace("loss", "nats"),
    ):
        assert table_differences(table, changed, "t")
    assert differences({"x": 1.0, "y": [1]}, {"x": 1.0, "y": [2]}, "s") == [
        "s.y[0]: 1, committed 2"
    ]
    assert differences({"x": 1.0}, {"z": 1.0}, "s") == [
        "s: x is missing or new",
        "s: z is missing or new",
    ]


def test_of_resamples_their_interval_counts() -> None:
    drawn = np.random.default_rng(0).normal(1.0, 0.2, 1000)
    odd = np.where(np.arange(1000) == 500, 9.0, drawn)

    def kept(numbers: np.ndarray) -> dict[str, Any]:
        text = " ".join(f"{number:.6g}" for number in numbers)
        return {"array": [len(numbers)], "dtype": "float64", "numbers": text}

    assert differences(kept(odd), kept(drawn), "a", RESAMPLED) == []
    assert differences(kept(1.1 * drawn), kept(drawn), "a", RESAMPLED)
    assert differences(kept(drawn[:-1]), kept(drawn), "a", RESAMPLED)


@by_store
def test_every_record_meets_the_schema(store: Store) -> None:
    validator = jsonschema.Draft202012Validator(json.loads(SCHEMA_FILE.read_text()))
    paths = sorted((store.folder / "runs").glob("*.json"))
    assert paths
    for path in paths:
        record = json.loads(path.read_text(encoding="utf-8"))
        assert record["run_id"] == path.stem
        assert next(validator.iter_errors(record), None) is None, path.name


@by_store
def test_every_record_is_of_a_declared_run(store: Store) -> None:
    declared = {record.run_id for record in all_records(store)}
    assert {path.stem for path in (store.folder / "runs").glob("*.json")} <= declared


@by_store
def test_every_table_of_runs_follows_from_the_records(store: Store) -> None:
    found = run_tables(store)
    assert found
    for name, text in found.items():
        kept = (store.folder / name).read_text(encoding="utf-8")
        assert table_differences(text, kept, name) == []


def test_every_table_and_number_of_the_pages_follows_from_records_and_findings() -> None:
    size, context, fables = size_study(PAPER), context_study(PAPER), fables_study(PAPER)
    wrong: list[str] = []
    found = page_files(size, context, fables)
    for name, text in found.items():
        kept = (PAPER.folder / name).read_text(encoding="utf-8")
        if name.endswith(".csv"):
            wrong += table_differences(text, kept, name)
        else:
            wrong += differences(json.loads(text), json.loads(kept), name)
    kept = json.loads((PAPER.folder / "fables.json").read_text(encoding="utf-8"))
    wrong += differences(json.loads(json.dumps(fables_summary(fables))), kept, "fables.json")
    assert wrong == []
    tables = {path.name for path in (PAPER.folder / "tables").iterdir()}
    assert tables == {Path(name).name for name in found if name.startswith("tables/")}


def test_every_study_of_the_chapters_reads_its_finding() -> None:
    assert has_pages(PAPER)
    stores = (PAPER, Store("first"))
    every = [(study, store) for store in stores for study in chapter_studies(store)]
    declared = {*experiments_of("paper")}, {*experiments_of("first")}
    wanted = [1 for needed, _ in STUDIES if any({*needed} <= names for names in declared)]
    assert len({study for study, _ in every}) == len(wanted) >= 9
    for study, store in every:
        study(store)  # Missing, were it of other records or code
    fact_exponents(leftover(PAPER), PAPER)


def fits_of_today() -> list[str]:
    """Two findings of the paper that were fitted to runs within seconds, other ones every day."""
    quick = []
    for path in sorted((PAPER.folder / "findings").glob("*.json")):
        kept = json.loads(path.read_text())
        of_runs = kept["records"] != records_hash([]) or "points" in kept["parameters"]
        if of_runs and kept["seconds"] <= QUICK_SECONDS:
            quick.append(path.stem)
    start = datetime.datetime.now(datetime.UTC).toordinal() % len(quick)
    return (quick[start:] + quick[:start])[:2]


def test_findings_computed_again_agree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    again, own = fits_of_today(), finding_path(PAPER, "of-this-test").parent
    shutil.copytree(own, tmp_path / "findings")
    for name in again:
        (tmp_path / "findings" / f"{name}.json").unlink()
    monkeypatch.setattr(
        findings, "finding_path", lambda store, name: tmp_path / "findings" / f"{name}.json"
    )
    with computing_findings():
        page_files(size_study(PAPER), context_study(PAPER), fables_study(PAPER))
        for study in chapter_studies(PAPER):
            study(PAPER)
        fact_exponents(leftover(PAPER), PAPER)
    for name in again:
        found, kept = (
            json.loads((folder / f"{name}.json").read_text())
            for folder in (tmp_path / "findings", own)
        )
        assert {key: found[key] for key in ("records", "code", "parameters")} == {
            key: kept[key] for key in ("records", "code", "parameters")
        }
        assert differences(found["found"], kept["found"], name, RESAMPLED) == []


def test_findings_are_small_and_hold_what_they_say() -> None:
    paths = [path for store in STORES for path in (store.folder / "findings").glob("*.json")]
    assert len(paths) > 5
    assert sum(path.stat().st_size for path in paths) < 2_500_000
    for path in paths:
        assert {"records", "code", "parameters", "seconds", "found"} == set(
            json.loads(path.read_text())
        )
