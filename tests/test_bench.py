"""The benchmarks on models so small that they take seconds: what is written, kept and gone on with.
No test looks at how long anything took.
"""

import json
import multiprocessing
import os
from pathlib import Path
from typing import Any
from unittest import mock

import pandas as pd
import pytest
import torch
from tiny_runs import tinylm

from tinylm.batches import prepare
from tinylm.bench import batched, matmul_peak, precision, sweep
from tinylm.bench.__main__ import MEASUREMENTS, leaves, run_benchmarks, summary_table
from tinylm.bench.scratch import in_new_process, scratch_root
from tinylm.bench.step_profile import CLASSES, OPTIMISER, PRODUCTS, alt_text, finding
from tinylm.bench.steps import bench_config, pace, plain_model, plain_step
from tinylm.bench.summary import bench_dir, merge_summary, read_summary
from tinylm.errors import TinyLMError
from tinylm.evaluate import evaluate
from tinylm.files import project_root

TINY_GRID = sweep.Grid(widths=(32, 64), seeds=(0, 1), tokens=64, batch_tokens=32, bf16_pays_from=64)
TINY_PEAK = matmul_peak.Settings(
    widths=(32,), batches=(32, 64), sizes=(16,), rounds=2, seconds=0.001, profiled_steps=1
)


# --- the summary ----------------------------------------------------------------------------------


def test_findings_are_merged_and_say_what_is_behind_them(tmp_path: Path) -> None:
    merge_summary({"a": 1.5, "b": {"64": 2}}, threads=2, folder=tmp_path, file="a.csv")
    merge_summary({"b": None}, threads=1, folder=tmp_path, reason="no GPU")
    summary = read_summary(tmp_path)
    assert (summary["a"], summary["b"]) == (1.5, None)
    behind = summary["behind"]
    assert behind["a"]["file"] == "a.csv"
    assert (behind["b"]["reason"], "file" in behind["b"]) == ("no GPU", False)
    for entry in behind.values():
        assert {"date", "commit", "processor", "platform", "threads", "torch"} <= entry.keys()
    assert behind["a"]["threads"] == 2


def _merge_many(folder: Path, name: str) -> None:
    for number in range(4):
        merge_summary({f"{name}{number}": number}, threads=1, folder=folder)


def test_measurements_side_by_side_lose_nothing(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=_merge_many, args=(tmp_path, name)) for name in "ab"]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    wanted = {f"{name}{number}" for name in "ab" for number in range(4)}
    summary = read_summary(tmp_path)
    assert summary.keys() == wanted | {"behind"}
    assert summary["behind"].keys() == wanted


def test_a_damaged_summary_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "summary.json").write_text("{")
    with pytest.raises(TinyLMError, match=r"summary.json is damaged .*delete it and measure again"):
        merge_summary({"a": 1}, threads=1, folder=tmp_path)
    assert (tmp_path / "summary.json").read_text() == "{"


def test_the_table_shows_every_number(tmp_path: Path) -> None:
    found = {"ratio": 2.5, "peak": {"bf16": {"64": 0.3, "note": "text"}}, "batched": None}
    assert [pair for key in found for pair in leaves(found[key], (key,))] == [
        ("ratio", "2.5"),
        ("peak bf16 64", "0.3"),
        ("batched", "-"),
    ]
    merge_summary(found, threads=2, folder=tmp_path, file="x.csv")
    summary = read_summary(tmp_path)
    table = summary_table(summary)
    assert table.row_count == 3
    assert summary["behind"]["ratio"]["processor"] in str(table.title)
    assert list(table.columns[2].cells) == ["x.csv"] * 3


# --- where it trains ------------------------------------------------------------------------------


def test_a_new_process_works_in_the_project_it_is_given(project: Path) -> None:
    root = scratch_root("mine")
    assert (root / "data" / "fables").is_dir()
    assert in_new_process(root, project_root) == root
    assert project_root() == project


def test_the_plain_loop_learns(project: Path) -> None:
    config = bench_config(32, 64)
    model, data = plain_model(config), prepare("fables", "bpe-512")
    step = plain_step(config, model)
    before = evaluate(model, data.validation, 1.0).nats
    for number in range(20):
        step(number)
    assert evaluate(model, data.validation, 1.0).nats < before - 0.3


def test_a_pace_takes_one_call_at_least() -> None:
    calls: list[int] = []
    assert pace(calls.append, 0.0) >= 0
    assert calls == [0]


# --- sweep ----------------------------------------------------------------------------------------


def test_the_halves_of_the_plain_side_are_all_runs_once_and_cost_alike() -> None:
    grid = sweep.Grid()
    first, second = grid.halves()
    assert sorted(r.run_id for r in [*first, *second]) == sorted(
        r.run_id for r in grid.runs("fp32")
    )
    widths = [sum(run.config.model.d_model for run in half) for half in (first, second)]
    assert len(first) == len(second) == 6
    assert max(widths) / min(widths) < 1.1
    precisions = {(r.config.model.d_model, r.config.precision) for r in grid.runs("bf16")}
    assert precisions == {(32, "fp32"), (64, "bf16"), (96, "bf16"), (128, "bf16")}


def test_a_sweep_is_compared_and_equal_bit_for_bit(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def in_this_process(root: Path, function: Any, *arguments: Any) -> Any:
        with mock.patch.dict(os.environ, {"TINYLM_ROOT": str(root)}):
            return function(*arguments)

    monkeypatch.setattr(sweep, "in_new_process", in_this_process)
    findings = sweep.measure(TINY_GRID, cores=1)
    assert findings["sweep_bit_equal"] == {"checked": 7, "equal": 7}
    assert findings["sweep_ratio"] == findings["sweep_ratio_by_precision"]["bf16"] > 0
    assert findings["sweep_seconds"].keys() == {"plain", "fp32", "bf16"}
    summary = read_summary()
    assert {key: summary[key] for key in findings} == findings
    table = pd.read_csv(bench_dir() / "sweep.csv")
    assert set(table["equal"].dropna()) == {True}
    assert len(table) == 8
    assert set(summary["behind"]["sweep_ratio"]["runs"]) == set(table["run_id"])
    assert set(table["tokens"]) == {64}

    def never(*arguments: Any) -> None:
        raise AssertionError("trained again")

    monkeypatch.setattr(sweep, "in_new_process", never)
    monkeypatch.setattr(sweep, "train_swept", never)
    assert sweep.measure(TINY_GRID, cores=1) == findings


def test_a_killed_measurement_goes_on_with_the_part_it_was_at(tmp_path: Path) -> None:
    done: list[str] = []
    path = tmp_path / "stages.json"

    def part(name: str) -> Any:
        def work() -> str:
            done.append(name)
            return name

        return work

    def killed() -> None:
        raise KeyboardInterrupt

    stages = sweep.Stages(path, ["run"])
    assert stages("a", part("a"))["result"] == "a"
    with pytest.raises(KeyboardInterrupt):
        stages("b", killed)
    again = sweep.Stages(path, ["run"])
    assert [again(name, part(name))["result"] for name in "ab"] == ["a", "b"]
    assert done == ["a", "b"]
    sweep.Stages(path, ["another run"])("a", part("a"))
    assert done == ["a", "b", "a"]


# --- precision ------------------------------------------------------------------------------------


def table_of(fp32: list[float], bf16: list[float]) -> pd.DataFrame:
    rows = [("fp32", seed, nats) for seed, nats in enumerate(fp32)]
    rows += [("bf16", seed, nats) for seed, nats in enumerate(bf16)]
    table = pd.DataFrame(rows, columns=["precision", "seed", "nats"])
    return table.assign(d_model=128)


def test_differences_are_held_against_the_spread_of_seeds() -> None:
    found = precision.compare(table_of([2.0, 2.1, 2.2], [2.01, 2.11, 2.24]))["128"]
    assert found["harmless"]
    assert found["mean_difference_nats"] == pytest.approx(0.02)
    assert found["std_of_differences_nats"] == pytest.approx(0.01732, abs=1e-5)
    assert found["seed_std_nats"] == pytest.approx(0.1)
    assert not precision.compare(table_of([2.0, 2.1, 2.2], [2.2, 2.3, 2.3]))["128"]["harmless"]
    diverged = precision.compare(table_of([2.0, 2.1, 2.2], [2.0, 2.1, float("nan")]))
    assert not diverged["128"]["harmless"]


def test_precisions_are_compared_on_records_that_are_kept(
    project: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    tiny: dict[str, Any] = {"widths": [32], "tokens": 64, "corpus": "fables", "batch_tokens": 32}
    findings = precision.measure(**tiny)
    assert findings["bf16_harmless"]["32"]["seeds"] == 3
    table = pd.read_csv(bench_dir() / "precision.csv")
    assert sorted(table["precision"]) == ["bf16"] * 3 + ["fp32"] * 3
    assert "[6/6]" in capfd.readouterr().out
    assert precision.measure(**tiny) == findings
    assert "/6]" not in capfd.readouterr().out


# --- peak and profile -----------------------------------------------------------------------------


def test_the_peak_its_fractions_and_a_profile_are_written(project: Path) -> None:
    findings = matmul_peak.measure(TINY_PEAK, cores=1)
    summary, folder = read_summary(), bench_dir()
    assert {key: summary[key] for key in findings} == findings
    for kind in ("fp32", "bf16"):
        by_batch = findings["matmul_peak_fraction_by_batch"][kind]["32"]
        assert by_batch.keys() == {"32", "64"}
        assert findings["matmul_peak_fraction"][kind]["32"] == max(by_batch.values())
    assert len(pd.read_csv(folder / "matmul_peak.csv")) == 4
    parts = pd.read_csv(folder / "step_profile.csv")
    assert set(parts["part"]) == set(CLASSES)
    spent = parts.groupby("part")["milliseconds"].min()
    assert (spent[[PRODUCTS, OPTIMISER]] > 0).all()
    assert (folder / "plots" / "step_profile.png").read_bytes().startswith(b"\x89PNG")


def test_a_fraction_is_that_of_the_best_product_of_its_round() -> None:
    rounds = [
        {"product fp32 16": 4e9, "product fp32 32": 8e9, "step": 2e9},
        {"product fp32 16": 10e9, "product fp32 32": 8e9, "step": 3e9},
    ]
    settings = matmul_peak.Settings(widths=(32,), batches=(64,), sizes=(16, 32))
    named = [
        {name if name != "step" else f"step {kind} 32 64": rate for name, rate in one.items()}
        | {name.replace("fp32", "bf16"): rate for name, rate in one.items()}
        | {f"step {other} 32 64": one["step"] for other in ("fp32", "bf16")}
        for one in rounds
        for kind in ("fp32",)
    ]
    row = matmul_peak.fractions(settings, named).iloc[0]
    assert row["fraction"] == pytest.approx((2 / 8 + 3 / 10) / 2, abs=1e-3)
    assert (row["lowest_fraction"], row["highest_fraction"]) == (0.25, 0.3)
    assert row["peak_gflops_per_second"] == 9.0


def test_a_profile_is_told_in_words() -> None:
    rows = [
        (width, "bf16", 512, part, ms)
        for width, first in ((64, 1.0), (384, 6.0))
        for part, ms in zip(CLASSES, (first, 1.0, 1.0, 1.0, 1.0), strict=True)
    ]
    parts = pd.DataFrame(
        rows, columns=["d_model", "precision", "batch_tokens", "part", "milliseconds"]
    )
    said = finding(parts, "bf16")
    assert said.startswith(
        "Matrix products are 20 % of a bf16 step at width 64 and 60 % at width 384"
    )
    assert "width 384: matrix products 60 %, attention 10 %" in alt_text(parts, "bf16")


# --- batched, and all of them ---------------------------------------------------------------------


def test_without_a_gpu_batched_speed_is_null_and_says_why(project: Path) -> None:
    assert batched.measure() == {"batched": None}
    summary = read_summary()
    assert summary["batched"] is None
    assert "no CUDA device" in summary["behind"]["batched"]["reason"]


def test_both_ways_of_training_many_models_are_timed(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batched, "SHAPES", ({"d_model": 8, "n_layers": 1, "n_heads": 1},))
    device = torch.device("cpu")
    [speed] = batched.measure_batched(device, members=2, compiled=False, rounds=1, seconds=0.01)
    assert speed.members == 2
    assert min(speed.one_at_a_time, speed.together, speed.ratio) > 0


def test_the_command_runs_those_named_and_shows_the_summary(
    project: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    assert run_benchmarks(["batched"]) == 0
    out = capfd.readouterr().out
    assert "not yet measured: no CUDA device here" in out
    assert json.loads((bench_dir() / "summary.json").read_text())["batched"] is None


def test_one_that_fails_does_not_stop_the_others(
    project: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("tinylm.bench.__main__.MEASUREMENTS", ("no_such", "batched"))
    assert run_benchmarks() == 1
    assert "FAILED: no_such" in capfd.readouterr().out
    assert "batched" in read_summary()


def test_an_unknown_benchmark_is_refused(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, err = tinylm(["bench", "speed"], monkeypatch, capsys)
    assert code == 2
    assert err == f"error: unknown benchmark 'speed'; expected one of {', '.join(MEASUREMENTS)}\n"
