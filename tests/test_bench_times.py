"""How long `make reproduce` and `make test` take: who measures it, and who tells it."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tinylm.bench.frame import bench_dir, publish
from tinylm.bench.times import BENCHMARK, measure
from tinylm.book.extension import read_bench
from tinylm.errors import TinyLMError

CHECKOUT = Path(__file__).resolve().parent.parent
TIMES = CHECKOUT / "results" / "bench" / "times.json"
TARGETS = """\
setup:
\t@echo setup >> $(LOG)
reproduce: setup
\t@sleep 0.2; pwd >> $(LOG)
test: setup
\t@{test}
"""


@pytest.fixture
def checkout(project: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout whose two commands leave a line in a log."""
    monkeypatch.setenv("LOG", str(project.parent / "log"))
    (project / "Makefile").write_text(TARGETS.format(test="echo tested >> $(LOG)"))
    for command in (["init", "-q"], ["add", "Makefile"], ["commit", "-q", "-m", "one"]):
        names = ["-c", "user.name=n", "-c", "user.email=e@example.org"]
        subprocess.run(["git", *names, *command], cwd=project, check=True)
    return project


def test_both_commands_are_timed_in_a_fresh_clone(checkout: Path) -> None:
    (checkout / "not committed").write_text("")
    BENCHMARK.run()
    content = json.loads((bench_dir() / "times.json").read_text())
    assert content["reproduce_seconds"] >= 0.2
    assert content["test_seconds"] >= 0
    assert content["machine"].keys() == {"processor", "cores", "instructions"}
    assert content["machine"]["cores"] > 0
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", content["date"])
    lines = (checkout.parent / "log").read_text().splitlines()
    place = Path(lines[1])
    assert lines.count("tested") == 1
    assert place.name == "clone"
    assert not place.exists()
    goals = publish([BENCHMARK])
    assert goals["reached"].tolist() == [True, True]


def test_a_command_that_fails_leaves_no_time(checkout: Path) -> None:
    (checkout / "Makefile").write_text(TARGETS.format(test="false"))
    names = ["-c", "user.name=n", "-c", "user.email=e@example.org"]
    subprocess.run(["git", *names, "commit", "-qam", "two"], cwd=checkout, check=True)
    with pytest.raises(TinyLMError, match="no time of make test: it failed in a clone"):
        BENCHMARK.run()
    assert not (bench_dir() / "times.json").exists()
    log = checkout.parent / "log"
    log.unlink()
    (checkout / "Makefile").write_text(TARGETS.format(test="true"))
    subprocess.run(["git", *names, "commit", "-qam", "three"], cwd=checkout, check=True)
    measure()  # of the same commit of the package, so that the first command is not timed again
    assert log.read_text().splitlines() == ["setup"] * 2


def test_what_is_no_checkout_is_refused(project: Path) -> None:
    with pytest.raises(TinyLMError, match="cannot be cloned"):
        measure()


@pytest.mark.parametrize("seconds", [(571.3, 290.0), None])
def test_make_help_names_the_minutes(tmp_path: Path, seconds: tuple[float, float] | None) -> None:
    shutil.copy(CHECKOUT / "Makefile", tmp_path)
    wanted = ["time not measured yet"] * 2
    if seconds is not None:
        (tmp_path / "results" / "bench").mkdir(parents=True)
        content = {"reproduce_seconds": seconds[0], "test_seconds": seconds[1], "date": "2026"}
        (tmp_path / "results/bench/times.json").write_text(json.dumps(content, indent=1))
        wanted = ["10 minutes", "5 minutes"]
    out = subprocess.run(
        ["make", "help"], cwd=tmp_path, capture_output=True, text=True, check=True
    ).stdout
    assert re.findall(r"\((.*(?:minutes|yet))\)", out) == wanted


def test_pages_name_whole_minutes_or_say_that_nothing_was_measured(tmp_path: Path) -> None:
    found = read_bench(tmp_path)
    assert found == {
        "bench": {},
        "reproduce_minutes": "not measured yet",
        "test_minutes": "not measured yet",
    }
    (tmp_path / "times.json").write_text('{"reproduce_seconds": 571.3, "test_seconds": 290.0}')
    (tmp_path / "summary.json").write_text('{"sweep_ratio": 2.2}')
    found = read_bench(tmp_path)
    assert (found["reproduce_minutes"], found["test_minutes"]) == (10, 5)
    assert found["bench"] == {"sweep_ratio": 2.2}
    (tmp_path / "times.json").write_text("{")
    with pytest.raises(ValueError, match=r"times\.json is damaged"):
        read_bench(tmp_path)


def test_the_readme_names_the_measured_minutes() -> None:
    text = (CHECKOUT / "README.md").read_text(encoding="utf-8")
    named = dict(re.findall(r"`make (reproduce|test)`[^.`]* takes about (\d+) minutes", text))
    assert named.keys() == {"reproduce", "test"}
    if TIMES.exists():
        found = read_bench(TIMES.parent)
        assert {name: int(minutes) for name, minutes in named.items()} == {
            name: found[f"{name}_minutes"] for name in named
        }
        assert json.loads(TIMES.read_text())["machine"]["cores"] == 2  # as the README says
    others = [CHECKOUT / name for name in ("Makefile", "CONTRIBUTING.md", "book/index.md")]
    for path in [*others, CHECKOUT / "book" / "results.md"]:
        words = path.read_text(encoding="utf-8")
        assert not re.search(r"(?:\d+|about \w+) minutes\b(?! on)", words), path
