"""What large models would take: `tinylm estimate`."""

from pathlib import Path

import pandas as pd
import pytest
from tiny_runs import tinylm

from tinylm.bench.scale import GPUS, MICRO_BATCH, SCALES, Gpu, estimate_scale, fewest_gpus
from tinylm.cost import flops_exact, parameter_count, training_memory_bytes

CHECKOUT = Path(__file__).resolve().parent.parent
Patch = pytest.MonkeyPatch
Capture = pytest.CaptureFixture[str]


@pytest.mark.parametrize(("scale", "size"), [("10M", 10e6), ("100M", 100e6), ("1B", 1e9)])
def test_a_scale_has_about_the_parameters_of_its_name(scale: str, size: float) -> None:
    assert parameter_count(SCALES[scale]).with_output == pytest.approx(size, rel=0.05)


def test_hours_are_flops_over_what_the_gpu_does() -> None:
    gpu = Gpu("a tenth of a petaflop", 1e11, 1e14, "")
    row = estimate_scale("10M", gpu, 20, (0.25, 0.5))
    model = SCALES["10M"]
    assert row["tokens"] == 20 * parameter_count(model).with_output
    hours = flops_exact(model, row["tokens"]) / 5e13 / 3600
    assert row["hours_at_high_share"] == pytest.approx(hours)
    assert row["hours_at_low_share"] == pytest.approx(2 * hours)


def test_gpus_share_the_state_and_not_the_activations() -> None:
    model, rows = SCALES["1B"], MICRO_BATCH["1B"]
    whole = training_memory_bytes(model, rows, precision="bf16")
    assert fewest_gpus(model, rows, whole / 0.9 + 1, recompute=False) == 1
    assert fewest_gpus(model, rows, whole / 0.9 - 1e6, recompute=False) == 2
    small = 20e9  # less than the activations, and more than those not recomputed
    assert fewest_gpus(model, rows, small, recompute=False) is None
    assert fewest_gpus(model, rows, small, recompute=True) == 2


def test_every_gpus_peak_has_its_source() -> None:
    references = (CHECKOUT / "book" / "references.bib").read_text(encoding="utf-8")
    for gpu in GPUS.values():
        assert f"{{{gpu.source}," in references


def test_the_command_prints_the_table_and_writes_it(
    project: Path, monkeypatch: Patch, capsys: Capture
) -> None:
    arguments = ["estimate", "--gpu", "h100", "--utilisation", "0.5", "--tokens-per-parameter", "2"]
    code, out, err = tinylm(arguments, monkeypatch, capsys)
    assert (code, err) == (0, "")
    table = pd.read_csv(project / "results" / "bench" / "scale_estimate.csv")
    assert table["model"].tolist() == list(SCALES)
    for written, name in zip(table.to_dict("records"), SCALES, strict=True):
        row = estimate_scale(name, GPUS["h100"], 2, (0.5, 0.5))
        assert written["tokens"] == row["tokens"]
        assert written["memory_gb"] == pytest.approx(row["memory_gb"], rel=0.01)
        assert f"{row['hours_at_low_share']:.3g}" in out
    assert "assumed, not measured" in out


def test_every_gpu_is_estimated_by_default(
    project: Path, monkeypatch: Patch, capsys: Capture
) -> None:
    assert tinylm(["estimate"], monkeypatch, capsys)[0] == 0
    table = pd.read_csv(project / "results" / "bench" / "scale_estimate.csv")
    assert len(table) == len(SCALES) * len(GPUS)
    committed = pd.read_csv(CHECKOUT / "results" / "bench" / "scale_estimate.csv")
    pd.testing.assert_frame_equal(table, committed, rtol=0.01)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--gpu", "tpu"], "unknown gpu 'tpu'; expected one of rtx4090, a100, h100, h200"),
        (["--utilisation", "35"], "utilisation 35.0: expected more than 0 and at most 1"),
        (["--utilisation", "nan"], "utilisation nan: expected"),
        (["--tokens-per-parameter", "0"], "tokens-per-parameter 0.0: expected"),
    ],
)
def test_bad_options_are_one_sentence_and_write_nothing(
    project: Path, monkeypatch: Patch, capsys: Capture, options: list[str], sentence: str
) -> None:
    code, _, err = tinylm(["estimate", *options], monkeypatch, capsys)
    assert code == 2
    assert err.startswith("error: ")
    assert sentence in err
    assert not (project / "results").exists()
