"""Whom models know, on measurements that are made up."""

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tinylm.corpora.fables import CORPORA, VARIANTS
from tinylm.errors import Missing
from tinylm.store import Store
from tinylm.studies.cuts import TAILS, grid
from tinylm.studies.excess import RUN, Leftover
from tinylm.studies.findings import computing_findings
from tinylm.studies.knowledge import (
    fact_exponents,
    fact_exponents_table,
    fact_exponents_words,
    knowledge_by_tokens,
    known_figure,
    known_words,
    tail_knowledge,
    tail_knowledge_table,
    tail_knowledge_words,
)
from tinylm.studies.marking import KINDS, RANKS
from tinylm.studies.theory import finite_exponent

DEFAULT = VARIANTS["default"]
PAPER = Store("paper")


def made_up(of: Callable[[str, int], float]) -> Leftover:
    """What models of the paper's cuts on every tail are, if `of` gives the nats of new facts, and
    the characters known, by corpus and width.
    """
    kinds: list[dict[str, Any]] = []
    runs: list[dict[str, Any]] = []
    for corpus in CORPORA:
        for name in TAILS.values():
            for one in grid(PAPER, name, corpus):
                if one.run_id in {run["run_id"] for run in runs}:  # the corner of both cuts
                    continue
                width = one.config.model.d_model
                run = dict(
                    zip(RUN, (one.run_id, corpus, width, one.config.tokens, one.seed), strict=True)
                )
                value = of(corpus, width)
                nats = value * one.config.tokens**-0.4 * (1 + 0.002 * one.seed)
                kinds += [run | {"kind": kind, "excess": nats} for kind in KINDS]
                runs.append(run | {"share": value / 1e3, "characters": value})
    return Leftover(pd.DataFrame(kinds), pd.DataFrame(), pd.DataFrame(runs))


def test_exponents_of_new_facts_are_those_planted(few_fables: Path) -> None:
    power = {"fables": 0.3, "fables-heavy": 0.25, "fables-light": 0.35}
    parts = made_up(lambda corpus, width: 900 * width ** -power[corpus])
    with pytest.raises(Missing):
        fact_exponents(parts, PAPER)
    with computing_findings():
        fact_exponents(parts, PAPER)
    exponents = fact_exponents(parts, PAPER)
    rows = exponents.to_dict("records")
    assert len(rows) == 6
    for row in rows:
        true = power[row["corpus"]] if row["axis"] == "N" else 0.4
        assert row["exponent"] == pytest.approx(true, abs=0.002)
        assert row["low"] <= true <= row["high"]
    shown = fact_exponents_table(exponents)
    assert shown.loc[("fables-heavy", "N"), "new facts alone"] == "0.250"
    fewer = Leftover(parts.kinds.head(4 * 3), parts.ranks, parts.runs)
    assert fact_exponents(fewer, PAPER).empty


def test_who_knows_most_of_each_tail() -> None:
    parts = made_up(lambda corpus, width: float(width if corpus != "fables-heavy" else width / 1e3))
    table = tail_knowledge(parts, PAPER).set_index("corpus")
    assert table["tail"].to_dict() == {
        corpus: VARIANTS[variant].tail for corpus, variant in CORPORA.items()
    }
    assert table["n_non_embedding"].tolist() == [128] * 3
    assert table["characters"].tolist() == pytest.approx([128, 0.128, 128])
    assert table["exponent"].iloc[0] == pytest.approx(finite_exponent("N", DEFAULT, 128))
    assert table["exponent"].iloc[1] == pytest.approx(finite_exponent("N", VARIANTS["heavy"], 1))
    assert tail_knowledge(Leftover(parts.kinds, parts.ranks, parts.runs.head(0)), PAPER).empty


def test_knowledge_by_tokens_is_of_the_largest_size() -> None:
    """Exponents of the excess on new facts are those planted; the theory's are for two meetings a
    document.
    """
    kinds: list[dict[str, Any]] = []
    runs: list[dict[str, Any]] = []
    for n in (100, 1_000):
        for tokens in (1_000_000, 2_000_000, 8_000_000):
            for seed in (0, 1)[: 1 if tokens == 8_000_000 else 2]:
                run_id = f"{n} {tokens} {seed}"
                run = dict(zip(RUN, (run_id, "fables", n, tokens, seed), strict=True))
                excess = 1e4 * tokens**-0.5 * n + (seed - 0.5 if tokens < 8_000_000 else 0.0)
                kinds += [run | {"kind": kind, "excess": excess} for kind in KINDS]
                runs.append(run | {"share": n / 2e3, "characters": float(n)})
    parts = Leftover(pd.DataFrame(kinds), pd.DataFrame(), pd.DataFrame(runs))
    table = knowledge_by_tokens(parts, 1_000.0, DEFAULT)
    assert table["tokens"].tolist() == [1_000_000, 2_000_000, 8_000_000]
    assert table["seeds"].tolist() == [2, 2, 1]
    assert table["share"].tolist() == pytest.approx([0.5] * 3)
    assert table["exponent"].tolist()[:2] == pytest.approx([0.5, 0.5])
    met = [2 * 1_000 * 2**0.5, 2 * 4_000.0]
    theory = [finite_exponent("D", DEFAULT, m) for m in met]
    assert table["theory"].tolist()[:2] == pytest.approx(theory)
    assert table[["exponent", "theory"]].iloc[-1].isna().all()


def known(share: dict[int, float]) -> Leftover:
    """A model for each N on 8 tokens that knows so much of the ten characters met most, and nothing
    of others; and the largest on 4 tokens.
    """
    rows = []
    for n, of_first in share.items():
        for tokens in (4, 8) if n == max(share) else (8,):
            for seed in (0, 1):
                run = dict(
                    zip(RUN, (f"{n} {tokens} {seed}", "fables", n, tokens, seed), strict=True)
                )
                for first, last in pairwise(RANKS):
                    saved = of_first if first < RANKS[2] else -0.001
                    price = {"true_names": 10 * (1 - saved), "other_names": 10.0}
                    rows.append(run | {"first": first, "last": last - 1, "x": first} | price)
    return Leftover(pd.DataFrame(), pd.DataFrame(rows), pd.DataFrame())


def test_the_figure_tells_the_ranks_met_most_from_those_met_least() -> None:
    figure = known_figure(known({1_000: 0.1, 50_000: 0.6}))
    assert figure is not None
    title = " ".join(figure.get_suptitle().split())
    assert "knows 60% of the facts of the 29 characters met most, 0% of the facts of" in title
    assert "-0%" not in title
    said = known_words(known({1_000: 0.1, 50_000: 0.6}))
    assert "N = 1,000 knows 3% and N = 50,000 20%." in said
    nobody = Leftover(pd.DataFrame(), pd.DataFrame(columns=["x"]), pd.DataFrame())
    assert known_figure(nobody) is None
    assert known_words(nobody) == ""


def top(share: float) -> pd.DataFrame:
    row = {"corpus": "fables", "tail": 0.5, "n_non_embedding": 1_000, "tokens": 4_000}
    return pd.DataFrame([row | {"share": share, "characters": 5.2, "exponent": 0.08}])


def test_at_the_door_are_those_who_know_little() -> None:
    assert "at the door" in tail_knowledge_words(top(0.1))
    assert "at the door" not in tail_knowledge_words(top(0.6))
    assert "none" in tail_knowledge_words(top(0.1).head(0))
    assert tail_knowledge_table(top(0.1))["as if it knew"].tolist() == [
        "the\N{NO-BREAK SPACE}first\N{NO-BREAK SPACE}5"
    ]
    exponents = pd.DataFrame({"exponent": [0.2]})
    assert "lists" in fact_exponents_words(exponents, top(0.1))
    assert "lists" not in fact_exponents_words(exponents, top(0.6))
    assert fact_exponents_words(exponents.head(0), top(0.1)) == ""
