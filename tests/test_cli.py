"""The `tinylm` command."""

import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from tiny_runs import python_environment, run_python, tiny_config, tinylm, tree

from tinylm import say
from tinylm.generate import generate
from tinylm.store import Store
from tinylm.sweeps import terminal
from tinylm.sweeps.run import Outcome
from tinylm.train import train

Patch = pytest.MonkeyPatch
Capture = pytest.CaptureFixture[str]


@pytest.fixture
def config_file(tmp_path: Path) -> str:
    path = tmp_path / "tiny.yaml"
    path.write_text(json.dumps(tiny_config().model_dump(exclude={"model": {"vocab_size"}})))
    return str(path)


def test_help_names_every_step(monkeypatch: Patch, capsys: Capture) -> None:
    code, out, _ = tinylm(["--help"], monkeypatch, capsys)
    assert code == 0
    for command in (
        "data",
        "sweep",
        "report",
        "reproduce",
        "train",
        "evaluate",
        "generate",
        "export",
        "estimate",
    ):
        assert f" {command} " in out


def test_a_model_is_trained_evaluated_and_asked_to_write(
    project: Path, config_file: str, monkeypatch: Patch, capsys: Capture
) -> None:
    arguments = ["--config", config_file, "--seed", "2", "--profile", "smoke"]
    code, out, err = tinylm(["train", *arguments], monkeypatch, capsys)
    assert (code, err) == (0, "")
    record = train(tiny_config(), 2, store=Store("smoke"))
    assert record.validation is not None
    assert f"run {record.run_id} · done · seed 2" in out
    code, out, err = tinylm(["evaluate", record.run_id[:6]], monkeypatch, capsys)
    assert (code, err) == (0, "")
    assert out.count(f"{record.validation.nats:.4f} nats per token") == 2
    write = ["generate", record.run_id, "--prompt", "Once a fox", "--tokens", "30", "--seed"]
    code, text, err = tinylm([*write, "4"], monkeypatch, capsys)
    assert (code, err) == (0, "")
    assert text.startswith("Once a fox")
    assert text.endswith("\n")
    assert len(text) > len("Once a fox") + 10
    assert tinylm([*write, "4"], monkeypatch, capsys)[1] == text
    assert tinylm([*write, "5"], monkeypatch, capsys)[1] != text


def test_settings_of_generation_reach_it(
    project: Path, monkeypatch: Patch, capsys: Capture
) -> None:
    run_id = train(tiny_config(), 0, store=Store("smoke")).run_id
    asked: list[dict[str, object]] = []

    def spy(model: object, start: object, tokens: int, **settings: object) -> object:
        asked.append(settings | {"tokens": tokens})
        return generate(model, start, tokens, **settings)  # type: ignore[arg-type]

    monkeypatch.setattr("tinylm.generate.generate", spy)
    settings = ["--temperature", "0.5", "--top-k", "7", "--top-p", "0.9", "--seed", "3"]
    assert tinylm(["generate", run_id, "--tokens", "9", *settings], monkeypatch, capsys)[0] == 0
    assert asked == [
        {"tokens": 9, "temperature": 0.5, "top_k": 7, "top_p": 0.9, "seed": 3, "stop": 0}
    ]


def test_data_prepares_and_counts(project: Path, monkeypatch: Patch, capsys: Capture) -> None:
    before = tree(project)
    code, out, err = tinylm(["data", "fables"], monkeypatch, capsys)
    assert (code, err) == (0, "")
    assert out.startswith("fables: 120 + 6 documents, ")
    assert tree(project) == before  # it was there already


def test_a_sweep_with_a_failed_run_is_a_failure(monkeypatch: Patch, capsys: Capture) -> None:
    outcomes = [Outcome(), Outcome(failed={"0123456789abcdef": "its process ended"})]
    monkeypatch.setattr(terminal, "run_experiments", lambda *a, **k: outcomes.pop(0))
    assert tinylm(["sweep", "model_size"], monkeypatch, capsys)[0] == 0
    assert tinylm(["sweep", "model_size"], monkeypatch, capsys)[0] == 1


def test_the_command_runs_as_a_module(project: Path, config_file: str) -> None:
    trained = run_python(
        ["-m", "tinylm", "train", "--config", config_file, "--profile", "smoke"], project
    )
    assert (trained.returncode, trained.stderr) == (0, "")
    record = Store("smoke").find(train(tiny_config(), 0, store=Store("smoke")).run_id)
    assert record is not None
    assert record.validation is not None
    result = f"validation {record.validation.nats:.4f} nats per token"
    assert result in trained.stdout
    evaluated = run_python(["-m", "tinylm", "evaluate", record.run_id], project)
    assert (evaluated.returncode, evaluated.stderr) == (0, "")
    assert result in evaluated.stdout


@pytest.mark.parametrize("seconds", [0.0, 1.0])
def test_ctrl_c_in_the_first_seconds_is_no_traceback(project: Path, seconds: float) -> None:
    """A terminal sends it to every process of the command, the server of processes too."""
    command = [sys.executable, "-m", "tinylm", "sweep", "model_size", "--profile", "smoke"]
    with subprocess.Popen(
        command,
        env=python_environment(project),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        while not psutil.Process(process.pid).children():  # it imports torch, here and there
            time.sleep(0.01)
        time.sleep(seconds)
        os.killpg(process.pid, signal.SIGINT)
        said, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in said
    assert "stopped" in said or "Aborted" in said


def test_an_ascii_terminal_is_written_to(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", terminal)
    say.fit_to_terminal()
    print("run · 3 × 10⁻⁴, −0.2 ± 0.1 %☃")
    terminal.seek(0)
    assert terminal.read() == "run | 3 x 10^-4, -0.2 +- 0.1 %?\n"
