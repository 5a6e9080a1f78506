"""Runs that take a fraction of a second, and what tests ask about them."""

import hashlib
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from tinylm.config import ModelConfig, RunConfig, parse_run_config
from tinylm.corpora.token_files import prepare
from tinylm.model import GPT
from tinylm.store import Store
from tinylm.train import identify
from tinylm.trainer import Trainer

SMOKE = Store("smoke")


def tiny_config(**fields: Any) -> RunConfig:
    """A config of 30 steps on the embedded corpus, but for some fields: `model={"d_model": 8}`."""
    values: dict[str, Any] = {
        "model": {"d_model": 16, "n_layers": 1, "n_heads": 2, "context_length": 32},
        "data": {"corpus": "fables", "tokenizer": "bpe-512"},
        "optimizer": {"learning_rate": 0.016, "base_width": 64, "width_exponent": 0.5},
        "evaluation": {"points": 4, "curve_documents": 2, "stride_fraction": 1.0},
        "tokens": 30 * 256,
        "batch_tokens": 256,
    }
    for name, value in fields.items():
        values[name] = values[name] | value if isinstance(value, dict) else value
    return parse_run_config(values, "tiny config")


def tiny_trainer(config: RunConfig, folder: Path, seed: int = 0) -> Trainer:
    """A trainer of a run on the CPU, with its checkpoint in a folder."""
    data = prepare(config.data.corpus, config.data.tokenizer)
    run = identify(config, seed)
    return Trainer(run, data, folder / "checkpoint.safetensors", torch.device("cpu"))


def random_model(seed: int = 0, **fields: Any) -> GPT:
    """A GPT whose every parameter, norms and biases included, is random and of some size."""
    defaults: dict[str, Any] = {
        "vocab_size": 31,
        "context_length": 16,
        "d_model": 16,
        "n_layers": 2,
        "n_heads": 4,
    }
    model = GPT(ModelConfig.model_validate(defaults | fields))
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            parameter.copy_(0.3 * noise + (parameter.dim() == 1))
    return model.eval()


def random_tokens(rows: int, length: int, vocab_size: int = 31, seed: int = 0) -> torch.Tensor:
    """Tokens (rows, length)."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(vocab_size, (rows, length), generator=generator)


def tree(folder: Path) -> dict[str, str]:
    """Every path under a folder, with a file's hash: equal trees are equal files."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        if path.is_file()
        else "folder"
        for path in sorted(folder.rglob("*"))
        if path.suffix != ".lock"
    }


def tinylm(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> tuple[int, str, str]:
    """Run the `tinylm` command in this process: exit code, stdout, stderr."""
    from tinylm.cli import main

    monkeypatch.setattr(sys, "argv", ["tinylm", *arguments])
    capsys.readouterr()
    code = 0
    try:
        main()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    said = capsys.readouterr()
    out, err = (re.sub(r"\x1b\[[0-9;]*m", "", text) for text in said)  # colours, under some CIs
    return code, out, err


def run_python(
    arguments: list[str], root: Path, timeout: float = 600
) -> subprocess.CompletedProcess[str]:
    """Run Python in a process of its own on a project."""
    return subprocess.run(
        [sys.executable, *arguments],
        env=python_environment(root),
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


def python_environment(root: Path) -> dict[str, str]:
    """The environment of a process that works on a project and can import the tests' helpers, and
    the package beside them, whichever is installed.
    """
    here = Path(__file__).parent
    path = os.pathsep.join([str(here), str(here.parent)])
    return os.environ | {"TINYLM_ROOT": str(root), "PYTHONPATH": path, "COLUMNS": "120"}
