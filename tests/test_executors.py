"""Choosing an executor: one sentence for what cannot be."""

import signal
import sys
from pathlib import Path
from typing import Any, Literal, NoReturn
from unittest import mock

import pytest
import torch
from tiny_runs import SMOKE, tinylm
from tiny_sweep import tiny_run

from tinylm.errors import Missing
from tinylm.store import Store
from tinylm.sweeps import processes, terminal
from tinylm.sweeps.executors import Ended, Executor, Finished, LocalExecutor, local, make_executor
from tinylm.sweeps.jobs import Job
from tinylm.trainer import Progress


@pytest.mark.parametrize(("name", "package"), [("ray", "ray"), ("slurm", "submitit")])
def test_a_missing_package_is_named_with_how_to_get_it(
    name: str, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.delitem(sys.modules, f"tinylm.sweeps.executors.{name}", raising=False)
    said = f"the package {package} is not installed.*tinylm-scaling.{name}.*EXTRAS={name}`"
    with pytest.raises(Missing, match=said):
        make_executor(name)


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("--partition", "long", "executor 'local' has no option partition; it has jobs, "),
        ("--device", "tpu", "device 'tpu' is not available; expected one of ['cpu'"),
    ],
)
def test_an_option_that_does_not_fit_is_refused(
    project: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    option: str,
    value: str,
    said: str,
) -> None:
    arguments = ["sweep", "model_size", "--profile", "smoke", option, value]
    code, _, err = tinylm(arguments, monkeypatch, capsys)
    assert code == 2
    assert err.startswith(f"error: {said}")
    assert err.count("\n") == 1


def test_a_run_gets_the_threads_it_is_given(project: Path) -> None:
    run = tiny_run()
    with LocalExecutor(1, threads=2) as executor:
        executor.start(Job((run,)), SMOKE)
        events: list[Progress | Finished | Ended] = []
        while not any(isinstance(event, Ended) for event in events):
            events += executor.wait(1.0)
    (record,) = [event.record for event in events if isinstance(event, Finished)]
    assert record.provenance.threads == 2


@pytest.mark.parametrize("kind", ["solo", "batched"])
def test_every_job_trains_on_the_device_that_was_named(
    monkeypatch: pytest.MonkeyPatch, kind: Literal["solo", "batched"]
) -> None:
    """Be it one run or many, and again alone after a batch has died."""
    asked: list[Any] = []

    class Process:
        def start(self) -> None:
            pass

    def project_process(context: object, target: object, *arguments: Any) -> Process:
        asked.append(arguments)
        return Process()

    monkeypatch.setattr(processes, "project_process", project_process)
    monkeypatch.setattr(local, "pick_device", torch.device)
    executor = LocalExecutor(1, device="cuda")
    executor.start(Job((tiny_run(),), kind), SMOKE)
    job, store, threads, device, _ = asked[0]
    assert (job.kind, store, threads, device) == (kind, SMOKE, 1, "cuda")
    monkeypatch.setattr(local, "_keep_log", lambda path: None)
    monkeypatch.setattr(processes, "end_with_parent", lambda: None)
    monkeypatch.setattr(local, "keep_freed_memory", lambda: None)
    monkeypatch.setattr(signal, "signal", lambda *arguments: None)
    used: list[str] = []
    monkeypatch.setattr(local, "carry_out", lambda *a, device, **named: used.append(device))
    local._train(job, store, torch.get_num_threads(), device, mock.Mock())
    assert used == ["cuda"]


@pytest.mark.parametrize(
    ("asked", "batched", "device"),
    [
        ({}, 1, "cpu"),
        ({}, 2, "cuda"),
        ({"device": "cpu"}, 2, "cpu"),
        ({"device": "cuda"}, 1, "cuda"),
    ],
)
def test_batches_go_to_a_gpu_unless_another_device_is_named(
    monkeypatch: pytest.MonkeyPatch, asked: dict[str, str], batched: int, device: str
) -> None:
    options: dict[str, Any] = {}
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)

    def make(name: str, **named: Any) -> NoReturn:
        options.update(named)
        raise KeyboardInterrupt

    monkeypatch.setattr(terminal, "make_executor", make)
    with pytest.raises(KeyboardInterrupt):
        terminal.run_experiments(["model_size"], "smoke", options=dict(asked), batched=batched)
    assert options["device"] == device


class Elsewhere(Executor):
    """A cluster with room for a hundred jobs."""

    def __init__(self, **options: Any) -> None:
        pass

    @property
    def slots(self) -> int:
        return 100

    def start(self, job: Job, store: Store) -> None:
        raise AssertionError("nothing is to be started")

    wait = stop = start  # type: ignore[assignment]

    def __exit__(self, *error: object) -> None:
        pass


@pytest.mark.parametrize(
    ("executor", "options"),
    [("ray", {}), ("slurm", {}), ("local", {"device": "cuda"}), ("local", {})],
)
def test_nothing_is_tried_here_for_what_trains_elsewhere_or_not_yet(
    project: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    executor: str,
    options: dict[str, str],
) -> None:
    def must_not_try(*arguments: Any) -> NoReturn:
        raise AssertionError("a shape is tried")

    monkeypatch.setattr("tinylm.sweeps.calibrate.try_shapes", must_not_try)
    monkeypatch.setattr("tinylm.sweeps.calibrate._read_cache", dict)
    monkeypatch.setattr(terminal, "make_executor", lambda name, **named: Elsewhere())
    terminal.run_experiments(
        ["model_size"], "smoke", dry_run=True, executor=executor, options=dict(options)
    )
    said = capsys.readouterr().out
    here = executor == "local" and not options
    assert ("very roughly" in said) is here  # by FLOPs, and said to be so
