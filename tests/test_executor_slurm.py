"""Jobs through submitit: as processes of this machine, and on a real Slurm."""

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from slurm_cluster import missing_commands, slurm_cluster
from tiny_runs import SMOKE, tiny_config, tinylm
from tiny_sweep import tiny_run

pytest.importorskip("submitit", reason="no submitit here: make setup EXTRAS=slurm")

from tinylm.config import Run
from tinylm.errors import TinyLMError
from tinylm.records import RunRecord
from tinylm.speed.choose import choose_steps
from tinylm.store import Store
from tinylm.sweeps.executors import slurm
from tinylm.sweeps.executors.slurm import SlurmExecutor
from tinylm.sweeps.jobs import Job
from tinylm.sweeps.progress import read_progress
from tinylm.sweeps.run import Outcome, SweepListener, plan_sweep, sweep
from tinylm.train import train

SHORT = tiny_run(seed=0)
LONG = tiny_run(seed=1, tokens=600 * 256)  # some seconds


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ask often, on a machine of one's own."""
    monkeypatch.setattr(slurm, "POLL_SECONDS", 0.3)
    monkeypatch.setattr(slurm, "GRACE_SECONDS", 1.0)


@pytest.fixture
def real_slurm(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A cluster that sbatch and its like talk to."""
    if missing := missing_commands():
        pytest.skip(f"no Slurm here ({', '.join(missing)}): apt-get install slurm-wlm")
    with slurm_cluster() as configuration:
        monkeypatch.setenv("SLURM_CONF", str(configuration))
        yield


class Listener(SweepListener):
    """Notes what happens."""

    def __init__(self) -> None:
        self.told: list[tuple[str, str]] = []

    def finished(self, run: Run, record: RunRecord) -> None:
        self.told.append(("finished", run.run_id))

    def retried(self, run: Run, reason: str) -> None:
        self.told.append((reason, run.run_id))

    def failed(self, run: Run, reason: str) -> None:
        self.told.append((reason, run.run_id))


class Disturbed(SlurmExecutor):
    """The first job of the long run is disturbed at its first steps, before anything else is."""

    def start(self, job: Job, store: Store) -> None:
        super().start(job, store)
        if job.runs == (LONG,) and not hasattr(self, "disturbed"):
            deadline = time.monotonic() + 120
            while read_progress(store, LONG.run_id) is None:
                assert time.monotonic() < deadline, "the long run does not start"
                time.sleep(0.01)
            self.disturbed = self.submitted[-1].handle.job_id
            self.disturb()

    def disturb(self) -> None:
        raise NotImplementedError


def trains_long(process: psutil.Process) -> bool:
    """Whether a process is submitit's of the long run; others may end while they are asked."""
    try:
        command = process.cmdline()
    except psutil.NoSuchProcess:  # the zombies too
        return False
    return "submitit.core._submit" in command and LONG.run_id in command[-1]


def outcome(record: RunRecord) -> dict[str, Any]:
    return record.model_dump(exclude={"timing", "provenance"})


def check_all(
    runs: list[Run], listener: Listener, done: Outcome, monkeypatch: pytest.MonkeyPatch, root: Path
) -> None:
    """Every record arrived once, is on disk, and equals that of a single training elsewhere."""
    assert done.failed == {}
    arrived = sorted(run_id for what, run_id in listener.told if what == "finished")
    assert arrived == sorted(run.run_id for run in runs)
    found = {run.run_id: SMOKE.find(run.run_id) for run in runs}
    assert not (SMOKE.folder / "slurm").exists()  # nothing of submitit's is left
    monkeypatch.setenv("TINYLM_ROOT", str(root))
    for run in runs:
        record = found[run.run_id]
        assert record is not None
        assert record.provenance.threads == 1
        assert outcome(record) == outcome(
            train(run.config, run.seed, store=SMOKE, choose=choose_steps)
        )


def test_submitit_here_trains_and_survives_a_kill(
    project: Path, other_project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(Disturbed):
        def disturb(self) -> None:
            (process,) = (p for p in psutil.Process().children(recursive=True) if trains_long(p))
            process.kill()

    runs, listener = [SHORT, LONG], Listener()
    executor = Killed(2, cluster="local")
    done = sweep(
        plan_sweep(runs, SMOKE, timing="unknown"),
        SMOKE,
        executor,
        listener=listener,
    )
    (reason,) = [what for what, _ in listener.told if "Slurm job" in what]
    assert "ended: " in reason
    check_all(runs, listener, done, monkeypatch, other_project)


def test_what_cannot_be_trained_is_refused_with_its_sentence(project: Path) -> None:
    config = tiny_config(data={"train_documents": 1_000_000})
    bad = Run(config, 0, config.identity(0, "other"))
    done = sweep(
        plan_sweep([bad], SMOKE, timing="unknown"),
        SMOKE,
        SlurmExecutor(1, cluster="local"),
    )
    assert "data.train_documents 1000000" in done.failed[bad.run_id]


def test_stopping_ends_the_jobs_and_leaves_nothing(project: Path) -> None:
    before = {process.pid for process in psutil.Process().children(recursive=True)}
    with SlurmExecutor(1, cluster="local") as executor:
        executor.start(Job((LONG,)), SMOKE)
        assert executor.wait(0.2) == []
    after = {process.pid for process in psutil.Process().children(recursive=True)}
    assert after <= before
    assert not (SMOKE.folder / "slurm").exists()


def test_without_slurm_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(TinyLMError, match="no sbatch on this machine"):
        SlurmExecutor()


def test_a_real_slurm_trains_and_survives_a_cancelled_job(
    real_slurm: None, project: Path, other_project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Cancelled(Disturbed):
        def disturb(self) -> None:
            subprocess.run(["scancel", self.disturbed], check=True)

    runs, listener = [SHORT, LONG], Listener()
    executor = Cancelled(partition="tiny", minutes=10)
    done = sweep(
        plan_sweep(runs, SMOKE, timing="unknown"),
        SMOKE,
        executor,
        listener=listener,
    )
    (reason,) = [what for what, _ in listener.told if "Slurm job" in what]
    assert "CANCELLED" in reason
    check_all(runs, listener, done, monkeypatch, other_project)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--partition", "gone"], "partition 'gone' runs no job"),
        (["--cpus-per-run", "5"], "5 CPUs, 0 GPUs and 60 minutes a run"),
        (["--gpus-per-run", "1"], "1 CPUs, 1 GPUs"),
    ],
)
def test_what_no_node_has_is_said_before_any_work(
    options: list[str],
    said: str,
    real_slurm: None,
    project: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    arguments = ["sweep", "model_size", "--profile", "smoke", "--executor", "slurm", *options]
    code, out, err = tinylm(arguments, monkeypatch, capsys)
    assert code == 2
    assert said in err
    assert "Traceback" not in out + err
    assert not SMOKE.folder.exists()
