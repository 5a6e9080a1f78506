"""How noisy gradients are: the batch from which on more rows to a step hardly help.

If the gradient of one row has mean G over rows and covariance Σ, the mean over B rows has variance
tr Σ/B, as much as its signal |G|² where B = tr Σ/|G|², the noise scale (McCandlish et al. 2018). A
smaller batch wastes steps, a larger one wastes text. It grows as the loss falls, since G shrinks
and Σ hardly does.
"""

import copy
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from tinylm.batches import TrainingBatches
from tinylm.config import RunConfig
from tinylm.corpora.token_files import prepare
from tinylm.speed.choose import choose_steps
from tinylm.store import Store
from tinylm.studies.findings import finding
from tinylm.sweeps.declare import configure, load_experiment, set_path
from tinylm.train import identify
from tinylm.trainer import Trainer

WIDTHS = (16, 48, 128)
TOKENS = 1_000_000
POINTS = 6  # looks at the noise, log-spaced in tokens; the last is half-way, before the cool-down
ROWS = 256  # whose gradients are taken at each
CODE = ("tinylm.studies.noise_scale",)


@dataclass(frozen=True)
class Noise:
    """tr Σ and |G|² of a row's gradient, both without bias, from as many rows as were read."""

    spread: float
    signal: float

    @property
    def rows(self) -> float:
        """The noise scale in rows; NaN where the signal was not told from noise."""
        return self.spread / self.signal if self.signal > 0 else float("nan")


def gradient_noise(gradients: Iterable[Tensor]) -> Noise:
    """Of the gradients of some rows, each (parameters); two or more."""
    total, squares, n = torch.zeros(()), 0.0, 0
    for gradient in gradients:
        total = total + gradient.double()
        squares += float(gradient.double().square().sum())
        n += 1
    of_mean = float((total / n).square().sum())
    spread = (squares - n * of_mean) / (n - 1)
    return Noise(spread, of_mean - spread / n)


def row_gradients(trainer: Trainer, rows: int, seed: int) -> Iterable[Tensor]:
    """Gradients of the loss of single rows of the training text, flat, in fp32."""
    batches = TrainingBatches(trainer.train_tokens, trainer.config.model.context_length, 1, seed)
    parameters = list(trainer.model.parameters())
    for row in range(rows):
        inputs, targets = (torch.from_numpy(part) for part in batches.batch(row))
        loss = trainer.model.loss(inputs, targets)
        yield torch.cat([part.flatten() for part in torch.autograd.grad(loss, parameters)])


def measure(trainer: Trainer, looks: Sequence[int], rows: int) -> list[Noise]:
    """The noise after each of these steps of a run."""
    steps, found = choose_steps([trainer]), []
    for look in looks:
        while trainer.state.step < look:
            steps.take()
            trainer.state.step += 1
        found.append(gradient_noise(row_gradients(trainer, rows, seed=1)))
    return found


def noise_scales(store: Store) -> pd.DataFrame:
    """The noise scale along runs by the recipe, a finding: d_model, tokens (seen), batch (of the
    recipe) and noise_scale, both in tokens. Training them takes minutes.

    Raises:
        Missing: the finding is not there.
    """

    runs = [identify(_config(width), seed=0) for width in WIDTHS]

    def compute() -> pd.DataFrame:
        found = []
        for run in runs:
            config = run.config
            data = prepare(config.data.corpus, config.data.tokenizer)
            trainer = Trainer(run, data, Path(), torch.device("cpu"))
            looks = np.geomspace(10, config.steps // 2, POINTS).round().astype(int)
            for look, noise in zip(looks, measure(trainer, looks.tolist(), ROWS), strict=True):
                found.append(
                    {
                        "d_model": config.model.d_model,
                        "tokens": int(look) * config.batch_tokens,
                        "batch": config.batch_tokens,
                        "noise_scale": noise.rows * config.model.context_length,
                    }
                )
        return pd.DataFrame(found)

    ids = [run.run_id for run in runs]
    result: pd.DataFrame = finding(store, "noise-scale", [], CODE, compute, runs=ids, rows=ROWS)
    return result


def _config(width: int) -> RunConfig:
    """A run of the grid on stories."""
    experiment = load_experiment("grid")
    values = copy.deepcopy(experiment.base)
    chosen = {"tokens": TOKENS, "model.d_model": width}
    for path, value in (experiment.profiles["paper"].set | chosen).items():
        set_path(values, path, value)
    return configure(experiment, "paper", values)
