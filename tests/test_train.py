"""The trainer: repeatable to the last bit, whatever happens to its process."""

import ctypes
import json
import math
from collections.abc import Callable, Sequence
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path
from typing import Any, NoReturn

import pytest
import torch
from conftest import ALL_DEVICES
from hypothesis import given
from hypothesis import strategies as st
from tiny_runs import SMOKE, run_python, tiny_config, tiny_trainer, tinylm, tree

from tinylm import provenance
from tinylm import train as train_module
from tinylm.config import EvaluationConfig, RunConfig
from tinylm.corpora import corpus_version
from tinylm.corpora.token_files import prepare
from tinylm.cost import flops_6nd, flops_exact, parameter_count
from tinylm.errors import BadInput, TinyLMError
from tinylm.records import Losses, RunRecord
from tinylm.store import RunLocked, Store
from tinylm.train import Steps, train
from tinylm.trainer import Progress, Trainer, evaluation_steps


def outcome(record: RunRecord) -> dict[str, Any]:
    """All of a record that must not depend on when and in how many pieces it was trained."""
    return record.model_dump(exclude={"timing", "provenance"})


def test_a_record_says_what_happened(project: Path) -> None:
    config = tiny_config()
    told: list[Progress] = []
    record = train(config, 3, store=Store("smoke"), listener=told.append)
    assert Store("smoke").find(record.run_id) == record
    assert record.run_id == config.identity(3, record.corpus_version)
    assert (record.status, record.seed, record.steps, record.tokens) == ("done", 3, 30, 7680)
    assert record.config.model.vocab_size == 512
    assert record.config == config.model_copy(update={"model": record.config.model})
    assert record.parameters.total == parameter_count(record.config.model).total
    assert record.compute.exact == flops_exact(record.config.model, 7680)
    assert record.compute.six_nd == flops_6nd(record.config.model, 7680)
    data = prepare("fables", "bpe-512")
    assert record.unique_tokens == data.train.n_tokens
    assert record.provenance.train_sha256 == data.train.manifest["sha256"]
    assert record.provenance.packages["torch"] == version("torch")
    assert record.timing.resumptions == 0
    assert record.validation is not None
    assert record.validation.documents == data.validation.n_documents
    assert [point.step for point in record.curve] == evaluation_steps(config)
    assert [p.validation_documents for p in record.curve] == [2, 2, 2, data.validation.n_documents]
    assert record.curve[-1].validation_nats == record.validation.nats
    assert record.curve[0].validation_nats == pytest.approx(math.log(512) + 0.5, abs=0.4)
    assert record.validation.nats < math.log(512) - 0.5  # it has learnt something
    assert [progress.step for progress in told] == sorted({10, 20, 30, *evaluation_steps(config)})
    assert {progress.n_steps for progress in told} == {30}
    assert not (Store("smoke").folder / "checkpoints" / record.run_id).exists()
    model = Store("smoke").folder / "models" / record.run_id
    assert sorted(path.name for path in model.iterdir()) == ["model.safetensors", "tokenizer.json"]


def test_config_and_seed_decide_every_bit(project: Path) -> None:
    config = tiny_config(model={"positions": "learned"})
    torch.manual_seed(1)
    one = train(config, 0, store=Store("smoke"))
    torch.manual_seed(2)
    assert outcome(train(config, 0, store=Store("quick"))) == outcome(one)
    other = train(config, 1, store=Store("smoke"))
    assert other.run_id != one.run_id
    assert other.train_nats != one.train_nats
    assert other.validation is not None
    assert one.validation is not None
    assert other.validation.nats != one.validation.nats


def test_a_run_with_a_record_is_not_trained_again(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def must_not_train(*arguments: Any) -> NoReturn:
        raise AssertionError("trained again")

    first = train(tiny_config(), 0, store=Store("smoke"))
    monkeypatch.setattr(train_module, "Trainer", must_not_train)
    assert train(tiny_config(), 0, store=Store("smoke")) == first
    with pytest.raises(AssertionError, match="trained again"):
        train(tiny_config(), 1, store=Store("smoke"))


def test_gradients_are_clipped_to_the_norm_asked_for(project: Path, tmp_path: Path) -> None:
    trainer = tiny_trainer(tiny_config(optimizer={"gradient_clip": 0.01}), tmp_path)
    _, norm = trainer.take_step()
    assert float(norm) > 0.1  # before
    squares = sum(
        float(p.grad.square().sum()) for p in trainer.model.parameters() if p.grad is not None
    )
    assert squares**0.5 == pytest.approx(0.01, rel=1e-3)


def test_it_overfits_one_batch(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tiny_config(model={"d_model": 32}, tokens=150 * 256)
    trainer = tiny_trainer(config, tmp_path)
    batch = trainer.batches.batch(0)
    monkeypatch.setattr(trainer.batches, "batch", lambda step: batch)
    losses = []
    for trainer.state.step in range(config.steps):
        losses.append(float(trainer.take_step()[0]))
    assert losses[0] > math.log(512)
    assert losses[-1] < 0.05


def test_a_run_that_another_process_trains_is_left_to_it(project: Path) -> None:
    with Store("smoke").lock(tiny_config().identity(0, corpus_version("fables"))):
        before = tree(project)
        with pytest.raises(RunLocked, match="is being trained by another process"):
            train(tiny_config(), 0, store=Store("smoke"))
        assert tree(project) == before
    assert train(tiny_config(), 0, store=Store("smoke")).status == "done"


@pytest.mark.filterwarnings("ignore:Mismatch dtype")  # torch on a kernel it does not use
def test_bf16_comes_near_fp32(project: Path) -> None:
    fp32 = train(tiny_config(), 0, store=Store("smoke")).validation
    bf16 = train(tiny_config(precision="bf16"), 0, store=Store("smoke")).validation
    assert fp32 is not None
    assert bf16 is not None
    assert bf16.nats != fp32.nats
    assert bf16.nats == pytest.approx(fp32.nats, abs=0.05)


@pytest.mark.parametrize("rounding", ["nearest", "stochastic"])
def test_weights_that_are_rounded_are_never_finer(
    project: Path, tmp_path: Path, rounding: str
) -> None:
    trainer = tiny_trainer(tiny_config(optimizer={"rounding": rounding}), tmp_path)
    for _ in range(3):
        for weight in trainer.model.parameters():
            assert torch.equal(weight, weight.bfloat16().float())
        trainer.take_step()
        trainer.state.step += 1


def test_steps_too_small_for_bf16_are_lost_to_the_nearest_and_kept_by_chance(
    project: Path, tmp_path: Path
) -> None:
    """A step of a ten-thousandth of a weight is below half the distance of its neighbours."""
    moved = {}
    for rounding in ("none", "nearest", "stochastic"):
        fields = {"rounding": rounding, "learning_rate": 1e-4, "weight_decay": 0.0}
        trainer = tiny_trainer(tiny_config(optimizer=fields | {"width_exponent": 0.0}), tmp_path)
        gains = [p for p in trainer.model.parameters() if p.dim() == 1]  # all start at 1
        for _ in range(20):
            trainer.take_step()
            trainer.state.step += 1
        moved[rounding] = sum(int((gain != 1).sum()) for gain in gains)
    assert moved["nearest"] == 0
    assert 0 < moved["stochastic"] < moved["none"]


def test_a_run_rounded_by_chance_is_the_same_when_it_is_resumed(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tiny_config(optimizer={"rounding": "stochastic"})
    whole = train(config, 0, store=Store("quick"))
    monkeypatch.setattr(train_module, "CHECKPOINT_SECONDS", 0.0)
    take_step, taken = Trainer.take_step, iter(range(100))

    def stops(trainer: Trainer) -> tuple[torch.Tensor, torch.Tensor]:
        if next(taken) == 15:
            raise KeyboardInterrupt
        return take_step(trainer)

    monkeypatch.setattr(Trainer, "take_step", stops)
    with pytest.raises(KeyboardInterrupt):
        train(config, 0, store=Store("smoke"))
    resumed = train(config, 0, store=Store("smoke"))
    assert resumed.timing.resumptions == 1
    assert outcome(resumed) == outcome(whole)


def test_the_learning_rate_follows_the_schedule(project: Path) -> None:
    config = tiny_config(
        optimizer={"learning_rate": 0.01, "base_width": 4, "width_exponent": 0.5}
        | {"warmup_fraction": 0.1, "schedule": "linear", "final_fraction": 0.0},
        evaluation={"points": 12},
    )
    rates = {p.step: p.learning_rate for p in train(config, 0, store=Store("smoke")).curve}
    peak = 0.01 / 2  # four times as wide as the base: half the rate
    assert rates.pop(1) == pytest.approx(peak / 3)  # 3 steps of warm-up
    assert rates.pop(2) == pytest.approx(peak * 2 / 3)
    assert len(rates) >= 5
    assert rates == pytest.approx({step: peak * min(1, (30 - step) / 26) for step in rates})


def test_train_documents_limits_what_is_read(project: Path, tmp_path: Path) -> None:
    record = train(tiny_config(data={"train_documents": 2}), 0, store=Store("smoke"))
    head = prepare("fables", "bpe-512").train.head(2)
    assert record.unique_tokens == head.n_tokens
    trainer = tiny_trainer(tiny_config(data={"train_documents": 2}), tmp_path)
    known = set(head.tokens.tolist())
    assert all(set(trainer.batches.batch(step)[0].flat) <= known for step in range(20))


@given(st.integers(1, 10**6), st.integers(2, 40).map(lambda n: EvaluationConfig(points=n)))
def test_evaluations_are_log_spaced_and_end_with_the_run(
    steps: int, evaluation: EvaluationConfig
) -> None:
    config = RunConfig(tokens=steps * 256, batch_tokens=256, evaluation=evaluation)
    found = evaluation_steps(config)
    assert found == sorted(set(found))
    assert found[-1] == config.steps == steps
    assert 1 <= found[0] <= max(1, steps / 256 + 0.5)
    assert len(found) <= evaluation.points
    wanted = (min(256, steps)) ** (1 / (evaluation.points - 1))  # ratio of neighbours
    for one, other in pairwise(found):
        assert other / one <= wanted * (1 + 1.1 / one) + 1 / one


@given(st.integers(1, 3000), st.integers(2, 40))
def test_evaluations_may_be_evenly_spaced(steps: int, points: int) -> None:
    evaluation = EvaluationConfig(points=points, spacing="linear")
    config = RunConfig(tokens=steps * 256, batch_tokens=256, evaluation=evaluation)
    found = evaluation_steps(config)
    assert found[-1] == steps
    assert len(found) == min(points, steps) or steps < points
    gaps = [other - one for one, other in pairwise([0, *found])]
    assert all(0 < gap < steps / points + 1 for gap in gaps)


def nan_from(step: int) -> Callable[[Trainer], tuple[torch.Tensor, torch.Tensor]]:
    whole = Trainer.take_step

    def take_step(self: Trainer) -> tuple[torch.Tensor, torch.Tensor]:
        loss, norm = whole(self)
        return (loss if self.state.step < step else loss * math.nan), norm

    return take_step


def test_a_run_whose_loss_is_lost_stops_early_and_says_so(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Trainer, "take_step", nan_from(12))
    record = train(tiny_config(), 0, store=Store("smoke"))
    assert (record.status, record.validation) == ("diverged", None)
    assert 12 < record.steps <= 20  # of 30
    assert record.tokens == record.steps * 256
    assert math.isnan(record.train_nats)
    assert all(math.isfinite(point.validation_nats) for point in record.curve)
    assert repr(Store("smoke").find(record.run_id)) == repr(record)
    assert not (Store("smoke").folder / "models").exists()
    assert not (Store("smoke").folder / "checkpoints" / record.run_id).exists()


def test_a_rate_far_too_high_diverges(project: Path) -> None:
    config = tiny_config(
        model={"qk_norm": False}, optimizer={"learning_rate": 1e5, "warmup_fraction": 0.0}
    )
    record = train(config, 0, store=Store("smoke"))
    assert (record.status, record.validation) == ("diverged", None)
    assert record.steps <= 10
    assert not record.train_nats < 2 * math.log(512)


def test_weights_lost_in_the_last_step_are_noticed(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last training loss is fine, but the weights after the last step are not."""
    evaluate_all = Steps.evaluate

    def spoil(self: Steps, members: Sequence[int], *, whole: bool) -> list[Losses]:
        if whole:
            with torch.no_grad():
                self.trainers[0].model.embedding.weight.fill_(math.nan)
        return evaluate_all(self, members, whole=whole)

    monkeypatch.setattr(Steps, "evaluate", spoil)
    record = train(tiny_config(), 0, store=Store("smoke"))
    assert (record.status, record.validation, record.steps) == ("diverged", None, 30)
    assert repr(Store("smoke").find(record.run_id)) == repr(record)


KILLER = '''
import os, random, signal, time
import psutil, tinylm.train, tinylm.trainer
from tinylm.store import Store
from tiny_runs import SMOKE, tiny_config

tinylm.train.train(tiny_config(tokens=256), 0, store=Store("full"))  # all imports, once
tinylm.train.CHECKPOINT_SECONDS = 0.0
config = tiny_config(tokens=200 * 256, evaluation={"points": 8})
run = lambda: tinylm.train.train(config, 0, store=Store("smoke"))

def die(*arguments, **named):
    os.kill(os.getpid(), signal.SIGKILL)

def dies_at(module, name, count):
    calls, whole = iter(range(1, 10**6)), getattr(module, name)
    setattr(module, name, lambda *a, **k: (die if next(calls) == count else whole)(*a, **k))

def in_child(work):
    child = os.fork()
    if not child:
        work()
        os._exit(0)
    return child

def at_call(module, name, count):
    child = in_child(lambda: (dies_at(module, name, count), run()))
    return os.waitpid(child, 0)[1]

def at_random(seconds):
    """Some seconds of the child's own time after its first step."""
    reader, writer = os.pipe()
    whole = tinylm.trainer.Trainer.take_step
    def take_step(trainer):
        os.write(writer, b".")
        return whole(trainer)
    def work():
        tinylm.trainer.Trainer.take_step = take_step
        run()
    child = psutil.Process(in_child(work))
    os.read(reader, 1)
    until = child.cpu_times().user + seconds
    while child.cpu_times().user < until:
        time.sleep(0.001)
    os.kill(child.pid, signal.SIGKILL)
    return os.waitpid(child.pid, 0)[1]

ends = [at_call(os, "fsync", 1), at_call(os, "replace", 1)]  # before the first checkpoint
ends += [at_call(os, "fsync", 5), at_call(os, "replace", 7), at_call(os, "fsync", 9)]
ends += [at_random(random.uniform(0, 0.08)) for _ in range(4)]
ends += [at_call(tinylm.train, "save_model", 1), at_call(tinylm.train.Store, "save", 1)]
print(*ends)
'''


def test_a_killed_run_ends_like_one_left_alone(project: Path) -> None:
    """SIGKILL before the first checkpoint, at random moments, within the writing of checkpoints,
    and between the last step and the record: the same numbers, bit for bit.
    """
    killed = run_python(["-c", KILLER], project)
    assert killed.stdout.split() == ["9"] * 11, killed.stderr
    config = tiny_config(tokens=200 * 256, evaluation={"points": 8})
    undisturbed = train(config, 0, store=Store("quick"))
    assert Store("smoke").find(undisturbed.run_id) is None
    record = train(config, 0, store=Store("smoke"))
    assert outcome(record) == outcome(undisturbed)
    assert record.timing.resumptions >= 8  # all but the first two kills left a checkpoint
    assert not (Store("smoke").folder / "checkpoints" / record.run_id).exists()


def test_the_command_prints_the_result(
    project: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = tmp_path / "tiny.yaml"
    path.write_text(json.dumps(tiny_config().model_dump(exclude={"model": {"vocab_size"}})))
    arguments = ["train", "--config", str(path), "--seed", "1", "--profile", "smoke"]
    code, said, _ = tinylm(arguments, monkeypatch, capsys)
    assert code == 0
    record = train(tiny_config(), 1, store=Store("smoke"))
    assert record.validation is not None
    assert f"run {record.run_id} · done · seed 1" in said
    assert f"{record.validation.nats:.4f} nats per token" in said
    assert "D 7,680 tokens" in said


@pytest.mark.parametrize(
    ("config", "seed", "said"),
    [
        (tiny_config(data={"train_documents": 500}), 0, "only 120 documents"),
        (
            tiny_config(model={"context_length": 2**18}, batch_tokens=2**18),
            0,
            "context_length 262144 is longer than the data",
        ),
        (
            tiny_config(
                model={"context_length": 4096}, batch_tokens=4096, data={"train_documents": 2}
            ),
            0,
            "context_length 4096 is longer than the data",
        ),
        (tiny_config(), -1, "seed -1"),
        (tiny_config(), 2**63, "seed 9223372036854775808"),
        (tiny_config(data={"corpus": "novels"}), 0, "unknown corpus 'novels'"),
        (tiny_config(data={"tokenizer": "words"}), 0, "unknown tokenizer 'words'"),
    ],
)
def test_what_does_not_fit_is_refused_before_training(
    project: Path, config: RunConfig, seed: int, said: str
) -> None:
    with pytest.raises(TinyLMError, match=said):
        train(config, seed, store=Store("smoke"))
    assert not (project / "results").exists()


def test_a_device_that_is_not_there_is_refused(project: Path) -> None:
    with pytest.raises(TinyLMError, match="device 'tpu' is not available; expected one of"):
        train(tiny_config(), 0, store=SMOKE, device="tpu")
    assert not (project / "results").exists()


def test_a_model_that_no_memory_holds_is_refused(project: Path) -> None:
    wide = tiny_config(model={"d_model": 10**8})
    with pytest.raises(BadInput, match=r"d_model 100000000 .* takes about \d+ GB to train"):
        train(wide, 0, store=SMOKE)
    assert not (project / "results").exists()


def test_a_folder_that_cannot_be_written_is_noticed_before_training(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def must_not_train(self: Trainer) -> NoReturn:
        raise AssertionError("a step was taken")

    monkeypatch.setattr(Trainer, "take_step", must_not_train)
    (project / "results").write_text("a file where the folder should be")
    with pytest.raises(TinyLMError, match=r"cannot write .*: Not a directory"):
        train(tiny_config(), 0, store=Store("smoke"))


def test_a_resumed_run_tells_of_both_its_processes(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It names the commit that it began with, also when it ends under another."""
    monkeypatch.setattr(provenance, "git_state", lambda: ("a" * 40, True))
    whole = Trainer.take_step

    def stop_at_12(trainer: Trainer) -> tuple[torch.Tensor, torch.Tensor]:
        if trainer.state.step == 12:
            raise KeyboardInterrupt
        return whole(trainer)

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "take_step", stop_at_12)
        patch.setattr(train_module, "CHECKPOINT_SECONDS", 0.0)
        with pytest.raises(KeyboardInterrupt):
            train(tiny_config(), 0, store=SMOKE)
    monkeypatch.setattr(provenance, "git_state", lambda: ("b" * 40, False))
    made = train(tiny_config(), 0, store=SMOKE).provenance
    assert (made.commit, made.clean) == ("a" * 40, True)
    first, second = made.segments
    assert [(s.commit, s.clean) for s in made.segments] == [("a" * 40, True), ("b" * 40, False)]
    assert (first.first_step, second.last_step) == (0, 30)
    assert first.last_step == second.first_step == 10  # of its last checkpoint
    assert {segment.steps for segment in made.segments} == {"plain"}


def test_training_leaves_the_allocator_alone(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is the process's, which may be a notebook's kernel."""
    monkeypatch.setattr(ctypes, "CDLL", None)
    assert train(tiny_config(), 0, store=SMOKE).status == "done"


ON_CUDA = """
import torch, tinylm.train
from tinylm.store import Store
from tiny_runs import SMOKE, tiny_config

if torch.cuda.is_available():
    for device, profile in (("cpu", "smoke"), ("cuda", "quick")):
        for precision in ("fp32", "bf16"):
            config = tiny_config(precision=precision)
            record = tinylm.train.train(config, 0, store=Store(profile), device=device)
            print(record.validation.nats, record.timing.peak_memory_bytes)
"""


@pytest.mark.skipif(torch.version.cuda is None, reason="this torch has no CUDA")
def test_cuda_comes_near_the_cpu(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if ALL_DEVICES is None:
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    else:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", ALL_DEVICES)
    done = run_python(["-c", ON_CUDA], project)
    assert done.returncode == 0, done.stderr
    if not done.stdout:
        pytest.skip("no CUDA device here")
    nats = [float(line.split()[0]) for line in done.stdout.splitlines()]
    assert nats == pytest.approx([nats[0]] * 4, abs=0.05)
    assert nats[2] == pytest.approx(nats[0], abs=0.005)
