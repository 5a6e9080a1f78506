"""The model is the GPT it says it is: equal to GPT-2, causal, and to each of its own variants."""

import itertools
import math
from typing import Any, cast

import pytest
import torch
import torch.nn.functional as F
from hypothesis import assume, given
from hypothesis import strategies as st
from tiny_runs import random_model, random_tokens
from torch import Tensor

from tinylm.config import ModelConfig
from tinylm.cost import parameter_count
from tinylm.inside.gpt2 import gpt2_weights
from tinylm.model import (
    GPT,
    Block,
    GatedLinearAttention,
    KeyValueCache,
    Shift,
    attention_weights,
    cross_entropy,
    explicit_attention,
    fused_attention,
    make_norm,
    rotary_angles,
    rotate,
)

VARIANTS = [
    {"positions": p, "norm": n, "mlp": m, "n_kv_heads": k, "qk_norm": q, "bias": b}
    for p, (n, b), m, k, q in itertools.product(
        ("learned", "rotary"),
        (("layernorm", False), ("layernorm", True), ("rmsnorm", False)),
        ("gelu", "swiglu"),
        (None, 2, 1),
        (False, True),
    )
]
VARIANTS += [{"mlp": "relu2", "shift": 1}, {"positions": "learned", "shift": 3}]
VARIANTS += [{"n_kv_heads": 2, "induction_heads": 1}, {"induction_heads": 4}]
VARIANTS += [{"n_kv_heads": 2, "induction_heads": 1, "induction_positions": False}]
NEWER: list[dict[str, Any]] = [
    {"positions": "none", "shift": 1},
    {"tied": False},
    {"shift": 2, "shift_layers": True},
    {"mixing": "linear"},
    {"mixing": "linear", "induction_heads": 2, "induction_positions": False, "shift": 1},
]
VARIANTS += NEWER


def test_logits_equal_those_of_gpt2_with_the_same_weights() -> None:
    from transformers import GPT2Config, GPT2LMHeadModel

    model = random_model(
        positions="learned", norm="layernorm", mlp="gelu", qk_norm=False, bias=True, d_model=32
    )
    config = model.config
    theirs = GPT2LMHeadModel(
        GPT2Config(
            vocab_size=config.vocab_size,
            n_positions=config.context_length,
            n_embd=config.d_model,
            n_layer=config.n_layers,
            n_head=config.n_heads,
            resid_pdrop=0.0,
            embd_pdrop=0.0,
            attn_pdrop=0.0,
        )
    ).eval()
    missing = theirs.load_state_dict(gpt2_weights(model), strict=False)
    assert missing.unexpected_keys == []
    assert all(
        name.endswith(("attn.bias", "masked_bias", "lm_head.weight"))
        for name in missing.missing_keys
    )
    tokens = random_tokens(3, config.context_length)
    with torch.no_grad():
        ours, expected = model(tokens), theirs(tokens).logits
    assert ours.std() > 0.5  # logits of some size: equality means something
    torch.testing.assert_close(ours, expected, rtol=0, atol=1e-5)


@given(
    st.integers(1, 3), st.integers(1, 3), st.integers(1, 9), st.integers(0, 7), st.integers(1, 8)
)
def test_fused_attention_equals_the_explicit_one(
    batch: int, heads: int, n_queries: int, before: int, width: int
) -> None:
    generator = torch.Generator().manual_seed(n_queries)
    q = torch.randn(batch, heads, n_queries, width, generator=generator)
    k, v = torch.randn(2, batch, heads, before + n_queries, width, generator=generator)
    torch.testing.assert_close(fused_attention(q, k, v), explicit_attention(q, k, v))


def test_attention_weights_are_chances_over_what_came_before() -> None:
    q, k = torch.randn(2, 2, 3, 7, 4, generator=torch.Generator().manual_seed(0))
    weights = attention_weights(q[:, :, 2:], k)  # the last 5 of 7 positions ask
    torch.testing.assert_close(weights.sum(-1), torch.ones(2, 3, 5))
    assert (weights.triu(3) == 0).all()  # query i stands at position i + 2
    assert (weights.tril(2)[..., 0] > 0).all()


@pytest.mark.parametrize(
    "variant",
    [
        {"positions": positions} | looks_back
        for positions in ("learned", "rotary")
        for looks_back in ({}, {"shift": 2}, {"induction_heads": 3})
    ]
    + NEWER,
    ids=lambda v: "-".join(map(str, v.values())),
)
def test_a_token_changes_no_logits_before_it(variant: dict[str, Any]) -> None:
    model = random_model(**variant)
    tokens = random_tokens(1, 12)
    with torch.no_grad():
        before = model(tokens)
        for changed in range(12):
            other = tokens.clone()
            other[0, changed] = (other[0, changed] + 1) % 31
            after = model(other)
            torch.testing.assert_close(after[:, :changed], before[:, :changed])
            assert (after[0, changed:] - before[0, changed:]).abs().amax(-1).min() > 1e-4


@pytest.mark.parametrize("variant", VARIANTS, ids=lambda v: "-".join(map(str, v.values())))
def test_every_variant_learns_in_every_parameter_and_is_counted_right(
    variant: dict[str, Any],
) -> None:
    model = random_model(**variant).train()
    tokens = random_tokens(2, 17)
    assert model(tokens[:, :-1]).shape == (2, 16, 31)
    model.loss(tokens[:, :-1], tokens[:, 1:]).backward()  # type: ignore[no-untyped-call]
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.abs().max() > 0, name
    counted = parameter_count(model.config)
    assert counted.total == sum(p.numel() for p in model.parameters())
    blocks = [*model.blocks.parameters(), *model.norm.parameters()]
    assert counted.non_embedding == sum(p.numel() for p in blocks)
    assert counted.with_output == counted.non_embedding + model.embedding.weight.numel()


def test_the_output_layer_is_the_embedding() -> None:
    model = random_model()
    assert [n for n, p in model.named_parameters() if 31 in p.shape] == ["embedding.weight"]
    tokens = torch.tensor([[1, 2, 3]])
    with torch.no_grad():
        before = model(tokens)
        model.embedding.weight[7] *= 2.0  # a token that is not read, only scored
        after = model(tokens)
    torch.testing.assert_close(after[..., 7], 2 * before[..., 7])
    others = [token for token in range(31) if token != 7]
    torch.testing.assert_close(after[..., others], before[..., others])


@given(st.floats(0.01, 100.0), st.integers(2, 32))
def test_rmsnorm_gives_a_mean_square_of_one_whatever_the_scale(scale: float, width: int) -> None:
    norm = make_norm(ModelConfig(norm="rmsnorm"), width)
    x = 1 + torch.rand(3, width, generator=torch.Generator().manual_seed(width))
    torch.testing.assert_close(norm(scale * x).square().mean(-1), torch.ones(3), atol=0.2, rtol=0)
    torch.testing.assert_close(norm(x / x.square().mean(-1, keepdim=True).sqrt()), norm(100 * x))
    assert norm(x).mean() > 0.5  # it does not centre, unlike LayerNorm
    assert make_norm(ModelConfig(norm="layernorm"), width)(x).mean().abs() < 1e-5


@given(st.integers(0, 20), st.integers(0, 20), st.integers(0, 20), st.sampled_from([2, 4, 8, 16]))
def test_rotary_scores_depend_on_distance_alone(i: int, j: int, shift: int, width: int) -> None:
    cosines, sines = rotary_angles(41, width)
    q, k = torch.randn(2, width, generator=torch.Generator().manual_seed(width))

    def score(at_query: int, at_key: int) -> Tensor:
        turned_q = rotate(q, cosines[at_query], sines[at_query])
        return turned_q @ rotate(k, cosines[at_key], sines[at_key])

    torch.testing.assert_close(score(i, j), score(i + shift, j + shift), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(score(0, 0), q @ k)
    assume(i != j)
    assert (score(i, j) - score(0, 0)).abs() > 1e-4


def test_the_slowest_and_fastest_pairs_turn_as_the_paper_says() -> None:
    cosines, sines = rotary_angles(8, 6)
    for pair, position in itertools.product(range(3), range(8)):
        angle = position * 10_000 ** (-2 * pair / 6)
        turned = rotate(torch.eye(6)[pair], cosines[position], sines[position])
        expected = torch.zeros(6)
        expected[pair], expected[pair + 3] = math.cos(angle), math.sin(angle)
        torch.testing.assert_close(turned, expected)


@given(st.integers(1, 20), st.integers(2, 40), st.floats(0.1, 200.0), st.floats(0.1, 3.0))
def test_cross_entropy_equals_torch_in_value_and_gradient(
    rows: int, vocab_size: int, size: float, weight: float
) -> None:
    generator = torch.Generator().manual_seed(rows)
    logits = size * torch.randn(rows, vocab_size, generator=generator)
    targets = torch.randint(vocab_size, (rows,), generator=generator)
    ours, theirs = logits.clone().requires_grad_(), logits.clone().requires_grad_()
    our_loss = cross_entropy(ours, targets).mean()
    their_loss = F.cross_entropy(theirs, targets)
    torch.testing.assert_close(our_loss, their_loss)
    (weight * our_loss).backward()  # type: ignore[no-untyped-call]
    (weight * their_loss).backward()  # type: ignore[no-untyped-call]
    torch.testing.assert_close(ours.grad, theirs.grad)


def test_weights_are_drawn_from_the_seed_alone() -> None:
    config = ModelConfig(d_model=16, positions="learned")
    torch.manual_seed(1)
    one = GPT(config, seed=5).state_dict()
    torch.manual_seed(2)
    same, other = GPT(config, seed=5).state_dict(), GPT(config, seed=6).state_dict()
    assert all((one[name] == same[name]).all() for name in one)
    drawn = [name for name, value in one.items() if value.dim() == 2]
    assert all((one[name] != other[name]).float().mean() > 0.99 for name in drawn)


@pytest.mark.parametrize("n_layers", [1, 8])
@pytest.mark.parametrize("mlp", ["gelu", "swiglu"])
def test_the_first_loss_is_near_that_of_knowing_nothing(n_layers: int, mlp: str) -> None:
    config = ModelConfig.model_validate({"vocab_size": 512, "n_layers": n_layers, "mlp": mlp})
    tokens = random_tokens(4, 129, 512)
    with torch.no_grad():
        loss = GPT(config).loss(tokens[:, :-1], tokens[:, 1:])
    assert float(loss) == pytest.approx(math.log(512) + 1 / 2, abs=0.15)  # logits of std 1


@pytest.mark.parametrize("n_layers", [1, 4, 16])
def test_depth_adds_no_variance_to_the_residual_stream(n_layers: int) -> None:
    """2 n_layers sub-layers each write at most 1/(2 n_layers) of a unit of variance."""
    model = GPT(ModelConfig(n_layers=n_layers, d_model=64))
    with torch.no_grad():
        start = x = model.embedding(random_tokens(2, 64, 512))
        for block in model.blocks:
            x = block(x)
    assert 0.1 < float((x - start).var()) < 1.1


def test_biases_start_at_nothing_and_norms_at_one() -> None:
    model = GPT(ModelConfig(norm="layernorm", bias=True))
    for name, parameter in model.named_parameters():
        if parameter.dim() == 1:
            assert (parameter == (0.0 if name.endswith("bias") else 1.0)).all(), name


def test_too_long_a_sequence_is_refused() -> None:
    model = random_model()
    model(random_tokens(1, 16))
    with pytest.raises(ValueError, match="17 tokens is longer than context_length 16"):
        model(random_tokens(1, 17))
    cache = KeyValueCache(2)
    model(random_tokens(1, 10), cache)
    with pytest.raises(ValueError, match="17 tokens"):
        model(random_tokens(1, 7), cache)


def test_linear_attention_is_its_recurrence() -> None:
    """A state of W x W a head, which fades and takes in a key and its value at each token."""
    model = random_model(mixing="linear")
    attention = cast(Block, model.blocks[0]).attention
    assert isinstance(attention, GatedLinearAttention)
    x = torch.randn(2, 14, model.config.d_model, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        q, k, v = attention.project(x)
        left = attention.log_gates(x).exp()
        state, read = torch.zeros(*q.shape[:2], q.shape[-1], q.shape[-1]), []
        for t in range(14):
            state = left[:, :, t, :, None] * state + k[:, :, t, :, None] * v[:, :, t, None]
            read.append(torch.einsum("bhw,bhwv->bhv", q[:, :, t], state))
        torch.testing.assert_close(attention.weights(x) @ v, torch.stack(read, dim=2))
        assert 0.9 < left.mean() < 0.99


def test_an_output_of_its_own_scores_tokens_that_are_read_as_they_were() -> None:
    model, tokens = random_model(tied=False), torch.tensor([[1, 2, 3]])
    assert model.output_embedding is not None
    with torch.no_grad():
        before = model(tokens)
        model.output_embedding.weight[2] *= 2.0
        after = model(tokens)
        torch.testing.assert_close(after[..., 2], 2 * before[..., 2])
        model.embedding.weight[7] *= 2.0  # neither read nor scored
        torch.testing.assert_close(model(tokens), after)


@given(
    st.lists(st.integers(1, 6), min_size=1, max_size=6),
    st.sampled_from([{"n_kv_heads": 2}, {"n_kv_heads": 1}, {}, *NEWER]),
)
def test_reading_in_pieces_with_a_cache_gives_the_same_logits(
    pieces: list[int], variant: dict[str, Any]
) -> None:
    model = random_model(**variant, context_length=36)
    tokens = random_tokens(2, sum(pieces))
    cache = KeyValueCache(2)
    with torch.no_grad():
        whole = model(tokens)
        read = [model(piece, cache) for piece in torch.split(tokens, pieces, dim=1)]
    parts = torch.cat(read, dim=1)
    torch.testing.assert_close(parts, whole, atol=1e-4, rtol=1e-4)
    assert cache.held(0) == cache.held(1) == sum(pieces)


def test_a_shift_starts_as_nothing_and_mixes_the_tokens_before() -> None:
    shift = Shift(ModelConfig(d_model=2, n_heads=1, shift=2))
    x = torch.randn(3, 5, 2)
    assert torch.equal(shift(x), x)
    with torch.no_grad():
        shift.gains.copy_(torch.tensor([1.0, 2.0, 10.0, 20.0, 0.0, 300.0]))
    expected = x * torch.tensor([1.0, 2.0])
    expected[:, 1:] += x[:, :-1] * torch.tensor([10.0, 20.0])
    expected[:, 2:] += x[:, :-2] * torch.tensor([0.0, 300.0])
    torch.testing.assert_close(shift(x), expected)


def test_an_induction_head_reads_what_followed() -> None:
    """With the same map for queries and keys, it attends to the tokens after its own earlier ones,
    where a plain head attends to those themselves."""
    model = random_model(n_layers=1, n_heads=2, induction_heads=1, positions="learned")
    attention = cast(Block, model.blocks[0]).attention
    with torch.no_grad():
        assert model.positions is not None
        model.positions.weight.zero_()
        attention.qkv.weight[16:32] = attention.qkv.weight[:16]
        assert attention.query_norm is not None
        attention.query_norm.weight.fill_(20.0)
    tokens = torch.tensor([[5, 7, 9, 11, 7]])
    plain, induction = model.attention_maps(tokens)[0][0, :, -1]
    assert plain[[1, 4]].sum() > 0.99
    assert induction[2] > 0.99


def test_an_induction_head_without_positions_finds_a_token_at_any_distance() -> None:
    """With rotary positions on, its keys' products with a query do not depend on where they stand,
    and those of the other heads do.
    """
    model = random_model(n_heads=2, induction_heads=1, induction_positions=False)
    x = torch.randn(1, 1, 16, generator=torch.Generator().manual_seed(0)).expand(1, 12, 16)
    q, k, _ = cast(Block, model.blocks[0]).attention.project(x)
    turned, plain = (q[0] @ k[0].transpose(-2, -1)).unbind(0)
    assert turned.std() > 0.05
    torch.testing.assert_close(plain, plain[:1, :1].expand(12, 12))


@pytest.mark.parametrize("n_kv_heads", [None, 2])
def test_matched_keys_find_a_token_before_anything_is_learnt(n_kv_heads: int | None) -> None:
    """All else is drawn as it was, and as large."""
    shape = {"d_model": 128, "n_heads": 4, "n_layers": 2, "n_kv_heads": n_kv_heads}
    shape |= {"induction_heads": 1, "induction_positions": False, "vocab_size": 64}
    config = ModelConfig.model_validate(shape)
    drawn, matched = (
        GPT(config.model_copy(update={"induction_match": size})) for size in (0.0, 2.0)
    )
    for block, other in zip(drawn.blocks, matched.blocks, strict=True):
        before, after = (cast(Block, one).attention for one in (block, other))
        queries, keys, _ = torch.split(before.qkv.weight, list(before.split))
        width = before.width
        first = len(queries) - len(queries) // before.kv_heads  # of the last head's queries
        expected = torch.cat(
            [queries[:first], 2 * queries[first:], keys[:-width], 2 * queries[first:][:width]]
        )
        torch.testing.assert_close(after.qkv.weight[: len(expected)], expected)
        torch.testing.assert_close(
            after.qkv.weight[len(expected) :], before.qkv.weight[len(expected) :]
        )
        torch.testing.assert_close(after.out.weight, before.out.weight)
    tokens = torch.tensor([[*range(20), 7]])
    head = config.n_heads - config.n_heads // config.kv_heads
    followed = [
        model.attention_maps(tokens)[0][0, head, -1, 8].item() for model in (drawn, matched)
    ]
    assert followed[1] > 0.5
    assert followed[0] < 0.2


@pytest.mark.parametrize("positions", ["learned", "rotary", "none"])
def test_attention_maps_are_those_the_model_attends_with(positions: str) -> None:
    """Mixing the values with the maps, in every layer, gives the model's own logits."""
    model = random_model(positions=positions, n_kv_heads=2, induction_heads=1)
    tokens = random_tokens(2, 9)
    maps = model.attention_maps(tokens)
    assert [tuple(m.shape) for m in maps] == [(2, 4, 9, 9)] * 2
    with torch.no_grad():
        x = model.embedding(tokens)
        if model.positions is not None:
            x = x + model.positions.weight[:9]
        for weights, each in zip(maps, model.blocks, strict=True):
            block = cast(Block, each)
            values = block.attention.project(block.attention_norm(x))[2]
            mixed = weights @ block.attention.share_heads(values)
            x = x + block.attention.out(mixed.transpose(1, 2).flatten(2))
            x = x + block.mlp(block.mlp_norm(x))
        logits = F.linear(model.norm(x), model.embedding.weight)
        torch.testing.assert_close(logits, model(tokens), atol=1e-4, rtol=1e-4)


def test_with_maximal_updates_scores_go_by_the_head_width_not_its_root() -> None:
    scales = []
    for width in (16, 64):
        config = ModelConfig(vocab_size=9, d_model=width, n_heads=2, mup_base=16, context_length=8)
        model = GPT(config, seed=0)
        q, _, _ = cast(Block, model.blocks[0]).attention.project(torch.randn(1, 4, width))
        scales.append(q.norm(dim=-1).mean().item() / (width / 2) ** 0.5)  # normalised: 1
    assert scales[0] == pytest.approx(1, abs=1e-3)
    assert scales[1] == pytest.approx((16 / 64) ** 0.5, abs=1e-3)  # beside 1/√W in the scores
