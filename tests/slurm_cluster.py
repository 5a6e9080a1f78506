"""A Slurm cluster of one node, this machine, on loopback and in a folder of its own."""

import getpass
import os
import platform
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

COMMANDS = ("slurmctld", "slurmd", "sbatch", "srun", "squeue", "scancel", "sinfo")

# No cgroups, no accounting, no authentication: it answers on loopback only, and not for long.
CONFIGURATION = """\
ClusterName=tinylm
SlurmctldHost={host}(127.0.0.1)
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/none
CredType=cred/none
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
MailProg=/bin/true
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
ReturnToService=2
KillWait=1
NodeName={host} NodeAddr=127.0.0.1 CPUs=2 RealMemory=100 State=UNKNOWN
PartitionName=tiny Nodes=ALL Default=YES MaxTime=60 State=UP
"""


def missing_commands() -> list[str]:
    """What of Slurm is not installed here; its daemons may be off a user's PATH."""
    return [name for name in COMMANDS if find_command(name) is None]


def find_command(name: str) -> str | None:
    """Where a command is."""
    return shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin:/sbin")


def free_ports(number: int, address: str = "127.0.0.1") -> list[int]:
    """Ports that nobody listens on just now."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(number)]
        for one in sockets:
            one.bind((address, 0))
        return [one.getsockname()[1] for one in sockets]


@contextmanager
def slurm_cluster() -> Iterator[Path]:
    """A running cluster with two CPUs; gives the path for SLURM_CONF."""
    host = platform.node().split(".")[0]
    with tempfile.TemporaryDirectory(prefix="slurm-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        (folder / "state").mkdir()
        (folder / "spool").mkdir()
        configuration = folder / "slurm.conf"
        configuration.write_text(
            CONFIGURATION.format(
                host=host, user=getpass.getuser(), ports=free_ports(2), folder=folder
            )
        )
        environment = os.environ | {"SLURM_CONF": str(configuration)}
        log = folder / "log"
        daemons = []
        try:
            for command in (["slurmctld", "-D"], ["slurmd", "-D", "-N", host]):
                with log.open("a") as file:
                    path = find_command(command[0])
                    assert path is not None
                    daemons.append(
                        subprocess.Popen(
                            [path, *command[1:]], env=environment, stdout=file, stderr=file
                        )
                    )
            _wait_until_idle(environment, daemons, log)
            yield configuration
        finally:
            _empty_queue(environment)
            for daemon in reversed(daemons):
                daemon.terminate()
            for daemon in daemons:
                daemon.wait(30)


def _empty_queue(environment: dict[str, str]) -> None:
    """End every job: its processes would wait for a controller that is gone."""
    subprocess.run(["scancel", f"--user={os.getuid()}"], env=environment, check=False)
    for _ in range(100):
        left = subprocess.run(
            ["squeue", "--noheader"], env=environment, capture_output=True, text=True, check=False
        )
        if not left.stdout.strip():
            return
        time.sleep(0.1)


def _wait_until_idle(
    environment: dict[str, str], daemons: list[subprocess.Popen[bytes]], log: Path
) -> None:
    for _ in range(300):
        answer = subprocess.run(
            ["sinfo", "--noheader", "--format=%T"],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if answer.stdout.strip() == "idle":
            return
        assert all(daemon.poll() is None for daemon in daemons), log.read_text()
        time.sleep(0.1)
    raise AssertionError(log.read_text())
