"""The probability of the fables: writer, reader and entropy agree."""

import math
import re

import numpy as np
import pytest
from conftest import amount
from hypothesis import given
from hypothesis import strategies as st
from tiny_runs import tinylm

from tinylm.corpora import fables
from tinylm.corpora.fables.check import counted_document
from tinylm.corpora.fables.draws import CountedDraws, Lexicon
from tinylm.corpora.fables.parts import Enter, Scene, Story, Totals
from tinylm.corpora.fables.reader import read
from tinylm.corpora.fables.source import Variant, WorldSource
from tinylm.corpora.fables.templates import Compiler, Plot, flow
from tinylm.corpora.fables.text import ENTER, RULES
from tinylm.corpora.fables.words import LISTS
from tinylm.errors import TinyLMError

TEXT = fables.document("train", 0)
LISTS_OF_TOYS = {"toy": ["drum", "kite", "owl", "doll"], "few": ["one", "two"]}


def random_draws(seed: int) -> CountedDraws:
    """Draws from numpy's generator."""
    generator = np.random.default_rng(seed)
    return CountedDraws(iter(lambda: int(generator.integers(2**64, dtype=np.uint64)), -1))


def written(parts: object, scene: Scene, seed: int) -> tuple[str, float]:
    draws, out = random_draws(seed), list[str]()
    for part in parts:  # type: ignore[attr-defined]
        part.write(scene, draws, out)
    return "".join(out), draws.nats


@pytest.mark.parametrize(
    ("variant", "n"), [("default", amount(400, 1_200)), ("heavy", 200), ("light", 200)]
)
def test_writer_reader_and_entropy_agree(variant: str, n: int) -> None:
    costs, lengths = [], []
    for i in range(n):
        text, counted = counted_document(i, variant)
        assert text == fables.document("train", i, variant=variant)
        nats = fables.information(text, variant=variant)
        assert len(nats) == len(text)
        assert np.all(nats >= 0)
        assert abs(math.fsum(nats) - counted) < 1e-9
        costs.append(counted)
        lengths.append(len(text.encode()))
    exact = fables.entropy(variant)
    for found, expected in ((costs, exact.nats), (lengths, exact.bytes)):
        assert abs(np.mean(found) - expected) < 3 * np.std(found) / math.sqrt(n)
    assert sum(exact.nats_by_kind.values()) == pytest.approx(exact.nats)
    assert exact.bits_per_byte == pytest.approx(exact.nats / exact.bytes / math.log(2))


@given(st.integers(0, len(TEXT) - 1), st.characters(min_codepoint=32, max_codepoint=126))
def test_one_other_character_is_refused_or_another_word(at: int, char: str) -> None:
    """Another word may be as likely as the first; what comes before it costs what it did."""
    other = TEXT[:at] + char + TEXT[at + 1 :]
    try:
        nats = fables.information(other)
        assert np.allclose(nats[:at], fables.information(TEXT)[:at], rtol=0, atol=1e-12)
        if other != TEXT:  # two characters that can stand here share what probability there is
            here = fables.information(TEXT)[at]
            assert math.exp(-nats[at]) + math.exp(-here) <= 1 + 1e-12
    except TinyLMError as error:
        found = re.search(r"at character (\d+) it has", str(error))
        assert found
        assert int(found[1]) >= at  # nothing before it was wrong


@given(st.integers(0, len(TEXT) - 1))
def test_a_document_that_was_cut_is_refused(end: int) -> None:
    with pytest.raises(TinyLMError, match="ends too early"):
        fables.information(TEXT[:end])


def test_text_of_another_kind_is_refused() -> None:
    for text in ("Once upon a time", TEXT + " And more.", "Two fables of Nobody the fox"):
        with pytest.raises(TinyLMError, match="text is no document of fables: at character"):
            fables.log_probability(text)
    with pytest.raises(TinyLMError, match="no document of fables"):
        fables.log_probability(TEXT, world_seed=1)
    with pytest.raises(TinyLMError, match="unknown variant 'huge'"):
        fables.entropy("huge")


def test_what_is_known_costs_nothing() -> None:
    """A name costs where it is first said; facts, and all that is said again, are free."""
    nats = fables.information(TEXT)
    hero = re.match(r"Two \w+ of (\w+) the (\w+)\n\n", TEXT)
    assert hero
    first, again = (found.start() for found in list(re.finditer(hero[1], TEXT))[:2])
    name = len(hero[1])
    assert nats[first : first + name + 1].sum() > 2
    assert nats[first + name + 1 : hero.end()].sum() == 0
    assert nats[again + 1 : again + name].sum() < 1e-12


def test_the_floor_is_the_mean_code_length_in_whole_and_by_position() -> None:
    texts = [fables.document("validation", i) for i in range(20)]
    found = fables.floor(texts)
    costs = [-fables.log_probability(text) for text in texts]
    assert found.documents == 20
    assert found.nats == pytest.approx(np.mean(costs))
    assert found.nats_error == pytest.approx(np.std(costs, ddof=1) / math.sqrt(20))
    assert found.bytes == np.mean([len(text) for text in texts])
    assert (found.by_position * found.count).sum() == pytest.approx(sum(costs))
    assert found.count[0] == 20
    assert found.count[-1] == sum(len(text) == len(found.count) for text in texts)
    with pytest.raises(TinyLMError, match="texts is empty"):
        fables.floor([])


PHRASE_RULES = (
    "nature spot Spot path toil mishap blunder meal drink people ending sight way trinket thing "
    "couplet riddle"
)


@pytest.mark.parametrize("rule", PHRASE_RULES.split())
def test_no_phrase_can_come_about_in_two_ways(rule: str) -> None:
    parts = Compiler(LISTS, RULES, ENTER).parts(f"<{rule}>.")
    for seed in range(600):
        text, counted = written(parts, {}, seed)
        assert abs(read(text, parts, {}).sum() - counted) < 1e-9, text


TOY_TEMPLATES = st.recursive(
    st.sampled_from(["a", "b", "ab", " ", "{:toy}", "{x:few}{x}", "{a :toy}", "{y:toy}{:toy-y}"]),
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=3).map("".join),
        st.lists(inner, min_size=1, max_size=3).map(lambda each: f"[{'|2*'.join(each)}]"),
    ),
    max_leaves=6,
)


@given(TOY_TEMPLATES)
def test_the_reader_finds_every_probability_of_any_grammar(template: str) -> None:
    """Over all texts of a small grammar, ambiguous or not, probabilities add up to one; and where
    it is not ambiguous, the entropy is theirs.
    """
    parts = Compiler(LISTS_OF_TOYS, {}, {}).parts(template)
    texts = {written(parts, {}, seed)[0] for seed in range(300)}
    logs = {text: -read(text, parts, {}).sum() for text in texts if _is_complete(text, texts)}
    assert math.fsum(map(math.exp, logs.values())) <= 1 + 1e-9
    totals = Totals()
    scene: Scene = {}
    for part in parts:
        part.measure(scene, 1.0, totals)
    if math.fsum(map(math.exp, logs.values())) > 1 - 1e-12:
        exact = -math.fsum(math.exp(log) * log for log in logs.values())
        assert exact <= sum(totals.nats.values()) + 1e-9
        mean = math.fsum(math.exp(log) * len(text) for text, log in logs.items())
        assert mean == pytest.approx(totals.length)


def _is_complete(text: str, texts: set[str]) -> bool:
    """No other text goes on from here, so that its end costs nothing."""
    return not any(other != text and other.startswith(text) for other in texts)


def test_entropy_of_draws_and_plots_is_that_of_all_texts() -> None:
    """A world small enough to write every text down: hero, another, a place, and two plots."""
    source = WorldSource(Variant(quarters=2, n_characters=10, n_places=6), 3)
    compiler = Compiler({}, {}, {"hero": ENTER["hero"], "goal": ENTER["goal"]})
    plots = [Plot("x {+goal}", "the {goal.kind}", ""), Plot("y", "z", ""), Plot("zz", "yyyy", "")]

    def told(number: int) -> list[tuple[object, ...]]:
        recall = "" if number == 1 else ", recalls {past1}"
        return [
            compiler.parts(
                f"{plot.title}{recall}.{{!past{number} {plot.name}}}{{!deed{number} d}} "
            )
            for plot in plots
        ]

    parts = (*compiler.parts("{+hero} of {home}. "), Story(1, told(1)), Story(2, told(2)))  # type: ignore[arg-type]
    totals, scene = Totals(), {"source": source, "told": {}}
    for part in parts:
        part.measure(scene, 1.0, totals)
    texts = {written(parts, {"source": source, "told": ()}, seed)[0] for seed in range(30_000)}
    logs = [-read(text, parts, {"source": source, "told": ()}).sum() for text in texts]
    whole = math.fsum(map(math.exp, logs))
    assert whole == pytest.approx(1, abs=1e-9)
    exact = -math.fsum(math.exp(log) * log for log in logs)
    assert sum(totals.nats.values()) == pytest.approx(exact, abs=1e-9)
    lengths = math.fsum(math.exp(log) * len(t) for log, t in zip(logs, texts, strict=True))
    assert totals.length == pytest.approx(lengths, abs=1e-9)


def test_a_draw_without_the_hero_is_exact() -> None:
    source = WorldSource(Variant(quarters=4, n_characters=40, n_places=9), 1)
    roles = {"hero": ENTER["hero"], "elder": Enter("elder", "elder", ("hero", "friend"))}
    parts = Compiler({}, {}, roles).parts("{+hero} and {+elder}, {elder.kind}.")
    totals, scene = Totals(), {"source": source, "told": {}}
    for part in parts:
        part.measure(scene, 1.0, totals)
    texts = {written(parts, {"source": source}, seed)[0] for seed in range(20_000)}
    logs = {text: -read(text, parts, {"source": source}).sum() for text in texts}
    assert math.fsum(map(math.exp, logs.values())) == pytest.approx(1, abs=1e-9)
    exact = -math.fsum(math.exp(log) * log for log in logs.values())
    assert sum(totals.nats.values()) == pytest.approx(exact, abs=1e-9)


def test_templates_are_read_as_written() -> None:
    assert (
        flow("\n  one\n  [two |\n  three ] {!deed x} ¶ four\n") == "one [two|three]{!deed x}\nfour"
    )
    compiler = Compiler(LISTS_OF_TOYS, {"r": "x[{:few}|y]"}, {})
    texts = {written(compiler.parts("<r>{t:toy}, {a t}"), {}, seed)[0] for seed in range(200)}
    assert "xoneowl, an owl" in texts
    assert len(texts) == 12
    for wrong in ("[a|b", "{:toy", "<r"):
        with pytest.raises(ValueError, match=r"bracket|closed|substring"):
            compiler.parts(wrong)
    with pytest.raises(KeyError):
        compiler.parts("{:nothing}")


def test_a_lexicon_weighs_words_by_their_beginnings() -> None:
    words = Lexicon(["ab", "abc", "b"], [1, 2, 4])
    assert words.weight("", ()) == 7
    assert words.weight("ab", ()) == 3
    assert words.weight("ab", ["abc"]) == 1
    assert words.weight("x", ()) == 0


def test_the_command_shows_measures_and_checks(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = tinylm(["fables", "--show", "2"], monkeypatch, capsys)
    assert (code, err) == (0, "")
    assert all(fables.document("train", i) in out for i in (0, 1))
    code, out, err = tinylm(
        ["fables", "--check", "40", "--entropy", "--variant", "light"], monkeypatch, capsys
    )
    assert (code, err) == (0, "")
    assert f"{fables.entropy('light').nats:.3f} nats" in out
    assert out.count("ok   ") == 4
    for arguments, message in (
        ([], "nothing to do"),
        (["--show", "1", "--variant", "huge"], "unknown variant 'huge'"),
        (["--check", "1"], "check is 1"),
    ):
        code, out, err = tinylm(["fables", *arguments], monkeypatch, capsys)
        assert (code, out) == (2, "")
        assert message in err
