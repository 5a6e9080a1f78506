"""The law of one's own text: what is fitted, asked, doubted and written."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from planted import planted_records, planted_store
from test_own_text import paragraphs

from tinylm.book import own_page
from tinylm.errors import Damaged
from tinylm.ngrams import NgramFloor
from tinylm.records import RunRecord
from tinylm.store import Store
from tinylm.studies import own_law as study
from tinylm.studies import own_law_words as words
from tinylm.studies.own_law import OwnLaw, own_law, split_sentences, what_more_brings
from tinylm.studies.own_law_words import doubts
from tinylm.sweeps import own_plan
from tinylm.sweeps.own_plan import PROFILE, runs_for

E, A, ALPHA, B, BETA = 0.8, 30.0, 0.4, 200.0, 0.42
NGRAMS = [NgramFloor(1, 5.0, 2.0), NgramFloor(4, 2.0, 1.0)]
Law = Callable[[RunRecord, int], float]


def truth(record: RunRecord, tokens: int) -> float:
    return float(E + A * record.parameters.non_embedding**-ALPHA + B * tokens**-BETA)


def step(record: RunRecord, tokens: int) -> float:
    """The law, but for the least tokens, where small models learn nothing."""
    small = record.parameters.non_embedding < 2e4
    return 6.0 if tokens < 60_000 and small else truth(record, tokens)


def noisy(record: RunRecord, tokens: int) -> float:
    """No law at all."""
    return 2.0 + 0.5 * ((record.parameters.non_embedding // 7 + tokens // 1000) % 3)


def made(root: Path, law: Law, monkeypatch: pytest.MonkeyPatch) -> OwnLaw:
    monkeypatch.setattr(study, "N_RESAMPLES", 20)
    monkeypatch.setattr(study, "ngram_baselines", lambda *_, **__: NGRAMS)
    text = root / "text.txt"
    text.write_text(paragraphs(50))
    runs = runs_for(str(text), "bpe-280", [16, 24, 32, 48, 64], [50_000, 100_000, 200_000, 400_000])
    store = planted_store(root / "project", planted_records(runs, law), monkeypatch, PROFILE)
    return own_law(store, store.load(runs))


def test_the_law_that_is_there_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    law = made(tmp_path, truth, monkeypatch)
    assert law.holds
    assert set(law.fits) == {"sum", "power", "ends", "both"}
    assert law.form in ("sum", "power")  # of which the sum is a case
    assert law.since == 50_000
    low, high = law.fit.interval("alpha")
    assert abs(law.fit.surface.alpha - ALPHA) < high - low
    more = {one.what: one for one in what_more_brings(law)}
    largest = more["as trained here"]
    for what, scale in (("parameters", (10, 1)), ("text read", (1, 10))):
        one = more[f"10 times the {what}"]
        assert (one.n, one.d) == (scale[0] * largest.n, scale[1] * largest.d)
        true = E + A * one.n**-ALPHA + B * one.d**-BETA
        assert one.loss == pytest.approx(true, rel=0.03)
        assert one.interval[0] <= one.loss <= one.interval[1]
    best = more["10 times the compute, used best"]
    assert best.n * best.d == pytest.approx(10 * largest.n * largest.d)
    assert best.loss < largest.loss
    assert words.headline(law).startswith("The loss above a floor falls with size as N^-0.")


def test_the_law_begins_where_one_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    law = made(tmp_path, step, monkeypatch)
    assert law.holds
    assert law.since == 100_000
    assert any("fitted from 100k tokens on" in one for one in doubts(law))


def test_of_no_law_nothing_is_computed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    law = made(tmp_path, noisy, monkeypatch)
    assert not law.holds
    assert what_more_brings(law) == []
    broken, short, *_ = doubts(law)
    assert broken.startswith("The law does not hold on this text")
    assert short.startswith(
        "The longest runs read 400k tokens. The laws of the book hold from 500k"
    )
    assert "need runs of 2M" in short
    assert words.headline(law) == f"No law holds on this text yet (misfit {law.fit.misfit:.1f})"
    assert not words.law_table(law)["α"].str.contains(r"\[").any()


def test_two_ends_are_left_out_where_runs_reach_the_upper_one() -> None:
    runs = pd.DataFrame({"loss": [3.0, 4.9]})
    assert set(study.forms_below(5.0, runs)) == {"sum", "power", "ends", "both"}
    assert set(study.forms_below(4.9, runs)) == {"sum", "power"}


def test_sentences_end_where_they_end() -> None:
    assert split_sentences("One. Two is longer!  Is it?\nA line\n...\nCut of") == [
        "One.",
        "Two is longer!",
        "Is it?",
        "A line",
    ]
    assert split_sentences("No end") == ["No end"]


def test_the_page_stands_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    law = made(tmp_path, truth, monkeypatch)
    monkeypatch.setattr(own_page, "sentences", lambda *_: ["A <hare> ran.", "It won."])
    page = own_page.write_own_page(Store(PROFILE), law)
    text = page.read_text()
    assert not re.search(r"(src|href)=.(?!data:)", text)  # nothing from elsewhere
    assert "A &lt;hare&gt; ran." in text
    assert "The scaling law of text.txt" in text
    assert "10 times the compute, used best" in text
    assert {"law.png", "text.png", "runs.csv"} <= {path.name for path in page.parent.iterdir()}


def test_a_plan_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TINYLM_ROOT", str(tmp_path / "project"))
    text = tmp_path / "text.txt"
    text.write_text(paragraphs(50))
    asked = []

    def plan(corpus: str, minutes: float, jobs: int) -> own_plan.OwnPlan:
        asked.append(minutes)
        widths, amounts = (16, 24, 32, 48), (10_000, 20_000, 40_000)
        runs = runs_for(corpus, "bpe-280", widths, amounts)
        return own_plan.OwnPlan(corpus, "bpe-280", widths, amounts, 10.0, runs)

    monkeypatch.setattr(study, "plan_law", plan)
    first, second = (study.kept_plan(str(text), 1.0, jobs) for jobs in (1, 2))
    assert first == second
    study.kept_plan(str(text), 2.0, 1)
    text.write_text(paragraphs(51))
    study.kept_plan(str(text), 2.0, 1)
    assert asked == [1.0, 2.0, 2.0]
    (path,) = (Store(PROFILE).folder).glob("own-*/plan.json")
    assert json.loads(path.read_text())["widths"] == [16, 24, 32, 48]
    path.write_text("{")
    with pytest.raises(Damaged):
        study.kept_plan(str(text), 2.0, 1)


def test_a_text_from_file_to_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The whole way, with a plan as small as can be."""
    monkeypatch.setenv("TINYLM_ROOT", str(tmp_path / "project"))
    monkeypatch.setattr(own_plan, "SEEDS", (0,))
    monkeypatch.setattr(study, "N_RESAMPLES", 50)
    text = tmp_path / "text.txt"
    text.write_text(paragraphs(1_000))

    def plan(corpus: str, minutes: float, jobs: int) -> own_plan.OwnPlan:
        widths, amounts = (8, 12, 16), (6_000, 9_000, 12_000)
        runs = runs_for(corpus, "bpe-280", widths, amounts)
        return own_plan.OwnPlan(corpus, "bpe-280", widths, amounts, 10.0, runs)

    monkeypatch.setattr(study, "plan_law", plan)
    page = own_page.law_of(str(text), 1.0, 2)
    assert page is not None
    said = page.read_text()
    assert "9 runs of 3 sizes, 3 amounts of text and 1 seeds" in said
    assert "cut by blank lines" in said
    assert said.count("<blockquote>") >= 1
    assert own_page.law_of(str(text), 1.0, 2) == page  # nothing is trained again
