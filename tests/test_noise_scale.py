"""The noise scale of gradients, where it is known."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_runs import tiny_config, tiny_trainer

from tinylm.studies import recipe_words as words
from tinylm.studies.noise_scale import Noise, gradient_noise, measure, row_gradients


@given(st.integers(0, 2**31), st.floats(0.1, 10.0))
@settings(max_examples=20)
def test_planted_spread_and_signal_are_found(seed: int, scale: float) -> None:
    generator = torch.Generator().manual_seed(seed)
    gradients = 1 + scale * torch.randn(400, 300, generator=generator)
    noise = gradient_noise(gradients)
    assert noise.spread == pytest.approx(300 * scale**2, rel=0.05)
    assert noise.signal == pytest.approx(300, rel=0.05 * (1 + scale))
    ours = gradients.double()
    assert noise.spread == pytest.approx(float(ours.var(0).sum()), rel=1e-6)
    assert noise.rows == pytest.approx(noise.spread / noise.signal)


def test_pure_noise_has_no_scale() -> None:
    assert np.isnan(Noise(spread=1.0, signal=-0.1).rows)


def test_the_mean_of_row_gradients_is_that_of_the_batch(project: Path) -> None:
    trainer = tiny_trainer(tiny_config(), project)
    before = {name: one.clone() for name, one in trainer.model.state_dict().items()}
    rows = torch.stack(list(row_gradients(trainer, 6, seed=1)))
    batches = trainer.batches.__class__(trainer.train_tokens, 32, 6, 1)
    inputs, targets = (torch.from_numpy(part) for part in batches.batch(0))
    whole = torch.autograd.grad(trainer.model.loss(inputs, targets), [*trainer.model.parameters()])
    flat = torch.cat([part.flatten() for part in whole])
    torch.testing.assert_close(rows.mean(0), flat, rtol=1e-4, atol=1e-6)
    assert all(torch.equal(before[name], one) for name, one in trainer.model.state_dict().items())


def test_noise_is_measured_along_a_run(project: Path) -> None:
    trainer = tiny_trainer(tiny_config(), project)
    first, later = measure(trainer, [1, 20], rows=8)
    assert trainer.state.step == 20
    assert first.spread > 0 < later.spread
    assert later.signal < first.signal


def test_what_is_said_of_it() -> None:
    rows = [
        {"d_model": width, "tokens": tokens, "batch": 1000, "noise_scale": scale}
        for width, scales in ((16, (1000.0, 4000.0)), (64, (2000.0, 9000.0)))
        for tokens, scale in zip((10_000, 500_000), scales, strict=True)
    ]
    noise = pd.DataFrame(rows)
    assert words.noise_lines(noise, "noise_scale") == {
        "width 16": [1000, 4000],
        "width 64": [2000, 9000],
    }
    assert "from about 1.5k to 6.5k tokens" in words.noise_title(noise)
    said = words.noise_said(noise).replace("\N{NO-BREAK SPACE}", " ")
    assert "11 % to 25 % of the noise scale" in said
    assert "10 % to 20 % of what is read" in said
    alike = noise.assign(noise_scale=4000.0)
    assert "are 25\N{NO-BREAK SPACE}% of the noise scale" in words.noise_said(alike)
    # 1.125 / 1.25 of the text for half the batch
    assert "would need 10\N{NO-BREAK SPACE}% less text" in words.halving_said(alike)
