"""A Ray cluster of two nodes on this machine, each with one CPU and a project of its own."""

import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
from slurm_cluster import free_ports
from tiny_runs import python_environment

HEAD, SECOND = "127.0.0.2", "127.0.0.3"  # Ray replaces 127.0.0.1 by the machine's outer address
NODE = [
    *("--num-cpus=1", "--num-gpus=0", "--object-store-memory=80000000", "--block"),
    *("--disable-usage-stats", "--include-log-monitor=false"),
]


@dataclass
class RayCluster:
    """What a test needs of a cluster."""

    address: str
    variables: dict[str, str]  # of the environment of whoever joins it
    nodes: list["subprocess.Popen[bytes]"]  # `ray start`, whose children are the node's processes


@contextmanager
def ray_cluster(projects: list[Path]) -> Iterator[RayCluster]:
    """A running cluster; each node trains in its own project. Nobody else gets in: it wants a
    token.
    """
    variables = {
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": secrets.token_hex(32),
        "RAY_USAGE_STATS_ENABLED": "0",
    }
    (port,) = free_ports(1, HEAD)
    address = f"{HEAD}:{port}"
    # Ray keeps sockets in its folder, and a socket's path must be short.
    with tempfile.TemporaryDirectory(prefix="r", dir="/tmp", ignore_cleanup_errors=True) as folder:
        head = ["--head", f"--node-ip-address={HEAD}", f"--port={port}"]
        head += [f"--temp-dir={folder}", "--include-dashboard=false"]
        second = [f"--address={address}", f"--node-ip-address={SECOND}"]
        cluster = RayCluster(address, variables, [])
        try:
            for project, place in zip(projects, (head, second), strict=True):
                _start(cluster, project, place, Path(folder))
            yield cluster
        finally:
            _stop(cluster)


def _start(cluster: RayCluster, project: Path, place: list[str], folder: Path) -> None:
    """Start a node and wait until it is up."""
    command = [str(Path(sys.executable).with_name("ray")), "start", *place, *NODE]
    environment = python_environment(project) | cluster.variables
    said = ""
    for attempt in range(3):  # Ray gives a node 30 s, which a busy machine may not hold
        log = folder / f"log-{len(cluster.nodes)}-{attempt}"
        with log.open("w") as file:
            node = subprocess.Popen(command, env=environment, stdout=file, stderr=file)
        cluster.nodes.append(node)
        while node.poll() is None:
            if "Ray runtime started" in log.read_text():
                return
            time.sleep(0.1)
        cluster.nodes.pop()
        said += log.read_text()
    raise AssertionError(said)


def _stop(cluster: RayCluster) -> None:
    """End the nodes and whatever they started, and nothing else."""
    processes = []
    for node in cluster.nodes:
        with suppress(psutil.NoSuchProcess):
            process = psutil.Process(node.pid)
            processes += [*process.children(recursive=True), process]
    for node in reversed(cluster.nodes):
        node.terminate()
    _, alive = psutil.wait_procs(processes, timeout=10)
    for process in alive:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    for node in cluster.nodes:
        node.wait()
