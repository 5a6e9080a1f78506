"""What the chapters show around their code."""

import re
from pathlib import Path

import pytest
from scipy import stats

from tinylm.book import glue
from tinylm.book.examples import STORIES, example_model, short_stories, storyteller
from tinylm.cost import parameter_count
from tinylm.errors import Missing
from tinylm.generate import filter_logits
from tinylm.sweeps.declare import expand, load_experiment
from tinylm.tokenizers import END_OF_TEXT, CharacterTokenizer

TOKENIZER = CharacterTokenizer("é")


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Markdown that was displayed."""
    texts: list[str] = []
    monkeypatch.setattr(glue, "display", lambda markdown: texts.append(markdown.data))
    return texts


def test_a_quotation_keeps_its_lines_and_marks_ends_of_documents(shown: list[str]) -> None:
    glue.quote("One day,\n\na fox.<|endoftext|>Two")
    assert shown == ["> One day,\n> \n> a fox. ∎ Two"]


def test_source_is_the_code_without_its_docstring(shown: list[str]) -> None:
    glue.source(parameter_count)
    glue.source(filter_logits)
    counting, filtering = shown
    assert counting.startswith("```python\ndef parameter_count(model: ModelConfig)")
    assert "from the configuration alone" not in counting
    assert "embedding=model.vocab_size * width" in counting
    assert "Set to -inf" not in filtering  # a docstring of several lines
    assert filtering.endswith("return logits\n```")


def test_labels_show_what_white_space_hides() -> None:
    space, newline = TOKENIZER.encode(" \n")
    assert glue.token_label(TOKENIZER, space) == "·"
    assert glue.token_label(TOKENIZER, newline) == "⏎"
    assert glue.token_label(TOKENIZER, END_OF_TEXT) == "[E]"


def test_every_token_has_a_span_and_text_cannot_become_markup() -> None:
    html = glue.coloured_tokens(TOKENIZER, "a <é")
    assert re.findall(r"<span[^>]*>(.*?)</span>", html) == ["a", "·", "&lt;", "é"]
    assert "5 bytes, 4 tokens: 1.25 bytes per token" in html


def test_what_a_model_wrote_cannot_become_markup() -> None:
    html = glue.told("<script>alert(1)</script>", "below 1-gram & 2-gram")
    assert "<script>" not in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt; …</p></blockquote>" in html
    assert "<p>below 1-gram &amp; 2-gram</p>" in html


def test_the_interval_is_students() -> None:
    values = [1.0, 2.0, 4.0, 5.0]
    low, high = stats.ttest_1samp(values, 0.0).confidence_interval(0.95)
    said = glue.mean_and_interval(values, digits=2)
    assert said == f"3.00 [{low:.2f},\N{NO-BREAK SPACE}{high:.2f}]"


def test_short_stories_are_of_the_kind_that_a_corpus_holds() -> None:
    assert short_stories("tinystories-v2") == list(STORIES)
    fables = short_stories("fables")
    assert len(fables) == len(STORIES)
    assert {len(text) for text in fables} == {400}
    assert short_stories("fables-long") == fables
    assert short_stories("fables-heavy") != fables


def test_the_model_that_chapters_open_is_in_git() -> None:
    run, model, tokenizer = example_model("paper")
    assert (model.config.d_model, run.seed) == (64, 0)
    assert tokenizer.vocab_size == model.config.vocab_size
    with pytest.raises(Missing, match="1 of 1 runs have no record"):
        example_model("full")
    assert storyteller("paper") == ""


def test_the_quick_profile_trains_a_model_to_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TINYLM_ROOT", str(tmp_path))
    (run,) = expand(load_experiment("storyteller"), "quick")
    assert storyteller("quick") == run.run_id
    with pytest.raises(Missing, match="1 of 1 runs have no record in"):
        example_model("quick")
