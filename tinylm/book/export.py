"""Models as a page of the book runs them, `book/assets/gpt.js`: JSON in a script.

Matrices are rounded to eight bits, a scale for each row, so that a page holds several models. Lists
of numbers are base64 of their little-endian bytes.
"""

import base64
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from tinylm.config import ModelConfig
from tinylm.corpora.token_files import prepare
from tinylm.errors import BadInput
from tinylm.files import write_atomic
from tinylm.inside.gpt2 import check_fields
from tinylm.model import GPT
from tinylm.records import RunRecord
from tinylm.store import find_run
from tinylm.tokenizers import BytePairTokenizer, Tokenizer

Weights = Mapping[str, NDArray[np.float32]]
LARGEST = 127  # of the whole numbers of eight bits that are used, on both sides of zero
# What gpt.js reads.
READ = {
    "positions": "rotary",
    "norm": "rmsnorm",
    "mlp": "relu2",
    "mixing": "attention",
    "tied": True,
    "shift_layers": False,
}
WINDOWS = 64  # of validation text, each as long as the context, on which rounding is measured
BEGIN, END = "window.TinyLMModels = ", ";\n"  # of the file, about its JSON


def write_models(runs: Sequence[str], out: Path) -> None:
    """Write the models of some runs, and what the rounding of their weights costs each.

    Raises:
        TinyLMError: no such run, its weights or its text are not here, or a page cannot read it.
    """
    packed = []
    for run in runs:
        store, record = find_run(run)
        model, tokenizer = store.load_model(record)
        weights = weights_of(model)
        about = _about(record) | {"rounding": round(_rounding_cost(record, model, weights), 4)}
        packed.append(js_model(model.config, weights, tokenizer, about))
    write_atomic(out, BEGIN + json.dumps(packed, separators=(",", ":")) + END)


def read_models(path: Path) -> list[dict[str, Any]]:
    """What `write_models` wrote."""
    text = path.read_text(encoding="utf-8")
    found: list[dict[str, Any]] = json.loads(text.removeprefix(BEGIN).removesuffix(END))
    return found


def _about(record: RunRecord) -> dict[str, Any]:
    assert record.validation is not None  # what has weights has ended
    return {
        "run": record.run_id,
        "corpus": record.config.data.corpus,
        "parameters": record.parameters.non_embedding,
        "tokens": record.tokens,
        "nats": round(record.validation.nats, 4),
    }


def _rounding_cost(record: RunRecord, model: GPT, weights: Weights) -> float:
    """Nats per token that rounded weights add on the beginning of the validation text."""
    data = prepare(record.config.data.corpus, record.config.data.tokenizer)
    length = model.config.context_length
    tokens = torch.from_numpy(data.validation.tokens[: WINDOWS * length + 1].astype("int64"))
    n_windows = (len(tokens) - 1) // length
    x, y = (part[: n_windows * length].view(-1, length) for part in (tokens[:-1], tokens[1:]))
    page = GPT(model.config)
    page.load_state_dict({name: torch.from_numpy(part) for name, part in rounded(weights).items()})
    with torch.inference_mode():
        return float(page.loss(x, y) - model.loss(x, y))


def weights_of(model: GPT) -> dict[str, NDArray[np.float32]]:
    """Every parameter by its name."""
    return {name: tensor.numpy() for name, tensor in model.state_dict().items()}


def js_model(
    config: ModelConfig, weights: Weights, tokenizer: Tokenizer, about: Mapping[str, Any]
) -> dict[str, Any]:
    """What `gpt.js` builds a model of; `about` is whatever a page should say of it.

    Raises:
        BadInput: a field of the model or a tokenizer that `gpt.js` does not read.
    """
    check_fields(config, READ, "a page reads")
    if not isinstance(tokenizer, BytePairTokenizer):
        raise BadInput(f"tokenizer {tokenizer.name!r}: a page reads byte-pair encodings only")
    return {
        "config": {
            "context_length": config.context_length,
            "d_model": config.d_model,
            "n_layers": config.n_layers,
            "n_heads": config.n_heads,
            "kv_heads": config.kv_heads,
            "shift": config.shift,
            "induction_heads": config.induction_heads,
            "unturned": 0 if config.induction_positions else config.induction_heads,
            "mup_factor": config.mup_factor,
        },
        "merges": [list(pair) for pair in tokenizer.merges],
        "weights": {name: _packed(values) for name, values in weights.items()},
        "about": dict(about),
    }


def rounded(weights: Weights) -> dict[str, NDArray[np.float32]]:
    """The weights that a page has: matrices after rounding, vectors as they are."""
    return {
        name: _unrounded(*_in_bytes(values)) if values.ndim == 2 else values
        for name, values in weights.items()
    }


def _packed(values: NDArray[np.float32]) -> dict[str, Any]:
    if values.ndim < 2:
        return {"shape": list(values.shape), "data": _base64(values.astype("<f4"))}
    whole, scales = _in_bytes(values)
    return {"shape": list(values.shape), "data": _base64(whole), "scales": _base64(scales)}


def _in_bytes(matrix: NDArray[np.float32]) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Whole numbers (R, C) and a scale for each row (R), whose products are nearest the matrix."""
    scales = np.abs(matrix).max(axis=1) / LARGEST
    scales = np.where(scales > 0, scales, 1.0).astype("<f4")
    return np.rint(matrix / scales[:, None]).astype(np.int8), scales


def _unrounded(whole: NDArray[np.int8], scales: NDArray[np.float32]) -> NDArray[np.float32]:
    return whole.astype(np.float32) * scales[:, None]


def _base64(values: NDArray[Any]) -> str:
    return base64.b64encode(values.tobytes()).decode()


def read_weights(packed: Mapping[str, Any]) -> dict[str, NDArray[np.float32]]:
    """The weights of what `js_model` made, as a page has them."""
    found = {}
    for name, tensor in packed["weights"].items():
        data, shape = base64.b64decode(tensor["data"]), tensor["shape"]
        if "scales" in tensor:
            scales = np.frombuffer(base64.b64decode(tensor["scales"]), "<f4")
            found[name] = _unrounded(np.frombuffer(data, np.int8).reshape(shape), scales)
        else:
            found[name] = np.frombuffer(data, "<f4").reshape(shape)
    return found
