"""What trained models still pay above the floor of fables, by what the words are; and what they
know of characters, by how often these are met.

What a model knows of somebody is found by renaming: in the same text under names that no fable has,
the same facts have to be guessed from their lists. What the true names save is what is known.
"""

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tinylm.checkpoints import load_model
from tinylm.corpora.fables import (
    VARIANTS,
    VERSION,
    Variant,
    document,
    information,
    variant_of,
)
from tinylm.corpora.fables.world import World, world
from tinylm.files import write_atomic
from tinylm.kept import read_kept
from tinylm.laws import MIN_REPEATS, bootstrap_power_law
from tinylm.records import RunRecord
from tinylm.store import Store
from tinylm.studies.floor import (
    AXES,
    CUTS,
    TAILS,
    character_losses,
    corpora_of,
    finite_exponent,
    grid,
)

KINDS = ("told before", "new names", "new facts", "other words")  # told: names and facts again
TOLD, NAME, FACT, OTHER = range(len(KINDS))
DOCUMENTS = {"smoke": 2, "quick": 8, "paper": 64, "full": 64}  # of the validation split
CHARACTER_FACTS = (
    *("kind", "trait", "trade", "house", "fear", "habit"),
    *("dish", "coat", "thing", "saying"),
)
PLACE_FACTS = ("kind", "sight", "fame", "river")
# Facts are told apart by the rank of their character: first of each bin, and the end.
RANKS = (1, 10, 30, 100, 300, 1_000, VARIANTS["default"].n_characters + 1)
HEROES = 2  # of a document, who are told of at length: the hero and the friend
STRANGERS = 1  # the seed of the world that gives names which the fables do not have
RUN = ("run_id", "corpus", "n_non_embedding", "tokens", "seed")
Floats = NDArray[np.float64]


class Fact(NamedTuple):
    """A place in a text where a fact of a character, but no name, is told for the first time."""

    begin: int
    end: int
    rank: int  # of the character, 1 being met the most


@dataclass(frozen=True)
class Marked:
    """A fable and what its words are."""

    text: str
    kinds: NDArray[np.int64]  # which of KINDS each character is: (len(text))
    facts: list[Fact]  # of characters, names apart; facts of places are in `kinds` only
    renamed: str  # the text with other names
    places: NDArray[np.int64]  # where each character of `text` is in it; of a name: its begin


class _Mention(NamedTuple):
    """A place in a text that tells a fact, or a name."""

    begin: int
    end: int
    owner: str  # who has the fact, or whose name it is
    what: str


@cache
def _named() -> tuple[World, dict[str, int], dict[str, int]]:
    """The world, which all variants share, and its characters' and places' numbers by name."""
    default = VARIANTS["default"]
    there = world(0, default.n_characters, default.n_places)
    characters = {name: i for i, name in enumerate(there.names)}
    return there, characters, {name: i for i, name in enumerate(there.place_names)}


def facts_of(name: str) -> set[str]:
    """What the world holds of the character or place of a name, as texts tell it. A character's
    home and friend are names.
    """
    there, characters, places = _named()
    if name in places:
        has = there.place(places[name])
        return {has[key] for key in PLACE_FACTS}
    i = characters[name]
    has = there.character(i)
    return {has[key] for key in CHARACTER_FACTS} | {has["home"], there.names[there.friend[i]]}


def marked(text: str) -> Marked:
    """What the words of a fable are. A blank before a word is the word's, as tokens have it.

    A fact is told wherever the words stand that the world holds of somebody or of a place whom the
    text names. If several could be meant it is of the one who was named last. A name is a fact
    where a home or friend is told of one who has been named.
    """
    _, characters, places = _named()
    found = np.full(len(text), OTHER)
    names = [
        _Mention(m.start(), m.end(), m.group(), m.group())
        for m in re.finditer(r"[A-Z][a-z]+", text)
        if m.group() in characters or m.group() in places
    ]
    named = {name.what for name in names}
    facts: list[Fact] = []
    told: set[tuple[str, str]] = set()
    for one in _facts(text, names):
        new = (one.owner, one.what) not in told
        told.add((one.owner, one.what))
        found[one.begin : one.end] = FACT if new else TOLD
        if new and one.owner in characters and one.what not in named:
            facts.append(Fact(one.begin, one.end, characters[one.owner] + 1))
    seen: set[str] = set()
    for name in names:
        begin = _with_blank(text, name.begin)
        if name.what in seen:
            found[begin : name.end] = TOLD
        elif found[name.begin] != FACT:
            found[begin : name.end] = NAME
        seen.add(name.what)
    facts = [one for one in facts if (found[one.begin : one.end] == FACT).all()]
    return Marked(text, found, facts, *_renamed(text, names))


def _renamed(text: str, names: Sequence[_Mention]) -> tuple[str, NDArray[np.int64]]:
    """A text with strangers' names, of the same sex, and where its characters went."""
    there, characters, places = _named()
    women, men, towns = _strangers()
    new: dict[str, str] = {}
    for name in dict.fromkeys(one.what for one in names):
        i = places[name] if name in places else characters[name]
        pool = towns if name in places else men if there.his[i] else women
        while pool[i % len(pool)] in new.values():
            i += 1
        new[name] = pool[i % len(pool)]
    parts, to, at = [], np.arange(len(text)), 0
    for one in names:
        parts += [text[at : one.begin], new[one.what]]
        at = one.end
        to[one.begin : at] = to[one.begin]
        to[at:] += len(new[one.what]) - (one.end - one.begin)
    return "".join([*parts, text[at:]]), to


@cache
def _strangers() -> tuple[list[str], list[str], list[str]]:
    """Names of women, of men and of places, spelled as the fables' are, that no fable has."""
    there, characters, places = _named()
    other = world(STRANGERS, len(there.names), len(there.place_names))
    taken = characters.keys() | places.keys()
    people = [
        (name, his)
        for name, his in zip(other.names, other.his, strict=True)
        if name not in taken and name not in other.place_names
    ]
    women = [name for name, his in people if not his]
    men = [name for name, his in people if his]
    return women, men, [name for name in other.place_names if name not in taken]


def _facts(text: str, names: Sequence[_Mention]) -> Iterator[_Mention]:
    """Every place that tells a fact of somebody named, in the order of the text, longest first;
    none within another.
    """
    owners: dict[str, list[str]] = {}
    for name in dict.fromkeys(one.what for one in names):
        for phrase in facts_of(name):
            owners.setdefault(phrase, []).append(name)
    phrases = sorted(owners, key=len, reverse=True)
    named = {one.what for one in names}
    pattern = "|".join(re.escape(phrase) for phrase in phrases) or "(?!)"
    for match in re.finditer(rf"\b(?:{pattern})\b", text):
        able = owners[match.group()]
        before = [one.what for one in names if one.begin < match.start() and one.what in able]
        after = [one.what for one in names if one.begin >= match.start() and one.what in able]
        if not before and match.group() in named:
            continue
        owner = before[-1] if before else after[0] if after else able[0]
        yield _Mention(_with_blank(text, match.start()), match.end(), owner, match.group())


def _with_blank(text: str, begin: int) -> int:
    return begin - 1 if begin and text[begin - 1] == " " else begin


def by_kind(values: Floats, kinds: NDArray[np.int64]) -> Floats:
    """Sums of values over the characters of each kind: (len(KINDS))."""
    return np.bincount(kinds, weights=values, minlength=len(KINDS)).astype(np.float64)


def by_rank(values: Floats, facts: Sequence[Fact]) -> Floats:
    """Sums of values over the facts of the characters of each bin of RANKS: (bins)."""
    sums = np.zeros(len(RANKS) - 1)
    for one in facts:
        sums[np.searchsorted(RANKS, one.rank, "right") - 1] += values[one.begin : one.end].sum()
    return sums


@dataclass(frozen=True)
class _Documents:
    """The documents on which the models of a corpus are measured, and what is known of them."""

    marks: list[Marked]
    floor: Floats  # nats a document, by kind
    fact_ranks: NDArray[np.int64]  # of the characters of all facts, a fact each

    @property
    def facts(self) -> NDArray[np.int64]:
        """How many facts are in each bin of RANKS."""
        return np.histogram(self.fact_ranks, RANKS)[0]

    def characters(self, share: float) -> float:
        """Up to which rank all facts would have to be known so that this share of them is."""
        return float(np.quantile(self.fact_ranks, share)) if share > 0 else 0.0


@cache
def _documents(corpus: str, n: int) -> _Documents:
    variant = variant_of(corpus)
    marks = [marked(document("validation", i, variant=variant)) for i in range(n)]
    floors = [by_kind(information(one.text, variant=variant), one.kinds) for one in marks]
    ranks = [fact.rank for one in marks for fact in one.facts]
    return _Documents(marks, np.mean(floors, axis=0), np.array(ranks))


@dataclass(frozen=True)
class Leftover:
    """What models pay and know. Every table begins with RUN, what tells a model."""

    kinds: pd.DataFrame  # a row a model and kind. excess: nats a document
    ranks: pd.DataFrame  # a row a model and bin of RANKS: first, last; x, its middle; facts' nats
    runs: pd.DataFrame  # a row a model. share of all facts known; characters, as many in whole


def leftover(profile: str) -> Leftover:
    """The excess of every model of the fables experiments by kind, and the price of facts by rank.
    Models are measured where their weights are, and kept beside the records.

    Raises:
        TinyLMError: the file that keeps them is damaged.
    """
    path = Store(profile).folder / "floors" / "fables-leftover.json"
    n = DOCUMENTS[profile]
    key = {"version": VERSION, "documents": n, "kinds": list(KINDS), "ranks": list(RANKS)}
    kept = read_kept(path) or {}
    models: dict[str, Any] = kept["models"] if key.items() <= kept.items() else {}
    folder = Store(profile).folder / "models"
    records = _records(profile)
    new = {run_id: r for run_id, r in records.items() if run_id not in models and r.validation}
    measured = {
        run_id: _measure(record, _documents(record.config.data.corpus, n), profile)
        for run_id, record in new.items()
        if (folder / run_id).is_dir()
    }
    if measured:
        models = models | measured
        write_atomic(path, json.dumps({**key, "models": models}, indent=1) + "\n")
    return _tables({run_id: models[run_id] for run_id in models if run_id in records}, records, n)


def share_known(ranks: pd.DataFrame, by: Sequence[str]) -> pd.DataFrame:
    """The share of facts that is known, over the bins of `Leftover.ranks` that agree in `by`: what
    true names save of the price under other names. Columns: `by` and share.
    """
    sums = ranks.groupby(list(by))[["true_names", "other_names"]].sum().reset_index()
    return sums[list(by)].assign(share=1 - sums["true_names"] / sums["other_names"])


def tail_knowledge(parts: Leftover, profile: str) -> pd.DataFrame:
    """Of each corpus the setting of its cuts that knows most characters, means over seeds: corpus,
    tail, n_non_embedding, tokens, share, characters; and exponent, in N, that the theory gives in
    this world for one who knows so many (at least one).
    """
    rows = []
    for corpus in corpora_of(profile):
        runs = parts.runs[parts.runs["run_id"].isin(_cut(profile, corpus, *TAILS))]
        if runs.empty:
            continue
        settings = runs.groupby(["n_non_embedding", "tokens"])[["share", "characters"]].mean()
        most = settings.reset_index().sort_values("characters").iloc[-1]
        variant = VARIANTS[variant_of(corpus)]
        exponent = finite_exponent("N", variant, max(1.0, most["characters"]))
        rows.append({"corpus": corpus, "tail": variant.tail, **most, "exponent": exponent})
    columns = ["corpus", "tail", "n_non_embedding", "tokens", "share", "characters", "exponent"]
    return pd.DataFrame(rows, columns=columns).astype({"n_non_embedding": int, "tokens": int})


def knowledge_by_tokens(parts: Leftover, document_tokens: float, variant: Variant) -> pd.DataFrame:
    """Of the largest size, what it knows after so many tokens, means over seeds: tokens, seeds,
    share, characters, excess (on new facts); and the exponent of that to the next number of tokens,
    measured and by the theory in this world for as many meetings with a hero (NaN in the last).
    """
    facts = parts.kinds[parts.kinds["kind"] == KINDS[FACT]]
    both = parts.runs.merge(facts[["run_id", "excess"]], on="run_id")
    largest = both[both["n_non_embedding"] == both["n_non_embedding"].max()]
    of = largest.groupby("tokens")
    table: pd.DataFrame = of[["share", "characters", "excess"]].mean()
    table.insert(0, "seeds", of["seed"].nunique())
    table = table.reset_index()
    tokens = table["tokens"].to_numpy(np.float64)
    table["exponent"] = table["theory"] = math.nan
    steps = range(len(table) - 1)
    fall = -np.diff(np.log(table["excess"])) / np.diff(np.log(tokens))
    meetings = HEROES * np.sqrt(tokens[:-1] * tokens[1:]) / document_tokens
    table.loc[steps, "exponent"] = fall
    table.loc[steps, "theory"] = [finite_exponent("D", variant, met) for met in meetings]
    return table


def _cut(profile: str, corpus: str, *axes: str) -> set[str]:
    """The runs of a corpus on the cuts of its tail along these axes."""
    return {run.run_id for axis in axes for run in grid(TAILS[axis], profile, corpus)}


def fact_exponents(parts: Leftover, profile: str) -> pd.DataFrame:
    """Of the excess on new facts alone, on the cuts of every tail: corpus, axis, exponent, low,
    high, misfit, a row a cut of which 3 points or more are measured. The floor is known, so there
    is none to fit.
    """
    facts = parts.kinds[parts.kinds["kind"] == KINDS[FACT]]
    rows = []
    for corpus in corpora_of(profile):
        for axis in TAILS:
            cut = facts[facts["run_id"].isin(_cut(profile, corpus, axis))]
            x = cut[AXES[axis]]
            if x.nunique() < 3 or len(cut) - x.nunique() < MIN_REPEATS:
                continue
            law = bootstrap_power_law(x, cut["seed"], cut["excess"], floor=0.0)
            low, high = law.alpha_interval
            row = {"exponent": law.law.alpha, "low": low, "high": high, "misfit": law.misfit}
            rows.append({"corpus": corpus, "axis": axis, **row})
    return pd.DataFrame(rows, columns=["corpus", "axis", "exponent", "low", "high", "misfit"])


def _records(profile: str) -> dict[str, RunRecord]:
    """The records of both cuts on every corpus, by run."""
    names = [*CUTS.values(), *TAILS.values()]
    runs = [
        run
        for name in names
        for corpus in corpora_of(profile)
        for run in grid(name, profile, corpus)
    ]
    return {record.run_id: record for record in Store(profile).found(runs)}


def _measure(record: RunRecord, on: _Documents, profile: str) -> dict[str, list[float]]:
    """What one model pays: nats a document by kind; nats of facts by rank, under both names."""
    model, tokenizer = load_model(Store(profile).folder / "models" / record.run_id)
    kinds, true, other = np.zeros(len(KINDS)), np.zeros(len(RANKS) - 1), np.zeros(len(RANKS) - 1)
    for one in on.marks:
        losses = character_losses(one.text, tokenizer, model)
        kinds += by_kind(losses, one.kinds) / len(on.marks)
        true += by_rank(losses, one.facts)
        other += by_rank(character_losses(one.renamed, tokenizer, model)[one.places], one.facts)
    sums = {"kinds": kinds, "true_names": true, "other_names": other}
    return {name: values.round(4).tolist() for name, values in sums.items()}


def _tables(models: Mapping[str, Any], records: Mapping[str, RunRecord], n: int) -> Leftover:
    kinds: list[dict[str, Any]] = []
    ranks: list[dict[str, Any]] = []
    runs: list[dict[str, Any]] = []
    for run_id, model in models.items():
        record = records[run_id]
        corpus, size = record.config.data.corpus, record.parameters.non_embedding
        run = dict(zip(RUN, (run_id, corpus, size, record.tokens, record.seed), strict=True))
        on = _documents(corpus, n)
        excess = np.array(model["kinds"]) - on.floor
        kinds += [
            run | {"kind": kind, "excess": nats} for kind, nats in zip(KINDS, excess, strict=True)
        ]
        true, other = np.array(model["true_names"]), np.array(model["other_names"])
        for place in np.flatnonzero(on.facts):
            first, last = RANKS[place], RANKS[place + 1] - 1
            bin_of = {"first": first, "last": last, "x": math.sqrt(first * last)}
            nats = {"true_names": true[place], "other_names": other[place]}
            ranks.append(run | bin_of | nats)
        share = 1 - true.sum() / other.sum()
        runs.append(run | {"share": share, "characters": on.characters(share)})
    return Leftover(
        pd.DataFrame(kinds, columns=[*RUN, "kind", "excess"]),
        pd.DataFrame(ranks, columns=[*RUN, "first", "last", "x", "true_names", "other_names"]),
        pd.DataFrame(runs, columns=[*RUN, "share", "characters"]),
    )
