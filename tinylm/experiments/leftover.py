"""What trained models still pay above the floor of fables, by what the words are."""

import json
import re
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tinylm.batches import prepare
from tinylm.checkpoints import load_model
from tinylm.corpora.fables import VARIANTS, VERSION, document, information
from tinylm.corpora.fables.world import World, world
from tinylm.experiments.fables import FablesStudy, character_losses
from tinylm.experiments.kept import read_kept
from tinylm.files import results_dir, write_atomic
from tinylm.records import RunRecord

KINDS = ("names told before", "new names", "facts", "other words")
TOLD, NEW, FACT, OTHER = range(len(KINDS))
DOCUMENTS = {"smoke": 2, "quick": 8, "paper": 32, "full": 32}  # of the validation split
CHARACTER_FACTS = ("kind", "trait", "trade", "house", "fear", "habit", "dish", "coat", "thing")
PLACE_FACTS = ("kind", "sight", "fame", "river")


@cache
def _named() -> tuple[World, dict[str, int], dict[str, int]]:
    """The world, and the numbers of its characters and places by name."""
    default = VARIANTS["default"]
    there = world(0, default.n_characters, default.n_places)
    characters = {name: i for i, name in enumerate(there.names)}
    return there, characters, {name: i for i, name in enumerate(there.place_names)}


def kinds(text: str) -> NDArray[np.int64]:
    """Which of KINDS each character of a fable belongs to: (len(text)). A blank before a word is
    the word's, as tokens have it.

    Facts are the words of what the world holds of the characters and places that the text names,
    wherever they stand in it.
    """
    there, characters, places = _named()
    found = np.full(len(text), OTHER)
    names = [(m.start(), m.group()) for m in re.finditer(r"[A-Z][a-z]+", text)]
    named = [(at, name) for at, name in names if name in characters or name in places]
    phrases: set[str] = set()
    for name in {name for _, name in named}:
        if name in characters:
            has = there.character(characters[name])
            phrases |= {has[key] for key in CHARACTER_FACTS} | {has["saying"]}
        if name in places:
            facts = there.place(places[name])
            phrases |= {facts[key] for key in PLACE_FACTS}
    for phrase in phrases:
        for match in re.finditer(rf" ?\b{re.escape(phrase)}\b", text):
            found[match.start() : match.end()] = FACT
    seen: set[str] = set()
    for at, name in named:
        begin = at - 1 if at and text[at - 1] == " " else at
        found[begin : at + len(name)] = TOLD if name in seen else NEW
        seen.add(name)
    return found


def by_kind(values: NDArray[np.float64], of: NDArray[np.int64]) -> NDArray[np.float64]:
    """Sums of values over the characters of each kind."""
    return np.bincount(of, weights=values, minlength=len(KINDS)).astype(np.float64)


def _measure(records: Iterable[RunRecord], profile: str) -> list[dict[str, Any]]:
    """What each model that is kept pays, in nats a document by kind."""
    texts = [document("validation", i) for i in range(DOCUMENTS[profile])]
    marks = [kinds(text) for text in texts]
    found = []
    for record in records:
        data = prepare("fables", record.config.data.tokenizer)
        model, _ = load_model(results_dir(profile) / "models" / record.run_id)
        sums = np.zeros(len(KINDS))
        for text, of in zip(texts, marks, strict=True):
            sums += by_kind(character_losses(text, data.tokenizer, model), of)
        found.append({"run_id": record.run_id, "nats": (sums / len(texts)).round(4).tolist()})
    return found


def leftover(study: FablesStudy) -> pd.DataFrame:
    """Nats a document above the floor by kind, a row a model and kind: n_non_embedding, tokens,
    seed, kind, excess. Models are measured where their weights are, and kept beside the records.

    Raises:
        InputError: the file that keeps them is damaged.
    """
    path = results_dir(study.profile) / "floors" / "fables-leftover.json"
    key = {"version": VERSION, "documents": DOCUMENTS[study.profile], "kinds": list(KINDS)}
    kept = read_kept(path) or {}
    models: list[dict[str, Any]] = kept["models"] if key.items() <= kept.items() else []
    known = {one["run_id"] for one in models}
    folder = results_dir(study.profile) / "models"
    new = [
        record
        for record in study.records
        if record.validation and record.run_id not in known and (folder / record.run_id).is_dir()
    ]
    if new:
        models = models + _measure(new, study.profile)
        write_atomic(path, json.dumps({**key, "models": models}, indent=1) + "\n")
    return _table(models, {record.run_id: record for record in study.records}, study.profile)


def _table(
    models: list[dict[str, Any]], records: Mapping[str, RunRecord], profile: str
) -> pd.DataFrame:
    texts = [document("validation", i) for i in range(DOCUMENTS[profile])] if models else []
    floors = [by_kind(information(text), kinds(text)) for text in texts]
    floor = np.mean(floors, axis=0) if floors else np.zeros(len(KINDS))
    rows = [
        {
            "n_non_embedding": records[one["run_id"]].parameters.non_embedding,
            "tokens": records[one["run_id"]].tokens,
            "seed": records[one["run_id"]].seed,
            "kind": kind,
            "excess": one["nats"][place] - floor[place],
        }
        for one in models
        if one["run_id"] in records
        for place, kind in enumerate(KINDS)
    ]
    columns = ["n_non_embedding", "tokens", "seed", "kind", "excess"]
    return pd.DataFrame(rows, columns=columns)
