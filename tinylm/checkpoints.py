"""Safetensors files: a run's checkpoint while it trains, a model folder when it is done."""

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from tinylm.config import ModelConfig
from tinylm.errors import Damaged, Missing
from tinylm.files import write_atomic
from tinylm.model import GPT
from tinylm.optim import MuonWithAdamW
from tinylm.texts import Text
from tinylm.tokenizers import Tokenizer, load_tokenizer

START_OVER = "delete it and the run will start over"
Optimizer = torch.optim.Optimizer | MuonWithAdamW


@dataclass(frozen=True)
class Checkpoint:
    """Everything a run needs to go on: tensors by name, the trainer's state, and the text that it
    was trained on.
    """

    path: Path
    tensors: dict[str, Tensor]
    state: dict[str, Any]
    text: Text


def _checksum(tensors: dict[str, Tensor], content: str) -> str:
    """SHA-256 of a file's names, numbers and JSON: safetensors itself has no checksum."""
    digest = hashlib.sha256(content.encode())
    for name in sorted(tensors):
        digest.update(name.encode() + tensors[name].numpy().tobytes())
    return digest.hexdigest()


def _write(path: Path, tensors: dict[str, Tensor], content: str) -> None:
    held = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    metadata = {"tinylm": content, "sha256": _checksum(held, content)}
    write_atomic(path, save(held, metadata=metadata))


def _read(path: Path, advice: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        content = metadata["tinylm"]
        if metadata["sha256"] != _checksum(tensors, content):
            raise ValueError("its checksum does not match")
        return tensors, json.loads(content)
    except (SafetensorError, OSError, KeyError, ValueError, TypeError) as error:
        raise Damaged(f"{path} is damaged or not a tinylm file ({error}); {advice}") from None


def _load_weights(model: GPT, weights: dict[str, Tensor], what: str, advice: str) -> None:
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        reason = str(error).splitlines()[-1].strip()
        raise Damaged(f"{what} does not fit its config ({reason}); {advice}") from None


def save_checkpoint(
    path: Path, model: GPT, optimizer: Optimizer, state: dict[str, Any], text: Text
) -> None:
    """Write model, optimiser, trainer state and the text they come from to one file, atomically."""
    tensors = {f"model.{name}": tensor for name, tensor in model.state_dict().items()}
    for index, slots in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{index}.{slot}": value for slot, value in slots.items()}
    _write(path, tensors, json.dumps({"state": state, "text": asdict(text)}))


def read_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint.

    Raises:
        TinyLMError: the file is damaged, or of a tinylm whose checkpoints did not name their text.
    """
    tensors, content = _read(path, START_OVER)
    if set(content) != {"state", "text"}:
        raise Damaged(
            f"{path} is of an earlier tinylm and does not say which text it is of; {START_OVER}"
        )
    return Checkpoint(path, tensors, content["state"], Text(**content["text"]))


def restore(checkpoint: Checkpoint, model: GPT, optimizer: Optimizer, text: Text) -> None:
    """Put a checkpoint's tensors back into a model and its optimiser, to go on with `text`.

    Raises:
        TinyLMError: it is of another text, or the tensors do not fit; nothing has been trained.
    """
    text.check(checkpoint.text, f"the checkpoint {checkpoint.path}", START_OVER)
    weights = {
        name.removeprefix("model."): tensor
        for name, tensor in checkpoint.tensors.items()
        if name.startswith("model.")
    }
    _load_weights(model, weights, f"the checkpoint {checkpoint.path}", START_OVER)
    slots: dict[int, dict[str, Tensor]] = {}
    for name, tensor in checkpoint.tensors.items():
        if name.startswith("optimizer."):
            _, index, slot = name.split(".", 2)
            slots.setdefault(int(index), {})[slot] = tensor
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": slots, "param_groups": groups})


def save_model(folder: Path, model: GPT, tokenizer: Tokenizer, run_id: str) -> None:
    """Write a model folder: model.safetensors (with its config and its run) and tokenizer.json."""
    tokenizer.save(folder / "tokenizer.json")
    content = {"run_id": run_id, "config": model.config.model_dump(mode="json")}
    _write(folder / "model.safetensors", model.state_dict(), json.dumps(content))


def load_model(folder: Path, run_id: str | None = None) -> tuple[GPT, Tokenizer]:
    """A trained model and its tokenizer, from a model folder; perhaps of a certain run.

    Raises:
        TinyLMError: a file is missing, damaged, or of another run.
    """
    advice = f"`tinylm repeat {run_id or 'RUN'}` trains the run again and writes both"
    path = folder / "model.safetensors"
    if not path.is_file():
        raise Missing(
            f"no weights in {folder}: a run's weights stay on the machine that trained it; {advice}"
        )
    weights, content = _read(path, advice)
    found = content.get("run_id", run_id)  # an earlier tinylm did not write it
    if run_id is not None and found != run_id:
        raise Damaged(f"{path} is of run {found}, not of {run_id}; {advice}")
    model = GPT(ModelConfig.model_validate(content.get("config", content)))
    _load_weights(model, weights, str(path), advice)
    return model.eval(), load_tokenizer(folder / "tokenizer.json", advice)
