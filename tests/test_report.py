"""The report of a small profile: what it computes once, writes, and leaves out."""

import json
from pathlib import Path

import pandas as pd
import pytest
from planted import planted_records

from tinylm.book.report import (
    OF_THE_PAGES,
    ablation_file,
    ablation_plots,
    records_of,
    write_report,
)
from tinylm.errors import Missing
from tinylm.records import RunRecord
from tinylm.store import Store
from tinylm.studies.ablations import ABLATIONS
from tinylm.studies.predictions import FITTED, read_prediction
from tinylm.studies.size import size_study
from tinylm.sweeps.declare import expand, experiments_of, load_experiment

SMOKE, PAPER = Store("smoke"), Store("paper")
EXPERIMENTS = ("model_size", "context_length", "fables_size", "fables_data")
CORPUS = {"origin": "generated", "licence": "MIT", "documents": {"train": 120, "validation": 6}}
PACKAGES = {"torch": "2.13.0"}


def law(record: RunRecord, tokens: int) -> float:
    n, d = float(record.parameters.non_embedding), float(tokens)
    return float(2.0 + 20 * n**-0.4 + 30 * d**-0.4)


@pytest.fixture
def planted(project: Path) -> Path:
    """A project with records of every run that the pages are about, at the smoke profile."""
    for name in EXPERIMENTS:
        for record in planted_records(expand(load_experiment(name), "smoke"), law):
            made = record.provenance.model_copy(update={"corpus": CORPUS, "packages": PACKAGES})
            SMOKE.save(record.model_copy(update={"provenance": made}))
    return project


def test_a_report_computes_once_and_the_rest_reads(planted: Path) -> None:
    with pytest.raises(Missing, match="finding 'model_size' of profile smoke is not there"):
        size_study(SMOKE)
    written = write_report("smoke").written
    names = {str(path.relative_to(SMOKE.folder)) for path in written}
    assert {"summary.json", "table_main.csv", "fables.json", "fig_scaling.png"} <= names
    assert {f"{name}.csv" for name in EXPERIMENTS} <= names
    assert all(path.is_file() for path in written)
    summary = json.loads((SMOKE.folder / "summary.json").read_text())
    assert summary["size_alpha"] == f"{size_study(SMOKE).law.law.alpha:.3f}"
    table = pd.read_csv(SMOKE.folder / "model_size.csv")
    assert set(table["device"]) == {"cpu"}


def test_a_profile_without_the_runs_of_the_pages_gets_its_tables_of_runs(project: Path) -> None:
    for record in planted_records(expand(load_experiment("fables_size"), "smoke")[:2], law):
        SMOKE.save(record)
    written = write_report("smoke").written
    assert [path.name for path in written] == ["fables_size.csv"]
    for record in planted_records(expand(load_experiment("model_size"), "smoke")[:1], law):
        SMOKE.save(record)
    with pytest.raises(Missing, match="9 of 10 runs have no record in results/smoke/runs"):
        write_report("smoke")


def test_a_profile_without_any_run_is_told(project: Path) -> None:
    with pytest.raises(Missing, match="10 of 10 runs have no record"):
        write_report("smoke")


def test_a_figure_of_runs_that_have_gone_goes_too(planted: Path) -> None:
    mine = SMOKE.folder / "mine.csv"
    mine.write_text("N,D,loss\n")
    first = write_report("smoke")
    assert first.removed == []
    for name in ("model_size", "context_length"):
        for run in expand(load_experiment(name), "smoke"):
            SMOKE.record_path(run.run_id).unlink()
    runs = expand(load_experiment("fables_size"), "smoke")
    for run in runs[::2]:
        SMOKE.record_path(run.run_id).unlink()
    second = write_report("smoke")
    assert {path.name for path in second.removed} >= {"fig_scaling.png", "summary.json"}
    assert not any(path.exists() for path in second.removed)
    assert mine.exists()
    assert all(path.exists() for path in second.written)
    said = f"fables_size: {len(runs[::2])} of {len(runs)} runs have no record; studies that need"
    assert said in str(second)
    assert f"removed: {SMOKE.folder / 'fig_scaling.png'}" in str(second)


def test_a_report_may_remove_all_that_one_may_write() -> None:
    """Of the published profile, which has all studies."""
    written = {
        path.relative_to(PAPER.folder).as_posix()
        for pattern in ("*.csv", "*.json", "*.png", "plots/*", "tables/*")
        for path in PAPER.folder.glob(pattern)
    }
    waiting = {
        name for name in FITTED if read_prediction(PAPER, name) and not records_of(PAPER, name)
    }
    made = {*experiments_of("paper")} - waiting
    ablations: set[str] = set()
    for name in made & {*ABLATIONS}:
        ablations |= {ablation_file(name), *ablation_plots(name)}
    assert written == {*OF_THE_PAGES, *(f"{name}.csv" for name in made), *ablations}
