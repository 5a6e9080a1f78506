"""Sparse autoencoders find the directions that activations were made of."""

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from tinylm.errors import BadInput, Damaged
from tinylm.inside import (
    Autoencoder,
    fit_of,
    load_autoencoder,
    save_autoencoder,
    train_autoencoder,
)

WIDTH, TRUE, ACTIVE = 16, 24, 2  # more directions than channels


def planted(n: int = 6_000, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Activations that are sums of ACTIVE of TRUE directions about a mean; and the directions."""
    generator = torch.Generator().manual_seed(seed)
    directions = F.normalize(torch.randn(TRUE, WIDTH, generator=torch.Generator().manual_seed(7)))
    chosen = torch.rand(n, TRUE, generator=generator).topk(ACTIVE, dim=1).indices
    sizes = 1 + torch.rand(n, ACTIVE, generator=generator)
    features = torch.zeros(n, TRUE).scatter(1, chosen, sizes)
    return 3 * (features @ directions + 0.5), directions


@pytest.fixture(scope="module", params=[False, True], ids=["of a token", "of a batch"])
def learnt(request: pytest.FixtureRequest) -> Autoencoder:
    return train_autoencoder(
        planted()[0], 48, ACTIVE, of_batch=request.param, steps=1_500, batch=512
    )


def test_planted_directions_are_found(learnt: Autoencoder) -> None:
    others, directions = planted(seed=1)
    alike = (learnt.directions.detach() @ directions.T).max(0).values
    assert (alike > 0.95).float().mean() > 0.9
    found = fit_of(learnt, others)
    assert found.explained > 0.9
    assert found.per_token == pytest.approx(ACTIVE, rel=0.25)
    torch.testing.assert_close(learnt.directions.norm(dim=1), torch.ones(48))


def test_a_token_keeps_its_k_largest_features() -> None:
    x = planted(50)[0]
    autoencoder = Autoencoder(WIDTH, 40, 5)
    autoencoder.initialise(x, seed=0)
    every, kept = autoencoder.before(x), autoencoder.encode(x)
    assert ((kept > 0).sum(1) <= 5).all()
    for all_of, some in zip(every, kept, strict=True):
        least = all_of.sort(descending=True).values[4]
        assert torch.equal(some, all_of * (all_of >= least))


def test_a_batch_shares_its_features_out() -> None:
    x = planted(64)[0]
    autoencoder = Autoencoder(WIDTH, 40, 3, of_batch=True)
    autoencoder.initialise(x, seed=0)
    counts = (autoencoder.encode(x) > 0).sum(1)
    assert counts.sum() == 3 * 64
    assert len(set(counts.tolist())) > 1
    autoencoder.eval()
    autoencoder.threshold.mul_(0.9999)  # it is one of the features, to the last bit
    alone = torch.cat([autoencoder.encode(row[None]) for row in x])
    torch.testing.assert_close(alone, autoencoder.encode(x))  # no row depends on the others


def test_the_scale_of_activations_changes_nothing_but_the_size_of_features() -> None:
    x = planted()[0]
    small, large = (
        train_autoencoder(scale * x, 32, 2, steps=50, batch=128) for scale in (1.0, 1000.0)
    )
    torch.testing.assert_close(large.directions, small.directions, atol=1e-4, rtol=1e-3)
    assert fit_of(large, 1000 * x).explained == pytest.approx(fit_of(small, x).explained, abs=1e-4)


def test_it_comes_back_from_its_file_as_it_was(learnt: Autoencoder, tmp_path: Path) -> None:
    path, x = tmp_path / "dictionary.safetensors", planted(500, seed=2)[0]
    save_autoencoder(learnt, path)
    again = load_autoencoder(path)
    assert fit_of(again, x) == fit_of(learnt, x)
    assert (again.k, again.of_batch) == (learnt.k, learnt.of_batch)
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(Damaged, match=r"dictionary\.safetensors holds no autoencoder"):
        load_autoencoder(path)


def test_the_seed_decides() -> None:
    x = planted(800)[0]
    one, same, other = (
        train_autoencoder(x, 20, 2, steps=20, batch=64, seed=seed) for seed in (0, 0, 1)
    )
    assert torch.equal(one.directions, same.directions)
    assert not torch.equal(one.directions, other.directions)


def test_bad_input_is_told() -> None:
    with pytest.raises(BadInput, match="k 9: expected 1 to 8, the features that there are"):
        train_autoencoder(planted(10)[0], 8, 9)
    with pytest.raises(BadInput, match="no activations"):
        train_autoencoder(torch.zeros(0, 4), 8, 2)
