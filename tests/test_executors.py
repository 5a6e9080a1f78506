"""Choosing an executor: one sentence for what cannot be."""

import sys
from pathlib import Path

import pytest
from tiny_runs import tinylm
from tiny_sweep import tiny_run

from tinylm.errors import Missing
from tinylm.sweeps.executors import Ended, Finished, LocalExecutor, make_executor
from tinylm.sweeps.jobs import Job
from tinylm.train import Progress


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
        executor.start(Job((run,)), "smoke")
        events: list[Progress | Finished | Ended] = []
        while not any(isinstance(event, Ended) for event in events):
            events += executor.wait(1.0)
    (record,) = [event.record for event in events if isinstance(event, Finished)]
    assert record.provenance.threads == 2
