"""The recorded step is the plain one. There is no GPU here: a stand-in records by remembering the
step, and replays by taking it again on the tensors that the graph would read.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_runs import tiny_config, tiny_trainer
from torch import Tensor

from tinylm.provenance import forget_peak_memory, peak_memory
from tinylm.speed import cuda_graph
from tinylm.speed.cuda_graph import CapturedStep, CudaGraph


class Stream:
    def wait_stream(self, other: object) -> None:
        pass


class Recorded:
    """Stands for torch.cuda.CUDAGraph."""

    def replay(self) -> None:
        captured = self.of
        for held, new in zip(captured.results, self.step(captured.inputs, captured.targets)):  # noqa: B905
            held.copy_(new)

    of: Any = None
    step: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]


@pytest.fixture(autouse=True)
def gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    @contextmanager
    def nothing(*arguments: object) -> Iterator[None]:
        yield

    for name in ("Stream", "current_stream"):
        monkeypatch.setattr(torch.cuda, name, Stream)
    monkeypatch.setattr(torch.cuda, "CUDAGraph", Recorded)
    for name in ("stream", "graph"):
        monkeypatch.setattr(torch.cuda, name, nothing)
    make = CapturedStep.__init__

    def and_remember(self: CapturedStep, step: Any, *rest: Any) -> None:
        make(self, step, *rest)
        self.graph.of, self.graph.step = self, step  # type: ignore[attr-defined]

    monkeypatch.setattr(CapturedStep, "__init__", and_remember)


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_a_recorded_run_is_the_plain_one(project: Path, tmp_path: Path, optimizer: str) -> None:
    """Warming up and recording leave no trace, and every batch and rate reaches the graph."""
    config = tiny_config(optimizer={"name": optimizer})
    plain = tiny_trainer(config, tmp_path / "plain")
    recorded = tiny_trainer(config, tmp_path / "recorded")
    steps = CudaGraph([recorded])
    for step in range(6):
        plain.state.step = recorded.state.step = step
        loss, norm = plain.take_step()
        (its_loss,), (its_norm,) = steps.take()
        assert float(its_loss) == pytest.approx(float(loss), rel=1e-6)
        assert float(its_norm) == pytest.approx(float(norm), rel=1e-5)
    for one, other in zip(plain.model.parameters(), recorded.model.parameters(), strict=True):
        torch.testing.assert_close(one, other, atol=1e-6, rtol=1e-5)


def test_a_step_is_recorded_after_warming_up_and_undone(project: Path, tmp_path: Path) -> None:
    weight = torch.tensor([1.0])
    moments: dict[tuple[int, str], Tensor] = {(0, "count"): torch.zeros(1)}
    calls = []

    def step(inputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        calls.append(1)
        weight.add_(inputs.sum())
        moments[0, "count"].add_(1)
        return weight.clone(), targets.sum()

    captured = CapturedStep(step, [weight], lambda: moments, torch.ones(2), torch.ones(3))
    assert len(calls) == cuda_graph.WARM_UP + 1
    assert float(weight) == 1.0
    assert float(moments[0, "count"]) == 0.0
    loss, norm = captured(torch.full((2,), 5.0), torch.full((3,), 2.0))
    assert (float(loss), float(norm), float(weight)) == (11.0, 6.0, 11.0)


def test_a_gpus_peak_memory_is_that_of_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    held = {"peak": 700}
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda device: held["peak"])
    monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", lambda device: held.update(peak=100))
    gpu, cpu = torch.device("cuda"), torch.device("cpu")
    assert peak_memory(gpu) == 700
    forget_peak_memory(cpu)
    assert peak_memory(gpu) == 700
    forget_peak_memory(gpu)
    assert peak_memory(gpu) == 100
    assert peak_memory(cpu) > 10_000_000
