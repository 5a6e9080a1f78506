"""A lesser processor, played by this one: the libraries do use other kernels."""

import json
import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

import lesser_processor
import pytest
from conftest import NUMERICAL

KERNELS = """
import json, numpy, torch
a = numpy.random.default_rng(0).standard_normal((200, 200))
b = torch.tensor(a, dtype=torch.float32)
found = numpy.show_config(mode="dicts")["SIMD Extensions"].get("found", [])
capability = torch.backends.cpu.get_cpu_capability()
products = [float((a @ a).sum()), float((b @ b).double().sum())]
print(json.dumps({"numpy": found, "torch": capability, "products": products}))
"""


def kernels(variables: dict[str, str]) -> dict[str, Any]:
    run = subprocess.run(
        [sys.executable, "-c", KERNELS], env=os.environ | variables, capture_output=True, check=True
    )
    found: dict[str, Any] = json.loads(run.stdout)
    return found


@pytest.mark.skipif(
    not lesser_processor.lesser_environment(), reason="only x86-64 can play a lesser processor"
)
def test_libraries_use_their_least_kernels() -> None:
    lesser, own = kernels(lesser_processor.lesser_environment()), kernels({})
    assert lesser["numpy"] == []
    assert lesser["torch"] == "DEFAULT"
    assert lesser["products"] == pytest.approx(own["products"], rel=1e-3)


def test_modules_that_run_again_are_there() -> None:
    assert [name for name in NUMERICAL if not Path(__file__).with_name(f"{name}.py").exists()] == []


def test_other_machines_are_told_and_run_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "arm64")
    monkeypatch.setattr(os, "execve", lambda *_: pytest.fail("something was run"))
    lesser_processor.main(["--version"])
    assert capsys.readouterr().out == (
        "No lesser kernels are known for arm64: nothing was run again.\n"
    )
