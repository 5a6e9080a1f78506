"""Time to loss, what earns it, and run reuse: on models so small that they take seconds."""

import json
import math
from pathlib import Path

import pandas as pd
import pytest
import torch

from tinylm.batches import tokenize
from tinylm.bench import recipe, time_to_loss, trunks
from tinylm.bench.reference import Reference, ReferenceConfig, rate_at, train_reference
from tinylm.bench.summary import bench_dir
from tinylm.config import load_run_config, parse_run_config
from tinylm.tokenizers import train_tokenizer

# --- the reference --------------------------------------------------------------------------------


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
    rates = [rate_at(config, step) for step in range(2001)]
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
    model, seconds = train_reference(config, tokens, seed=0)
    assert seconds > 0
    line = torch.from_numpy(tokens.tokens[:17].astype("int64"))[None]
    logits = model(line[:, :-1])
    loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), line[:, 1:].flatten())
    assert loss.item() < 0.8 * math.log(vocab_size)
    changed = line.clone()
    changed[0, 9] = (changed[0, 9] + 1) % vocab_size
    assert torch.equal(model(changed[:, :-1])[:, :9], logits[:, :9])


# --- time to loss ---------------------------------------------------------------------------------


def test_time_to_loss_measures_both_sides_once(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = load_run_config("fast").model_dump()
    del values["model"]["vocab_size"]
    values |= {"tokens": 256, "batch_tokens": 128}
    values["data"] |= {"corpus": "fables", "tokenizer": "bpe-512"}
    config = parse_run_config(values, where="test")
    table = time_to_loss.measure(config, corpora=["fables"], seeds=[0, 1], reference_steps=2)
    assert list(table["side"]) == ["reference", "tinylm"] * 2
    assert list(table["seed"]) == [0, 0, 1, 1]
    assert list(table["tokens"]) == [2 * 12 * 64, 256] * 2
    assert (table["seconds"] > 0).all()
    assert table["nats"].between(4, 9).all()
    monkeypatch.setattr(time_to_loss, "time_reference", lambda *_: pytest.fail("measured again"))
    again = time_to_loss.measure(config, corpora=["fables"], seeds=[0, 1], reference_steps=2)
    pd.testing.assert_frame_equal(again, table)
    assert (bench_dir() / "time_to_loss.csv").exists()


def rows(corpus: str, reference: tuple[float, float], ours: tuple[float, float]) -> pd.DataFrame:
    """A table of one corpus: (seconds, nats) of each side, two seeds alike."""
    sides = [("reference", *reference), ("tinylm", *ours)] * 2
    table = pd.DataFrame(sides, columns=["side", "seconds", "nats"])
    return table.assign(corpus=corpus)


def test_a_ratio_counts_only_where_the_loss_is_reached() -> None:
    first, second = rows("a", (90.0, 1.3), (5.0, 1.3)), rows("b", (80.0, 2.0), (5.0, 1.9))
    found = time_to_loss.summarise(pd.concat([first, second]))
    assert found["time_to_loss_ratio"] == 16.0
    assert found["time_to_loss"]["a"]["ratio"] == 18.0
    worse = rows("b", (80.0, 2.0), (5.0, 2.01))
    found = time_to_loss.summarise(pd.concat([first, worse]))
    assert found["time_to_loss_ratio"] is None
    assert not found["time_to_loss"]["b"]["reached"]


# --- what earns it --------------------------------------------------------------------------------


def test_the_steps_lead_from_the_reference_to_the_recipe() -> None:
    found = recipe.variants()
    last = list(recipe.STEPS)[-1]
    ours = recipe.variant({"optimizer.width_exponent": 0.0})  # which does nothing at width 64
    assert recipe.variant(found["added", last]) == ours
    assert {table for table, _ in found} == {"added", "removed"}
    configs = [recipe.variant(fields) for fields in found.values()]
    assert len({config.model_dump_json() for config in configs}) == len(configs)
    assert {config.tokens for config in configs} == {load_run_config("fast").tokens}


def test_the_recipe_is_measured_and_summed_up(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    two = {
        ("added", "reference"): {"batch_tokens": 64, "model.d_model": 8},
        ("removed", "shift"): {"batch_tokens": 64, "model.d_model": 8, "model.shift": 0},
    }
    small = {"data.corpus": "fables", "data.tokenizer": "bpe-512"}
    monkeypatch.setattr(recipe, "variants", lambda: {k: v | small for k, v in two.items()})
    table = recipe.measure(tokens=128, seeds=(0, 1))
    assert list(table["step"]) == ["reference", "shift"]
    assert (table["seeds"] == 2).all()
    assert table["runs"].str.split().map(len).tolist() == [2, 2]
    summary = recipe.summarise(table)["recipe"]
    assert summary["removed"]["shift"]["nats"] == table["nats"][1]
    json.dumps(summary)


# --- run reuse ------------------------------------------------------------------------------------


def test_branching_is_measured_against_runs_from_scratch(project: Path) -> None:
    tiny = {
        "model": {"d_model": 8, "n_layers": 1, "n_heads": 1, "context_length": 16},
        "evaluation": {"points": 2, "curve_documents": 1, "stride_fraction": 1.0},
        "batch_tokens": 32,
    }
    table = trunks.measure(tokens=640, seeds=(0,), corpus="fables", **tiny)
    assert table.groupby("way").size().to_dict() == dict.fromkeys(table["way"].unique(), 4)
    branched = table[table["way"] == "branched"].set_index("tokens")["steps_trained"]
    assert branched[5120] == 160
    assert branched[640] == 20  # all of it is warm-up: nothing to branch off
    assert branched[2560] == math.ceil(0.3 * 80)
    found = trunks.summarise(table)
    assert found["branching"]["equal_bit_for_bit"] == 4
    assert found["branching"]["largest_difference_nats"] == 0
    assert 0 < found["branch_compute_share"] < 1
