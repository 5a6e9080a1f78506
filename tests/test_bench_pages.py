"""What the book says of the measurements, on made-up ones whose answers are known."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tinylm.bench import figures
from tinylm.bench.findings import Findings, read_findings
from tinylm.bench.goals import goals
from tinylm.bench.pages import NOT_MEASURED, markdown, page_texts
from tinylm.bench.recipe_figure import finding
from tinylm.bench.step_profile import CLASSES
from tinylm.bench.summary import merge_summary
from tinylm.bench.time_to_loss import summarise
from tinylm.errors import TinyLMError

SPEEDS = {"reference": (60.0, 61.0, 62.0), "tinylm": (3.0, 3.1, 3.2)}


def plain(text: str) -> str:
    return text.replace("\N{NO-BREAK SPACE}", " ").replace("\N{NON-BREAKING HYPHEN}", "-")


def rows_of(text: str) -> list[list[str]]:
    """The cells of a Markdown table, its headings first."""
    lines = [line for line in plain(text).splitlines() if line.startswith("|")]
    return [
        [cell.strip() for cell in line.strip("|").split("|")] for line in lines if ":--" not in line
    ]


def put(folder: Path, name: str, rows: list[dict[str, Any]], **found: Any) -> None:
    pd.DataFrame(rows).to_csv(folder / name, index=False)
    merge_summary(found, threads=2, folder=folder, file=name)


def time_rows(ours: float = 1.5) -> list[dict[str, Any]]:
    return [
        {
            "corpus": corpus, "seed": seed, "side": side, "seconds": seconds[seed],
            "nats": 1.6 if side == "reference" else ours, "tokens": 1_536_000,
            "threads": 2 if side == "reference" else 1,
        }
        for corpus in ("stories", "news")
        for seed in range(3)
        for side, seconds in SPEEDS.items()
    ]  # fmt: skip


def recipe_rows() -> list[dict[str, Any]]:
    steps = [("added", "reference", 2.0), ("added", "rate", 1.8), ("added", "batch", 1.6)]
    steps += [("removed", "rate", 1.75), ("removed", "batch", float("nan"))]
    return [
        {
            "table": table, "step": step, "nats": nats, "std": 0.01, "seeds": 3, "tokens": 4096,
            "n_non_embedding": 98752, "tokens_per_second": 43210,
        }
        for table, step, nats in steps
    ]  # fmt: skip


# --- nothing, or not everything, measured ---------------------------------------------------------


def test_what_is_not_measured_says_so(tmp_path: Path) -> None:
    texts = page_texts(tmp_path)
    assert texts["bench_sweep"] == texts["bench_recipe_figure"] == NOT_MEASURED
    assert texts["bench_ratio"] == "not yet measured"
    assert {row[-1] for row in rows_of(texts["bench_goals"])[1:]} == {"open"}
    assert all(name.isidentifier() for name in texts)


def test_a_measurement_that_could_not_be_made_says_why(tmp_path: Path) -> None:
    reason = "not yet measured: no CUDA device here"
    merge_summary({"batched": None}, threads=1, folder=tmp_path, reason=reason)
    texts = page_texts(tmp_path)
    assert texts["bench_batched"] == "*Not yet measured: no CUDA device here.*"
    assert texts["bench_machine"] == NOT_MEASURED


def test_a_figure_is_shown_once_it_is_drawn(tmp_path: Path) -> None:
    put(tmp_path, "recipe.csv", recipe_rows())
    assert page_texts(tmp_path)["bench_recipe_figure"] == NOT_MEASURED
    assert [path.name for path in figures.draw_figures(tmp_path)] == ["recipe.png"]
    shown = page_texts(tmp_path)["bench_recipe_figure"]
    assert "{figure} ../results/bench/plots/recipe.png" in shown
    assert "over 3 seeds; every run reads 4,096 tokens" in shown
    parts = [
        {"d_model": 64, "precision": "bf16", "batch_tokens": 512, "part": part, "milliseconds": 1.0}
        for part in CLASSES
    ]
    pd.DataFrame(parts).to_csv(tmp_path / "step_profile.csv", index=False)
    names = [path.name for path in figures.draw_figures(tmp_path)]
    assert names == ["recipe.png", "step_profile.png"]


@pytest.mark.parametrize(
    ("summary", "said"),
    [
        ("{", "damaged"),
        ('{"sweep_ratio": "fast"}', "sweep_ratio is 'fast'"),
        ('{"sweep_bit_equal": {"checked": 3}}', "sweep_bit_equal.equal"),
    ],
)
def test_a_damaged_summary_is_named(tmp_path: Path, summary: str, said: str) -> None:
    (tmp_path / "summary.json").write_text(summary)
    with pytest.raises(TinyLMError, match=said):
        read_findings(tmp_path)


@pytest.mark.parametrize(("table", "said"), [("a,b\n1,2\n", "column 'table'"), ("", "damaged")])
def test_a_damaged_table_is_named(tmp_path: Path, table: str, said: str) -> None:
    (tmp_path / "recipe.csv").write_text(table)
    with pytest.raises(TinyLMError, match=rf"recipe\.csv.*{said}"):
        page_texts(tmp_path)


# --- tables and words -----------------------------------------------------------------------------


def test_a_table_in_markdown() -> None:
    table = pd.DataFrame({"a": ["x"], "b": [2]})
    assert markdown(table) == "| a | b |\n| :-- | --: |\n| x | 2 |"


def test_times_are_shown_with_their_spread_and_ratios_seed_by_seed(tmp_path: Path) -> None:
    rows = time_rows()
    put(tmp_path, "time_to_loss.csv", rows, **summarise(pd.DataFrame(rows)))
    texts = page_texts(tmp_path)
    headings, reference, ours, *_ = rows_of(texts["bench_time_to_loss"])
    assert headings[0] == "corpus"
    assert reference[:5] == ["stories", "reference, 2 threads", "1,536,000", "61.0 ± 1.0", "1"]
    assert ours[1:] == [
        "ours, 1 thread",
        "1,536,000",
        "3.1 ± 0.1",
        "19.7 ± 0.3",
        "1.500 ± 0.000",
        "3",
    ]
    assert texts["bench_ratio"].startswith("19.7 times")
    machine = texts["bench_machine"]
    assert machine.startswith("Measured on 20")
    assert "2 cores" in machine
    assert rows_of(texts["bench_behind"])[1][0] == "`time_to_loss.csv`"


def test_the_recipe_is_told_step_by_step(tmp_path: Path) -> None:
    put(tmp_path, "recipe.csv", recipe_rows())
    texts = page_texts(tmp_path)
    assert rows_of(texts["bench_recipe_added"])[1] == [
        "reference",
        "2.000 ± 0.010",
        "98,752",
        "43,210",
        "3",
    ]
    whole, rate, batch = rows_of(texts["bench_recipe_removed"])[1:]
    assert whole[:2] == ["nothing: the recipe", "1.600 ± 0.010"]
    assert rate[1:3] == ["1.750 ± 0.010", "+0.150"]
    assert batch[1:3] == ["diverged", ""]
    assert texts["bench_most_missed"].startswith("rate; without it the loss is 0.150 nats")
    assert "2.00 nats a character" in finding(pd.DataFrame(recipe_rows()))


def test_a_sweep_by_width_and_in_all(tmp_path: Path) -> None:
    rows = [
        {
            "sweep": sweep,
            "d_model": width,
            "seed": seed,
            "plain_seconds": width + seed,
            "sweep_run_seconds": 9,
        }
        for sweep in ("fp32", "bf16")
        for width in (32, 64)
        for seed in range(3)
    ]
    found = {
        "sweep_ratio": 2.5,
        "sweep_ratio_by_precision": {"fp32": 2.0, "bf16": 2.5},
        "sweep_seconds": {"plain": 100.0, "fp32": 50.0, "bf16": 40.0},
        "sweep_bit_equal": {"checked": 8, "equal": 8},
    }
    put(tmp_path, "sweep.csv", rows, **found)
    texts = page_texts(tmp_path)
    shown = rows_of(texts["bench_sweep"])
    assert shown[1] == ["32", "33.0 ± 1.0", "9.0", "9.0"]
    assert shown[-1] == ["times as fast", "1", "2.00", "2.50"]
    assert texts["bench_bit_equal"] == "8 of 8 are equal"


def test_shares_of_the_peak_and_precision(tmp_path: Path) -> None:
    rows = [
        {
            "d_model": width, "precision": precision, "batch_tokens": 512, "fraction": width / 1000,
            "lowest_fraction": 0.1, "highest_fraction": 0.5, "step_gflops_per_second": 60.0,
            "peak_gflops_per_second": 150.0,
        }
        for width in (64, 384)
        for precision in ("fp32", "bf16")
    ]  # fmt: skip
    by_width = {"64": 0.064, "384": 0.384}
    put(tmp_path, "matmul_peak.csv", rows, matmul_peak_fraction={"bf16": by_width})
    one = {"mean_difference_nats": 0.001, "std_of_differences_nats": 0.002, "fp32_nats": 2.0}
    one |= {"seed_std_nats": 0.01, "seeds": 3}
    found = {"64": one | {"harmless": True}, "128": one | {"harmless": False}}
    merge_summary({"bf16_harmless": found}, threads=2, folder=tmp_path)
    texts = page_texts(tmp_path)
    assert rows_of(texts["bench_matmul_peak"])[1][:3] == ["64", "512", "6.4 [10.0, 50.0]"]
    assert plain(texts["bench_peak_range"]) == "6.4 % at width 64 and 38.4 % at width 384, in bf16"
    assert [row[-1] for row in rows_of(texts["bench_precision"])[1:]] == [
        "harmless",
        "not harmless",
    ]


def test_branches_are_compared_with_runs_from_scratch(tmp_path: Path) -> None:
    rows = [
        {"way": way, "tokens": 100, "seed": seed, "nats": 2.0 + (way == "linear schedule"),
         "steps_trained": 3 if way == "branched" else 10, "cpu_seconds": 1.0}
        for way in ("branched", "from scratch", "linear schedule")
        for seed in range(3)
    ]  # fmt: skip
    put(tmp_path, "trunks.csv", rows, branch_compute_share=0.7, branching=branching(3, 0.0))
    texts = page_texts(tmp_path)
    assert rows_of(texts["bench_trunks"])[1][1:] == [
        "2.000 ± 0.000", "2.000 ± 0.000", "3 of 3", "10", "3", "-1.000 ± 0.000",
    ]  # fmt: skip
    assert "saves 70.0 % of the training steps" in plain(texts["bench_branching"])
    assert "All 3 branched runs" in texts["bench_branching"]
    merge_summary({"branching": branching(1, 0.02)}, threads=2, folder=tmp_path)
    assert "1 of 3 branched runs" in page_texts(tmp_path)["bench_branching"]


def test_the_cost_model_and_many_models_at_once(tmp_path: Path) -> None:
    rows = [
        {f"{name}_off_percent": off for name in ("wall_seconds", "cpu_seconds", "memory_mb")}
        for off in (-30.0, 10.0)
    ]
    shares = {"wall_time": 0.5, "processor_time": 0.5, "memory": 0.5}
    found = {f"{name}_within_25_percent": share for name, share in shares.items()}
    put(tmp_path, "cost_model.csv", rows, cost_model=found, cost_model_within_25_percent=0.5)
    speed = {"non_embedding": 98752, "members": 64, "one_at_a_time": 1e5, "together": 2e6}
    merge_summary({"batched": [speed | {"ratio": 20.0}]}, threads=1, folder=tmp_path)
    texts = page_texts(tmp_path)
    assert rows_of(texts["bench_cost_model"])[1] == [
        "wall-clock",
        "50 %",
        "-10.0 ± 28.3",
        "20.0",
        "30.0",
    ]
    assert rows_of(texts["bench_batched"])[1] == ["98,752", "64", "100,000", "2,000,000", "20.0"]


# --- goals ----------------------------------------------------------------------------------------


def branching(equal: int, difference: float) -> dict[str, Any]:
    return {
        "largest_difference_nats": difference, "equal_bit_for_bit": equal, "runs": 3,
        "cpu_seconds_share": 0.3, "seed_std_nats": {"100": 0.01, "200": 0.03},
        "wsd_minus_linear_nats": {}, "wsd_minus_linear_std": {},
    }  # fmt: skip


def precision(harmless: bool) -> dict[str, Any]:
    numbers = ("mean_difference_nats", "std_of_differences_nats", "seed_std_nats", "fp32_nats")
    return {"64": dict.fromkeys(numbers, 0.1) | {"harmless": harmless, "seeds": 3}}


def speed(n: int, ratio: float) -> dict[str, Any]:
    counts = {"members": 2, "one_at_a_time": 1.0, "together": ratio}
    return {"non_embedding": n, "ratio": ratio} | counts


def times(reached: bool, ratio: float) -> dict[str, Any]:
    each = {"news": {"ratio": ratio, "reached": reached}}
    return {"time_to_loss": each, "time_to_loss_ratio": ratio if reached else None}


PEAK = "matmul_peak_fraction"


@pytest.mark.parametrize(
    ("found", "reached"),
    [
        (times(True, 15.0), True),
        (times(True, 14.9), False),
        (times(False, 40.0), False),
        ({"sweep_ratio": 2.0}, True),
        ({"sweep_ratio": 1.99}, False),
        ({"sweep_bit_equal": {"checked": 3, "equal": 3}}, True),
        ({"sweep_bit_equal": {"checked": 3, "equal": 2}}, False),
        ({"sweep_bit_equal": {"checked": 0, "equal": 0}}, False),
        ({PEAK: {"bf16": {"64": 0.1, "256": 0.4, "384": 0.5}}}, True),
        ({PEAK: {"bf16": {"256": 0.5, "384": 0.39}}}, False),
        ({PEAK: {"fp32": {"256": 0.5}}}, None),
        ({"bf16_harmless": precision(True)}, True),
        ({"bf16_harmless": precision(False)}, False),
        ({"branching": branching(3, 0.0)}, True),
        ({"branching": branching(1, 0.02)}, False),  # the least spread of seeds is 0.01
        ({"batched": [speed(10_000, 12.0), speed(2_000_000, 3.0)]}, True),
        ({"batched": [speed(10_000, 12.0), speed(900_000, 9.0)]}, False),
        ({"batched": None}, None),
        ({"cost_model_within_25_percent": 0.9}, True),
        ({"cost_model_within_25_percent": 0.89}, False),
    ],
)
def test_a_verdict_follows_from_what_was_found(found: dict[str, Any], reached: bool | None) -> None:
    verdicts = [goal.reached for goal in goals(Findings.model_validate(found))]
    assert [verdict for verdict in verdicts if verdict is not None] == (
        [] if reached is None else [reached]
    )


def test_a_loss_that_was_not_reached_is_said_to_be_higher() -> None:
    found = [goal.found for goal in goals(Findings.model_validate(times(False, 40.0)))]
    assert found[0] == "40.0 on news, but the loss is higher"
