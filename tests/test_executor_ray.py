"""A sweep on a real Ray cluster of two nodes, while its processes are killed."""

import json
import platform
import shutil
import subprocess
import sys
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from threading import Thread
from typing import Any

import psutil
import pytest
from ray_cluster import RayCluster, ray_cluster
from slurm_cluster import free_ports
from tiny_runs import python_environment, tiny_config
from tiny_sweep import tiny_run

from tinylm.config import Run
from tinylm.errors import TinyLMError
from tinylm.store import Store
from tinylm.sweeps.executors import Ended, make_executor
from tinylm.sweeps.jobs import Job

pytest.importorskip("ray", reason="no Ray here: make setup EXTRAS=ray")
pytestmark = pytest.mark.skipif(
    platform.system() != "Linux", reason="needs more than one loopback address"
)

SCRIPT = str(Path(__file__).with_name("tiny_sweep.py"))
RUNS: list[dict[str, Any]] = [{"seed": seed, "tokens": 600 * 256} for seed in range(3)]
COMMAND = ["-m", "tinylm", "sweep", "model_size", "--profile", "smoke"]
IDS = [tiny_run(**run).run_id for run in RUNS]


def outcome(record: dict[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in record.items() if k not in {"timing", "provenance"}}


def python(arguments: list[str], project: Path) -> "subprocess.Popen[str]":
    """Python in a process of its own on a project, under way."""
    return subprocess.Popen(
        [sys.executable, *arguments],
        env=python_environment(project),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def trainer_on(node: Path) -> psutil.Process | None:
    """The process that trains in a node's project, if it has still much to do."""
    for path in (node / "results" / "smoke" / "progress").glob("[0-9a-f]*.json"):
        with suppress(OSError, psutil.NoSuchProcess):
            seen = json.loads(path.read_text())
            if seen["step"] < seen["n_steps"] / 2:
                return psutil.Process(seen["pid"])
    return None


def kill_as_they_train(nodes: list[Path], sweeping: "subprocess.Popen[str]") -> None:
    """As soon as the nodes train, kill the Ray worker of the second, with what it started, and on
    the first only the process that trains.
    """
    spared = list(nodes)
    while spared and sweeping.poll() is None:
        for node in list(spared):
            with suppress(psutil.NoSuchProcess):
                if (victim := trainer_on(node)) is not None:
                    if node == nodes[1]:
                        *_, victim = (p for p in victim.parents() if "ray::" in p.cmdline()[0])
                    victim.kill()
                    spared.remove(node)
        time.sleep(0.01)


def disturbed_sweep(
    cluster: RayCluster, project: Path, nodes: list[Path]
) -> list[tuple[str, str, Any]]:
    """Sweep on the cluster while its processes are killed; return what the sweep told."""
    options = json.dumps({"name": "ray", "address": cluster.address})
    process = python([SCRIPT, "smoke", json.dumps(RUNS), options], project)
    killer = Thread(target=kill_as_they_train, args=(nodes, process))
    killer.start()
    assert process.stdout is not None
    try:
        # Ray says on the same stream that a worker died.
        return [tuple(json.loads(line)) for line in process.stdout if line.startswith("[")]
    finally:
        process.kill()
        process.wait()
        killer.join()


def test_a_killed_worker_loses_no_record(
    project: Path, other_project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nodes = [tmp_path / "head", tmp_path / "second"]
    for node in nodes:
        shutil.copytree(other_project, node)
    undisturbed = python([SCRIPT, "smoke", json.dumps(RUNS)], other_project)
    with ray_cluster(nodes) as cluster:
        for name, value in cluster.variables.items():
            monkeypatch.setenv(name, value)
        there = ["--executor", "ray", "--address", cluster.address]
        lacking = python([*COMMAND, *there, "--gpus-per-run", "1"], project)
        told = disturbed_sweep(cluster, project, nodes)
        _, said = lacking.communicate(timeout=60)
    assert lacking.returncode == 2
    assert said.strip().splitlines()[-1] == (
        "error: executor 'ray': a run asks for 1 CPUs and 1 GPUs, but no node of the cluster has "
        "them; its nodes have 1 CPUs and 0 GPUs; 1 CPUs and 0 GPUs"
    )
    counts = Counter(what for what, *_ in told)
    reasons = sorted(detail for what, _, detail in told if what == "retried")
    assert len(reasons) == 2, told
    assert reasons[0] == "its Ray worker was killed"
    assert "signal 9" in reasons[1]
    assert counts["failed"] == 0
    finished = [(run_id, record) for what, run_id, record in told if what == "finished"]
    assert sorted(run_id for run_id, _ in finished) == sorted(IDS)

    # No common file system: each record came over the wire, and is kept where the sweep was.
    folder = project / "results" / "smoke"
    assert sorted(path.stem for path in (folder / "runs").glob("*")) == sorted(IDS)
    assert not (folder / "models").exists()
    for run_id, record in finished:
        assert json.loads((folder / "runs" / f"{run_id}.json").read_text()) == record
        assert record["provenance"]["threads"] == 1

    lines, _ = undisturbed.communicate(timeout=60)
    alone = [json.loads(line) for line in lines.splitlines()]
    expected = {run_id: outcome(record) for what, run_id, record in alone if what == "finished"}
    assert {run_id: outcome(record) for run_id, record in finished} == expected


def test_a_node_of_another_version_refuses_the_run(project: Path) -> None:
    from tinylm.sweeps.executors.ray import on_node

    config = tiny_config()
    foreign = Run(config, 0, config.identity(0, "another version of the corpus"))
    (event,) = on_node(Job((foreign,)), Store("smoke"), str(project), 1, "cpu")
    assert isinstance(event, Ended)
    assert event.how == "refused"
    assert "another version of tinylm or of corpus 'fables'" in event.reason
    assert not (project / "results").exists()


def test_an_address_where_nobody_listens_is_said_at_once() -> None:
    (port,) = free_ports(1)
    with pytest.raises(TinyLMError, match=f"answers at address '127.0.0.1:{port}'.*refused"):
        make_executor("ray", address=f"127.0.0.1:{port}")


def test_no_cluster_of_this_machine_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_TMPDIR", "/nowhere")
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    with pytest.raises(TinyLMError, match=r"cannot join a cluster at address 'auto'.*ray start"):
        make_executor("ray", address="auto")
