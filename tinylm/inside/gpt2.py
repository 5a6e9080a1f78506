"""A model in GPT-2's layout, where that can hold it: `transformers` reads it."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor

from tinylm.config import ModelConfig
from tinylm.errors import BadInput
from tinylm.files import write_atomic
from tinylm.model import GPT
from tinylm.store import find_run
from tinylm.tokenizers import END_OF_TEXT, SPECIAL, BytePairTokenizer, Tokenizer

# What GPT-2 is; a model with other values has no place in its layout.
GPT2 = {
    "positions": "learned",
    "mixing": "attention",
    "norm": "layernorm",
    "mlp": "gelu",
    "qk_norm": False,
    "shift": 0,
    "tied": True,
    "induction_heads": 0,
    "mup_base": None,
}
PARTS = {
    "attention_norm": "ln_1",
    "attention.qkv": "attn.c_attn",
    "attention.out": "attn.c_proj",
    "mlp_norm": "ln_2",
    "mlp.up": "mlp.c_fc",
    "mlp.down": "mlp.c_proj",
}


def check_fields(config: ModelConfig, needed: Mapping[str, object], reader: str) -> None:
    """Raises BadInput for a model with another value in a field than a reader needs there."""
    for field, expected in needed.items():
        value = getattr(config, field)
        if value != expected:
            raise BadInput(f"model.{field} {value!r}: {reader} {expected!r} only")


def check_gpt2(config: ModelConfig) -> None:
    """Raises BadInput for a model that GPT-2's layout cannot hold; it names the field."""
    check_fields(config, GPT2, "GPT-2's layout has")
    if config.kv_heads != config.n_heads:
        raise BadInput(
            f"model.n_kv_heads {config.n_kv_heads}: GPT-2's layout has as many as n_heads, "
            f"{config.n_heads}"
        )


def gpt2_config(config: ModelConfig) -> dict[str, Any]:
    """What `config.json` holds."""
    return {
        "architectures": ["GPT2LMHeadModel"],
        "model_type": "gpt2",
        "vocab_size": config.vocab_size,
        "n_positions": config.context_length,
        "n_embd": config.d_model,
        "n_layer": config.n_layers,
        "n_head": config.n_heads,
        "n_inner": config.mlp_width,
        "activation_function": "gelu_new",
        "layer_norm_epsilon": 1e-5,
        "tie_word_embeddings": True,
        "bos_token_id": END_OF_TEXT,
        "eos_token_id": END_OF_TEXT,
    }


def gpt2_weights(model: GPT) -> dict[str, Tensor]:
    """Our weights under GPT-2's names, whose linear maps are transposed; biases that we do not have
    are zero.

    Raises:
        BadInput: as `check_gpt2`.
    """
    check_gpt2(model.config)
    ours = model.state_dict()
    theirs = {
        "transformer.wte.weight": ours["embedding.weight"],
        "transformer.wpe.weight": ours["positions.weight"],
    }
    names = {"norm": "transformer.ln_f"}
    for layer in range(model.config.n_layers):
        names |= {
            f"blocks.{layer}.{our}": f"transformer.h.{layer}.{their}"
            for our, their in PARTS.items()
        }
    for our, their in names.items():
        weight = ours[f"{our}.weight"]
        theirs[f"{their}.weight"] = weight.T.contiguous() if weight.dim() == 2 else weight
        theirs[f"{their}.bias"] = ours.get(f"{our}.bias", torch.zeros(len(weight)))
    return theirs


def export_gpt2(runs: Sequence[str], folder: Path) -> None:
    """Write the model of a run as `write_gpt2` does.

    Raises:
        TinyLMError: more than one run, no such run, or its weights are not here; as `write_gpt2`.
    """
    if len(runs) != 1:
        raise BadInput(f"{len(runs)} runs: GPT-2's layout holds one model; expected one run")
    store, record = find_run(runs[0])
    check_gpt2(record.config.model)
    write_gpt2(folder, *store.load_model(record))


def write_gpt2(folder: Path, model: GPT, tokenizer: Tokenizer) -> None:
    """Write `config.json`, `model.safetensors` and the tokenizer's files into a folder.

    Raises:
        BadInput: as `check_gpt2`; or a tokenizer of characters.
    """
    weights = gpt2_weights(model)
    if not isinstance(tokenizer, BytePairTokenizer):
        raise BadInput(f"tokenizer {tokenizer.name!r}: transformers reads byte-pair encodings only")
    about = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": model.config.context_length,
        "clean_up_tokenization_spaces": False,
        "bos_token": SPECIAL,
        "eos_token": SPECIAL,
    }
    files: dict[str, str | bytes] = {
        "config.json": json.dumps(gpt2_config(model.config), indent=1),
        "tokenizer.json": tokenizer.library_json(),
        "tokenizer_config.json": json.dumps(about, indent=1),
        "model.safetensors": save(weights, metadata={"format": "pt"}),
    }
    for name, content in files.items():
        write_atomic(folder / name, content)
