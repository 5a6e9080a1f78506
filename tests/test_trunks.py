"""Runs that share their first steps train them once, and end as if each had trained alone."""

from pathlib import Path
from typing import Any

import pytest
import tiny_runs
from tiny_runs import SMOKE

from tinylm.config import Run
from tinylm.corpora import corpus_version
from tinylm.records import RunRecord
from tinylm.store import Store
from tinylm.sweeps.jobs import Job, carry_out, family_trunk, group_runs
from tinylm.trunks import branch_step

FAMILY = {"schedule": "wsd", "warmup_steps": 4, "decay_fraction": 0.25}


def run_of(tokens: int, seed: int = 0, **optimizer: Any) -> Run:
    config = tiny_runs.tiny_config(tokens=tokens, optimizer=FAMILY | optimizer)
    return Run(config, seed, config.identity(seed, corpus_version(config.data.corpus)))


def result(record: RunRecord) -> dict[str, Any]:
    return record.model_dump(exclude={"timing", "provenance"})


def train_job(job: Job, profile: str) -> dict[str, RunRecord]:
    records: dict[str, RunRecord] = {}
    carry_out(
        job,
        Store(profile),
        device="cpu",
        listener=None,
        finished=lambda run, record: records.update({run.run_id: record}),
        busy=lambda run: pytest.fail(f"{run.run_id} is busy"),
    )
    return records


@pytest.mark.parametrize("name", ["adamw", "muon"])
def test_a_branch_equals_its_run_from_scratch(project: Path, name: str) -> None:
    runs = [run_of(tokens, name=name) for tokens in (2048, 4096, 8192)]
    (job,) = group_runs(runs, 1)
    assert job.kind == "family"
    assert [run.config.tokens for run in job.runs] == [8192, 4096, 2048]
    branched = train_job(job, "smoke")
    trunk = family_trunk(job, SMOKE)
    assert trunk is not None
    assert not trunk.folder.exists()
    for run in runs:
        alone = train_job(Job((run,)), "quick")[run.run_id]
        assert result(branched[run.run_id]) == result(alone)
        assert alone.provenance.trunk is None
    longest, *others = (branched[run.run_id] for run in job.runs)
    assert longest.provenance.trunk is None
    for record in others:
        assert record.provenance.trunk == longest.run_id
        assert record.provenance.branched_at == branch_step(record.config)
        first, *_, last = record.provenance.segments  # the trunk's, then its own
        assert (first.first_step, first.last_step) == (0, record.provenance.branched_at)
        assert (last.first_step, last.last_step) == (first.last_step, record.steps)


def test_a_killed_family_goes_on_from_what_its_trunk_left(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = [run_of(tokens) for tokens in (2048, 4096, 8192)]
    (job,) = group_runs(runs, 1)

    def stop(run: Run, record: RunRecord) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        carry_out(job, SMOKE, device="cpu", listener=None, finished=stop, busy=lambda run: None)
    trunk = family_trunk(job, SMOKE)
    assert trunk is not None
    trunk.path(min(trunk.branches)).write_bytes(b"damaged")  # so the shortest trains by itself
    (left,) = group_runs(runs[:2], 1)  # what another sweep makes of it
    records = train_job(left, "smoke")
    assert not trunk.folder.exists()
    shortest, middle = (records[run.run_id] for run in runs[:2])
    assert shortest.provenance.branched_at is None
    assert middle.provenance.branched_at == branch_step(middle.config)
    for run in runs[:2]:
        alone = train_job(Job((run,)), "quick")[run.run_id]
        assert result(records[run.run_id]) == result(alone)


def test_only_runs_that_share_their_first_steps_are_a_family() -> None:
    runs = [
        run_of(2048),
        run_of(4096),
        run_of(4096, seed=1),
        run_of(4096, learning_rate=0.5),
        run_of(4096, warmup_steps=None),
        run_of(8192, warmup_steps=None),
        run_of(4096, schedule="linear"),
        run_of(8192, schedule="linear"),
        run_of(8192, decay_fraction=0.5),
    ]
    jobs = group_runs(runs, 1)
    assert [len(job.runs) for job in jobs] == [3, 1, 1, 1, 1, 1, 1]
    assert {run.run_id for job in jobs for run in job.runs} == {run.run_id for run in runs}


def test_a_branch_is_as_fast_as_its_own_steps(project: Path, tmp_path: Path) -> None:
    trainer = tiny_runs.tiny_trainer(tiny_runs.tiny_config(), tmp_path)
    trainer.begin_segment("plain")
    trainer.state.step, trainer.state.branched_at, trainer.state.train_seconds = 30, 20, 2.0
    trainer.state.losses = [6.0] * 30
    assert trainer.record(finished=False).timing.tokens_per_second == 10 * 256 / 2.0
