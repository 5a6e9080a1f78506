"""Which runs tell the most about a text in the time there is."""

from dataclasses import replace
from itertools import product
from pathlib import Path

import pytest
from test_estimate import PARTS
from test_own_text import paragraphs

from tinylm.errors import BadInput
from tinylm.sweeps.estimate import evaluated_tokens
from tinylm.sweeps.own_plan import (
    LEAST_TOKENS,
    SEEDS,
    SURE,
    WIDTHS,
    amounts_of,
    best_grid,
    choose_tokenizer,
    cost_of,
    expected_error,
    runs_for,
)


def seconds_of(width: int, tokens: int) -> float:
    """Of a made-up machine."""
    return 2.0 + tokens * width / 2e6


@pytest.mark.parametrize("text", [6_000, 60_000, 600_000, 60_000_000])
@pytest.mark.parametrize("budget", [300.0, 900.0, 5_000.0])
def test_a_grid_keeps_to_its_time_and_text(text: int, budget: float) -> None:
    widths, tokens, seconds = best_grid(text, seconds_of, budget)
    assert seconds <= budget
    cost = sum(seconds_of(width, amount) for width, amount in product(widths, tokens))
    assert seconds == pytest.approx(len(SEEDS) * cost)
    assert tokens[0] >= LEAST_TOKENS
    assert tokens[-1] <= 4 * max(text, LEAST_TOKENS)
    assert list(tokens) == sorted(set(tokens))
    assert len(tokens) >= 3
    assert widths[0] in WIDTHS


def test_more_time_reads_more_text_once_the_exponent_is_sure() -> None:
    grids = [best_grid(2_000_000, seconds_of, budget) for budget in (400, 1_600, 6_400)]
    most = [tokens[-1] for _, tokens, _ in grids]
    assert most == sorted(most)
    assert most[0] < most[-1]
    for widths, tokens, _ in grids[1:]:
        assert expected_error(widths, tokens) <= SURE


def test_too_little_time_is_told_with_what_it_takes() -> None:
    with pytest.raises(BadInput, match=r"the smallest grid of runs takes .* expected more minutes"):
        best_grid(100_000, seconds_of, 20.0)


def test_amounts_double_up_to_four_times_the_text() -> None:
    found = amounts_of(100_000)
    assert found[-1] == 400_000
    assert found == [50_000, 100_000, 200_000, 400_000]
    assert amounts_of(1_000)[-1] == 4_000


@pytest.fixture
def text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TINYLM_ROOT", str(tmp_path / "project"))
    return tmp_path / "text.txt"


def test_little_text_gets_a_smaller_tokenizer(text: Path) -> None:
    text.write_text(paragraphs(1_500))
    name, data = choose_tokenizer(str(text))
    assert name == "bpe-512"
    assert data.train.n_tokens > 5_000
    text.write_text("\n\n".join(f"{i} hares and {i} hedgehogs" for i in range(1_000)))
    name, _ = choose_tokenizer(str(text))
    assert name in ("bpe-320", "characters")


def test_too_little_text_is_told(text: Path) -> None:
    text.write_text(paragraphs(100))
    with pytest.raises(BadInput, match=r"tokens to learn from; expected at least 5,000, about"):
        choose_tokenizer(str(text))


def test_runs_have_the_recipe_and_three_seeds(text: Path) -> None:
    text.write_text(paragraphs(100))
    runs = runs_for(str(text), "bpe-280", [16, 32], [10_000, 20_000])
    assert len(runs) == 2 * 2 * len(SEEDS)
    assert {run.config.optimizer.name for run in runs} == {"muon"}
    assert {run.config.data.corpus for run in runs} == {str(text)}
    rates = {run.config.tokens: run.config.optimizer.learning_rate for run in runs}
    assert rates[10_000] > rates[20_000]


def test_evaluation_is_paid_for_whatever_a_run_reads(text: Path) -> None:
    text.write_text(paragraphs(1_500))
    _, data = choose_tokenizer(str(text))
    config = runs_for(str(text), "bpe-512", [16], [20_000])[0].config
    parts = replace(PARTS, core_share=0.5)
    fixed, a_token = cost_of(config, data, parts)
    reading = evaluated_tokens(config, data) * parts.window_token
    spent = parts.first_step + parts.save + reading
    assert fixed == pytest.approx(parts.start_seconds + spent / 0.5)
    assert a_token == pytest.approx(parts.step / config.batch_tokens / 0.5)
    assert reading > 0.1
