"""Jobs on a Slurm cluster, through submitit: one `sbatch` a job, results over the shared files."""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from tinylm.config import Run
from tinylm.errors import BadInput, CannotWrite, TinyLMError
from tinylm.extras import needs
from tinylm.files import project_root
from tinylm.records import RunRecord
from tinylm.speed.memory import keep_freed_memory
from tinylm.store import Store
from tinylm.sweeps.executors.base import Ended, Executor, Finished, How, how_refused
from tinylm.sweeps.jobs import Job, carry_out
from tinylm.sweeps.progress import LOG_LINES, read_progress
from tinylm.trainer import Progress

with needs("slurm"):
    import submitit

SLOTS = 64  # jobs in Slurm's queue at a time, unless told otherwise
POLL_SECONDS = 5.0  # between questions to Slurm, which answers for the whole cluster
BUSY_SECONDS = 60.0  # before a run that another job is training is submitted again
GRACE_SECONDS = 15.0  # for the result of an ended job to show on a slow shared file system

Event = Progress | Finished | Ended

# What squeue calls a job that will still do something (squeue's manual, "JOB STATE CODES").
ALIVE = {
    *("PENDING", "CONFIGURING", "RUNNING", "COMPLETING", "STAGE_OUT", "SUSPENDED", "STOPPED"),
    *("RESIZING", "SIGNALING", "REQUEUED", "REQUEUE_FED", "REQUEUE_HOLD", "RESV_DEL_HOLD"),
    *("SPECIAL_EXIT",),
}


@dataclass
class Result:
    """What a job hands back when it ends by itself."""

    how: How = "done"
    reason: str = ""
    records: dict[str, str] = field(default_factory=dict)  # run id to the record's JSON


def work(job: Job, store: Store, root: str, cpus: int, device: str) -> Result:
    """Train a job's runs inside a Slurm job."""
    import torch

    # submitit answers the warning before a time limit by queueing the job again, and ignores the
    # end itself. The sweep does the first; the second is no more than what SIGKILL does later.
    signal.signal(signal.SIGUSR2, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    os.environ["TINYLM_ROOT"] = root
    torch.set_num_threads(cpus)
    keep_freed_memory()
    result = Result()

    def finished(run: Run, record: RunRecord) -> None:
        result.records[run.run_id] = record.model_dump_json()

    def busy(run: Run) -> None:
        result.how = "busy"

    try:
        carry_out(job, store, device=device, listener=None, finished=finished, busy=busy)
    except TinyLMError as error:
        result.how, result.reason = how_refused(error), str(error)
    return result


@dataclass
class _Submitted:
    job: Job
    store: Store
    folder: Path  # holds what submitit writes for it
    handle: Any  # submitit's job
    told: set[str] = field(default_factory=set)  # ids of the runs known to have their record
    step: int = 0  # of the run under way, as last told
    state: str = "PENDING"
    gone_since: float | None = None  # when Slurm no longer had it under way
    busy_until: float | None = None  # when to tell that another job trains a run of it


class SlurmExecutor(Executor):
    """Jobs in Slurm's queue. `cluster="local"` makes them processes of this machine instead.

    The project folder must be on a file system that every node shares: the job and its result
    travel over it, as do checkpoints. What else a cluster wants is taken from the environment by
    `sbatch` itself: SBATCH_ACCOUNT, SBATCH_QOS, SBATCH_MEM_PER_CPU and so on.

    Raises:
        TinyLMError: no Slurm here, or no node that could ever run such a job.
    """

    def __init__(
        self,
        jobs: int | None = None,
        *,
        cpus_per_run: int = 1,
        gpus_per_run: int = 0,
        partition: str | None = None,
        minutes: int = 60,
        cluster: Literal["slurm", "local"] = "slurm",
    ) -> None:
        self.jobs, self.cluster, self.cpus = jobs or SLOTS, cluster, cpus_per_run
        self.device = "cuda" if gpus_per_run else "cpu"
        self.options: dict[str, Any] = {
            "name": "tinylm",
            "timeout_min": minutes,
            "cpus_per_task": cpus_per_run,
            "slurm_partition": partition,
            "slurm_additional_parameters": {"no-requeue": True},  # the sweep retries
        }
        if gpus_per_run:
            self.options["gpus_per_node"] = gpus_per_run
        if cluster == "slurm":
            _check_slurm(cpus_per_run, gpus_per_run, partition, minutes)
        self.submitted: list[_Submitted] = []
        self.asked = 0.0

    @property
    def slots(self) -> int:
        """Jobs in the queue at a time; Slurm decides how many of them run."""
        return self.jobs

    def start(self, job: Job, store: Store) -> None:
        """Submit a job.

        Raises:
            TinyLMError: Slurm does not take it, or the folder for it cannot be written.
        """
        parent = store.folder / "slurm"
        try:
            parent.mkdir(parents=True, exist_ok=True)
            folder = Path(tempfile.mkdtemp(prefix=f"{job.job_id}-", dir=parent))
            executor = submitit.AutoExecutor(folder, cluster=self.cluster, slurm_max_num_timeout=0)
            executor.update_parameters(**self.options)
            arguments = (store, str(project_root()), self.cpus, self.device)
            handle = executor.submit(work, job, *arguments)
        except OSError as error:
            raise CannotWrite(f"cannot write {parent}: {error.strerror or error}") from error
        except submitit.core.utils.FailedJobError as error:
            _remove(folder)
            raise BadInput(f"Slurm refuses the job: {_last_line(str(error))}") from error
        self.submitted.append(_Submitted(job, store, folder, handle))

    def wait(self, seconds: float) -> list[Event]:
        """What has happened since the last call, waiting up to `seconds` for something to."""
        deadline = time.monotonic() + seconds
        while True:
            self._ask_for_states()
            events = [event for one in list(self.submitted) for event in self._look_at(one)]
            left = deadline - time.monotonic()
            if events or left <= 0:
                return events
            time.sleep(min(0.2, left))

    def stop(self) -> None:
        """Cancel every job and remove what was written for it."""
        for one in self.submitted:
            one.handle.cancel(check=False)
        if self.cluster == "local":  # else Slurm sees to their end
            for one in self.submitted:
                while not one.handle.done():
                    time.sleep(0.05)
        for one in self.submitted:
            _remove(one.folder)
        self.submitted.clear()

    def _ask_for_states(self) -> None:
        """Note the state of each job, and of those that are gone since when they are."""
        if self.cluster == "local":
            states = {one.handle.job_id: one.handle.state for one in self.submitted}
        elif not self.submitted or time.monotonic() - self.asked < POLL_SECONDS:
            return
        else:
            self.asked = time.monotonic()
            found = _squeue()
            if found is None:  # Slurm's controller does not answer: ask again later
                return
            states = found
        for one in self.submitted:
            one.state = states.get(one.handle.job_id, "no longer in the queue")
            if one.state not in ALIVE and one.gone_since is None:
                one.gone_since = time.monotonic()

    def _look_at(self, one: _Submitted) -> list[Event]:
        """What the files of a job tell, and what Slurm does."""
        events: list[Event] = []
        for run in one.job.runs:
            if run.run_id in one.told:
                continue
            if (record := one.store.find(run.run_id)) is not None:
                one.told.add(run.run_id)
                events.append(Finished(run, record))
                continue
            seen = read_progress(one.store, run.run_id)
            if seen is not None and seen.progress.step != one.step:
                one.step = seen.progress.step
                events.append(seen.progress)
        if one.handle.paths.result_pickle.exists():
            events += self._result_of(one)
        elif one.gone_since is not None:
            grace = GRACE_SECONDS if self.cluster == "slurm" else 0.0
            if time.monotonic() - one.gone_since >= grace:
                reason = f"its Slurm job {one.handle.job_id} ended: {one.state}"
                events.append(self._ended(one, "died", reason, _log(one)))
        return events

    def _result_of(self, one: _Submitted) -> list[Event]:
        """What the file of a job that ended by itself says."""
        error = one.handle.exception()
        if error is not None:
            reason = f"its Slurm job {one.handle.job_id} failed"
            return [self._ended(one, "died", reason, str(error))]
        result: Result = one.handle.result()
        now = time.monotonic()
        if result.how == "busy" and one.busy_until is None:
            one.busy_until = now + BUSY_SECONDS
        if one.busy_until is not None and now < one.busy_until:
            return []
        events: list[Event] = []
        for run in one.job.runs:
            if run.run_id in result.records and run.run_id not in one.told:
                record = RunRecord.model_validate_json(result.records[run.run_id])
                one.store.save(record)
                events.append(Finished(run, record))
        return [*events, self._ended(one, result.how, result.reason)]

    def _ended(
        self,
        one: _Submitted,
        how: How,
        reason: str = "",
        log: str = "",
    ) -> Ended:
        self.submitted.remove(one)
        _remove(one.folder)
        return Ended(one.job, how, reason, log)


def _check_slurm(cpus: int, gpus: int, partition: str | None, minutes: int) -> None:
    """Ask Slurm, before any work starts, whether it would ever run such a job.

    Raises:
        TinyLMError: it would not; the sentence holds its reason.
    """
    if shutil.which("sbatch") is None:
        raise BadInput(
            "executor 'slurm': there is no sbatch on this machine; start the sweep on a login node "
            "of the cluster"
        )
    command = ["sbatch", "--test-only", f"--cpus-per-task={cpus}", f"--time={minutes}"]
    command += [f"--gpus-per-node={gpus}"] if gpus else []
    command += [f"--partition={partition}"] if partition else []
    asked = f"{cpus} CPUs, {gpus} GPUs and {minutes} minutes a run"
    try:
        answer = subprocess.run(
            [*command, "--wrap=true"], capture_output=True, text=True, check=False, timeout=60
        )
    except subprocess.TimeoutExpired:
        raise BadInput("executor 'slurm': Slurm's controller does not answer") from None
    if answer.returncode:
        where = f"partition {partition!r}" if partition else "the default partition"
        raise BadInput(
            f"executor 'slurm': {where} runs no job of {asked}: {_last_line(answer.stderr)}"
        )


def _squeue() -> dict[str, str] | None:
    """The state of every job of this user that Slurm still knows; None if it does not answer."""
    command = ["squeue", "--noheader", "--states=all", "--format=%i|%T", f"--user={os.getuid()}"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    except subprocess.TimeoutExpired:
        return None
    if answer.returncode:
        return None
    return dict(line.strip().split("|", 1) for line in answer.stdout.splitlines() if "|" in line)


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "no reason given"


def _log(one: _Submitted) -> str:
    """The last lines that a job printed."""
    path: Path = one.handle.paths.stderr
    text = path.read_text(errors="replace") if path.is_file() else ""
    return "\n".join(text.splitlines()[-LOG_LINES:])


def _remove(folder: Path) -> None:
    """Remove a job's folder, and the one of all jobs with the last of them."""
    shutil.rmtree(folder, ignore_errors=True)
    with suppress(OSError):  # unless another job's is in it
        folder.parent.rmdir()
