"""`tinylm status`: what other processes are doing, from the files that they leave."""

import os
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from test_records import made_up_record
from tiny_runs import SMOKE, tiny_config, tinylm, tree
from tiny_sweep import tiny_run

from tinylm.errors import TinyLMError
from tinylm.files import is_locked
from tinylm.sweeps.declare import expand, experiments_of, load_experiment
from tinylm.sweeps.jobs import Job, carry_out
from tinylm.sweeps.progress import ProgressFiles, mark_failed, read_progress
from tinylm.sweeps.status import Status
from tinylm.train import train
from tinylm.trainer import Progress

Patch = pytest.MonkeyPatch
Capture = pytest.CaptureFixture[str]


def progress(step: int, run_id: str = "0" * 16) -> Progress:
    return Progress(run_id, step, 100, 2.5, 1234.5, 75.0)


@pytest.fixture
def root(tmp_path: Path, monkeypatch: Patch) -> Path:
    monkeypatch.setenv("TINYLM_ROOT", str(tmp_path))
    return tmp_path


@pytest.fixture
def ticks(monkeypatch: Patch) -> SimpleNamespace:
    """A clock that only moves when told to."""
    clock = SimpleNamespace(now=1000.0)
    monkeypatch.setattr(time, "monotonic", lambda: clock.now)
    return clock


def test_every_state_is_told(root: Path, monkeypatch: Patch, capsys: Capture) -> None:
    runs = expand(load_experiment("model_size"), "smoke")
    failed, running, starting = (run.run_id for run in runs[2:5])
    SMOKE.save(made_up_record(runs[0]))
    SMOKE.save(made_up_record(runs[1], diverged=True))
    SMOKE.record_path(runs[5].run_id).write_text("{")
    mark_failed(SMOKE, failed, "its process ended with signal 9", 3, "the end of its log")
    with (
        SMOKE.lock(running),
        SMOKE.lock(starting),
        ProgressFiles(SMOKE) as listener,
    ):
        listener(progress(40, running))
        before = tree(root)
        code, out, err = tinylm(["status", "model_size", "--profile", "smoke"], monkeypatch, capsys)
        assert (code, err) == (0, "")
        assert tree(root) == before
    lines = out.splitlines()
    assert lines[0].split() == [
        "profile",
        "smoke",
        "done",
        "diverged",
        "damaged",
        "failed",
        "under",
        "way",
        "to",
        "do",
    ]
    assert lines[1].split() == ["model_size", "1", "1", "1", "1", "2", str(len(runs) - 6)]
    (row,) = (line for line in lines if line.startswith(running[:8]))
    assert "40/100" in row
    assert row.split()[-5:-1] == ["2.500", "1,234", "75", "s"]
    assert row.split()[-1].endswith(f":{os.getpid()}")
    (row,) = (line for line in lines if line.startswith(starting[:8]))
    assert row.split()[-1] == "starting"
    assert f"DAMAGED d_model {runs[5].config.model.d_model}, " in out
    assert f"{runs[5].run_id}.json is damaged" in out
    said = f"seed {runs[2].seed}: its process ended with signal 9; its log: "
    assert f"FAILED {failed}" in out
    assert said + str(SMOKE.log_path(failed)) in out


def test_several_experiments_are_counted_together(
    root: Path, monkeypatch: Patch, capsys: Capture
) -> None:
    code, out, _ = tinylm(["status", "--profile", "smoke"], monkeypatch, capsys)
    assert code == 0
    names = [line.split()[0] for line in out.splitlines()[1:]]
    assert names == [*experiments_of("smoke"), "all"]
    assert not (root / "results").exists()


def test_bad_input_is_one_sentence(root: Path, monkeypatch: Patch, capsys: Capture) -> None:
    for arguments, said in (
        (["--profile", "nope"], "unknown profile 'nope'"),
        (["nope"], "unknown experiment 'nope'"),
    ):
        code, out, err = tinylm(["status", *arguments], monkeypatch, capsys)
        assert (code, out) == (2, "")
        assert err.startswith("error: ")
        assert said in err


def test_progress_of_a_dead_process_does_not_count(root: Path) -> None:
    run_id = expand(load_experiment("model_size"), "smoke")[0].run_id
    with SMOKE.lock(run_id):
        ProgressFiles(SMOKE)(progress(40, run_id))  # and never removes it
    assert read_progress(SMOKE, run_id) is not None
    assert Status(["model_size"], "smoke").look()[run_id].state == "to do"


def test_watching_ends_when_every_run_has(root: Path, monkeypatch: Patch, capsys: Capture) -> None:
    """Each look sees a few runs more done."""
    left = expand(load_experiment("model_size"), "smoke")
    looks = 0

    def sleep(seconds: float) -> None:
        nonlocal looks
        looks += 1
        for _ in range(5):
            if left:
                SMOKE.save(made_up_record(left.pop()))

    monkeypatch.setattr(time, "sleep", sleep)
    n = len(left)
    arguments = ["status", "model_size", "--profile", "smoke", "--watch"]
    assert tinylm(arguments, monkeypatch, capsys)[0] == 0
    assert looks == -(-n // 5)


def test_progress_is_written_now_and_then_and_passed_on_always(
    root: Path, ticks: SimpleNamespace
) -> None:
    told: list[int] = []
    with ProgressFiles(SMOKE, lambda progress: told.append(progress.step)) as listener:
        seen = []
        for step, ticks.now in ((1, 0.0), (2, 0.5), (3, 1.0), (4, 1.9), (100, 1.95)):
            listener(progress(step))
            now = read_progress(SMOKE, "0" * 16)
            assert now is not None
            assert now.pid == os.getpid()
            seen.append(now.progress)
        steps = [1, 1, 3, 3, 100]  # the last is always written
        assert seen == [progress(step) for step in steps]
        assert told == [1, 2, 3, 4, 100]
    assert not list((root / "results" / "smoke" / "progress").iterdir())


def test_progress_that_cannot_be_written_stops_nothing(root: Path) -> None:
    (root / "results").write_text("a file where a folder should be")
    with ProgressFiles(SMOKE) as listener:
        listener(progress(1))
    assert read_progress(SMOKE, "0" * 16) is None


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"host": "h", "pid": 1, "step": 2}'])
def test_a_progress_file_that_is_none_is_passed_over(root: Path, content: str) -> None:
    path = SMOKE.progress_path("0" * 16)
    path.parent.mkdir(parents=True)
    path.write_text(content)
    assert read_progress(SMOKE, "0" * 16) is None


def test_looking_at_a_claim_does_not_take_it(root: Path) -> None:
    path = SMOKE.lock_path("0" * 16)
    assert not is_locked(path)
    assert not path.exists()
    with SMOKE.lock("0" * 16):
        assert is_locked(path)
    assert not is_locked(path)
    with SMOKE.lock("0" * 16):
        pass


def test_a_job_leaves_its_progress_while_it_trains(project: Path) -> None:
    """Whatever trains it: the file is there at every word of the listener, and gone at the end."""
    runs = [tiny_run(seed=seed) for seed in range(2)]
    seen: list[tuple[str, int]] = []
    finished: list[str] = []

    def listen(progress: Progress) -> None:
        found = read_progress(SMOKE, progress.run_id)
        assert found is not None
        assert is_locked(SMOKE.lock_path(progress.run_id))
        assert found.progress.tokens_per_second is not None
        assert found.progress.tokens_per_second > 0
        assert found.progress.seconds_left is not None
        seen.append((progress.run_id, progress.step))

    carry_out(
        Job(tuple(runs)),
        SMOKE,
        device="cpu",
        listener=listen,
        finished=lambda run, record: finished.append(run.run_id),
        busy=lambda run: None,
    )
    assert finished == [run.run_id for run in runs]
    assert {run_id for run_id, _ in seen} == set(finished)
    assert {step for _, step in seen} >= {10, 20, 30}
    assert not list((project / "results" / "smoke" / "progress").iterdir())


def test_a_training_that_is_refused_leaves_no_progress(project: Path) -> None:
    run = tiny_run(data={"train_documents": 10**6})
    with pytest.raises(TinyLMError, match="train_documents"):
        carry_out(
            Job((run,)),
            SMOKE,
            device="cpu",
            listener=None,
            finished=lambda run, record: None,
            busy=lambda run: None,
        )
    assert not (project / "results").exists()


def test_the_pace_is_that_of_this_process(project: Path) -> None:
    told: list[Progress] = []
    began = time.monotonic()
    train(tiny_config(), 0, store=SMOKE, listener=told.append)
    elapsed = time.monotonic() - began
    for one in told:
        assert one.tokens_per_second is not None
        assert one.seconds_left is not None
        seconds_a_step = 256 / one.tokens_per_second
        assert one.step * seconds_a_step <= elapsed
        assert one.seconds_left == pytest.approx((30 - one.step) * seconds_a_step)
