"""What is written in GPT-2's layout is read by transformers as the same model."""

from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_runs import SMOKE, random_tokens, tiny_config, tinylm

from tinylm.config import ModelConfig
from tinylm.errors import BadInput
from tinylm.inside.gpt2 import GPT2, check_gpt2, write_gpt2
from tinylm.model import GPT
from tinylm.tokenizers import BytePairTokenizer, train_tokenizer
from tinylm.train import train

FIELDS: dict[str, Any] = {
    "positions": "learned",
    "norm": "layernorm",
    "mlp": "gelu",
    "qk_norm": False,
    "vocab_size": 280,
    "d_model": 32,
    "n_heads": 4,
    "context_length": 24,
}
TEXTS = ["A fox.  And\n\na hen!", "naïve 漢字 🦊 they'll", "", "the the the hen", " 12,345\t"]


@pytest.fixture(scope="module")
def tokenizer() -> BytePairTokenizer:
    found = train_tokenizer(
        "bpe-280", ["the hen and the hare and the fox near a house of bricks " * 9]
    )
    assert isinstance(found, BytePairTokenizer)
    return found


@pytest.mark.parametrize("fields", [{"bias": True}, {"bias": False}, {"d_mlp": 40, "n_layers": 3}])
def test_transformers_reads_the_same_model(
    fields: dict[str, Any], tmp_path: Path, tokenizer: BytePairTokenizer
) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = GPT(ModelConfig.model_validate(FIELDS | fields), seed=1).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    write_gpt2(tmp_path, model, tokenizer)
    theirs = AutoModelForCausalLM.from_pretrained(tmp_path).eval()
    tokens = random_tokens(3, 24, 280)
    with torch.no_grad():
        torch.testing.assert_close(theirs(tokens).logits, model(tokens), atol=1e-5, rtol=1e-5)
    read = AutoTokenizer.from_pretrained(tmp_path)
    for text in TEXTS:
        ids = tokenizer.encode(text)
        assert read.encode(text) == ids
        assert read.decode(ids) == text
    assert read.eos_token_id == 0


def test_the_first_field_that_does_not_fit_is_named(tmp_path: Path) -> None:
    fitting = ModelConfig.model_validate(FIELDS)
    check_gpt2(fitting)
    others: dict[str, Any] = {
        "positions": "rotary",
        "mixing": "linear",
        "norm": "rmsnorm",
        "mlp": "relu2",
        "qk_norm": True,
        "shift": 1,
        "tied": False,
        "induction_heads": 1,
        "mup_base": 16,
    }
    assert set(others) == set(GPT2)
    for field, value in others.items():
        config = fitting.model_copy(update={field: value})
        with pytest.raises(BadInput, match=rf"model\.{field} {value!r}: GPT-2's layout has"):
            check_gpt2(config)
    with pytest.raises(BadInput, match=r"model\.n_kv_heads 2: GPT-2's layout has as many as"):
        check_gpt2(fitting.model_copy(update={"n_kv_heads": 2}))


def test_characters_are_refused_and_nothing_is_written(tmp_path: Path) -> None:
    model = GPT(ModelConfig.model_validate(FIELDS), seed=1)
    with pytest.raises(BadInput, match="tokenizer 'characters': transformers reads byte-pair"):
        write_gpt2(tmp_path, model, train_tokenizer("characters", ["abc"]))
    assert not [*tmp_path.iterdir()]


def test_the_command_writes_a_folder_that_transformers_reads(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from transformers import AutoModelForCausalLM

    fields = {name: GPT2[name] for name in ("positions", "norm", "mlp", "qk_norm")}
    runs = [train(tiny_config(model=fields), 0, store=SMOKE), train(tiny_config(), 0, store=SMOKE)]
    out = project / "gpt2"
    code, said, _ = tinylm(
        ["export", runs[0].run_id, "--format", "gpt2", "--out", str(out)], monkeypatch, capsys
    )
    assert code == 0
    assert said.startswith("Wrote ")
    ours, _ = SMOKE.load_model(runs[0])
    tokens = random_tokens(2, 8, ours.config.vocab_size)
    with torch.no_grad():
        theirs = AutoModelForCausalLM.from_pretrained(out).eval()(tokens).logits
        torch.testing.assert_close(theirs, ours(tokens), atol=1e-5, rtol=1e-5)
    for arguments, told in (
        ([runs[1].run_id, "--format", "gpt2"], "model.positions 'rotary': GPT-2's layout has"),
        ([runs[0].run_id, runs[1].run_id, "--format", "gpt2"], "2 runs: GPT-2's layout holds one"),
        ([runs[0].run_id, "--format", "gguf"], "--format gguf: expected js or gpt2"),
    ):
        other = project / "other"
        code, _, said = tinylm(["export", *arguments, "--out", str(other)], monkeypatch, capsys)
        assert code == 2
        assert told in said
        assert not other.exists()
