"""One document of a mirror changes: nothing goes on over it in silence."""

import shutil
from pathlib import Path

import pytest
from tiny_mirror import sentences, write_data_set
from tiny_runs import SMOKE, tiny_config, tiny_trainer, tinylm

from tinylm import train as training
from tinylm.config import RunConfig
from tinylm.errors import Damaged
from tinylm.sweeps.run import plan_sweep
from tinylm.train import identify, train
from tinylm.trainer import Progress, evaluation_steps
from tinylm.trunks import make_trunk

IS_OTHER = r"is of another text: ag_news-all under bpe-280 \(train \w{12}, .* not ag_news-all under"


def use_mirror(root: Path, *, changed: bool = False) -> None:
    """Write the mirror, perhaps with one document changed, and delete data/."""
    train_texts = sentences(60)
    if changed:
        train_texts[3] += " So they did."
    folder = root / "mirror" / "fancyzhx" / "ag_news" / "data"
    shutil.rmtree(folder, ignore_errors=True)
    write_data_set(folder, {"train": train_texts, "test": sentences(8, 60)})
    shutil.rmtree(root / "data", ignore_errors=True)


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TINYLM_ROOT", str(tmp_path))
    monkeypatch.setenv("TINYLM_HUB_MIRROR", str(tmp_path / "mirror"))
    use_mirror(tmp_path)
    return tmp_path


def config(**fields: object) -> RunConfig:
    return tiny_config(data={"corpus": "ag_news-all", "tokenizer": "bpe-280"}, **fields)


def test_a_killed_run_does_not_go_on_over_changed_text(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def kill(progress: Progress) -> None:
        if progress.step >= 20:
            raise KeyboardInterrupt

    monkeypatch.setattr(training, "CHECKPOINT_SECONDS", 0.0)
    with pytest.raises(KeyboardInterrupt):
        train(config(), 0, store=SMOKE, listener=kill)
    use_mirror(root, changed=True)
    with pytest.raises(Damaged, match=rf"the checkpoint .* {IS_OTHER}.* delete it and the run"):
        train(config(), 0, store=SMOKE)
    assert SMOKE.find(identify(config(), 0).run_id) is None
    use_mirror(root)
    assert train(config(), 0, store=SMOKE).timing.resumptions == 1


def test_a_record_of_other_text_is_not_taken_for_done(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    record = train(config(), 0, store=SMOKE)
    runs = [identify(config(), seed) for seed in (0, 1)]
    assert len(plan_sweep(runs, SMOKE, timing="unknown").done) == 1
    assert tinylm(["evaluate", record.run_id], monkeypatch, capsys)[0] == 0
    use_mirror(root, changed=True)
    for use in (
        lambda: train(config(), 0, store=SMOKE),
        lambda: plan_sweep(runs, SMOKE, timing="unknown"),
    ):
        with pytest.raises(Damaged, match=rf"the record of run {record.run_id} {IS_OTHER}"):
            use()
    code, _, said = tinylm(["evaluate", record.run_id], monkeypatch, capsys)
    assert code == 2
    assert "is of another text" in said
    train(config(), 1, store=SMOKE)  # has no record yet
    with pytest.raises(Damaged, match="is of another text"):
        SMOKE.load(runs)
    with pytest.raises(Damaged, match="is of another text"):
        SMOKE.found(runs)


def test_what_a_trunk_left_is_not_branched_off_by_runs_of_other_text(
    root: Path, tmp_path: Path
) -> None:
    optimizer = {"schedule": "wsd", "warmup_steps": 2, "decay_fraction": 0.5}
    longer, shorter = (config(optimizer=optimizer, tokens=256 * steps) for steps in (40, 20))
    trunk = make_trunk(SMOKE, [longer, shorter], 0, evaluation_steps(shorter))
    train(longer, 0, store=SMOKE, trunk=trunk)
    use_mirror(root, changed=True)
    other = tiny_trainer(shorter, tmp_path / "other")
    other.begin(trunk)
    assert (other.state.branched_at, other.state.step) == (None, 0)  # it trains them itself
    use_mirror(root)
    branch = tiny_trainer(shorter, tmp_path / "there")
    branch.begin(trunk)
    assert branch.state.branched_at == 10
