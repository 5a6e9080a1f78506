"""Sampling: the cache changes nothing, and each setting keeps exactly the tokens it promises."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from tiny_runs import random_model, random_tokens

from tinylm.errors import TinyLMError
from tinylm.generate import filter_logits, generate

LOGITS = st.lists(st.integers(-60, 60).map(lambda n: n / 10), min_size=1, max_size=12, unique=True)


@pytest.mark.parametrize("positions", ["learned", "rotary"])
@pytest.mark.parametrize("kv_heads", [None, 2, 1])
@pytest.mark.parametrize("looks_back", [{}, {"shift": 3}, {"induction_heads": 1}])
@pytest.mark.parametrize(("prompt", "n_tokens"), [(1, 15), (5, 40), (16, 20), (25, 9)])
def test_the_cache_changes_no_token(
    positions: str, kv_heads: int | None, looks_back: dict[str, int], prompt: int, n_tokens: int
) -> None:
    """Within the context of 16, past its end, and with a prompt that fills it or overflows it."""
    model = random_model(positions=positions, n_kv_heads=kv_heads, **looks_back)
    tokens = random_tokens(3, prompt)
    for temperature in (0.0, 1.0):
        with_cache = generate(model, tokens, n_tokens, temperature=temperature)
        without = generate(model, tokens, n_tokens, temperature=temperature, use_cache=False)
        assert with_cache.shape == (3, prompt + n_tokens)
        assert (with_cache[:, :prompt] == tokens).all()
        assert (with_cache == without).all()


@pytest.mark.parametrize(
    "variant",
    [
        {"induction_heads": 2, "induction_positions": False},
        {"mixing": "linear", "positions": "none", "induction_heads": 1},
        {"shift": 2, "shift_layers": True},
    ],
)
def test_the_cache_changes_no_token_of_other_variants(variant: dict[str, Any]) -> None:
    model = random_model(**variant)
    tokens = random_tokens(3, 5)
    made = generate(model, tokens, 40, temperature=1.0)
    assert (made == generate(model, tokens, 40, temperature=1.0, use_cache=False)).all()


def test_greedy_takes_the_best_token_each_time() -> None:
    model = random_model()
    expected = random_tokens(2, 4)
    with torch.no_grad():
        for _ in range(12):
            expected = torch.cat([expected, model(expected)[:, -1:].argmax(-1)], dim=1)
    assert (generate(model, expected[:, :4], 12, temperature=0.0, seed=1) == expected).all()
    assert (generate(model, expected[:, :4], 12, top_k=1) == expected).all()


def test_a_full_context_forgets_its_older_half() -> None:
    """The 17th token is predicted from the newest 8 of the 17 tokens known by then."""
    model = random_model()
    tokens = random_tokens(1, 16)
    made = generate(model, tokens, 2, temperature=0.0)
    with torch.no_grad():
        assert made[0, 16] == model(tokens)[0, -1].argmax()
        assert made[0, 17] == model(made[:, 9:17])[0, -1].argmax()


def test_the_seed_decides_the_sample() -> None:
    model = random_model()
    torch.manual_seed(0)
    one = generate(model, random_tokens(2, 3), 20, seed=4)
    torch.manual_seed(1)
    assert (one == generate(model, random_tokens(2, 3), 20, seed=4)).all()
    assert (one != generate(model, random_tokens(2, 3), 20, seed=5)).any()


def test_samples_come_as_often_as_the_model_says() -> None:
    model = random_model(vocab_size=5)
    prompt = torch.tensor([[1, 2]]).repeat(20_000, 1)
    for temperature in (0.5, 1.0):
        drawn = generate(model, prompt, 1, temperature=temperature)[:, -1]
        with torch.no_grad():
            expected = (model(prompt[:1])[0, -1] / temperature).softmax(-1)
        found = torch.bincount(drawn, minlength=5) / len(drawn)
        torch.testing.assert_close(found, expected, atol=0.015, rtol=0)


@given(LOGITS, st.integers(1, 14))
def test_top_k_keeps_the_k_best(logits: list[float], k: int) -> None:
    kept = filter_logits(torch.tensor([logits]), k, None)[0]
    best = sorted(logits, reverse=True)[:k]
    expected = [x if x in best else -math.inf for x in logits]
    assert kept.tolist() == pytest.approx(expected)


@given(LOGITS, st.floats(0.01, 1.0))
def test_top_p_keeps_the_smallest_set_of_that_mass(logits: list[float], p: float) -> None:
    chances = np.exp(np.array(logits) - max(logits))
    chances /= chances.sum()
    order = np.argsort(-chances)
    reached = np.cumsum(chances[order])
    assume(np.abs(reached - p).min() > 1e-5)  # float32 cannot tell such a tie
    smallest = 1 + int((reached < p).sum())  # tokens until the mass is reached
    kept = filter_logits(torch.tensor([logits]), None, p)[0].isfinite().numpy()
    assert set(np.flatnonzero(kept)) == set(order[:smallest])


@given(LOGITS)
def test_top_p_of_one_keeps_all(logits: list[float]) -> None:
    assert (
        filter_logits(torch.tensor([logits]), None, 1.0).tolist() == torch.tensor([logits]).tolist()
    )


def test_top_p_counts_mass_among_the_top_k() -> None:
    logits = torch.tensor([[0.4, 0.3, 0.2, 0.1]]).log()
    kept = filter_logits(logits, 2, 0.5)  # of the two best, the best alone has 4/7 of the mass
    assert kept.isfinite().tolist() == [[True, False, False, False]]
    assert filter_logits(logits, None, 0.5).isfinite().sum() == 2


def test_rows_are_filtered_each_by_itself() -> None:
    logits = torch.tensor([[3.0, 0.0, 1.0], [0.0, 1.0, 3.0]])
    assert filter_logits(logits, 1, None).argmax(-1).tolist() == [0, 2]
    assert filter_logits(logits, 1, None).isfinite().sum(-1).tolist() == [1, 1]
    assert filter_logits(logits, None, 0.5).isfinite().tolist() == [
        [True, False, False],
        [False, False, True],
    ]


def test_generation_ends_when_every_row_has_stopped() -> None:
    model = random_model()
    tokens = random_tokens(4, 3)
    free = generate(model, tokens, 30, temperature=0.0)
    stop = int(free[0, 8])
    stopped = generate(model, tokens, 30, temperature=0.0, stop=stop)
    length = stopped.shape[1]
    for row, expected in zip(stopped.tolist(), free.tolist(), strict=True):
        made = expected[3:]
        until = 3 + (made.index(stop) if stop in made else len(made))
        assert row[:until] == expected[: min(until, length)]
        assert set(row[until:]) <= {stop}
    alone = generate(model, tokens[:1], 30, temperature=0.0, stop=stop)
    assert alone.shape[1] == 3 + free[0, 3:].tolist().index(stop) + 1


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"temperature": -0.1}, "temperature -0.1 is out of range"),
        ({"temperature": math.nan}, "temperature nan is out of range"),
        ({"top_k": 0}, "top_k 0 is below 1"),
        ({"top_p": 0.0}, "top_p 0.0 is out of range"),
        ({"top_p": 1.5}, "top_p 1.5 is out of range"),
        ({"top_p": math.nan}, "top_p nan is out of range"),
    ],
)
def test_settings_out_of_range_are_named(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(TinyLMError, match=said):
        generate(random_model(), random_tokens(1, 3), 5, **settings)


def test_an_empty_prompt_is_refused() -> None:
    with pytest.raises(TinyLMError, match="prompt has no tokens"):
        generate(random_model(), torch.empty(1, 0, dtype=torch.int64), 5)
