"""Validation loss against a slow and obvious computation of it."""

import math
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_runs import random_model, tiny_config, tinylm

from tinylm import evaluate as evaluate_module
from tinylm.checkpoints import load_model, save_model
from tinylm.corpora.fables import document
from tinylm.corpora.token_files import TokenFile, prepare
from tinylm.evaluate import evaluate
from tinylm.model import GPT
from tinylm.records import position_bins
from tinylm.speed.choose import choose_steps
from tinylm.store import Store
from tinylm.tokenizers import train_tokenizer
from tinylm.train import identify, train

LENGTHS = st.lists(st.integers(0, 60), min_size=1, max_size=6)


def token_file(lengths: list[int]) -> TokenFile:
    """Documents of random tokens, of these lengths."""
    generator = np.random.default_rng(sum(lengths))
    stream = [0]
    for length in lengths:
        stream += [*generator.integers(1, 31, length).tolist(), 0]
    tokens = np.array(stream, np.uint16)
    return TokenFile(tokens, np.flatnonzero(tokens == 0), 3 * sum(lengths) + 1, {})


def losses_one_by_one(model: GPT, tokens: TokenFile, stride: int) -> dict[tuple[int, int], float]:
    """Nats of each predicted token, by document and position (1 is the first after the start),
    one forward pass a window, one log-softmax a token.
    """
    context, found = model.config.context_length, {}
    for number in range(tokens.n_documents):
        document = torch.from_numpy(tokens.document(number).astype(np.int64))
        start = 0
        while True:
            window = document[start : start + context]
            with torch.no_grad():
                chances = model(window[None])[0].double().softmax(-1)
            for row in range(len(window)):
                position = start + row + 1
                if position < len(document) and (number, position) not in found:
                    found[number, position] = -math.log(chances[row, document[position]])
            if start + context >= len(document) - 1:
                break
            start += stride
    return found


@settings(max_examples=40)
@given(LENGTHS, st.sampled_from([0.25, 0.5, 0.75, 1.0]))
def test_the_loss_is_the_mean_over_tokens_of_windows_read_one_by_one(
    lengths: list[int], stride_fraction: float
) -> None:
    model, tokens = random_model(), token_file(lengths)
    expected = losses_one_by_one(model, tokens, round(16 * stride_fraction))
    found = evaluate(model, tokens, stride_fraction)
    total = sum(expected.values())
    assert found.tokens == len(expected) == sum(lengths) + len(lengths)
    assert found.documents == len(lengths)
    assert found.nats == pytest.approx(total / len(expected), rel=1e-5)
    assert found.bits_per_byte == pytest.approx(total / math.log(2) / tokens.n_bytes, rel=1e-5)
    assert found.perplexity == pytest.approx(math.exp(found.nats))
    for part in found.by_position:
        inside = [v for (_, at), v in expected.items() if part.first <= at <= part.last]
        assert part.tokens == len(inside)
        assert part.nats == pytest.approx(sum(inside) / len(inside), rel=1e-4)
    assert sum(part.tokens for part in found.by_position) == found.tokens


def test_the_batch_of_windows_does_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    model, tokens = random_model(), token_file([40, 3, 17, 60, 1, 0])
    whole = evaluate(model, tokens, 0.5)
    monkeypatch.setattr(evaluate_module, "WINDOW_TOKENS", 20)
    assert evaluate(model, tokens, 0.5).nats == pytest.approx(whole.nats, rel=1e-6)


@given(st.integers(1, 5000))
def test_bins_begin_at_one_and_widen(longest: int) -> None:
    first = position_bins(longest)
    assert first[0] == 1
    assert first[-1] <= longest < max(first[-1] + 1, math.ceil(first[-1] * 2**0.5) + 1)
    assert (np.diff(first) > 0).all()


def test_evaluating_does_not_disturb_training() -> None:
    model = random_model().train()
    evaluate(model, token_file([5]), 1.0)
    assert model.training
    assert all(parameter.grad is None for parameter in model.parameters())


def test_the_saved_model_gives_the_recorded_loss(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    record = train(tiny_config(), 0, store=Store("smoke"))
    assert record.validation is not None
    model, tokenizer = load_model(Store("smoke").folder / "models" / record.run_id)
    data = prepare("fables", "bpe-512")
    again = evaluate(model, data.validation, record.config.evaluation.stride_fraction)
    assert again.nats == pytest.approx(record.validation.nats, rel=1e-6)
    assert [p.tokens for p in again.by_position] == [
        p.tokens for p in record.validation.by_position
    ]
    assert tokenizer.encode("A fox") == data.tokenizer.encode("A fox")
    code, said, _ = tinylm(["evaluate", record.run_id[:8]], monkeypatch, capsys)
    assert code == 0
    assert said.count(f"{record.validation.nats:.4f} nats per token") == 2  # found and recorded
    assert f"{record.validation.bits_per_byte:.4f} bits per byte" in said


def test_a_model_that_is_not_its_records_is_refused(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    store = Store("smoke")
    record, other = (train(tiny_config(), seed, store=store) for seed in (0, 1))
    wider = train(tiny_config(model={"d_model": 24}), 0, store=store)
    folder = store.model_dir(record.run_id)
    own = {path: path.read_bytes() for path in folder.iterdir()}

    def refused(said: str) -> None:
        code, out, err = tinylm(["evaluate", record.run_id], monkeypatch, capsys)
        assert (code, out) == (2, "")
        assert said in err
        for path, content in own.items():
            path.write_bytes(content)

    for another in (other, wider):
        shutil.copy(store.model_dir(another.run_id) / "model.safetensors", folder)
        refused(f"is of run {another.run_id}, not of {record.run_id}; `tinylm repeat")
    _, tokenizer = store.load_model(record)
    random = random_model(**record.config.model.model_dump())
    save_model(folder, random, tokenizer, record.run_id)
    refused("weights and record do not belong together")
    train_tokenizer("characters", ["the fox saw the hen"]).save(folder / "tokenizer.json")
    refused(
        f"the tokenizer in {folder} is characters; run {record.run_id} was trained with bpe-512"
    )
    texts = [document("train", number) for number in range(200, 400)]
    train_tokenizer("bpe-512", texts).save(folder / "tokenizer.json")
    refused("is not the one that fables is cut by; `tinylm repeat")


def test_a_run_without_its_model_is_trained_again_and_keeps_its_record(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    store = Store("smoke")
    record = train(tiny_config(), 0, store=store, choose=choose_steps)
    kept = store.record_path(record.run_id).read_bytes()
    folder = store.model_dir(record.run_id)
    weights = store.load_model(record)[0].state_dict()
    shutil.rmtree(folder)
    code, _, err = tinylm(["generate", record.run_id], monkeypatch, capsys)
    assert code == 2
    assert f"`tinylm repeat {record.run_id}` trains the run again" in err
    code, said, _ = tinylm(["repeat", record.run_id], monkeypatch, capsys)
    assert code == 0
    assert "nats per token, the same" in said
    again = store.load_model(record)[0].state_dict()
    torch.testing.assert_close(again, weights, rtol=0, atol=0)
    assert store.record_path(record.run_id).read_bytes() == kept
    assert tinylm(["evaluate", record.run_id], monkeypatch, capsys)[0] == 0


def test_a_diverged_run_says_why_and_has_no_model(
    project: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    config = tiny_config(optimizer={"learning_rate": 1e4, "gradient_clip": 1e9})
    path = tmp_path / "wild.yaml"
    path.write_text(config.model_dump_json(exclude={"model": {"vocab_size"}}))
    command = ["train", "--config", str(path), "--profile", "smoke"]
    code, said, _ = tinylm(command, monkeypatch, capsys)
    assert code == 1
    assert "stopped at step" in said
    assert "a smaller learning rate may help" in said
    run_id = identify(config, 0).run_id
    for name in ("evaluate", "generate"):
        code, _, err = tinylm([name, run_id], monkeypatch, capsys)
        assert code == 2
        assert f"run {run_id} diverged and left no model" in err
