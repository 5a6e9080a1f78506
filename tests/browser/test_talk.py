"""The page on which a model writes says what the model in Python says."""

from typing import Any

import numpy as np
import pytest
import torch
from chromium import open_context
from playwright.sync_api import Browser, Page
from test_pages import address, browser  # noqa: F401  # fixtures

from tinylm.book import CHECKOUT
from tinylm.book.export import read_models, read_weights
from tinylm.config import ModelConfig
from tinylm.model import GPT
from tinylm.tokenizers import BytePairTokenizer

pytestmark = pytest.mark.browser

TEXTS = (
    "Once upon a time, there was a fox.",
    "  two  blanks\n\nand lines\t!",
    "It's 1,234.5 — naïve 漢字 🦊 they'll",
    "",
)
READ = "([i, tokens]) => { const r = new TinyLM.Reader(TinyLMModels[i]); return tokens.map(t => Array.from(r.read(t))); }"  # noqa: E501


@pytest.fixture
def page(browser: Browser, address: str) -> Any:  # noqa: F811
    with open_context(browser, 1280, "light") as context:
        opened = context.new_page()
        opened.goto(f"{address}/book/talk.html")
        opened.wait_for_selector("#tlm-talk[data-ready]")
        yield opened


def test_texts_become_the_same_tokens_and_back(page: Page) -> None:
    merges = read_models(CHECKOUT / "book" / "assets" / "models.js")[0]["merges"]
    tokenizer = BytePairTokenizer("bpe", [(left, right) for left, right in merges])
    for text in TEXTS:
        ids = page.evaluate("t => new TinyLM.Tokenizer(TinyLMModels[0].merges).encode(t)", text)
        assert ids == tokenizer.encode(text)
        back = page.evaluate("i => new TinyLM.Tokenizer(TinyLMModels[0].merges).decode(i)", ids)
        assert back == text


def test_logits_are_those_of_the_model(page: Page) -> None:
    for i, packed in enumerate(read_models(CHECKOUT / "book" / "assets" / "models.js")):
        weights = {name: torch.tensor(part) for name, part in read_weights(packed).items()}
        told, vocabulary = packed["config"], len(weights["embedding.weight"])
        fields = {name: told[name] for name in ("d_model", "n_layers", "n_heads", "shift")}
        config = ModelConfig(
            **fields,
            vocab_size=vocabulary,
            context_length=told["context_length"],
            n_kv_heads=told["kv_heads"],
            induction_heads=told["induction_heads"],
            induction_positions=told["unturned"] == 0,
            mlp="relu2",
        )
        model = GPT(config)
        model.load_state_dict(weights)
        tokens = torch.randint(vocabulary, (1, 40), generator=torch.Generator().manual_seed(i))
        with torch.inference_mode():
            ours = model(tokens)[0].numpy()
        theirs = np.array(page.evaluate(READ, [i, tokens[0].tolist()]))
        assert np.abs(ours - theirs).max() < 1e-3 * np.ptp(ours)


def test_a_reader_lets_it_write_and_looks_at_a_token(page: Page) -> None:
    page.fill('[name="begin"]', "One day, a cat")
    before = page.locator(".tlm-token").count()
    page.click('[data-part="go"]')
    page.wait_for_function("document.querySelector('[data-part=said]').textContent !== ''")
    written = page.locator(".tlm-token").count()
    assert before < written <= before + 60
    story = page.inner_text('[data-part="story"]')
    assert story.startswith("One day, a cat")
    page.locator(".tlm-token").nth(2).click()
    assert page.locator(".tlm-choice tbody tr").count() == 11  # ten and the one that stood there
    page.keyboard.press("Tab")
    page.locator('.tlm-token[aria-pressed="true"]').focus()
    page.keyboard.press("ArrowRight")
    pressed = page.locator('.tlm-token[aria-pressed="true"]')
    assert page.locator(".tlm-token").nth(3).inner_text() == pressed.inner_text()
    page.select_option('[name="shade"]', "0")
    assert "attention" in page.inner_text('[data-part="legend"]')
    page.click('[data-part="again"]')
    assert page.locator(".tlm-token").count() == before
    page.click('[data-part="go"]')
    page.wait_for_function("document.querySelector('[data-part=said]').textContent !== ''")
    assert page.inner_text('[data-part="story"]') == story  # the same seed, the same story
