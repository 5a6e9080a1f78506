"""One run over two processes: the run of one process, and nothing hangs."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_runs import run_python, tiny_config, tree

from tinylm.records import RunRecord
from tinylm.store import Store
from tinylm.sweeps import torchrun as torchrun_module
from tinylm.train import train


def torchrun(n: int, arguments: list[str], root: Path) -> subprocess.CompletedProcess[str]:
    """Start a program in some processes, which meet at a free port of this machine."""
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(n)]
    return run_python([*launcher, *arguments], root, timeout=300)


def outcome(record: RunRecord | None) -> dict[str, Any]:
    assert record is not None
    return record.model_dump(exclude={"timing", "provenance"})


def test_two_processes_train_the_run_of_one(project: Path, tmp_path: Path) -> None:
    alone = train(tiny_config(), 0, store=Store("full"))
    script = str(Path(__file__).parent / "tiny_processes.py")
    killed = torchrun(2, [script, str(tmp_path / "notes")], project)
    assert killed.returncode != 0
    notes = [(tmp_path / f"notes.{rank}").read_text().splitlines() for rank in (0, 1)]
    wild = train(tiny_config(optimizer={"learning_rate": 1.0}), 0, store=Store("full"))
    assert [lines[:3] for lines in notes] == [["True", "diverged", str(wild.steps)]] * 2
    told = [
        "2 processes cannot share a batch of 3 rows evenly; expected a divisor of 3",
        "data.train_documents 500: the corpus has only 120 documents",
        "seed -1: expected a whole number from 0 to 2^63 - 1",
    ]
    assert notes[0][3:] == [f"False {sentence}" for sentence in told]
    assert notes[1][3:] == [f"True {sentence}" for sentence in told]

    shared = Store("quick").find(alone.run_id)
    assert shared is not None
    assert shared.validation is not None
    assert alone.validation is not None
    assert shared.validation.nats == pytest.approx(alone.validation.nats, abs=1e-5)
    assert shared.train_nats == pytest.approx(alone.train_nats, abs=1e-5)
    for ours, theirs in zip(shared.curve, alone.curve, strict=True):
        assert ours.train_nats == pytest.approx(theirs.train_nats, abs=1e-5)
        assert ours.validation_nats == pytest.approx(theirs.validation_nats, abs=1e-5)
        assert ours.gradient_norm == pytest.approx(theirs.gradient_norm, abs=1e-5)
        assert (ours.step, ours.learning_rate) == (theirs.step, theirs.learning_rate)
    assert shared.config == alone.config
    assert (shared.provenance.processes, alone.provenance.processes) == (2, None)

    assert Store("smoke").find(alone.run_id) is None
    path = tmp_path / "tiny.yaml"
    path.write_text(json.dumps(tiny_config().model_dump(exclude={"model": {"vocab_size"}})))
    command = ["-m", "tinylm.sweeps.torchrun", "--config", str(path), "--profile", "smoke"]
    resumed = torchrun(2, command, project)
    assert resumed.returncode == 0, resumed.stderr
    assert resumed.stdout.count(f"run {alone.run_id} · done · seed 0") == 1
    record = Store("smoke").find(alone.run_id)
    assert outcome(record) == outcome(shared)
    assert record is not None
    assert record.timing.resumptions == 1
    assert not (Store("smoke").folder / "checkpoints" / alone.run_id).exists()


def test_what_does_not_fit_is_said_once(project: Path, tmp_path: Path) -> None:
    before = tree(project)
    path = tmp_path / "tiny.yaml"
    path.write_text(json.dumps(tiny_config().model_dump(exclude={"model": {"vocab_size"}})))
    command = ["-m", "tinylm.sweeps.torchrun", "--config", str(path), "--profile", "smoke"]
    refused = torchrun(2, [*command, "--device", "tpu"], project)
    assert refused.returncode != 0
    assert refused.stderr.count("error: device 'tpu' is not available") == 1
    refused = torchrun(3, command, project)
    assert refused.returncode != 0
    sentence = "error: 3 processes cannot share a batch of 8 rows evenly; expected a divisor of 8"
    assert refused.stderr.count(sentence) == 1
    assert tree(project) == before


class Dead:
    """The common store of processes whose first has set nothing and gives no sign of life."""

    def check(self, keys: list[str]) -> bool:
        return False

    def add(self, key: str, amount: int) -> int:
        return 7


def test_a_lost_first_process_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The others, which wait for its answer, do not wait for hours."""
    monkeypatch.setattr(torchrun_module, "_common_store", Dead)
    assert torchrun_module.LOST_SECONDS <= 120
    assert torchrun_module.STEP_TIME.total_seconds() <= 600
    monkeypatch.setattr(torchrun_module, "LOST_SECONDS", 0.05)
    other = torchrun_module.Processes(1, 2, torch.device("cpu"))
    with pytest.raises(torchrun_module.Lost, match="gave no sign of life"):
        other.decide(lambda: 1)
