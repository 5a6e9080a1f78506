"""What large models would take: `tinylm estimate`."""

import csv
import io
import re
from pathlib import Path

import pytest
from tiny_runs import tinylm

from tinylm.bench.scale import (
    GPUS,
    SCALES,
    Gpu,
    Scale,
    count,
    fewest_gpus,
    gigabytes,
    gpu_hours,
    rounded,
    scale_table,
    scientific,
    training_tokens,
)
from tinylm.cost import flops_exact, parameter_count, training_memory_bytes
from tinylm.errors import TinyLMError
from tinylm.files import write_atomic

CHECKOUT = Path(__file__).resolve().parent.parent
Patch = pytest.MonkeyPatch
Capture = pytest.CaptureFixture[str]


@pytest.mark.parametrize(
    ("scale", "size"), [(SCALES[0], 10e6), (SCALES[1], 100e6), (SCALES[2], 1e9)]
)
def test_a_scale_has_about_the_parameters_of_its_name(scale: Scale, size: float) -> None:
    assert parameter_count(scale.model).with_output == pytest.approx(size, rel=0.05)


def test_hours_are_flops_over_what_the_gpu_does() -> None:
    model = SCALES[0].model
    gpu = Gpu("a tenth of a petaflop", 1e9, 1e14, "")
    tokens = training_tokens(model, 20)
    assert tokens == 20 * parameter_count(model).with_output
    assert gpu_hours(model, tokens, gpu, 0.5) == flops_exact(model, tokens) / 5e13 / 3600


def test_gpus_share_the_state_and_not_the_activations() -> None:
    scale = SCALES[2]
    whole = training_memory_bytes(scale.model, scale.micro_batch, precision="bf16")
    assert fewest_gpus(scale, Gpu("", whole / 0.9 + 1, 1, ""), recompute=False) == 1
    assert fewest_gpus(scale, Gpu("", whole / 0.9 - 1e6, 1, ""), recompute=False) == 2
    small = Gpu("", 20e9, 1, "")  # less than the activations, and more than those not recomputed
    assert fewest_gpus(scale, small, recompute=False) is None
    assert fewest_gpus(scale, small, recompute=True) == 2


def test_the_table_says_the_same_of_every_model() -> None:
    rows = scale_table(list(GPUS.values()), 20, (0.3, 0.4))
    assert rows[0] == ["model", "10M", "100M", "1B"]
    names = [row[0] for row in rows]
    assert len(set(names)) == len(names)
    assert all(len(row) == 4 and all(row) for row in rows)
    hours = next(row for row in rows if row[0].startswith("GPU hours, H100"))
    assert hours[0] == "GPU hours, H100 SXM at 30 to 40 % of its peak"
    low, high = (float(number) for number in hours[3].split(" to "))
    assert high == pytest.approx(low * 4 / 3, rel=0.05)


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        (rounded(0.01234), "0.012"),
        (rounded(4.16), "4.2"),
        (rounded(3.0), "3.0"),
        (rounded(98.3), "98"),
        (rounded(12_345), "12,000"),
        (scientific(1.26e18), "1.3·10¹⁸"),
        (scientific(9.96e5), "1.0·10⁶"),
        (count(19.7e9), "20 billion"),
        (count(9.4e6), "9.4 million"),
        (count(512), "512"),
        (gigabytes(28.6e9), "29 GB"),
    ],
)
def test_numbers_are_rounded_for_people(shown: str, expected: str) -> None:
    assert shown == expected


def test_every_gpus_peak_has_its_source() -> None:
    references = (CHECKOUT / "book" / "references.bib").read_text(encoding="utf-8")
    for gpu in GPUS.values():
        assert f"{{{gpu.source}," in references


def test_the_command_prints_the_table_and_writes_it(
    project: Path, monkeypatch: Patch, capsys: Capture
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    folder = project / "results" / "bench"
    write_atomic(folder / "summary.json", '{"matmul_peak_fraction": {"bf16": {"256": 0.415}}}')
    arguments = ["estimate", "--gpu", "h100", "--utilisation", "0.5", "--tokens-per-parameter", "2"]
    code, out, err = tinylm(arguments, monkeypatch, capsys)
    assert (code, err) == (0, "")
    text = (folder / "scale_estimate.csv").read_text(encoding="utf-8")
    rows = list(csv.reader(io.StringIO(text)))
    assert rows == scale_table([GPUS["h100"]], 2, (0.5,))
    for row in rows:
        assert re.search(r"\s+│\s+".join(map(re.escape, row)) + r"\s", out) or row == rows[0]
    assert "bf16, 256: 42 %" in out
    assert "assumed, not measured" in out


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


def test_a_share_of_more_than_all_is_refused() -> None:
    with pytest.raises(TinyLMError, match=r"utilisation 1\.5"):
        scale_table([GPUS["a100"]], 20, (0.3, 1.5))
