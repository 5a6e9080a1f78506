"""Checkpoints and model folders: complete, or refused."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save, save_file
from tiny_runs import random_model, random_tokens, tree

from tinylm import checkpoints
from tinylm.checkpoints import (
    Optimizer,
    load_model,
    read_checkpoint,
    restore,
    save_checkpoint,
    save_model,
)
from tinylm.config import OptimizerConfig
from tinylm.errors import Damaged, TinyLMError
from tinylm.model import GPT
from tinylm.optim import make_optimizer
from tinylm.texts import Text
from tinylm.tokenizers import train_tokenizer

TEXT = Text("fables", "bpe-280", "1" * 64, "2" * 64, "3" * 64)
STATE = {"step": 3, "losses": [0.1 + 0.2, float("inf")], "curve": []}


def step(model: GPT, optimizer: Optimizer, seed: int) -> None:
    tokens = random_tokens(4, 17, seed=seed)
    optimizer.zero_grad()
    model.loss(tokens[:, :-1], tokens[:, 1:]).backward()  # type: ignore[no-untyped-call]
    optimizer.step()


def test_a_restored_run_goes_on_bit_for_bit(tmp_path: Path) -> None:
    config = OptimizerConfig(learning_rate=0.01)
    model = random_model(positions="learned")
    optimizer = make_optimizer(model, config)
    for seed in range(3):
        step(model, optimizer, seed)
    path = tmp_path / "run" / "checkpoint.safetensors"
    save_checkpoint(path, model, optimizer, STATE, TEXT)
    other = random_model(seed=9, positions="learned")
    other_optimizer = make_optimizer(other, config)
    saved = read_checkpoint(path)
    restore(saved, other, other_optimizer, TEXT)
    assert saved.state == STATE
    for seed in range(3, 6):
        step(model, optimizer, seed)
        step(other, other_optimizer, seed)
    theirs = other.state_dict()
    assert all((theirs[name] == value).all() for name, value in model.state_dict().items())
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_a_checkpoint_before_the_first_step_is_one_too(tmp_path: Path) -> None:
    model = random_model()
    optimizer = make_optimizer(model, OptimizerConfig())
    save_checkpoint(tmp_path / "c", model, optimizer, {"step": 0}, TEXT)
    other = random_model(seed=9)
    restore(read_checkpoint(tmp_path / "c"), other, make_optimizer(other, OptimizerConfig()), TEXT)
    assert (other.embedding.weight == model.embedding.weight).all()


def _cut(content: bytes) -> bytes:
    return content[: len(content) // 2]


def _flip(content: bytes) -> bytes:
    """One bit of a weight: no reader of the format alone would notice."""
    at = len(content) - 100
    return content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]


def _flip_state(content: bytes) -> bytes:
    return content.replace(b'step\\": 3', b'step\\": 4')


def _foreign(content: bytes) -> bytes:
    return save({"x": torch.zeros(3)})


def _empty(content: bytes) -> bytes:
    return b""


def _text(content: bytes) -> bytes:
    return b"not a checkpoint at all, but long enough to be one" * 9


DAMAGES = [_cut, _flip, _flip_state, _foreign, _empty, _text]


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_checkpoint_is_named(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    path = tmp_path / "checkpoint.safetensors"
    model = random_model()
    save_checkpoint(path, model, make_optimizer(model, OptimizerConfig()), STATE, TEXT)
    whole = path.read_bytes()
    assert damage(whole) != whole
    path.write_bytes(damage(whole))
    with pytest.raises(TinyLMError, match=r"checkpoint\.safetensors is damaged.*start over"):
        read_checkpoint(path)


def test_a_checkpoint_of_another_shape_is_refused(tmp_path: Path) -> None:
    model, other = random_model(), random_model(n_layers=3)
    save_checkpoint(tmp_path / "c", model, make_optimizer(model, OptimizerConfig()), STATE, TEXT)
    optimizer = make_optimizer(other, OptimizerConfig())
    with pytest.raises(TinyLMError, match=r"the checkpoint .* does not fit its config") as caught:
        restore(read_checkpoint(tmp_path / "c"), other, optimizer, TEXT)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("field", ["train_sha256", "validation_sha256", "tokenizer_sha256"])
def test_a_checkpoint_of_another_text_is_refused_and_changes_nothing(
    tmp_path: Path, field: str
) -> None:
    model, other = random_model(), random_model(seed=9)
    save_checkpoint(tmp_path / "c", model, make_optimizer(model, OptimizerConfig()), STATE, TEXT)
    now = replace(TEXT, **{field: "f" * 64})
    before = other.state_dict()["embedding.weight"].clone()
    with pytest.raises(Damaged, match=r"is of another text.*delete it and the run") as caught:
        restore(
            read_checkpoint(tmp_path / "c"), other, make_optimizer(other, OptimizerConfig()), now
        )
    assert str(TEXT) in str(caught.value)
    assert str(now) in str(caught.value)
    assert (other.state_dict()["embedding.weight"] == before).all()


def test_a_checkpoint_that_does_not_name_its_text_is_refused(tmp_path: Path) -> None:
    """Those of before did not: nothing could be compared, so nothing is taken for granted."""
    model, path = random_model(), tmp_path / "c"
    save_checkpoint(path, model, make_optimizer(model, OptimizerConfig()), STATE, TEXT)
    checkpoints._write(path, read_checkpoint(path).tensors, json.dumps(STATE))
    with pytest.raises(Damaged, match="does not say which text it is of; delete it and the run"):
        read_checkpoint(path)


def test_a_model_folder_gives_the_same_model(tmp_path: Path) -> None:
    model = random_model(norm="layernorm", bias=True, n_kv_heads=2)
    tokenizer = train_tokenizer("characters", ["the fox saw a hen"])
    save_model(tmp_path, model, tokenizer, "a" * 16)
    loaded, loaded_tokenizer = load_model(tmp_path)
    with pytest.raises(Damaged, match=f"is of run {'a' * 16}, not of {'b' * 16}; `tinylm repeat b"):
        load_model(tmp_path, "b" * 16)
    tokens = random_tokens(2, 9)
    assert loaded.config == model.config
    assert not loaded.training
    torch.testing.assert_close(loaded.state_dict(), model.state_dict(), rtol=0, atol=0)
    torch.testing.assert_close(loaded(tokens), model(tokens))
    assert loaded_tokenizer.encode("a fox") == tokenizer.encode("a fox")
    assert sorted(tree(tmp_path)) == ["model.safetensors", "tokenizer.json"]


@pytest.mark.parametrize("damage", [d for d in DAMAGES if d is not _flip_state])
def test_a_damaged_model_is_named(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    save_model(tmp_path, random_model(), train_tokenizer("characters", ["the fox"]), "a" * 16)
    path = tmp_path / "model.safetensors"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(TinyLMError, match=r"model\.safetensors is damaged.*tinylm repeat RUN"):
        load_model(tmp_path)


def test_weights_of_another_precision_are_refused(tmp_path: Path) -> None:
    save_model(tmp_path, random_model(), train_tokenizer("characters", ["the fox"]), "a" * 16)
    path = tmp_path / "model.safetensors"
    with safe_open(path, framework="pt") as file:
        cast = {name: file.get_tensor(name).bfloat16() for name in file.keys()}  # noqa: SIM118
        save_file(cast, path, metadata=file.metadata())
    with pytest.raises(Damaged, match=r"model\.safetensors is damaged.*tinylm repeat RUN"):
        load_model(tmp_path)


def test_a_model_with_a_damaged_tokenizer_or_none(tmp_path: Path) -> None:
    save_model(tmp_path, random_model(), train_tokenizer("characters", ["the fox"]), "a" * 16)
    path = tmp_path / "tokenizer.json"
    content = json.loads(path.read_text())
    path.write_text(json.dumps(content | {"vocab_size": 3}))
    with pytest.raises(TinyLMError, match=r"tokenizer\.json is damaged.*tinylm repeat"):
        load_model(tmp_path)
    path.unlink()
    with pytest.raises(TinyLMError, match=r"tokenizer\.json cannot be read"):
        load_model(tmp_path)
    with pytest.raises(TinyLMError, match=r"no weights in .*tinylm repeat"):
        load_model(tmp_path / "elsewhere")
