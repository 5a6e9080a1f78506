"""One story in colours: what it costs is measured where the weights are, and kept."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from planted_fables import reported

from tinylm.corpora import fables
from tinylm.corpora.token_files import prepare
from tinylm.store import Store
from tinylm.studies.cuts import CUTS, grid
from tinylm.studies.stories import coloured, measure_story, story, story_views, story_words
from tinylm.train import train

SMOKE = Store("smoke")


def test_a_story_shows_what_the_largest_model_pays(few_fables: Path) -> None:
    measure_story(reported())
    assert story(SMOKE) is None
    assert "no story to colour yet" in story_words(None)
    run = grid(SMOKE, CUTS["D"])[0]
    record = train(run.config, run.seed, store=Store("smoke"))
    assert record.validation is not None
    assert story(SMOKE) is None  # reading measures nothing
    measure_story(reported())
    told = story(SMOKE)
    assert told is not None
    text = fables.document("validation", 0)
    assert (told["run_id"], told["text"]) == (run.run_id, text)
    assert len(told["floor"]) == len(told["loss"]) == len(text)
    assert sum(told["floor"]) == pytest.approx(-fables.log_probability(text), abs=0.01)
    n_tokens = len(prepare("fables", "bpe-512").tokenizer.encode(text))
    assert sum(told["loss"]) / n_tokens == pytest.approx(record.validation.nats, rel=0.05)
    shutil.rmtree(SMOKE.model_dir(run.run_id))
    measure_story(reported())
    assert story(SMOKE) == told  # kept without the weights
    assert f"the model pays {sum(told['loss']):.0f}" in story_words(told)


def test_the_stronger_the_colour_the_more_nats() -> None:
    html = coloured("a<bcd", np.array([0.0, 0.0, 4.0, 4.0, 0.25]), "1, 2, 3")
    body = html[html.index(">") + 1 :]
    assert body.startswith("a&lt;<span")  # what costs nothing has no colour; runs share a span
    assert '<span style="background: rgba(1, 2, 3, 0.6)">bc</span>' in body
    assert '<span style="background: rgba(1, 2, 3, 0.2)">d</span>' in body


def test_what_is_not_learnt_is_never_below_nothing() -> None:
    views = story_views({"text": "xy", "floor": [1.0, 0.0], "loss": [0.5, 1.0]})
    assert [html.count("<span") for html in views.values()] == [1, 2, 1]
    assert "y</span>" in views["what it has not learnt"]
