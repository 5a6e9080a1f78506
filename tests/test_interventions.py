"""What is put into a forward pass is there, and a circuit that was built by hand is found."""

from collections.abc import Iterator
from typing import cast

import pytest
import torch
from tiny_runs import random_model, random_tokens

from tinylm.config import ModelConfig
from tinylm.errors import BadInput
from tinylm.inside import Pair, ablation_losses, activations, changed, patching, places, put
from tinylm.model import GPT, Block

VOCABULARY, WIDTH = 16, 32


@pytest.fixture
def copier() -> GPT:
    """Two layers whose second, in its second head, copies what followed a token the last time; all
    else writes nothing, or next to nothing. Tokens are channels: the first half of the stream.
    """
    config = ModelConfig(
        vocab_size=VOCABULARY,
        context_length=24,
        d_model=WIDTH,
        n_heads=2,
        n_kv_heads=2,
        induction_heads=1,
        induction_positions=False,
        positions="none",
        mlp="relu2",
    )
    model = GPT(config, seed=0)
    with torch.no_grad():
        for block in model.blocks:
            cast(Block, block).attention.out.weight.mul_(1e-3)
            cast(Block, block).mlp.down.weight.mul_(1e-3)
        model.embedding.weight.zero_()
        model.embedding.weight[:, :VOCABULARY] = torch.eye(VOCABULARY)
        attention = cast(Block, model.blocks[1]).attention
        queries, keys, values = torch.split(attention.qkv.weight, [WIDTH, WIDTH, WIDTH])
        half = attention.width
        for rows in (queries, keys, values):
            rows[half:] = 0.0
            rows[half:, :VOCABULARY] = torch.eye(VOCABULARY)
        for norm in (attention.query_norm, attention.key_norm):
            assert norm is not None
            norm.weight.fill_(6.0)  # a sharp look
        attention.out.weight[:, half:] = 0.0
        attention.out.weight[:VOCABULARY, half:] = 3 * torch.eye(VOCABULARY)
    return model.eval()


def pairs() -> Iterator[Pair]:
    """A token followed by one, or by another; then others, and the token again."""
    draws = torch.Generator().manual_seed(0)
    for _ in range(30):
        order = torch.randperm(VOCABULARY, generator=draws)
        asked, first, second, rest = order[0], order[1], order[2], order[3:11]
        clean, corrupted = (
            torch.cat([rest[:3], asked[None], told[None], rest[3:], asked[None]])
            for told in (first, second)
        )
        yield Pair(clean, corrupted, int(first), int(second))


def test_the_circuit_that_was_built_is_found(copier: GPT) -> None:
    table = patching(copier, list(pairs())).set_index("place")["recovered"]
    assert table["layer 1, head 1"] == pytest.approx(1.0, abs=0.02)
    assert table["layer 1, attention"] == pytest.approx(1.0, abs=0.02)
    assert table["embedding"] == pytest.approx(1.0, abs=1e-4)
    for place in ("layer 0, head 0", "layer 0, head 1", "layer 0, MLP", "layer 1, head 0"):
        assert abs(table[place]) < 0.02, place


def test_the_stream_carries_it_at_the_positions_where_it_is(copier: GPT) -> None:
    """Before the second layer it stands at the token that followed, after it at the last."""
    last = len(next(pairs()).clean) - 1
    told = [(4,), (last,)]
    table = patching(copier, list(pairs()), ["layer 0", "layer 1"], told)
    recovered = table.set_index(["place", "positions"])["recovered"]
    assert recovered["layer 0", (4,)] == pytest.approx(1.0, abs=0.02)
    assert abs(recovered["layer 0", (last,)]) < 0.02
    assert recovered["layer 1", (last,)] == pytest.approx(1.0, abs=0.02)
    assert abs(recovered["layer 1", (4,)]) < 0.02
    assert ((table["low"] <= table["recovered"]) & (table["recovered"] <= table["high"])).all()


def test_without_its_head_the_copier_knows_no_more_than_chance(copier: GPT) -> None:
    texts = torch.stack([pair.clean for pair in pairs()])
    answers = torch.full_like(texts, 0)
    answers[:, -1] = torch.tensor([pair.answer for pair in pairs()])
    losses = ablation_losses(copier, texts, answers).set_index("place")
    rise = losses[["zero", "mean", "resampled"]].sub(losses["plain"], axis=0)
    # One target of all is copied; what the head writes elsewhere speaks against token 0 or not.
    assert rise.loc["layer 1, head 1"].abs().min() > 5 * rise.loc["layer 0, MLP"].abs().max()
    assert rise.loc["layer 0, head 0"].abs().max() < 0.01


def test_activations_are_what_the_places_hold() -> None:
    model, tokens = random_model(shift=1), random_tokens(3, 8)
    seen = activations(model, tokens)
    assert set(seen) == set(places(model))
    width = model.config.head_width
    with torch.no_grad():
        x = model.embed(tokens)
        torch.testing.assert_close(seen["embedding"], x)
        for layer, each in enumerate(model.blocks):
            block = cast(Block, each)
            mixed = torch.cat(
                [seen[f"layer {layer}, head {h}"] for h in range(model.config.n_heads)], dim=-1
            )
            assert seen[f"layer {layer}, head 0"].shape == (3, 8, width)
            torch.testing.assert_close(
                block.attention.out(mixed), seen[f"layer {layer}, attention"]
            )
            x = x + seen[f"layer {layer}, attention"] + seen[f"layer {layer}, MLP"]
            torch.testing.assert_close(seen[f"layer {layer}"], x)


def test_putting_back_what_is_there_changes_nothing_and_hooks_go() -> None:
    model, tokens = random_model(), random_tokens(2, 8)
    with torch.no_grad():
        plain, seen = model(tokens), activations(model, tokens)
        for place in places(model):
            with changed(model, {place: put(seen[place])}):
                torch.testing.assert_close(model(tokens), plain)
            with changed(model, {place: put(torch.zeros_like(seen[place]), [3])}):
                moved = model(tokens)
            torch.testing.assert_close(moved[:, :3], plain[:, :3])
            assert (moved[:, 3:] - plain[:, 3:]).abs().max() > 1e-4
        torch.testing.assert_close(model(tokens), plain)


def test_bad_input_is_told() -> None:
    model, tokens = random_model(), random_tokens(2, 8)
    with (
        pytest.raises(BadInput, match="place 'layer 9': expected one of embedding, layer 0"),
        changed(model, {"layer 9": put(torch.zeros(1))}),
    ):
        pass
    with pytest.raises(BadInput, match="a pair of 8 and 7 tokens: expected as many"):
        Pair(tokens[0], tokens[1][:7], 1, 2)
    with pytest.raises(BadInput, match="0 pairs: expected one or more"):
        patching(model, [])
    with pytest.raises(BadInput, match="1 texts: expected two or more"):
        ablation_losses(model, tokens[:1], tokens[:1])
    with pytest.raises(BadInput, match="place 'nowhere'"):
        ablation_losses(model, tokens, tokens, ["nowhere"])
