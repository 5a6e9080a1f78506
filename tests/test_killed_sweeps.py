"""Nothing is lost: sweeps killed a hundred times, ten that share the work, crashes, full disks,
a clock that jumps back.
"""

import json
import platform
import random
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import torch
from conftest import amount
from test_records import VALIDATOR
from tiny_runs import SMOKE, run_python
from tiny_sweep import tiny_run

from tinylm.checkpoints import load_model
from tinylm.records import RunRecord, read_record
from tinylm.store import Store
from tinylm.sweeps.executors import LocalExecutor
from tinylm.sweeps.progress import find_failure
from tinylm.sweeps.run import plan_sweep, sweep

SCRIPT = str(Path(__file__).with_name("forked_sweeps.py"))

pytestmark = pytest.mark.skipif(platform.system() != "Linux", reason="forks processes with torch")


def in_forks(project: Path, *arguments: object) -> Any:
    done = run_python([SCRIPT, *map(str, arguments)], project)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def records_of(profile: str, run_ids: list[str]) -> list[RunRecord]:
    """The records of a profile: those of the runs, each once, whole, and nothing beside them."""
    folder = Store(profile).folder
    assert sorted(path.name for path in (folder / "runs").iterdir()) == sorted(
        f"{run_id}.json" for run_id in run_ids
    )
    for name in ("checkpoints", "logs", "failed", "progress"):
        assert list(folder.glob(f"{name}/*")) == []
    assert list(folder.rglob(".*")) == []  # what was being written when it was killed
    paths = [folder / "runs" / f"{run_id}.json" for run_id in run_ids]
    for path in paths:
        try:
            VALIDATOR.validate(json.loads(path.read_text()))
        except (ValueError, jsonschema.ValidationError) as error:
            raise AssertionError(f"{path} is torn") from error
    return [read_record(path) for path in paths]


def outcome(record: RunRecord) -> dict[str, Any]:
    return record.model_dump(exclude={"timing", "provenance"})


def test_kills_change_nothing(project: Path) -> None:
    """SIGKILL of sweeps, of their workers and of both, at random moments and within writes."""
    n = amount(25, 100)
    seed = random.SystemRandom().randrange(10**9)
    print(f"seed {seed}")
    told = in_forks(project, "kill", n, seed)
    kills = told["kills"]
    print(kills, len(told["runs"]), "runs")
    assert sum(kills.values()) >= n
    assert set(kills) == {"all", "sweep", "worker", "write, worker", "write, all"}
    killed, undisturbed = (records_of(profile, told["runs"]) for profile in ("smoke", "quick"))
    assert [outcome(record) for record in killed] == [outcome(record) for record in undisturbed]
    assert sum(record.timing.resumptions for record in killed) >= n / 2
    assert sum(record.timing.resumptions for record in undisturbed) == 0
    models = [Store(profile).folder / "models" for profile in ("smoke", "quick")]
    for run_id in told["runs"]:
        one, other = (load_model(folder / run_id)[0].state_dict() for folder in models)
        assert all(torch.equal(one[name], other[name]) for name in one.keys() | other.keys())


def test_many_sweeps_share_the_work(project: Path) -> None:
    sweeps, runs = amount(5, 10), amount(6, 12)
    told = in_forks(project, "share", sweeps, runs)
    assert told["ends"] == [0] * sweeps
    assert told["trained"] == runs
    records = records_of("smoke", told["runs"])
    assert all(record.timing.resumptions == 0 for record in records)


def test_a_run_that_always_crashes_is_marked_failed_with_its_log(project: Path) -> None:
    told = in_forks(project, "crash")
    one, crashing, other = told["runs"]
    assert list(told["failed"]) == [crashing]
    assert told["failed"][crashing].startswith("its process ended with signal 6 (SIGABRT), 3 times")
    assert SMOKE.find(one)
    assert SMOKE.find(other)
    failure = find_failure(SMOKE, crashing)
    assert failure is not None
    assert failure.attempts == 3
    assert "Fatal Python error: Aborted" in failure.log
    log = SMOKE.log_path(crashing).read_text()
    assert log.count("about to crash") == 3
    assert [path.stem for path in SMOKE.log_path(crashing).parent.iterdir()] == [crashing]
    sweep(
        plan_sweep([tiny_run(seed=1, tokens=40 * 256)], SMOKE),
        SMOKE,
        LocalExecutor(1),
    )
    records = {record.run_id: record for record in records_of("smoke", told["runs"])}
    assert records[crashing].timing.resumptions == 3  # it went on from where it had crashed


@pytest.fixture
def own_disk(project: Path) -> Iterator[None]:
    """results/ on a disk of its own."""
    results = project / "results"
    results.mkdir()
    try:
        subprocess.run(["mount", "-t", "tmpfs", "tmpfs", results], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("this user cannot mount a file system")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", results], check=True)


@pytest.mark.usefixtures("own_disk")
def test_a_full_or_read_only_disk_is_one_sentence_and_no_damage(project: Path) -> None:
    full, again, read_only, freed = in_forks(project, "disk")
    assert full["said"].startswith(f"cannot write {project / 'results'}")
    assert "No space left on device; free some space" in full["said"]
    assert 0 < len(full["done"]) < 8
    assert not [name for name in full["after"] if Path(name).name.startswith((".", "failed"))]
    assert again["said"].startswith("cannot write ")
    records = {name for name in full["after"] if name.startswith("runs/")}
    assert {name: again["after"][name] for name in records} == {
        name: full["after"][name] for name in records
    }
    assert read_only["said"].startswith(f"cannot write {Store('smoke').folder}: Read-only file")
    assert read_only["after"] == read_only["before"]
    assert freed["said"] == ""
    assert len(records_of("smoke", freed["done"])) == 8


def test_a_clock_that_jumps_back_changes_nothing(project: Path) -> None:
    told = in_forks(project, "clock")
    one, other = (records_of(profile, told["runs"]) for profile in ("smoke", "quick"))
    assert [outcome(record) for record in one] == [outcome(record) for record in other]
    assert sum(record.timing.resumptions for record in one) >= 1
    assert min(record.timing.wall_seconds for record in one) > 0
