"""Nothing is lost: sweeps that are killed a hundred times, and ten that share the work."""

import json
import platform
import random
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import torch
from test_records import VALIDATOR
from tiny_runs import run_python

from tinylm.checkpoints import load_model
from tinylm.files import results_dir
from tinylm.records import RunRecord, read_record

SCRIPT = str(Path(__file__).with_name("forked_sweeps.py"))

pytestmark = pytest.mark.skipif(platform.system() != "Linux", reason="forks processes with torch")


def in_forks(project: Path, *arguments: object) -> dict[str, Any]:
    done = run_python([SCRIPT, *map(str, arguments)], project)
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return told


def records_of(profile: str, run_ids: list[str]) -> list[RunRecord]:
    """The records of a profile: those of the runs, each once, whole, and nothing beside them."""
    folder = results_dir(profile)
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


def test_a_hundred_kills_change_nothing(project: Path) -> None:
    """SIGKILL of sweeps, of their workers and of both, at random moments and within writes."""
    seed = random.SystemRandom().randrange(10**9)
    print(f"seed {seed}")
    told = in_forks(project, "kill", 100, seed)
    kills = told["kills"]
    print(kills, len(told["runs"]), "runs")
    assert sum(kills.values()) >= 100
    assert set(kills) == {"all", "sweep", "worker", "write, worker", "write, all"}
    killed, undisturbed = (records_of(profile, told["runs"]) for profile in ("smoke", "quick"))
    assert [outcome(record) for record in killed] == [outcome(record) for record in undisturbed]
    assert sum(record.timing.resumptions for record in killed) >= 50
    assert sum(record.timing.resumptions for record in undisturbed) == 0
    models = [results_dir(profile) / "models" for profile in ("smoke", "quick")]
    for run_id in told["runs"]:
        one, other = (load_model(folder / run_id)[0].state_dict() for folder in models)
        assert all(torch.equal(one[name], other[name]) for name in one.keys() | other.keys())


def test_ten_sweeps_share_the_work(project: Path) -> None:
    told = in_forks(project, "share", 10, 15)
    assert told["ends"] == [0] * 10
    assert told["trained"] == 15
    records = records_of("smoke", told["runs"])
    assert all(record.timing.resumptions == 0 for record in records)
