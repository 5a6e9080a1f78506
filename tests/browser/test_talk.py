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


def test_what_the_page_says_of_a_name_told_twice_is_so(page: Page) -> None:
    page.click("text=a name twice")
    told = page.evaluate(
        """() => {
          const text = document.querySelector('[name="begin"]').value;
          const ids = [0, ...new TinyLM.Tokenizer(TinyLMModels[0].merges).encode(text)];
          const readers = TinyLMModels.map((packed) => new TinyLM.Reader(packed));
          const bits = readers.map((one) => {
            const logits = ids.map((id) => one.read(id));
            const cost = (at) =>
              -Math.log2(TinyLM.softmax(Float64Array.from(logits[at - 1]))[ids[at]]);
            return [ids.indexOf(ids.at(-1)), ids.length - 1].map(cost);
          });
          return { bits, first: ids.indexOf(ids.at(-1)), paid: readers.at(-1).attention.at(-2)[3] };
        }"""
    )
    (first, again), *larger = told["bits"]
    assert again > 0.7 * first
    assert all(second < 2 < before for before, second in larger)
    paid = list(told["paid"].values()) if isinstance(told["paid"], dict) else told["paid"]
    assert int(np.argmax(paid)) == told["first"]  # what followed the first time


def written_on(page: Page) -> str:
    """Press the button, wait for the end, and return the story."""
    page.click('[data-part="go"]')
    page.wait_for_function("document.querySelector('[data-part=said]').textContent !== ''")
    return page.inner_text('[data-part="story"]')


def chosen(page: Page) -> str:
    """The name of the token that is looked at."""
    name = page.locator('.tlm-token[aria-current="true"]').get_attribute("aria-label")
    assert name is not None
    return name


def test_a_reader_lets_it_write_and_looks_at_tokens(page: Page) -> None:
    page.fill('[name="begin"]', "One day, a cat")
    before = page.locator(".tlm-token").count()
    story = written_on(page)
    assert before < page.locator(".tlm-token").count() <= before + 72
    assert "One day, a cat" in story
    page.locator(".tlm-token").nth(3).click()
    assert page.locator(".tlm-choice tbody tr").count() == 11  # ten and the one that stood there
    names = page.locator(".tlm-token[role=button]").evaluate_all(
        "all => all.map(one => one.ariaLabel)"
    )
    assert chosen(page) == names[2]
    page.locator('.tlm-token[aria-current="true"]').focus()
    for key, at in (("ArrowRight", 3), ("Alt+ArrowRight", 3), ("ArrowLeft", 2), ("Home", 0)):
        page.keyboard.press(key)
        assert chosen(page) == names[at]
    page.click('[data-part="after"]')
    assert chosen(page) == names[1]
    page.select_option('[name="shade"]', "0,0")
    assert "attention" in page.inner_text('[data-part="legend"]')
    page.click('[data-part="again"]')
    assert page.locator(".tlm-token").count() == before
    assert written_on(page) == story  # the same seed, the same story


def test_a_story_does_not_hang_on_how_often_the_button_was_pressed(page: Page) -> None:
    twice = [written_on(page), written_on(page)][1]
    page.click('[data-part="again"]')
    page.click('[data-part="go"]', click_count=4, delay=20)
    page.wait_for_function("document.querySelector('[data-part=said]').textContent !== ''")
    written_on(page)
    both = (twice, page.inner_text('[data-part="story"]'))
    shorter, longer = sorted(both, key=len)
    assert longer.startswith(shorter.rstrip())


def test_odd_beginnings_are_told_and_fit_the_page(browser: Browser, address: str) -> None:  # noqa: F811
    with open_context(browser, 390, "dark") as context:
        page = context.new_page()
        page.goto(f"{address}/book/talk.html")
        page.wait_for_selector("#tlm-talk[data-ready]")
        for text in ("", "W" * 400, "漢" * 400, "  ", "🦊\n\nfox", "\ufeffa"):
            page.fill('[name="begin"]', text)
            width = page.evaluate("document.documentElement.scrollWidth")
            assert width <= 390, text[:3]
            told = page.inner_text('[data-part="said"]')
            assert told.startswith("Only the first") == (len(text) > 300)
        page.fill('[name="begin"]', "")
        assert written_on(page).startswith("⟨start⟩ ")
        page.fill('[name="begin"]', "The dog")
        page.goto(f"{address}/book/glossary.html")
        page.go_back()
        page.wait_for_selector("#tlm-talk[data-ready]")
        page.wait_for_timeout(300)
        assert page.input_value('[name="begin"]') == "The dog"  # the browser restored it
        assert "The dog" in page.inner_text('[data-part="story"]')
