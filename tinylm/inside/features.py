"""Sparse autoencoders: what is at a place of a model as a sum of few of many directions.

x ≈ b + Σ f_i d_i, where only the k largest of the f_i = relu(w_i·(x - b) + a_i) are kept: of each
token (Makhzani & Frey 2013; Gao et al. 2024), or of a batch of tokens together, k for each in the
mean (Bussmann et al. 2024).
"""

from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save
from torch import Tensor, nn

from tinylm.errors import BadInput, Damaged
from tinylm.files import write_atomic

DEAD_AFTER = 200  # steps without ever being among the kept
REVIVED = 64  # of the dead features, those that come nearest to what is left over learn from it
REVIVAL = 1 / 32  # weight of that loss


def _largest(features: Tensor, k: int) -> Tensor:
    """The k largest of each row, zero elsewhere."""
    kept = features.topk(k, dim=1)
    return torch.zeros_like(features).scatter(1, kept.indices, kept.values)


class Autoencoder(nn.Module):
    """A dictionary of `n_features` directions in a space of `width`, k of which make up a token."""

    threshold: Tensor

    def __init__(self, width: int, n_features: int, k: int, *, of_batch: bool = False) -> None:
        super().__init__()
        if not 1 <= k <= n_features:
            raise BadInput(f"k {k}: expected 1 to {n_features}, the features that there are")
        self.k, self.of_batch = k, of_batch
        self.directions = nn.Parameter(torch.zeros(n_features, width))  # each of length one
        self.encoder = nn.Parameter(torch.zeros(n_features, width))
        self.encoder_bias = nn.Parameter(torch.zeros(n_features))
        self.bias = nn.Parameter(torch.zeros(width))
        # Of batches: the least feature that is kept, when there is no batch to choose from.
        self.register_buffer("threshold", torch.zeros(()))

    @torch.no_grad()
    def initialise(self, x: Tensor, seed: int) -> None:
        """Random directions, read as they are written, about the mean of some activations."""
        generator = torch.Generator().manual_seed(seed)
        drawn = torch.randn(self.directions.shape, generator=generator)
        self.directions.copy_(F.normalize(drawn, dim=1))
        self.encoder.copy_(self.directions)
        self.bias.copy_(x.mean(0))

    def before(self, x: Tensor) -> Tensor:
        """All features of activations (M, width), the largest not yet chosen: (M, n_features)."""
        return F.relu(F.linear(x - self.bias, self.encoder, self.encoder_bias))

    def encode(self, x: Tensor) -> Tensor:
        """The features of activations (M, width), most of them zero: (M, n_features)."""
        features = self.before(x)
        if not self.of_batch:
            return _largest(features, self.k)
        if not self.training:
            return features * (features >= self.threshold)
        least = features.flatten().topk(self.k * len(x)).values[-1].detach()
        with torch.no_grad():  # a running mean of the positive ones
            self.threshold.lerp_(least.to(self.threshold), 0.01 if self.threshold > 0 else 1.0)
        return features * (features >= least)

    def decode(self, features: Tensor) -> Tensor:
        """What features (M, n_features) stand for: (M, width)."""
        return features @ self.directions + self.bias

    def forward(self, x: Tensor) -> Tensor:
        """Activations (M, width) through the dictionary and back."""
        return self.decode(self.encode(x))


@dataclass(frozen=True)
class Fit:
    """How a dictionary does on activations."""

    explained: float  # share of the variance
    per_token: float  # features that are not zero, in the mean
    dead: float  # share of features that no token has


@torch.no_grad()
def fit_of(autoencoder: Autoencoder, x: Tensor) -> Fit:
    """How a dictionary does on activations (M, width), as it is when it is not trained."""
    training = autoencoder.training
    autoencoder.eval()
    features = autoencoder.encode(x)
    autoencoder.train(training)
    left = (x - autoencoder.decode(features)).square().sum()
    return Fit(
        explained=float(1 - left / (x - x.mean(0)).square().sum()),
        per_token=float((features > 0).float().sum(1).mean()),
        dead=float(((features > 0).sum(0) == 0).float().mean()),
    )


def train_autoencoder(
    x: Tensor,
    n_features: int,
    k: int,
    *,
    of_batch: bool = False,
    steps: int = 2_000,
    batch: int = 1_024,
    rate: float = 2e-3,
    seed: int = 0,
) -> Autoencoder:
    """A dictionary for activations (M, width) at one place, learnt by Adam on batches of them.

    Inputs are scaled to a mean square of one a channel while it learns; that is folded into the
    weights in the end, so that it takes activations as they are. Features that have long been dead
    learn from what the others leave over (Gao et al. 2024).

    Raises:
        BadInput: k larger than the number of features, or no activations.
    """
    if len(x) == 0:
        raise BadInput("no activations: expected one token or more")
    scale = float(x.square().mean().sqrt().clamp(min=1e-12))
    x = x / scale
    generator = torch.Generator().manual_seed(seed)
    autoencoder = Autoencoder(x.shape[1], n_features, k, of_batch=of_batch)
    autoencoder.initialise(x, seed)
    optimizer = torch.optim.Adam(autoencoder.parameters(), lr=rate, betas=(0.9, 0.99))
    idle = torch.zeros(n_features)
    for step in range(steps):
        for group in optimizer.param_groups:  # the last fifth falls to nothing
            group["lr"] = rate * min(1.0, 5 * (steps - step) / steps)
        rows = x[torch.randint(len(x), (min(batch, len(x)),), generator=generator)]
        features = autoencoder.encode(rows)
        left = rows - autoencoder.decode(features)
        loss = left.square().mean() / rows.var()
        idle = torch.where((features > 0).any(0), torch.zeros(()), idle + 1)
        loss = loss + _revival(autoencoder, rows, left.detach(), idle > DEAD_AFTER)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        with torch.no_grad():
            autoencoder.directions.copy_(F.normalize(autoencoder.directions, dim=1))
    return _folded(autoencoder, scale)


def _revival(autoencoder: Autoencoder, rows: Tensor, left: Tensor, dead: Tensor) -> Tensor:
    """How badly the dead features explain what the living leave over."""
    if not bool(dead.any()):
        return torch.zeros(())
    features = autoencoder.before(rows)[:, dead]
    chosen = _largest(features, min(REVIVED, features.shape[1]))
    found = (left - chosen @ autoencoder.directions[dead]).square().mean() / rows.var()
    return REVIVAL * found


@torch.no_grad()
def _folded(autoencoder: Autoencoder, scale: float) -> Autoencoder:
    """The same for activations that were not divided by `scale`: features grow by it, directions
    keep their length of one.
    """
    autoencoder.encoder_bias.mul_(scale)
    autoencoder.bias.mul_(scale)
    autoencoder.threshold.mul_(scale)
    return autoencoder.eval()


def save_autoencoder(autoencoder: Autoencoder, path: Path) -> None:
    """Write a dictionary as safetensors."""
    kept = torch.tensor([autoencoder.k, int(autoencoder.of_batch)])
    write_atomic(path, save({**autoencoder.state_dict(), "kept": kept}))


def load_autoencoder(path: Path) -> Autoencoder:
    """What `save_autoencoder` wrote.

    Raises:
        Damaged: the file is none.
    """
    try:
        tensors = load_file(path)
        k, of_batch = (int(value) for value in tensors.pop("kept"))
        n_features, width = tensors["directions"].shape
        autoencoder = Autoencoder(width, n_features, k, of_batch=bool(of_batch))
        autoencoder.load_state_dict(tensors)
    except Exception as error:  # of the library, of shapes, of names
        raise Damaged(f"file {path} holds no autoencoder ({error})") from None
    return autoencoder.eval()
