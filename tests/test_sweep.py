"""The sweep: every run once, whoever is killed."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest
from tiny_runs import python_environment, run_python, tree
from tiny_sweep import tiny_run

from tinylm.config import Run
from tinylm.errors import TinyLMError
from tinylm.records import RunRecord
from tinylm.speed.choose import choose_steps
from tinylm.store import Store
from tinylm.sweeps import run as sweep_module
from tinylm.sweeps.declare import expand, load_experiment
from tinylm.sweeps.estimate import Estimate
from tinylm.sweeps.executors import LocalExecutor
from tinylm.sweeps.run import plan_sweep
from tinylm.train import train

SCRIPT = str(Path(__file__).with_name("tiny_sweep.py"))
LONG: list[dict[str, Any]] = [{"seed": i, "tokens": 200 * 256} for i in range(3)]  # a second each


class Sweep:
    """A sweep in a process of its own."""

    def __init__(self, project: Path, runs: list[dict[str, Any]], profile: str = "smoke") -> None:
        self.project = project
        self.process = subprocess.Popen(
            [sys.executable, SCRIPT, profile, json.dumps(runs)],
            env=python_environment(project),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.workers: list[psutil.Process] = []

    def told(self) -> Iterator[tuple[str, str, Any]]:
        """What it tells, as it tells it."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            what, run_id, detail = json.loads(line)
            yield what, run_id, detail

    def wait_for_work(self, runs: int) -> None:
        """Wait until so many runs are under way; note the processes that train them."""
        while len(list(self.project.rglob("checkpoint.safetensors"))) < runs:
            assert self.process.poll() is None
            time.sleep(0.002)
        helpers = psutil.Process(self.process.pid).children()
        self.workers = [worker for helper in helpers for worker in helper.children()]
        assert len(self.workers) == runs


@contextmanager
def sweeping(project: Path, runs: list[dict[str, Any]], profile: str = "smoke") -> Iterator[Sweep]:
    """A sweep that does not outlive the test."""
    sweep = Sweep(project, runs, profile)
    try:
        yield sweep
    finally:
        sweep.process.kill()
        sweep.process.communicate()


def outcome(record: RunRecord) -> dict[str, Any]:
    return record.model_dump(exclude={"timing", "provenance"})


def wait_until_gone(processes: list[psutil.Process]) -> None:
    _, alive = psutil.wait_procs(processes, timeout=30)
    assert alive == []


def test_a_sweep_trains_all_and_a_second_one_nothing(project: Path) -> None:
    command = ["-m", "tinylm", "sweep", "model_size", "--profile", "smoke", "--jobs", "2"]
    runs = expand(load_experiment("model_size"), "smoke")
    n, before = len(runs), tree(project)
    shown = run_python([*command, "--dry-run"], project)
    assert shown.returncode == 0, shown.stderr
    assert f"{n} runs: 0 done, {n} to do, very roughly" in shown.stdout
    assert re.search(r"very roughly \S+ (s|min) on 2 cores, up to \d+ MB per process", shown.stdout)
    assert tree(project) == before
    first = run_python(command, project)
    assert first.returncode == 0, first.stderr
    assert f"{n} runs trained, 0 failed" in first.stdout
    for run, record in zip(runs, Store("smoke").load(runs), strict=True):
        assert record.run_id == run.run_id
        assert record.status == "done"
        assert record.provenance.threads == 1
        assert f"{run.run_id}  d_model {run.config.model.d_model}, context 256" in first.stdout
    after = tree(project)
    second = run_python(command, project)
    assert second.returncode == 0
    assert f"{n} runs: {n} done, 0 to do" in second.stdout
    assert "0 runs trained, 0 failed" in second.stdout
    assert tree(project) == after


def test_two_sweeps_at_once_train_each_run_once(project: Path) -> None:
    runs = [{"seed": seed, "tokens": 60 * 256} for seed in range(4)]
    with sweeping(project, runs) as one, sweeping(project, runs) as other:
        told = [
            [line for line in sweep.told() if line[0] != "progressed"] for sweep in (one, other)
        ]
    records = {
        run.run_id: Store("smoke").record_path(run.run_id) for run in (tiny_run(**r) for r in runs)
    }
    on_disk = {run_id: json.loads(path.read_text()) for run_id, path in records.items()}
    assert all(record["timing"]["resumptions"] == 0 for record in on_disk.values())
    for lines in told:
        what, _, (todo, trained, failed) = lines.pop()
        assert what == "ended"
        assert trained == todo == len(lines)
        assert failed == 0
        # A run trained twice would have two records, of different dates and times.
        assert all(record == on_disk[run_id] for _, run_id, record in lines)
    assert {run_id for lines in told for _, run_id, _ in lines} == set(records)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT], ids=["SIGKILL", "SIGINT"])
def test_a_killed_sweep_leaves_no_orphan_and_goes_on(project: Path, how: signal.Signals) -> None:
    with sweeping(project, LONG) as sweep:
        sweep.wait_for_work(2)
        os.kill(sweep.process.pid, how)
        sweep.process.wait(30)
        wait_until_gone(sweep.workers)
    begun = {path.parent.name for path in project.rglob("checkpoint.safetensors")}
    done = [run for run in LONG if Store("smoke").find(tiny_run(**run).run_id)]
    assert len(begun) <= 2 <= len(begun) + len(done)  # none is begun before another has ended
    plan = plan_sweep([tiny_run(**run) for run in LONG], Store("smoke"), timing="unknown")
    ended = sweep_module.sweep(plan, Store("smoke"), LocalExecutor(2))
    assert (len(plan.todo), len(ended.trained), ended.failed) == (3 - len(done), 3 - len(done), {})
    records = Store("smoke").load([tiny_run(**run) for run in LONG])
    assert {record.run_id for record in records if record.timing.resumptions == 1} == begun
    undisturbed = train(tiny_run(**LONG[0]).config, 0, store=Store("quick"), choose=choose_steps)
    assert outcome(records[0]) == outcome(undisturbed)


def test_a_killed_worker_is_started_again(project: Path) -> None:
    too_long: dict[str, Any] = {"model": {"context_length": 2**18}, "batch_tokens": 2**18}
    with sweeping(project, [*LONG[:2], too_long]) as sweep:
        sweep.wait_for_work(2)
        sweep.workers[0].send_signal(signal.SIGKILL)
        told = [line for line in sweep.told() if line[0] != "progressed"]
    impossible = tiny_run(**too_long).run_id
    (again,) = [line for line in told if line[0] == "retried"]
    assert again[2].startswith("its process ended with signal 9 (SIGKILL)")
    (failed,) = [line for line in told if line[0] == "failed"]  # and not tried again
    assert failed[1] == impossible
    assert failed[2].startswith("context_length 262144 is longer than the data")
    assert told[-1] == ("ended", "", [3, 2, 1])
    records = Store("smoke").load([tiny_run(**run) for run in LONG[:2]])
    resumed = {record.run_id: record.timing.resumptions for record in records}
    assert resumed.pop(again[1]) == 1
    assert list(resumed.values()) == [0]


def test_a_plan_knows_what_is_done_and_begins_with_the_longest(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = [tiny_run(seed=seed) for seed in range(4)]
    record = train(runs[1].config, 1, store=Store("smoke"))

    def estimates(todo: list[Run], jobs: int, trials: bool) -> dict[str, Estimate]:
        assert (jobs, trials) == (3, True)
        return {
            run.run_id: Estimate(run.seed, run.seed, run.seed, 10**8 + run.seed) for run in todo
        }

    monkeypatch.setattr(sweep_module, "estimate_runs", estimates)
    plan = plan_sweep([*runs, runs[0]], Store("smoke"), jobs=3)  # two experiments may share a run
    assert plan.runs == runs
    assert plan.done == {record.run_id: record}
    assert [run.seed for run in plan.todo] == [3, 2, 0]
    assert plan.hours_left(1) == 5 / 3600
    assert max(plan.memory.values()) == 10**8 + 3
    assert plan_sweep(runs, Store("quick"), timing="unknown").todo == runs


def test_a_plan_refuses_damaged_records_and_data_that_cannot_be_had(project: Path) -> None:
    run = tiny_run()
    path = Store("smoke").record_path(run.run_id)
    path.parent.mkdir(parents=True)
    path.write_text("{")
    before = tree(project)
    with pytest.raises(TinyLMError, match=f"{run.run_id}.json is damaged"):
        plan_sweep([run], Store("smoke"), timing="unknown")
    with pytest.raises(TinyLMError, match="unknown tokenizer 'bpe-1'"):
        plan_sweep([tiny_run(data={"tokenizer": "bpe-1"})], Store("smoke"), timing="unknown")
    assert tree(project) == before


def test_missing_records_are_counted_and_the_way_to_them_named(project: Path) -> None:
    runs = [tiny_run(seed=seed) for seed in range(2)]
    train(runs[0].config, 0, store=Store("smoke"))
    before = tree(project)
    with pytest.raises(
        TinyLMError, match=r"1 of 2 runs have no record in results/smoke/runs.*make"
    ):
        Store("smoke").load(runs)
    assert [r.run_id for r in Store("smoke").load(runs[:1])] == [runs[0].run_id]
    assert tree(project) == before  # reading claims nothing
