"""The frame of the benchmarks: goals, summary, provenance, what is kept, and the command."""

import json
import os
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from tiny_runs import tinylm
from tiny_sweep import tiny_run

from tinylm.bench import command
from tinylm.bench.aside import Kept, forget, in_new_process, scratch, trained
from tinylm.bench.command import NAMES, benchmarks, run_benchmarks
from tinylm.bench.frame import Benchmark, Goal, bench_dir, publish
from tinylm.errors import BadInput, Damaged, Missing
from tinylm.files import project_root

CHECKOUT = Path(__file__).resolve().parent.parent
Patch = pytest.MonkeyPatch
Capture = pytest.CaptureFixture[str]


def doubled(table: pd.DataFrame) -> dict[str, Any]:
    return {"doubled": 2 * float(table["x"].max()), "nested": {"64": 1.5}}


def benchmark(file: str = "speed.csv", x: float = 1.0, **fields: Any) -> Benchmark:
    return Benchmark(file, lambda: pd.DataFrame({"x": [x]}), doubled, **fields)


def provenance() -> pd.DataFrame:
    return pd.read_csv(bench_dir() / "provenance.csv").set_index("file")


# --- goals and findings ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("at", "found", "reached"),
    [("least", 2.0, True), ("least", 1.99, False), ("most", 2.0, True), ("most", 2.01, False)],
)
def test_a_goal_is_held_against_what_was_found(at: Any, found: float, reached: bool) -> None:
    row = Goal("sweep", "ratio", at, 2.0, "times").row({"ratio": found})
    assert row == {
        "measured": "sweep",
        "goal": f"at {at} 2 times",
        "found": found,
        "reached": reached,
    }


def test_shares_are_shown_in_percent_and_the_unknown_is_open() -> None:
    goal = Goal("peak", "share", "least", 0.4, "% of the peak")
    assert goal.row({"share": 0.583})["found"] == 58.3
    row = goal.row({})
    assert row["goal"] == "at least 40 % of the peak"
    assert (row["found"], row["reached"]) == (None, None)


def test_a_benchmark_leaves_its_table_and_where_it_was_made(project: Path) -> None:
    benchmark().run()
    assert (bench_dir() / "speed.csv").read_text() == "x\n1.0\n"
    row = provenance().loc["speed.csv"]
    assert row[["date", "processor", "cores", "torch"]].notna().all()
    benchmark("other.csv").run()
    benchmark(x=3.0).run()
    assert sorted(provenance().index) == ["other.csv", "speed.csv"]
    assert (bench_dir() / "speed.csv").read_text() == "x\n3.0\n"


def test_what_was_measured_earlier_keeps_its_date(project: Path) -> None:
    benchmark().run()
    begun = scratch("speed") / "begun.json"
    content = json.loads(begun.read_text())
    content["parts"]["machine"] |= {"date": "2020-02-02", "commit": "abc"}
    begun.write_text(json.dumps(content))
    benchmark().run()
    assert tuple(provenance().loc["speed.csv", ["date", "commit"]]) == ("2020-02-02", "abc")
    forget("speed")
    benchmark().run()
    assert provenance().loc["speed.csv", "date"] != "2020-02-02"


def test_the_summary_follows_from_the_tables_that_there_are(project: Path) -> None:
    goals = (Goal("twice", "doubled", "least", 3, "times"),)
    some = [benchmark(x=2.0, goals=goals), benchmark("not_made.csv"), benchmark("times.json")]
    some[0].run()
    assert publish(some)["reached"].tolist() == [True]
    summary = json.loads((bench_dir() / "summary.json").read_text())
    assert (summary["doubled"], summary["nested"]) == (4.0, {"64": 1.5})
    assert summary["behind"] == {"doubled": "speed.csv", "nested": "speed.csv"}
    goals_written = pd.read_csv(bench_dir() / "goals.csv")
    assert goals_written.loc[0, "found"] == 4.0
    assert json.loads((some[2].run(), (bench_dir() / "times.json").read_text())[1]) == {"x": 1.0}
    publish(some)
    assert json.loads((bench_dir() / "summary.json").read_text())["behind"]["doubled"] == (
        "times.json"
    )


@pytest.mark.parametrize("content", ["", "y\n1\n", "x\nfast\n"])
def test_a_damaged_table_is_named_and_the_summary_stays(project: Path, content: str) -> None:
    benchmark().run()
    publish([benchmark()])
    before = (bench_dir() / "summary.json").read_text()
    (bench_dir() / "speed.csv").write_text(content)
    with pytest.raises(Damaged, match=r"speed\.csv is damaged .*measure again"):
        publish([benchmark()])
    assert (bench_dir() / "summary.json").read_text() == before


def equal(found: Any, kept: Any) -> bool:
    """Whether two findings agree, numbers to rounding."""
    if isinstance(kept, dict):
        return found.keys() == kept.keys() and all(equal(found[key], kept[key]) for key in kept)
    return bool(found == (pytest.approx(kept, rel=1e-9) if isinstance(kept, float) else kept))


def test_the_committed_summary_and_goals_follow_from_the_committed_tables(
    monkeypatch: Patch,
) -> None:
    monkeypatch.setenv("TINYLM_ROOT", str(CHECKOUT))
    summary = json.loads((bench_dir() / "summary.json").read_text())
    behind, found = summary.pop("behind"), dict[str, Any]()
    for each in benchmarks().values():
        findings = each.found()
        assert {behind[name] for name in findings} <= {each.file}
        found |= findings
    assert equal(found, summary)
    goals = pd.read_csv(bench_dir() / "goals.csv")
    rows = [goal.row(summary) for each in benchmarks().values() for goal in each.goals]
    assert goals["goal"].tolist() == [row["goal"] for row in rows]
    assert goals["found"].fillna(-1).tolist() == pytest.approx(
        [-1 if row["found"] is None else row["found"] for row in rows]
    )
    assert goals["reached"].map(str).tolist() == [
        str(float("nan") if row["reached"] is None else row["reached"]) for row in rows
    ]
    tables = {each.file for each in benchmarks().values() if (bench_dir() / each.file).exists()}
    assert set(pd.read_csv(bench_dir() / "provenance.csv")["file"]) == tables


# --- aside ----------------------------------------------------------------------------------------


def test_a_killed_measurement_goes_on_with_the_part_it_was_at(tmp_path: Path) -> None:
    done: list[str] = []
    path = tmp_path / "kept.json"

    def work(name: str) -> str:
        done.append(name)
        if name == "killed":
            raise KeyboardInterrupt
        return name.upper()

    kept = Kept(path, ["run"])
    assert kept("a", work, "a") == "A"
    with pytest.raises(KeyboardInterrupt):
        kept("b", work, "killed")
    again = Kept(path, ["run"])
    assert [again(name, work, name) for name in "ab"] == ["A", "B"]
    assert done == ["a", "killed", "b"]
    assert Kept(path, ["another run"])("a", work, "a") == "A"
    assert done == ["a", "killed", "b", "a"]


def test_a_new_process_works_in_the_project_it_is_given(project: Path) -> None:
    root = scratch("mine")
    assert (root / "data" / "fables").is_dir()
    assert in_new_process(root, project_root) == root
    assert project_root() == project


def test_runs_train_aside_and_come_in_order(project: Path, capfd: Capture) -> None:
    runs = [tiny_run(seed=1), tiny_run(seed=0)]
    records = trained("mine", runs)
    assert [record.run_id for record in records] == [run.run_id for run in runs]
    assert not (project / "results" / "quick").exists()
    assert "2 of 2 runs to do" in capfd.readouterr().out


# --- the command ----------------------------------------------------------------------------------


def refuses() -> pd.DataFrame:
    raise Missing("there is no such machine")


@pytest.fixture
def three(monkeypatch: Patch) -> None:
    made = {"bad": Benchmark("bad.csv", refuses, doubled), "good": benchmark("good.csv", x=2.0)}
    monkeypatch.setattr(command, "NAMES", tuple(made))
    monkeypatch.setattr(command, "benchmarks", lambda: made)


def test_one_that_fails_does_not_stop_the_others(
    project: Path, three: None, capsys: Capture
) -> None:
    assert not run_benchmarks([])
    assert "FAILED bad: there is no such machine" in capsys.readouterr().out
    assert json.loads((bench_dir() / "summary.json").read_text())["doubled"] == 4.0
    assert run_benchmarks(["good"])


def test_anew_drops_what_was_kept_of_those_named(project: Path, three: None) -> None:
    kept = [scratch(name) / "results" for name in ("good", "bad")]
    for path in kept:
        path.mkdir()
    run_benchmarks(["good"])
    assert all(path.exists() for path in kept)
    run_benchmarks(["good"], anew=True)
    assert [path.exists() for path in kept] == [False, True]


def test_an_unknown_benchmark_is_refused(
    project: Path, monkeypatch: Patch, capsys: Capture
) -> None:
    code, _, err = tinylm(["bench", "speed"], monkeypatch, capsys)
    assert code == 2
    assert err == f"error: unknown benchmark 'speed'; expected one of {', '.join(NAMES)}\n"
    assert not bench_dir().exists()
    with pytest.raises(BadInput):
        run_benchmarks(["speed"])


def test_every_benchmark_is_named_after_its_module_and_its_file() -> None:
    assert [Path(each.file).stem for each in benchmarks().values()] == list(NAMES)
    modules = {path.stem for path in (CHECKOUT / "tinylm" / "bench").glob("*.py")}
    assert set(NAMES) <= modules
    elsewhere = {
        path.stem
        for path in (CHECKOUT / "tinylm").rglob("*.py")
        if path.parent.name != "bench" and path.stem != "__init__"
    }
    assert not modules & elsewhere, os.fspath(CHECKOUT)
