"""Runs trained together leave what they leave when trained alone."""

import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import pytest
import torch
from tiny_runs import SMOKE, tinylm
from tiny_sweep import tiny_run

from tinylm import train as train_module
from tinylm.config import Run
from tinylm.corpora.token_files import prepare
from tinylm.errors import TinyLMError
from tinylm.evaluate import evaluate
from tinylm.model import GPT
from tinylm.records import RunRecord
from tinylm.speed.choose import choose_steps, train_together
from tinylm.speed.side_by_side import SideBySide
from tinylm.speed.stacked import Stacked, StackedGPT, evaluate_stacked
from tinylm.store import Store
from tinylm.sweeps import terminal
from tinylm.sweeps.executors.base import Ended, Executor, Finished
from tinylm.sweeps.jobs import Job, carry_out, group_runs
from tinylm.sweeps.run import Outcome, plan_sweep, sweep
from tinylm.train import Steps, train
from tinylm.trainer import Progress, Trainer

STEPS = 40
QUICK = Store("quick")


def member(seed: int = 0, rate: float = 0.016, **fields: Any) -> Run:
    return tiny_run(seed, optimizer={"learning_rate": rate}, tokens=STEPS * 256, **fields)


RUNS = [member(), member(1), member(0, rate=0.004), member(2, rate=1.0)]


def together(
    runs: list[Run], store: Store = SMOKE, *, stacked: bool = False, **named: Any
) -> dict[str, RunRecord]:
    """Records by run id, as `finished` tells of them."""
    records: dict[str, RunRecord] = {}

    def finished(run: Run, record: RunRecord) -> None:
        assert run.run_id not in records
        records[run.run_id] = record

    choose = Stacked if stacked else choose_steps
    train_together(runs, store=store, choose=choose, finished=finished, **named)
    return records


def alone(run: Run, store: Store = QUICK, **named: Any) -> RunRecord:
    """The record of a run by itself, its steps taken as a sweep would."""
    return train(run.config, run.seed, store=store, choose=choose_steps, **named)


def outcome(record: RunRecord) -> dict[str, Any]:
    """All of a record that must not depend on when and in how many pieces it was trained."""
    return record.model_dump(exclude={"timing", "provenance"})


both_ways = pytest.mark.parametrize("stacked", [False, True], ids=["side by side", "stacked"])


def assert_same_losses(one: RunRecord, other: RunRecord) -> None:
    """Equal but for fp32 rounding."""
    exact = {"train_nats", "validation", "curve", "timing", "provenance"}
    assert one.model_dump(exclude=exact) == other.model_dump(exclude=exact)
    assert one.train_nats == pytest.approx(other.train_nats, abs=1e-4, rel=1e-5, nan_ok=True)
    for a, b in zip(one.curve, other.curve, strict=True):
        assert (a.step, a.tokens, a.learning_rate) == (b.step, b.tokens, b.learning_rate)
        assert a.validation_documents == b.validation_documents
        if one.status == "done":
            assert a.train_nats == pytest.approx(b.train_nats, abs=1e-4)
            assert a.validation_nats == pytest.approx(b.validation_nats, abs=1e-4)
            assert a.gradient_norm == pytest.approx(b.gradient_norm, rel=1e-3)
    if one.validation is not None and other.validation is not None:
        ours, theirs = one.validation, other.validation
        assert ours.bits_per_byte == pytest.approx(theirs.bits_per_byte, abs=1e-4)
        assert (ours.tokens, ours.n_bytes) == (theirs.tokens, theirs.n_bytes)
        for p, q in zip(ours.by_position, theirs.by_position, strict=True):
            assert (p.first, p.last, p.tokens) == (q.first, q.last, q.tokens)
            assert p.nats == pytest.approx(q.nats, abs=1e-3)


@both_ways
def test_each_member_equals_its_run_alone(project: Path, stacked: bool) -> None:
    told: list[Progress] = []
    records = together(RUNS, listener=told.append, stacked=stacked)
    assert [record.status for record in records.values()].count("diverged") == 1
    for run in RUNS:
        record, by_itself = records[run.run_id], alone(run)
        assert_same_losses(record, by_itself)
        if not stacked:
            assert repr(outcome(record)) == repr(outcome(by_itself))
        assert repr(SMOKE.find(run.run_id)) == repr(record)
        assert (record.provenance.batched_with, by_itself.provenance.batched_with) == (3, None)
        folders = [Store(p).folder / "models" / run.run_id for p in ("smoke", "quick")]
        assert folders[0].exists() == folders[1].exists() == (record.status == "done")
        assert not (SMOKE.folder / "checkpoints" / run.run_id).exists()
        if record.status == "done":
            alone_told = [p.step for p in told if p.run_id == run.run_id]
            assert alone_told == sorted({10, 20, 30, 40, *(p.step for p in by_itself.curve)})
    diverged = records[RUNS[3].run_id]
    assert diverged.steps < STEPS
    assert not math.isfinite(diverged.train_nats) or diverged.train_nats > math.log(512)


def test_other_shapes_train_together_too(project: Path) -> None:
    fields: dict[str, Any] = {
        "model": {"positions": "learned", "norm": "layernorm", "bias": True, "qk_norm": False},
    }
    runs = [tiny_run(seed, tokens=10 * 256, **fields) for seed in (0, 1)]
    records = together(runs)
    for run in runs:
        assert_same_losses(records[run.run_id], alone(run))


@pytest.mark.parametrize(
    "fields",
    [
        {"precision": "bf16"},
        {"model": {"shift": 1, "mlp": "relu2"}},
        {"optimizer": {"name": "muon"}},
    ],
    ids=str,
)
def test_side_by_side_all_that_is_trained_by_hand_is_equal_bit_for_bit(
    project: Path, fields: dict[str, Any]
) -> None:
    runs = [tiny_run(seed, tokens=20 * 256, **fields) for seed in range(3)]
    records = together(runs)
    for run in runs:
        record = records[run.run_id]
        assert outcome(record) == outcome(alone(run))
        assert record.provenance.batched_with == 2


def test_bf16_is_stacked_too(project: Path) -> None:
    """Against the run alone under autocast, which rounds where the stack does."""
    runs = [tiny_run(seed, tokens=20 * 256, precision="bf16") for seed in (0, 1)]
    records = together(runs, stacked=True)
    for run in runs:
        plain = train(run.config, run.seed, store=QUICK)
        assert records[run.run_id].train_nats == pytest.approx(plain.train_nats, abs=1e-3)


class Killed(Exception):
    """Stands for a signal: no handler of the trainer catches it."""


@both_ways
def test_killed_and_started_again_it_ends_bit_for_bit_the_same(
    project: Path, monkeypatch: pytest.MonkeyPatch, stacked: bool
) -> None:
    undisturbed = together(RUNS, QUICK, stacked=stacked)
    monkeypatch.setattr(train_module, "CHECKPOINT_SECONDS", 0.0)
    saves = 0
    save = Trainer.save

    def save_and_die(trainer: Trainer) -> None:
        nonlocal saves
        saves += 1
        if saves in (14, 21):  # while some members have a newer checkpoint than others
            raise Killed
        save(trainer)

    record = Store.save

    def record_and_die(store: Store, made: RunRecord) -> NoReturn:
        record(store, made)
        raise Killed

    monkeypatch.setattr(Trainer, "save", save_and_die)
    for _ in range(2):
        with pytest.raises(Killed):
            together(RUNS, stacked=stacked)
    monkeypatch.setattr(Store, "save", record_and_die)
    for n_records in (2, 3):  # the diverged one has its record; one more at each end of a member
        with pytest.raises(Killed):
            together(RUNS, stacked=stacked)
        found = [SMOKE.find(run.run_id) for run in RUNS]
        assert sum(made is not None for made in found) == n_records
    monkeypatch.setattr(Store, "save", record)
    resumed = together(RUNS, stacked=stacked)
    for run in RUNS:
        assert repr(outcome(resumed[run.run_id])) == repr(outcome(undisturbed[run.run_id]))
        if run is not RUNS[3]:
            assert resumed[run.run_id].timing.resumptions >= 2


@both_ways
def test_a_checkpoint_serves_alone_and_in_other_company(
    project: Path, monkeypatch: pytest.MonkeyPatch, stacked: bool
) -> None:
    runs = [member(seed) for seed in range(3)]
    by_themselves = [alone(run) for run in runs]
    monkeypatch.setattr(train_module, "CHECKPOINT_SECONDS", 0.0)
    kind = Stacked if stacked else SideBySide
    steps: Callable[[Any], tuple[torch.Tensor, torch.Tensor]] = kind.take

    def die_at_25(some: Steps) -> tuple[torch.Tensor, torch.Tensor]:
        if some.trainers[0].state.step == 25:
            raise Killed
        return steps(some)

    monkeypatch.setattr(kind, "take", die_at_25)
    with pytest.raises(Killed):
        together(runs, stacked=stacked)
    monkeypatch.setattr(kind, "take", steps)
    alone(runs[0], SMOKE)
    together([runs[2], runs[1]], stacked=stacked)
    for run in runs:
        record = SMOKE.find(run.run_id)
        assert record is not None
        assert record.timing.resumptions == 1
        assert_same_losses(record, by_themselves[run.seed])


def test_recorded_and_claimed_runs_are_left_out(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = [member(seed) for seed in range(4)]
    first = alone(runs[0], SMOKE)
    busy: list[Run] = []
    with SMOKE.lock(runs[1].run_id):
        records = together(runs, busy=busy.append)
    assert busy == [runs[1]]
    assert records[runs[0].run_id] == first
    assert records[runs[2].run_id].provenance.batched_with == 1
    assert SMOKE.find(runs[1].run_id) is None
    monkeypatch.setattr(train_module, "train_to_the_end", None)
    del records[runs[0].run_id]
    assert together([runs[2], runs[3]]) == records


def test_bad_input_is_refused_before_training(project: Path) -> None:
    with pytest.raises(TinyLMError, match=r"cannot train together with .* the same config"):
        together([member(), member(batch_tokens=512)])
    with pytest.raises(TinyLMError, match="only 120 documents"):
        together([member(seed, data={"train_documents": 500}) for seed in (0, 1)])
    with pytest.raises(TinyLMError, match="device 'tpu' is not available"):
        together([member()], device="tpu")
    with pytest.raises(TinyLMError, match=r"model\.shift 1: expected 0"):
        together([member(model={"shift": 1})], stacked=True)
    with pytest.raises(TinyLMError, match=r"model\.mixing 'linear': expected 'attention'"):
        together([member(model={"mixing": "linear"})], stacked=True)
    with pytest.raises(TinyLMError, match=r"optimizer\.name 'muon': expected 'adamw'"):
        together([tiny_run(0, optimizer={"name": "muon"})], stacked=True)
    with pytest.raises(TinyLMError, match=r"optimizer\.rounding 'nearest': expected 'none'"):
        together([tiny_run(0, optimizer={"rounding": "nearest"})], stacked=True)
    assert not (project / "results").exists()


def test_a_stacked_evaluation_is_each_members_own(project: Path) -> None:
    data = prepare("fables", "bpe-512")
    config = RUNS[0].config.model
    models = [GPT(config, seed=seed) for seed in range(3)]
    found = evaluate_stacked(StackedGPT(models), data.validation, 0.5, torch.device("cpu"))
    for model, losses in zip(models, found, strict=True):
        alone = evaluate(model, data.validation, 0.5)
        assert losses.nats == pytest.approx(alone.nats, abs=1e-5)
        assert losses.tokens == alone.tokens
        for p, q in zip(losses.by_position, alone.by_position, strict=True):
            assert (p.first, p.last, p.tokens) == (q.first, q.last, q.tokens)
            assert p.nats == pytest.approx(q.nats, abs=1e-4)


def test_runs_are_grouped_by_shape() -> None:
    small = [member(seed, rate) for rate in (0.01, 0.02) for seed in range(3)]
    wide = [member(seed, model={"d_model": 32}) for seed in range(2)]
    longer = [tiny_run(0, tokens=2 * STEPS * 256)]
    jobs = group_runs([*small, *wide, *longer], size=4)
    assert [(len(job.runs), job.kind) for job in jobs] == [
        (4, "batched"),
        (2, "batched"),
        (2, "batched"),
        (1, "solo"),
    ]
    assert [run for job in jobs for run in job.runs] == [*small, *wide, *longer]
    assert {job.kind for job in group_runs(small, size=1)} == {"solo"}


def test_a_job_is_carried_out_by_its_kind(project: Path, tmp_path: Path) -> None:
    runs = (member(0), member(1))
    solo: list[tuple[Run, RunRecord]] = []
    batched: list[tuple[Run, RunRecord]] = []
    for job, found in ((Job(runs), solo), (Job(runs, "batched"), batched)):
        carry_out(
            job,
            SMOKE,
            device="cpu",
            listener=None,
            finished=lambda run, record, found=found: found.append((run, record)),  # type: ignore[misc]
            busy=lambda run: pytest.fail(f"{run.run_id} is claimed"),
        )
        shutil.rmtree(SMOKE.folder)
    assert [run for run, _ in solo] == [run for run, _ in batched] == list(runs)
    for (_, one), (_, other) in zip(solo, batched, strict=True):
        assert_same_losses(one, other)
        assert (one.provenance.batched_with, other.provenance.batched_with) == (None, 1)


class Here(Executor):
    """Carries jobs out in this process; the first one dies at once."""

    def __init__(self) -> None:
        self.jobs: list[Job] = []

    @property
    def slots(self) -> int:
        return 1

    def start(self, job: Job, store: Store) -> None:
        self.jobs.append(job)

    def wait(self, seconds: float) -> list[Progress | Finished | Ended]:
        job = self.jobs[-1]
        if len(self.jobs) == 1:
            return [Ended(job, "died", "its process ended with signal 9")]
        events: list[Progress | Finished | Ended] = []
        carry_out(
            job,
            SMOKE,
            device="cpu",
            listener=events.append,
            finished=lambda run, record: events.append(Finished(run, record)),
            busy=lambda run: pytest.fail(f"{run.run_id} is claimed"),
        )
        return [*events, Ended(job, "done")]

    def stop(self) -> None:
        pass


def test_a_sweep_batches_runs_and_retries_those_of_a_dead_batch_alone(project: Path) -> None:
    runs = [member(seed) for seed in range(4)]
    here = Here()
    done = sweep(plan_sweep(runs, SMOKE, timing="unknown"), SMOKE, here, batched=2)
    assert [(job.runs, job.kind) for job in here.jobs] == [
        ((runs[0], runs[1]), "batched"),
        ((runs[2], runs[3]), "batched"),
        ((runs[0],), "solo"),
        ((runs[1],), "solo"),
    ]
    company = {record.seed: record.provenance.batched_with for record in done.trained}
    assert company == {0: None, 1: None, 2: 1, 3: 1}
    assert done.failed == {}
    left = {path.name for path in SMOKE.folder.iterdir() if any(path.glob("*.json"))}
    assert left == {"runs"}  # no progress file of a run that has ended


def test_the_command_passes_the_size_of_batches_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: dict[str, Any] = {}

    def run_experiments(names: list[str], profile: str, **named: Any) -> Outcome:
        asked.update(named)
        return Outcome()

    monkeypatch.setattr(terminal, "run_experiments", run_experiments)
    code, _, err = tinylm(["sweep", "model_size", "--batched", "8"], monkeypatch, capsys)
    assert (code, asked["batched"]) == (0, 8), err
    assert tinylm(["sweep", "model_size", "--batched", "0"], monkeypatch, capsys)[0] == 2
