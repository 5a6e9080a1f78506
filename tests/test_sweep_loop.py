"""The sweep's own decisions, with an executor that does as it is told."""

import json
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest
from test_records import made_up_record
from tiny_runs import SMOKE
from tiny_sweep import tiny_run

from tinylm.config import Run
from tinylm.errors import CannotWrite, TinyLMError
from tinylm.records import RunRecord
from tinylm.store import Store
from tinylm.sweeps import run as sweep_module
from tinylm.sweeps.executors import Ended, Executor, Finished
from tinylm.sweeps.jobs import Job
from tinylm.sweeps.progress import find_failure, mark_failed
from tinylm.sweeps.run import Outcome, Plan, SweepListener, sweep
from tinylm.trainer import Progress

Event = Progress | Finished | Ended
Act = Callable[[Job], list[Event]]


def done(job: Job) -> list[Event]:
    records = [made_up_record(run) for run in job.runs]
    for record in records:
        SMOKE.save(record)
    finished = [Finished(run, record) for run, record in zip(job.runs, records, strict=True)]
    return [*finished, Ended(job, "done")]


def dies(job: Job) -> list[Event]:
    return [Ended(job, "died", "its process ended with signal 11", "Segmentation fault")]


def dies_after_the_record(job: Job) -> list[Event]:
    SMOKE.save(made_up_record(job.runs[0]))
    return dies(job)


def refused(job: Job) -> list[Event]:
    return [Ended(job, "refused", "d_model 7: no")]


def busy(job: Job) -> list[Event]:
    return [Ended(job, "busy")]


class Scripted(Executor):
    """For each run (by seed) a list of what its job does, try by try; then it is done."""

    def __init__(self, script: dict[int, list[Act]] | None = None, slots: int = 2) -> None:
        self.script, self._slots = script or {}, slots
        self.started: list[list[int]] = []
        self.kinds: list[str] = []
        self.under_way: list[list[Event]] = []
        self.most = 0
        self.stopped = False

    @property
    def slots(self) -> int:
        return self._slots

    def start(self, job: Job, store: Store) -> None:
        self.started.append([run.seed for run in job.runs])
        self.kinds.append(job.kind)
        acts = self.script.get(job.runs[0].seed)
        self.under_way.append((acts.pop(0) if acts else done)(job))
        self.most = max(self.most, len(self.under_way))

    def wait(self, seconds: float) -> list[Event]:
        return self.under_way.pop(0)

    def stop(self) -> None:
        self.stopped = True


class Notes(SweepListener):
    def __init__(self) -> None:
        self.told: list[tuple[str, int, str]] = []

    def finished(self, run: Run, record: RunRecord) -> None:
        self.told.append(("finished", run.seed, record.status))

    def retried(self, run: Run, reason: str) -> None:
        self.told.append(("retried", run.seed, reason))

    def failed(self, run: Run, reason: str) -> None:
        self.told.append(("failed", run.seed, reason))


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TINYLM_ROOT", str(tmp_path))
    monkeypatch.setattr(sweep_module, "BUSY_SECONDS", 0.0)
    monkeypatch.setattr(sweep_module, "WAIT_SECONDS", 0.0)
    return tmp_path


RUNS = [tiny_run(seed=seed) for seed in range(4)]


def swept(executor: Executor, runs: list[Run] = RUNS) -> tuple[Outcome, list[tuple[str, int, str]]]:
    notes = Notes()
    plan = Plan(runs, {}, list(runs), {run.run_id: 1.0 for run in runs})
    return sweep(plan, SMOKE, executor, listener=notes), notes.told


def test_jobs_start_in_the_plans_order_and_fill_the_slots() -> None:
    executor = Scripted(slots=3)
    outcome, told = swept(executor)
    assert executor.started == [[0], [1], [2], [3]]
    assert executor.most == 3
    assert executor.stopped
    assert [record.run_id for record in outcome.trained] == [run.run_id for run in RUNS]
    assert told == [("finished", seed, "done") for seed in range(4)]


def test_a_run_whose_process_dies_is_tried_again_after_the_others() -> None:
    executor = Scripted({1: [dies, dies]}, slots=1)
    outcome, told = swept(executor)
    assert executor.started == [[0], [1], [2], [3], [1], [1]]
    assert outcome.failed == {}
    assert [what for what, seed, _ in told if seed == 1] == ["retried", "retried", "finished"]
    assert not SMOKE.failure_path(RUNS[1].run_id).exists()


def test_after_three_deaths_a_run_is_marked_failed_and_the_rest_goes_on() -> None:
    executor = Scripted({1: [dies, dies, dies]})
    outcome, told = swept(executor)
    run_id = RUNS[1].run_id
    reason = "its process ended with signal 11, 3 times; the next sweep goes on from its last"
    assert list(outcome.failed) == [run_id]
    assert outcome.failed[run_id].startswith(reason)
    assert told[-1] == ("failed", 1, outcome.failed[run_id])
    assert len(outcome.trained) == 3
    failure = find_failure(SMOKE, run_id)
    assert failure is not None
    assert (failure.run_id, failure.attempts) == (run_id, 3)
    assert failure.reason == outcome.failed[run_id]
    assert failure.log == "Segmentation fault"
    assert SMOKE.log_path(run_id).read_text() == "Segmentation fault\n"  # it ran elsewhere
    executor = Scripted({1: [dies, dies]})  # the next sweep counts from the beginning
    assert swept(executor, RUNS[1:2])[0].failed == {}
    assert find_failure(SMOKE, run_id) is None
    assert not SMOKE.log_path(run_id).exists()


def test_a_process_that_dies_after_it_wrote_the_record_has_done_its_work() -> None:
    executor = Scripted({0: [dies_after_the_record]})
    outcome, told = swept(executor, RUNS[:1])
    assert executor.started == [[0]]
    assert told == [("finished", 0, "done")]
    assert len(outcome.trained) == 1


def test_a_refused_run_is_not_tried_again() -> None:
    executor = Scripted({0: [refused]})
    outcome, _ = swept(executor, RUNS[:2])
    assert executor.started == [[0], [1]]
    assert outcome.failed == {RUNS[0].run_id: "d_model 7: no"}
    failure = find_failure(SMOKE, RUNS[0].run_id)
    assert failure is not None
    assert (failure.attempts, failure.log) == (1, "")


def test_a_run_that_another_sweep_trains_is_looked_at_again() -> None:
    executor = Scripted({0: [busy, busy]}, slots=1)
    outcome, _ = swept(executor, RUNS[:2])
    assert sorted(executor.started) == [[0], [0], [0], [1]]
    assert len(outcome.trained) == 2


def test_no_process_is_started_for_a_run_that_is_claimed_or_done_elsewhere() -> None:
    """Another process holds two claims; then it lets go of one, and has trained the other."""
    executor, looks = Scripted(slots=4), 0
    with ExitStack() as elsewhere:
        for run in RUNS[:2]:
            elsewhere.enter_context(SMOKE.lock(run.run_id))

        class LetGo(Notes):
            def waited(self) -> None:
                nonlocal looks
                looks += 1
                if looks == 4:
                    assert executor.started == [[2], [3]]
                    SMOKE.save(made_up_record(RUNS[1]))
                    elsewhere.close()

        plan = Plan(RUNS, {}, list(RUNS), {run.run_id: 1.0 for run in RUNS})
        outcome = sweep(plan, SMOKE, executor, listener=LetGo())
    assert executor.started == [[2], [3], [0]]
    assert {record.run_id for record in outcome.trained} == {run.run_id for run in RUNS}


def test_a_run_that_another_process_trains_by_now_is_not_marked_failed() -> None:
    elsewhere = ExitStack()

    def refused_and_claimed(job: Job) -> list[Event]:
        elsewhere.enter_context(SMOKE.lock(job.job_id))
        return refused(job)

    class LetGo(Notes):
        def waited(self) -> None:
            elsewhere.close()

    notes = LetGo()
    plan = Plan(RUNS[:1], {}, RUNS[:1], {RUNS[0].run_id: 1.0})
    outcome = sweep(plan, SMOKE, Scripted({0: [refused_and_claimed]}), listener=notes)
    assert notes.told == [("finished", 0, "done")]
    assert outcome.failed == {}


def after(executor: Scripted, job: Job, acts: dict[int, list[Act]]) -> Outcome:
    """What becomes of one job."""
    executor.script = acts
    plan = Plan(list(job.runs), {}, list(job.runs), {run.run_id: 1.0 for run in job.runs})
    under_way = sweep_module._Sweep(plan, SMOKE, executor, SweepListener(), batched=1)
    under_way.queue = [job]
    return under_way.run()


def test_the_runs_of_a_job_that_are_left_are_tried_again() -> None:
    """A job may hold several runs: those with a record are done; if one is refused, it is found."""

    def one_then_death(job: Job) -> list[Event]:
        return [*done(Job(job.runs[:1]))[:-1], *dies(job)]

    executor = Scripted()
    acts: dict[int, list[Act]] = {0: [one_then_death], 1: [refused, refused]}
    outcome = after(executor, Job(tuple(RUNS)), acts)
    assert executor.started == [[0, 1, 2, 3], [1, 2, 3], [1], [2], [3]]
    assert list(outcome.failed) == [RUNS[1].run_id]
    assert [record.run_id for record in outcome.trained] == [RUNS[i].run_id for i in (0, 2, 3)]


def first_only(job: Job) -> list[Event]:
    return [*done(Job(job.runs[:1]))[:-1], *busy(job)]


def test_a_family_stays_one_until_its_last_try() -> None:
    """The runs that are left go on together, from the checkpoints that they share."""
    executor = Scripted()
    outcome = after(executor, Job(tuple(RUNS), "family"), {0: [first_only], 1: [dies]})
    assert executor.started == [[0, 1, 2, 3], [1, 2, 3], [1, 2, 3]]
    assert executor.kinds == ["family"] * 3
    assert len(outcome.trained) == 4
    for run in RUNS:
        SMOKE.record_path(run.run_id).unlink()
    executor = Scripted()
    outcome = after(executor, Job(tuple(RUNS), "family"), {0: [dies, dies, dies]})
    assert executor.started == [[0, 1, 2, 3]] * 2 + [[0], [1], [2], [3]]
    assert executor.kinds[2:] == ["solo"] * 4
    assert list(outcome.failed) == [RUNS[0].run_id]
    assert len(outcome.trained) == 3


def test_a_batch_waits_for_none_of_its_runs_and_is_split_when_it_dies() -> None:
    executor, held = Scripted(slots=1), ExitStack()

    def let_go(job: Job) -> list[Event]:
        held.close()
        return done(job)

    held.enter_context(SMOKE.lock(RUNS[1].run_id))
    outcome = after(executor, Job(tuple(RUNS), "batched"), {0: [let_go]})
    assert executor.started == [[0, 2, 3], [1]]
    assert executor.kinds == ["batched", "solo"]
    assert len(outcome.trained) == 4
    for run in RUNS:
        SMOKE.record_path(run.run_id).unlink()
    executor = Scripted()
    after(executor, Job(tuple(RUNS), "batched"), {0: [dies]})
    assert executor.started == [[0, 1, 2, 3], [0], [1], [2], [3]]


def test_a_record_of_a_future_version_is_one_runs_failure() -> None:
    """It appears while the sweep is under way, written by a newer tinylm."""

    def from_the_future(job: Job) -> list[Event]:
        path = SMOKE.save(made_up_record(job.runs[0]))
        path.write_text(json.dumps(json.loads(path.read_text()) | {"schema_version": 2}))
        return busy(job)

    outcome, _ = swept(Scripted({0: [from_the_future]}), RUNS[:2])
    assert list(outcome.failed) == [RUNS[0].run_id]
    assert "schema_version 2, but this tinylm reads 1" in outcome.failed[RUNS[0].run_id]
    assert len(outcome.trained) == 1
    path = SMOKE.record_path(RUNS[0].run_id)
    assert json.loads(path.read_text())["schema_version"] == 2  # and is left alone


def test_a_disk_that_cannot_be_written_ends_the_sweep_with_one_sentence(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Before the first run, or when it happens; the executor is stopped, and no run has failed."""

    def refused_by_the_disk(job: Job) -> list[Event]:
        return [
            Ended(job, "unwritable", "cannot write x: No space left on device; free some space")
        ]

    executor = Scripted({1: [refused_by_the_disk]}, slots=1)
    with pytest.raises(TinyLMError, match="cannot write x: No space left on device"):
        swept(executor)
    assert executor.started == [[0], [1]]
    assert executor.stopped
    assert find_failure(SMOKE, RUNS[1].run_id) is None

    def full(folder: Path) -> None:
        raise CannotWrite(f"cannot write {folder}: Read-only file system")

    monkeypatch.setattr(sweep_module, "check_writable", full)
    executor = Scripted()
    with pytest.raises(TinyLMError, match="Read-only"):
        swept(executor, RUNS[1:])
    assert (executor.started, executor.stopped) == ([], True)


def test_what_killed_processes_left_of_finished_runs_is_tidied_up() -> None:
    """A run killed between its record and its end; one that failed and was then trained alone."""
    run = RUNS[0]
    mark_failed(SMOKE, run.run_id, "it died", 3, "the log")
    record = made_up_record(run)
    folder = SMOKE.save(record).parent
    left = [
        SMOKE.folder / "checkpoints" / run.run_id / "checkpoint.safetensors",
        SMOKE.folder / "checkpoints" / run.run_id / ".checkpoint.safetensors.abc",
        SMOKE.folder / "progress" / f"{run.run_id}.json",
        folder / f".{run.run_id}.json.abcdefgh",
    ]
    for path in left:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")
    other = folder / f".{RUNS[2].run_id}.json.abcdefgh"  # perhaps being written right now
    other.write_text("")
    plan = Plan(RUNS[:2], {run.run_id: record}, RUNS[1:2], {RUNS[1].run_id: 1.0})
    sweep(plan, SMOKE, Scripted())
    assert not any(path.exists() for path in left)
    assert not SMOKE.failure_path(run.run_id).exists()
    assert not SMOKE.log_path(run.run_id).exists()
    assert other.exists()
    assert SMOKE.find(run.run_id) == record


def test_a_note_of_failure_is_whole_or_nothing() -> None:
    run_id = RUNS[0].run_id
    assert find_failure(SMOKE, run_id) is None
    for content in ("", "{", "[]", '{"run_id": 1}'):
        SMOKE.failure_path(run_id).parent.mkdir(parents=True, exist_ok=True)
        SMOKE.failure_path(run_id).write_text(content)
        assert find_failure(SMOKE, run_id) is None
