"""Each measurement on models so small that it takes seconds, and what follows from its table. No
test looks at how long anything took.
"""

import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import pandas as pd
import pytest
import torch
from tiny_sweep import tiny_run

from tinylm.bench import (
    aside,
    bf16_loss,
    branching,
    cost_model,
    coverage,
    fast_steps,
    matmul_peak,
    step_profile,
    sweep_speed,
    time_to_loss,
)
from tinylm.bench.aside import make_run, scratch
from tinylm.bench.reference import Reference, ReferenceConfig, train_reference
from tinylm.bench.step_profile import CLASSES, OPTIMISER, PRODUCTS
from tinylm.bench.timed_steps import bench_config, pace, train_plainly
from tinylm.config import Run, RunConfig, load_run_config, parse_run_config
from tinylm.corpora.token_files import prepare, tokenize
from tinylm.evaluate import evaluate
from tinylm.records import RunRecord
from tinylm.speed.choose import choose_steps
from tinylm.store import Store
from tinylm.studies.synthetic import PARABOLAS, Plan
from tinylm.sweeps.estimate import Estimate
from tinylm.tokenizers import train_tokenizer
from tinylm.train import train

Patch = pytest.MonkeyPatch
FABLES = {"corpus": "fables", "tokenizer": "bpe-512"}
LOOK = {"points": 2, "curve_documents": 1, "stride_fraction": 1.0}


@pytest.fixture
def here(project: Path, monkeypatch: Patch) -> None:
    """Work of new processes is done in this one, starting them takes seconds; runs that no sweep
    has to do with are trained here too.
    """

    def in_this_process(root: Path, function: Callable[..., Any], *arguments: Any) -> Any:
        with mock.patch.dict(os.environ, {"TINYLM_ROOT": str(root)}):
            return function(*arguments)

    def train_here(name: str, runs: list[Run], **options: int) -> list[RunRecord]:
        with mock.patch.dict(os.environ, {"TINYLM_ROOT": str(scratch(name))}):
            return [
                train(run.config, run.seed, store=Store("quick"), choose=choose_steps)
                for run in runs
            ]

    monkeypatch.setattr(time_to_loss, "usable_cores", lambda: 1)  # threads stay one
    monkeypatch.setattr(sweep_speed, "CORES", 1)
    for module in (aside, cost_model, sweep_speed, time_to_loss):
        monkeypatch.setattr(module, "in_new_process", in_this_process)
    for module in (bf16_loss, cost_model, fast_steps, time_to_loss):
        monkeypatch.setattr(module, "trained", train_here)


def never(*arguments: Any) -> Any:
    pytest.fail("done again")


# --- time to loss ---------------------------------------------------------------------------------


def test_the_reference_has_nanogpts_size_schedule_and_first_loss() -> None:
    torch.manual_seed(0)
    config = ReferenceConfig(vocab_size=65)
    model = Reference(config)
    blocks = 4 * (12 * 128**2 + 2 * 128) + 128
    assert sum(p.numel() for p in model.parameters()) == blocks + (65 + 64) * 128
    tokens = torch.randint(65, (12, 65))
    logits = model(tokens[:, :-1])
    loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten())
    assert loss.item() == pytest.approx(math.log(65), abs=0.1)
    rates = [config.rate_at(step) for step in range(2001)]
    assert max(rates) == rates[100] == pytest.approx(1e-3)
    assert rates[2000] == pytest.approx(1e-4)
    assert rates[1050] == pytest.approx(5.5e-4)


def test_the_reference_sees_no_later_token_and_learns() -> None:
    text = "the cat sat on the mat. " * 40
    tokens = tokenize([text], train_tokenizer("characters", [text]))
    vocab_size = tokens.manifest["vocab_size"]
    config = ReferenceConfig(
        vocab_size, context_length=16, n_layers=1, n_heads=2, d_model=16, steps=60, warmup=5,
        learning_rate=1e-2,
    )  # fmt: skip
    model, _ = train_reference(config, tokens, seed=0)
    line = torch.from_numpy(tokens.tokens[:17].astype("int64"))[None]
    logits = model(line[:, :-1])
    loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), line[:, 1:].flatten())
    assert loss.item() < 0.8 * math.log(vocab_size)
    changed = line.clone()
    changed[0, 9] = (changed[0, 9] + 1) % vocab_size
    torch.testing.assert_close(model(changed[:, :-1])[:, :9], logits[:, :9])


def tiny_recipe() -> RunConfig:
    values = load_run_config("fast").model_dump()
    del values["model"]["vocab_size"]
    values |= {"tokens": 256, "batch_tokens": 128}
    values["data"] |= FABLES
    return parse_run_config(values, where="test")


def test_both_sides_are_trained_once_on_every_corpus_and_seed(
    here: None, monkeypatch: Patch
) -> None:
    asked = (tiny_recipe(), ["fables"], [0, 1], 2)
    table = time_to_loss.measure(*asked)
    assert table["seed"].tolist() == [0, 1]
    assert table["reference_tokens"].tolist() == [2 * 12 * 64] * 2
    assert table["tinylm_tokens"].tolist() == [256] * 2
    assert table["reference_seconds"].min() > 0
    assert table["reference_nats"].between(4, 9).all()
    assert table["tinylm_nats"].between(4, 9).all()
    ratios = table["reference_seconds"] / table["tinylm_seconds"]
    assert table["ratio"].tolist() == pytest.approx(ratios.tolist())
    monkeypatch.setattr(time_to_loss, "time_reference", never)
    pd.testing.assert_frame_equal(time_to_loss.measure(*asked), table)


def corpus_rows(corpus: str, theirs: tuple[float, float], ours: tuple[float, float]) -> Any:
    """A table of one corpus: (seconds, nats) of each side, two seeds alike."""
    names = ["reference_seconds", "reference_nats", "tinylm_seconds", "tinylm_nats"]
    return pd.DataFrame([(*theirs, *ours)] * 2, columns=names).assign(corpus=corpus)


def test_a_ratio_counts_only_where_the_loss_is_reached() -> None:
    first, second = (
        corpus_rows("a", (90.0, 1.3), (5.0, 1.3)),
        corpus_rows("b", (80.0, 2.0), (5.0, 1.9)),
    )
    found = time_to_loss.findings(pd.concat([first, second]))
    assert found["time_to_loss_ratio"] == 16.0
    assert found["time_to_loss"]["a"]["ratio"] == 18.0
    worse = corpus_rows("b", (80.0, 2.0), (5.0, 2.01))
    found = time_to_loss.findings(pd.concat([first, worse]))
    assert found["time_to_loss_ratio"] == 0.0
    assert not found["time_to_loss"]["b"]["reached"]


# --- what earns it --------------------------------------------------------------------------------


def test_the_steps_lead_from_the_reference_to_the_recipe() -> None:
    found = {name: fast_steps.variant(fields) for name, fields in fast_steps.variants().items()}
    ours = fast_steps.variant({"optimizer.width_exponent": 0.0})  # which does nothing at width 64
    assert found["added", list(fast_steps.STEPS)[-1]] == ours
    first, published = found["added", "reference"], load_run_config("reference")
    assert first.model == published.model
    assert first.batch_tokens == published.batch_tokens
    assert first.optimizer.learning_rate == published.optimizer.learning_rate == 1e-3
    assert first.optimizer.beta2 == 0.99
    without_shift = found["removed", "shift"]
    assert without_shift.model.shift == 0
    assert without_shift.optimizer == fast_steps.variant({}).optimizer
    assert len({config.model_dump_json() for config in found.values()}) == len(found)
    assert {config.tokens for config in found.values()} == {load_run_config("fast").tokens}


def test_the_recipe_is_measured_and_summed_up(here: None, monkeypatch: Patch) -> None:
    small = {"data.corpus": "fables", "data.tokenizer": "bpe-512", "tokens": 128}
    small |= {"batch_tokens": 64, "model.d_model": 8}
    without = small | {"model.shift": 0}
    three = {("added", "reference"): without, ("added", "shift"): small}
    monkeypatch.setattr(fast_steps, "variants", lambda: three | {("removed", "shift"): without})
    table = fast_steps.measure(seeds=(0, 1))
    assert list(table["step"]) == ["reference", "shift", "shift"]
    assert (table["seeds"] == 2).all()
    assert table["runs"].str.split().map(len).tolist() == [2, 2, 2]
    more = table["nats"][0] - table["nats"][1]
    assert table["more_than_recipe"].tolist() == pytest.approx([more, 0.0, more], abs=1e-4)
    assert fast_steps.findings(table)["fast_steps"]["most_missed"] == "shift"
    fast_steps.figure(table)


# --- bf16, sweeps, branches -----------------------------------------------------------------------


def pairs(fp32: list[float], bf16: list[float]) -> pd.DataFrame:
    table = pd.DataFrame({"d_model": 128, "fp32_nats": fp32, "bf16_nats": bf16})
    return table.assign(difference_nats=table["bf16_nats"] - table["fp32_nats"])


@pytest.mark.parametrize(
    ("bf16", "harmless"),
    [
        ([2.01, 2.11, 2.24], True),
        ([1.9, 2.0, 2.13], True),
        ([2.2, 2.3, 2.3], False),
        ([1.8, 1.9, 2.1], False),
        ([2.0, 2.1, float("nan")], False),
    ],
)
def test_differences_are_held_against_the_spread_of_seeds(
    bf16: list[float], harmless: bool
) -> None:
    found = bf16_loss.findings(pairs([2.0, 2.1, 2.2], bf16))
    assert found["bf16_harmless"] == {"128": harmless}
    assert (found["bf16_over_noise"] <= 1) is harmless


def test_precisions_are_compared_pair_by_pair(here: None) -> None:
    fields: dict[str, Any] = {"data": FABLES, "tokens": 64, "batch_tokens": 32, "evaluation": LOOK}
    table = bf16_loss.measure(widths=[64, 32], seeds=[0, 1], fields=fields)
    assert table["d_model"].tolist() == [32, 32, 64, 64]
    assert table["seed"].tolist() == [0, 1, 0, 1]
    config = bench_config(32, precision="bf16", **fields)
    assert table["bf16_run"][1] == make_run(config, 1).run_id
    difference = table["bf16_nats"] - table["fp32_nats"]
    assert table["difference_nats"].tolist() == pytest.approx(difference.tolist())


def test_the_halves_of_the_plain_side_are_all_runs_once_and_cost_alike() -> None:
    runs = sweep_speed.runs_in("fp32", 400_000, 512)
    first, second = sweep_speed.halves(runs)
    assert sorted(r.run_id for r in [*first, *second]) == sorted(r.run_id for r in runs)
    widths = [sum(run.config.model.d_model for run in half) for half in (first, second)]
    assert len(first) == len(second) == 6
    assert max(widths) / min(widths) < 1.1
    kinds = {r.config.model.d_model: r.config.precision for r in sweep_speed.runs_in("bf16", 9, 9)}
    assert kinds == {32: "fp32", 64: "bf16", 96: "bf16", 128: "bf16"}


def test_a_sweep_is_compared_and_equal_bit_for_bit(here: None, monkeypatch: Patch) -> None:
    monkeypatch.setattr(sweep_speed, "WIDTHS", (64, 32))
    monkeypatch.setattr(sweep_speed, "SEEDS", (0, 1))
    table = sweep_speed.measure(tokens=64, batch_tokens=32)
    assert table["d_model"].tolist() == [32, 32, 64, 64]
    found = sweep_speed.findings(table)
    assert found["sweep_bit_equal"] == {"checked": 7, "equal": 7}
    assert found["sweep_ratio"] == found["sweep_ratio_by_precision"]["bf16"] > 0
    plain = table["plain_seconds"].sum()
    assert found["sweep_seconds"]["plain"] == pytest.approx(plain, abs=0.06)
    for name in ("plain_seconds", "time_sweep"):
        monkeypatch.setattr(sweep_speed, name, never)
    pd.testing.assert_frame_equal(sweep_speed.measure(tokens=64, batch_tokens=32), table)


def test_one_run_that_ended_otherwise_than_alone_is_counted() -> None:
    table = pd.DataFrame(
        {
            "plain_seconds": [10.0, 30.0],
            "fp32_whole_sweep_seconds": 25.0,
            "bf16_whole_sweep_seconds": 20.0,
            "fp32_equal": [True, None],
            "bf16_equal": [True, False],
        }
    )
    found = sweep_speed.findings(table)
    assert found["sweep_ratio_by_precision"] == {"fp32": 1.6, "bf16": 2.0}
    assert found["sweep_bit_equal"] == {"checked": 3, "equal": 2}
    assert sweep_speed.GOALS[1].row(found)["reached"] is False


def test_branches_are_compared_with_runs_from_scratch(here: None, monkeypatch: Patch) -> None:
    monkeypatch.setattr(branching, "MULTIPLES", (8, 4, 1))
    fields: dict[str, Any] = {
        "data": FABLES,
        "evaluation": LOOK,
        "batch_tokens": 32,
        "precision": "fp32",
    }
    table = branching.measure(tokens=640, seeds=(0,), width=32, **fields)
    assert table["tokens"].tolist() == [640, 2560, 5120]
    steps = table.set_index("tokens")["branched_steps"]
    assert steps[5120] == 160
    assert steps[640] == 20  # all of it is warm-up: nothing to branch off
    assert steps[2560] == math.ceil(0.3 * 80)
    assert table["equal"].all()
    assert (table["scratch_run"] != table["linear_run"]).all()


def test_what_branches_save_and_lose() -> None:
    table = pd.DataFrame(
        {
            "tokens": [100, 100, 200, 200],
            "scratch_nats": [2.0, 2.02, 1.5, 1.6],
            "branched_nats": [2.0, 2.02, 1.5, 1.62],
            "scratch_steps": 10,
            "branched_steps": [3, 3, 10, 10],
            "scratch_cpu_seconds": 2.0,
            "branched_cpu_seconds": 1.5,
            "equal": [True, True, True, False],
        }
    )
    found = branching.findings(table)
    assert found["branch_compute_share"] == 0.35
    assert found["branch_cpu_share"] == 0.25
    assert found["branch_equal"] == {"runs": 4, "equal": 3}
    assert found["branch_over_noise"] == pytest.approx(0.02 / 0.01414, rel=1e-3)  # least spread


# --- steps ----------------------------------------------------------------------------------------


def test_the_plain_loop_learns(project: Path) -> None:
    config = bench_config(32, 256, tokens=60 * 256, evaluation=LOOK)
    data = prepare("fables", "bpe-512")
    model = train_plainly(config, 0, data)
    assert evaluate(model, data.validation, 1.0).nats < math.log(data.tokenizer.vocab_size) - 0.3


def test_a_pace_takes_one_call_at_least() -> None:
    calls: list[int] = []
    pace(calls.append, 0.0)
    assert calls == [0]


def test_the_peak_is_measured_beside_the_steps(project: Path, monkeypatch: Patch) -> None:
    configs = matmul_peak.steps(widths=(32,), batches=(32, 64))
    monkeypatch.setattr(matmul_peak, "usable_cores", lambda: 1)
    table = matmul_peak.measure(configs, sizes=(16,), rounds=2, seconds=0.001)
    assert table[["precision", "batch_tokens"]].to_numpy().tolist() == [
        ["fp32", 32], ["fp32", 64], ["bf16", 32], ["bf16", 64],
    ]  # fmt: skip
    low, middle, high = (table[f"{end}fraction"] for end in ("lowest_", "", "highest_"))
    assert ((low > 0) & (low <= middle) & (middle <= high)).all()
    best = matmul_peak.findings(table)["matmul_peak_fraction"]
    assert best["bf16"]["32"] == middle[2:].max()


def test_a_fraction_is_that_of_the_best_product_of_its_round() -> None:
    configs = {"step": bench_config(32, 64)}
    rows = [
        (1, "fp32", "product of 16", 4e9), (1, "fp32", "product of 32", 8e9),
        (1, "fp32", "step", 2e9), (1, "bf16", "product of 16", 99e9),
        (2, "fp32", "product of 16", 10e9), (2, "fp32", "product of 32", 8e9),
        (2, "fp32", "step", 3e9),
    ]  # fmt: skip
    timed = pd.DataFrame(rows, columns=["round", "precision", "of", "rate"])
    (row,) = matmul_peak.fractions(configs, timed).to_dict("records")
    assert row["fraction"] == pytest.approx((2 / 8 + 3 / 10) / 2, abs=1e-3)
    assert (row["lowest_fraction"], row["highest_fraction"]) == (0.25, 0.3)
    assert row["peak_gflops_per_second"] == 9.0


def test_the_goal_is_held_against_the_worst_of_the_wide_steps() -> None:
    rows = [(64, "bf16", 0.1), (256, "bf16", 0.3), (256, "bf16", 0.5), (384, "bf16", 0.39)]
    rows += [(256, "fp32", 0.2)]
    table = pd.DataFrame(rows, columns=["d_model", "precision", "fraction"])
    found = matmul_peak.findings(table.assign(peak_gflops_per_second=100.0))
    assert found["matmul_peak_fraction"]["bf16"] == {"64": 0.1, "256": 0.5, "384": 0.39}
    assert found["matmul_peak_when_wide"] == 0.39
    assert matmul_peak.GOAL.row(found)["reached"] is False


def test_a_profile_has_all_classes_of_work(project: Path) -> None:
    configs = list(matmul_peak.steps(widths=(32,), batches=(32,)).values())
    table = step_profile.profile_steps(configs, 1)
    assert table.groupby("precision")["part"].apply(list).tolist() == [list(CLASSES)] * 2
    spent = table.groupby("part")["milliseconds"].min()
    assert (spent[[PRODUCTS, OPTIMISER]] > 0).all()


def test_the_share_of_products_is_told_by_width() -> None:
    rows = [
        (width, kind, batch, part, ms)
        for kind in ("fp32", "bf16")
        for width, first in ((64, 1.0), (384, 6.0))
        for batch in (512, 4096)
        for part, ms in zip(CLASSES, (first, 1.0, 1.0, 1.0, 1.0), strict=True)
    ]
    columns = ["d_model", "precision", "batch_tokens", "part", "milliseconds"]
    table = pd.DataFrame(rows, columns=columns)
    found = step_profile.findings(table)["step_profile"]
    assert found == {"batch_tokens": 4096, "products": {"64": 0.2, "384": 0.6}}
    texts = [text.get_text() for text in step_profile.figure(table).findobj() if
             hasattr(text, "get_text")]  # fmt: skip
    assert any("20 % of a bf16 step at width 64" in text.replace("\n", " ") for text in texts)


# --- the cost model -------------------------------------------------------------------------------


def test_every_cost_of_the_paper_grid_is_tried_once() -> None:
    runs = cost_model.runs_that_differ_in_cost()
    shapes = [
        (r.config.model.d_model, r.config.model.context_length, r.config.tokens) for r in runs
    ]
    assert len(set(shapes)) == len(shapes) > 8
    assert {run.seed for run in runs} == {0}
    assert len({width for width, *_ in shapes}) > 4
    assert len({context for _, context, _ in shapes}) > 2


def test_runs_are_predicted_once_trained_and_compared(here: None, monkeypatch: Patch) -> None:
    runs = [tiny_run(seed=0), tiny_run(seed=1)]

    def pretend(some: list[Run], jobs: int) -> dict[str, Estimate]:
        return {run.run_id: Estimate(9.0, 2.0, 1.0, 10**8) for run in some}

    monkeypatch.setattr(cost_model, "estimate_runs", pretend)
    table = cost_model.measure(runs)
    assert table["run_id"].tolist() == [run.run_id for run in runs]
    assert (table["predicted_wall_seconds"] == 2.0).all()
    assert (table["predicted_memory_mb"] == 100.0).all()
    monkeypatch.setattr(cost_model, "estimate_runs", never)
    pd.testing.assert_frame_equal(cost_model.measure(runs), table)


def test_a_prediction_is_held_against_its_record(project: Path) -> None:
    record = train(tiny_run().config, 0, store=Store("smoke"))
    timing = record.timing
    estimate = Estimate(
        seconds=9.0,
        training_seconds=1.2 * timing.wall_seconds,
        cpu_seconds=0.5 * timing.cpu_seconds,
        memory_bytes=timing.peak_memory_bytes,
    )
    row = cost_model.row_of(record, estimate)
    assert row["wall_seconds_off_percent"] == pytest.approx(20, abs=0.1)
    assert row["cpu_seconds_off_percent"] == pytest.approx(-50, abs=0.1)
    assert row["memory_mb_off_percent"] == 0


def test_a_run_counts_when_all_of_it_is_within_a_quarter() -> None:
    off = [(0, 0, 0), (25, 0, -25), (-26, 0, 0), (0, 0, 26)]
    names = [f"{name}_off_percent" for name in cost_model.QUANTITIES]
    found = cost_model.findings(pd.DataFrame(off, columns=names, dtype=float))
    assert found["cost_model_within_25_percent"] == 0.5
    assert found["cost_model"]["wall_seconds"] == {
        "within_25_percent": 0.75,
        "median_miss": 12.5,
        "largest_miss": 26.0,
    }
    assert found["cost_model"]["cpu_seconds"]["within_25_percent"] == 1.0


# --- intervals ------------------------------------------------------------------------------------


def one_interval(loss: Any) -> dict[str, tuple[tuple[float, float], float]]:
    middle = float(loss.mean())
    return {"mean": ((middle - 0.1, middle + 0.1), 2.0)}


def test_studies_are_run_on_all_cores_once(project: Path, monkeypatch: Patch) -> None:
    plan = Plan("one kind", torch.full((4,), 2.0).numpy(), torch.full((4,), 0.001).numpy(),
                one_interval)  # fmt: skip
    monkeypatch.setattr(coverage, "plans", lambda: [plan])
    monkeypatch.setattr(coverage, "usable_cores", lambda: 1)
    table = coverage.measure(studies=4)
    assert table[["plan", "of", "studies", "covered"]].to_numpy().tolist() == [
        ["one kind", "mean", 4, 1.0]
    ]
    monkeypatch.setattr(coverage, "run_plan", never)
    pd.testing.assert_frame_equal(coverage.measure(studies=4), table)


def test_the_range_of_coverage_tells_parabolas_apart() -> None:
    table = pd.DataFrame(
        {
            "plan": ["a", "a", PARABOLAS],
            "covered": [0.94, 0.96, 0.89],
            "studies": [1000, 900, 1000],
        }
    )
    found = coverage.findings(table)["coverage"]
    assert found["studies"] == 900
    assert found["laws"] == {"lowest": 0.94, "highest": 0.96}
    assert found["parabolas"] == {"lowest": 0.89, "highest": 0.89}
