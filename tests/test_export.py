"""Models as pages read them: what is written is what was trained, up to eight bits."""

from pathlib import Path

import numpy as np
import pytest
from tiny_runs import SMOKE, tiny_config, tinylm

from tinylm.book import CHECKOUT
from tinylm.book.export import (
    LARGEST,
    js_model,
    read_models,
    read_weights,
    rounded,
    weights_of,
)
from tinylm.config import ModelConfig
from tinylm.errors import BadInput
from tinylm.model import GPT
from tinylm.store import Store
from tinylm.sweeps.declare import expand, load_experiment
from tinylm.tokenizers import BytePairTokenizer, CharacterTokenizer
from tinylm.train import train

TOKENIZER = BytePairTokenizer("bpe-258", [(98, 99)])
READABLE = {"vocab_size": 258, "d_model": 16, "n_heads": 2, "context_length": 8, "mlp": "relu2"}


def readable(**fields: object) -> ModelConfig:
    return ModelConfig.model_validate(READABLE | fields)


def test_weights_come_back_rounded_to_eight_bits() -> None:
    config = readable(shift=1, induction_heads=1)
    weights = weights_of(GPT(config, seed=1))
    packed = js_model(config, weights, TOKENIZER, {"run": "x"})
    found = read_weights(packed)
    assert found.keys() == weights.keys()
    for name, values in weights.items():
        np.testing.assert_array_equal(found[name], rounded(weights)[name])
        if values.ndim == 2:
            step = np.abs(values).max(axis=1, keepdims=True) / LARGEST
            assert (np.abs(found[name] - values) <= 0.501 * step).all()
        else:
            np.testing.assert_array_equal(found[name], values)
    assert packed["about"] == {"run": "x"}
    assert packed["merges"] == [[98, 99]]
    assert packed["config"]["unturned"] == 0  # its induction heads have positions
    assert js_model(
        readable(induction_heads=1, induction_positions=False), weights, TOKENIZER, {}
    )["config"]["unturned"] == 1  # fmt: skip


def test_a_row_of_zeros_stays_zero() -> None:
    weights = {"matrix": np.zeros((2, 3), np.float32)}
    np.testing.assert_array_equal(rounded(weights)["matrix"], weights["matrix"])


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"mlp": "gelu"}, "model.mlp 'gelu': a page reads 'relu2' only"),
        ({"tied": False}, "model.tied False: a page reads True only"),
        ({"norm": "layernorm"}, "model.norm 'layernorm'"),
        ({"positions": "learned"}, "model.positions 'learned'"),
    ],
)
def test_what_a_page_cannot_read_is_told(fields: dict[str, object], said: str) -> None:
    config = readable(**fields)
    with pytest.raises(BadInput, match=said):
        js_model(config, weights_of(GPT(config, seed=1)), TOKENIZER, {})


def test_only_byte_pairs_are_read() -> None:
    with pytest.raises(BadInput, match="tokenizer 'characters'"):
        js_model(readable(), weights_of(GPT(readable())), CharacterTokenizer(""), {})


def test_the_command_writes_trained_models(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tiny_config(model={"mlp": "relu2"})
    record = train(config, 0, store=SMOKE)
    out = project / "models.js"
    code, said, _ = tinylm(["export", record.run_id, "--out", str(out)], monkeypatch, capsys)
    assert code == 0
    assert said.startswith("Wrote ")
    (model,) = read_models(out)
    assert record.validation is not None
    assert model["about"]["nats"] == round(record.validation.nats, 4)
    assert abs(model["about"]["rounding"]) < 0.05
    trained, _ = SMOKE.load_model(record)
    for name, values in read_weights(model).items():
        np.testing.assert_array_equal(values, rounded(weights_of(trained))[name])


def test_a_run_that_is_not_there_is_told_and_nothing_written(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = project / "models.js"
    code, _, said = tinylm(["export", "0123abcd", "--out", str(out)], monkeypatch, capsys)
    assert code == 2
    assert "0123abcd" in said
    assert not out.exists()


def test_the_published_page_has_the_models_of_its_experiment() -> None:
    models = read_models(CHECKOUT / "book" / "assets" / "models.js")
    records = Store("paper").load(expand(load_experiment("talk"), "paper"))
    assert [model["about"]["run"] for model in models] == [record.run_id for record in records]
    for model, record in zip(models, records, strict=True):
        assert record.validation is not None
        assert model["about"]["nats"] == round(record.validation.nats, 4)
        assert model["about"]["parameters"] == record.parameters.non_embedding
        assert abs(model["about"]["rounding"]) < 0.02
        n_weights = sum(values.size for values in read_weights(model).values())
        assert n_weights == record.parameters.total
