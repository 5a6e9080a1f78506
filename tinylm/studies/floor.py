"""Fables against their true floor: two cuts through the loss surface, the exponents of three tails,
compressors, n-grams, and one story with what each character could cost and did.

A cut shows the runs that have records; what has none yet is counted, not made up.
"""

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from tinylm.batches import TokenFile, prepare
from tinylm.checkpoints import load_model
from tinylm.config import Run
from tinylm.corpora.fables import (
    CORPORA,
    LONG_CORPORA,
    VARIANTS,
    VERSION,
    Variant,
    document,
    entropy,
    information,
    short_of,
    variant_of,
)
from tinylm.corpora.fables.check import counted_document
from tinylm.corpora.fables.source import HEAD
from tinylm.errors import Missing
from tinylm.evaluate import position_bins
from tinylm.files import write_atomic
from tinylm.kept import measured_once, read_kept
from tinylm.laws import (
    MIN_REPEATS,
    PowerLawWithIntervals,
    Runs,
    bootstrap_power_law,
    exponent_gap,
    local_exponents,
)
from tinylm.model import GPT
from tinylm.ngrams import MAX_ORDER, NgramFloor
from tinylm.records import RunRecord, to_table
from tinylm.store import Store
from tinylm.studies.compressors import COMPRESSORS, bits_per_byte
from tinylm.studies.size import NGRAM_ORDERS, ngram_baselines
from tinylm.sweeps.declare import expand, load_experiment
from tinylm.texts import prepared_text, texts_of
from tinylm.tokenizers import END_OF_TEXT, Tokenizer

CUTS = {"N": "fables_size", "D": "fables_data"}  # on the default tail, over the whole range
TAILS = {"N": "fables_tails_size", "D": "fables_tails_data"}  # on every tail alike
AXES = {"N": "n_non_embedding", "D": "tokens"}
# Where finite_exponent is taken: a choice. How many characters are known `leftover` measures;
# in D the tokens of TAILS are some hundred to some thousand documents, each of about two characters
# and the few whom they meet.
MET = {"N": (1, 100), "D": (1_000, 10_000)}
COMPRESSED_BYTES = {"smoke": 200_000, "quick": 2_000_000, "paper": 64_000_000, "full": 64_000_000}
STORY = 0  # the validation document that is shown in colours
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class TokenFloor:
    """The exact floor under the loss on the validation documents, token by token."""

    nats: float  # a token, as losses are: closing tokens count, and cost nothing
    bits_per_byte: float
    by_position: pd.DataFrame  # first, last, nats: the bins of a record's losses


@dataclass(frozen=True)
class Cut:
    """Loss along one axis, N or D, the other held at the experiment's largest."""

    runs: pd.DataFrame  # x, seed, loss, bits_per_byte, excess: a row a finished run
    floor: float | None  # nats a token, that excess is above; None: no run yet
    wanted: int  # runs that the grid asks for
    predicted: float  # the exponent by the theory of knowledge in pieces
    predicted_here: tuple[float, float]  # and in a world of this size: from ... to
    law: PowerLawWithIntervals | None  # with E at the true floor; None: too few runs yet
    free: PowerLawWithIntervals | None  # with E fitted
    slopes: pd.DataFrame | None  # local_exponents of the excess; None: too few runs yet

    @property
    def fold(self) -> float | None:
        """Mean excess at the smallest x over that at the largest; None where these are one."""
        means = self.runs.groupby("x")["excess"].mean()
        return float(means.iloc[0] / means.iloc[-1]) if len(means) > 1 else None


@dataclass(frozen=True)
class FablesStudy:
    """All that is measured of one profile's runs beside their floor."""

    profile: str
    floor: TokenFloor  # of the default tail
    cuts: dict[str, Cut]  # N and D on the default tail
    tails: dict[str, dict[str, Cut]]  # by corpus, then N and D: shorter cuts, alike for all
    records: list[RunRecord]  # of `cuts`
    ngrams: list[NgramFloor]

    @property
    def best_ngram(self) -> NgramFloor:
        """The order with the lowest loss."""
        return min(self.ngrams, key=lambda one: one.nats_per_token)


def predicted_exponent(axis: str, tail: float) -> float:
    """Of the excess, if knowledge comes in pieces used as rank^-(1+a): a in N, a/(1+a) in D.

    Source: Hutter 2021; Maloney, Roberts & Sully 2022; Michaud et al. 2023.
    """
    return tail if axis == "N" else tail / (1 + tail)


def finite_exponent(axis: str, variant: Variant, met: float, *, head: int = HEAD) -> float:
    """The exponent by the same theory in a variant's world, which has an end and a flat head.

    It is the slope, on log axes, of the share of meetings that are with a character not yet known.
    In N, the `met` characters of lowest rank are known; in D, those whom `met` meetings have
    brought at least once, in expectation. Without the head and the end it would be the same
    everywhere. Weights are those of `corpora.fables.source.weights`, not rounded.
    """
    weights = (np.arange(1, variant.n_characters + 1) + head) ** -(1 + variant.tail)
    p = weights / weights.sum()
    if axis == "N":
        n = round(met)
        return float(n * p[n - 1] / p[n:].sum())
    unknown = p * np.exp(-met * p)
    return float(met * (unknown * p).sum() / unknown.sum())


def token_information(text: str, tokenizer: Tokenizer, variant: str = "default") -> Floats:
    """Exact nats of each token of a document, that of its closing token (0) last."""
    nats = information(text, variant=variant)
    lengths = [len(tokenizer.token_text(token)) for token in tokenizer.encode(text)]
    ends = np.cumsum(lengths)
    if ends[-1] != len(text):
        raise AssertionError(f"tokens spell {ends[-1]} characters, the text has {len(text)}")
    sums = np.add.reduceat(nats, np.append(0, ends[:-1]))
    return np.append(sums, 0.0)


def token_floor(corpus: str, tokens: TokenFile, tokenizer: Tokenizer) -> TokenFloor:
    """The floor under the loss on the validation documents, in whole and in the bins of a record.

    It is exact for models whose context holds a whole document.
    """
    longest = int(np.diff(tokens.starts).max())
    sums, counts = np.zeros(longest), np.zeros(longest, dtype=np.int64)
    for i in range(tokens.n_documents):
        text = document("validation", i, variant=variant_of(corpus))
        nats = token_information(text, tokenizer, variant_of(corpus))
        sums[: len(nats)] += nats
        counts[: len(nats)] += 1
    if int(counts.sum()) != tokens.n_tokens:
        raise AssertionError(f"{counts.sum()} tokens were counted, the file has {tokens.n_tokens}")
    first = position_bins(longest)
    last = np.append(first[1:] - 1, longest)
    bins = [
        {"first": a, "last": b, "nats": sums[a - 1 : b].sum() / counts[a - 1 : b].sum()}
        for a, b in zip(first.tolist(), last.tolist(), strict=True)
    ]
    total = float(sums.sum())
    return TokenFloor(
        nats=total / tokens.n_tokens,
        bits_per_byte=total / math.log(2) / tokens.n_bytes,
        by_position=pd.DataFrame(bins),
    )


def corpora_of(profile: str) -> list[str]:
    """The three corpora of a profile's runs, that of the default tail first: the full profile reads
    further than the others.
    """
    return list(LONG_CORPORA if profile == "full" else CORPORA)


def grid(experiment: str, profile: str, corpus: str | None = None) -> list[Run]:
    """The runs that an experiment asks for on one corpus, by default that of the default tail; none
    if the profile has no grid of it.
    """
    corpus = corpus or corpora_of(profile)[0]
    declared = load_experiment(experiment)
    runs = expand(declared, profile) if profile in declared.profiles else []
    return [run for run in runs if run.config.data.corpus == corpus]


def make_cut(
    axis: str,
    corpus: str,
    runs: Sequence[Run],
    profile: str,
    floor_of: Callable[[str, str], TokenFloor],
) -> Cut:
    """The runs that have ended, and the laws through them, above the floor that `floor_of` tells of
    a corpus and tokenizer.
    """
    columns = ["x", "seed", "loss", "bits_per_byte", "excess"]
    records = Store(profile).found(runs)
    table, floor, law, free, slopes = pd.DataFrame(columns=columns), None, None, None, None
    if records:
        floor = floor_of(corpus, records[0].config.data.tokenizer).nats
        done = to_table(records)
        done = done[done["status"] == "done"]
        done = done.assign(x=done[AXES[axis]], loss=done["nats"], excess=done["nats"] - floor)
        table = done[columns].sort_values(["x", "seed"], ignore_index=True)
        points = table["x"], table["seed"], table["loss"]
        n = table["x"].nunique()
        if len(table) - n >= MIN_REPEATS:
            above = (table["excess"] > 0).all()  # else a run is below the floor: no law
            law = bootstrap_power_law(*points, floor=floor) if above and n >= 3 else None
            slopes = local_exponents(*points, floor=floor) if above and n >= 2 else None
            free = bootstrap_power_law(*points) if n >= 4 else None
    variant = VARIANTS[variant_of(corpus)]
    low, high = (finite_exponent(axis, variant, met) for met in MET[axis])
    predicted = predicted_exponent(axis, variant.tail)
    return Cut(table, floor, len(runs), predicted, (low, high), law, free, slopes)


def floors() -> Callable[[str, str], TokenFloor]:
    """`token_floor` of a corpus and tokenizer; one takes seconds, and is kept while this lives."""

    @cache
    def floor_of(corpus: str, tokenizer: str) -> TokenFloor:
        data = prepare(short_of(corpus), tokenizer)
        return token_floor(corpus, data.validation, data.tokenizer)

    return floor_of


def default_cuts(
    profile: str, floor_of: Callable[[str, str], TokenFloor] | None = None
) -> dict[str, Cut]:
    """The cuts in N and D of a profile on the default tail."""
    corpus, floor_of = corpora_of(profile)[0], floor_of or floors()
    return {
        axis: make_cut(axis, corpus, grid(name, profile), profile, floor_of)
        for axis, name in CUTS.items()
    }


def fables_study(profile: str) -> FablesStudy:
    """The cuts, the exponents' cuts on every tail, the floor, and the n-gram baselines.

    Raises:
        TinyLMError: a profile without these experiments, or data that cannot be made.
    """
    runs = [run for name in CUTS.values() for run in grid(name, profile)]
    if not runs:
        raise Missing(f"profile {profile!r} has no grid of {' or '.join(CUTS.values())}")
    tokenizer, floor_of = runs[0].config.data.tokenizer, floors()
    orders = range(1, MAX_ORDER + 1) if profile in {"paper", "full"} else NGRAM_ORDERS
    records = Store(profile).found(runs)
    read = corpora_of(profile)[0]
    text = texts_of(records)[0] if records else prepared_text(prepare(read, tokenizer))
    return FablesStudy(
        profile=profile,
        floor=floor_of(corpora_of(profile)[0], tokenizer),
        cuts=default_cuts(profile, floor_of),
        tails={
            corpus: {
                axis: make_cut(axis, corpus, grid(name, profile, corpus), profile, floor_of)
                for axis, name in TAILS.items()
            }
            for corpus in corpora_of(profile)
        },
        records=records,
        ngrams=ngram_baselines(profile, text, orders),
    )


def tail_exponents(study: FablesStudy) -> pd.DataFrame:
    """A row a corpus and axis: tail, exponents predicted, and measured with interval, or NaN."""
    rows = []
    for corpus, cuts in study.tails.items():
        for axis, cut in cuts.items():
            low, high = cut.law.alpha_interval if cut.law else (math.nan, math.nan)
            rows.append(
                {
                    "corpus": corpus,
                    "axis": axis,
                    "tail": VARIANTS[variant_of(corpus)].tail,
                    "predicted": cut.predicted,
                    "world_low": cut.predicted_here[0],
                    "world_high": cut.predicted_here[1],
                    "measured": cut.law.law.alpha if cut.law else math.nan,
                    "low": low,
                    "high": high,
                    "misfit": cut.law.misfit if cut.law else math.nan,
                    "fold": cut.fold or math.nan,
                    "runs": len(cut.runs),
                    "wanted": cut.wanted,
                }
            )
    return pd.DataFrame(rows)


def tail_gaps(study: FablesStudy) -> pd.DataFrame:
    """How far the exponent of the lightest tail is above that of the heaviest, from runs at the
    same N and D: axis, gap, low, high, misfit, predicted; a row an axis that has both.
    """
    heavy, *_, light = sorted(study.tails, key=lambda corpus: VARIANTS[variant_of(corpus)].tail)

    def points(cut: Cut) -> Runs | None:
        """What exponent_gap asks of a cut; None where it has too few runs yet."""
        if cut.slopes is None or cut.floor is None:
            return None
        return cut.runs["x"], cut.runs["seed"], cut.runs["loss"], cut.floor

    rows = []
    for axis in TAILS:
        one, other = (study.tails[corpus][axis] for corpus in (light, heavy))
        if (of_one := points(one)) is None or (of_other := points(other)) is None:
            continue
        found = exponent_gap(of_one, of_other)
        low, high = found.interval
        row = {"axis": axis, "gap": found.gap, "low": low, "high": high, "misfit": found.misfit}
        rows.append(row | {"predicted": one.predicted - other.predicted})
    return pd.DataFrame(rows, columns=["axis", "gap", "low", "high", "misfit", "predicted"])


def compressed(profile: str) -> dict[str, Any]:
    """Bits a byte of each compressor on one long text, and the exact code length of that text.

    Measured once and kept beside the records.
    """
    path = Store(profile).folder / "floors" / "fables-compressors.json"
    wanted = COMPRESSED_BYTES[profile]

    def measure() -> dict[str, Any]:
        texts: list[str] = []
        size, nats = 0, 0.0
        while size < wanted:
            text, cost = counted_document(len(texts), "default")
            texts.append(text)
            size, nats = size + len(text), nats + cost
        content = "\n".join(texts).encode()
        return {
            "documents": len(texts),
            "bytes": len(content),
            "floor_bits_per_byte": nats / math.log(2) / len(content),
            "bits_per_byte": {name: bits_per_byte(content, name) for name in COMPRESSORS},
        }

    return measured_once(path, {"version": VERSION, "asked_bytes": wanted}, measure)


@torch.inference_mode()
def character_losses(text: str, tokenizer: Tokenizer, model: GPT) -> Floats:
    """Nats that a trained model pays for each character of a document: those of its token, in equal
    shares. The closing token is left out.
    """
    ids = tokenizer.encode(text)
    tokens = torch.tensor([END_OF_TEXT, *ids], device=next(model.parameters()).device)
    logits = model(tokens[None, :-1])[0]
    nats = F.cross_entropy(logits, tokens[1:], reduction="none").double().cpu().numpy()
    lengths = np.array([len(tokenizer.token_text(token)) for token in ids])
    return np.repeat(nats / lengths, lengths)


def story(study: FablesStudy) -> dict[str, Any] | None:
    """One validation document with the exact information and the largest model's loss, character by
    character. Made where the model's weights are and kept beside the records; None before.
    """
    path = Store(study.profile).folder / "floors" / "fables-story.json"
    done = [record for record in study.records if record.validation is not None]
    if not done:
        return read_kept(path)
    best = min(done, key=lambda one: (-one.parameters.non_embedding, -one.tokens, one.seed))
    folder = Store(study.profile).folder / "models" / best.run_id
    if not folder.is_dir():
        return read_kept(path)

    def measure() -> dict[str, Any]:
        data = prepare("fables", best.config.data.tokenizer)
        text = document("validation", STORY)
        model, _ = load_model(folder)
        losses = character_losses(text, data.tokenizer, model)
        return {
            "n_non_embedding": best.parameters.non_embedding,
            "tokens": best.tokens,
            "text": text,
            "floor": information(text).round(4).tolist(),
            "loss": losses.round(4).tolist(),
        }

    return measured_once(path, {"run_id": best.run_id}, measure)


def _law(law: PowerLawWithIntervals | None) -> dict[str, Any] | None:
    if law is None:
        return None
    return {
        "exponent": law.law.alpha,
        "interval": list(law.alpha_interval),
        "E": law.law.E,
        "E_interval": list(law.E_interval),
        "misfit": law.misfit,
    }


def _cut(cut: Cut) -> dict[str, Any]:
    return {
        "predicted": cut.predicted,
        "predicted_here": list(cut.predicted_here),
        "runs": len(cut.runs),
        "wanted": cut.wanted,
        "fold": cut.fold,
        "measured": _law(cut.law),
        "with_free_floor": _law(cut.free),
    }


def fables_summary(study: FablesStudy) -> dict[str, Any]:
    """What `fables.json` holds: entropies, bars, models, and exponents predicted and measured."""
    by_size = study.cuts["N"].runs.groupby("x")["bits_per_byte"].agg(["mean", "std", "count"])
    models = by_size.reset_index().to_dict("records")
    return {
        "version": VERSION,
        "entropy": {
            variant: {
                "nats_a_document": entropy(variant).nats,
                "bytes_a_document": entropy(variant).bytes,
                "bits_per_byte": entropy(variant).bits_per_byte,
            }
            for variant in VARIANTS
        },
        "validation_floor": {
            "nats_a_token": study.floor.nats,
            "bits_per_byte": study.floor.bits_per_byte,
        },
        "compressors": compressed(study.profile),
        "ngrams": [asdict(bar) for bar in study.ngrams],
        "models": [
            {
                "n_non_embedding": int(row["x"]),
                "bits_per_byte": row["mean"],
                "std": None if math.isnan(row["std"]) else row["std"],
                "seeds": int(row["count"]),
            }
            for row in models
        ],
        "cuts": {axis: _cut(cut) for axis, cut in study.cuts.items()},
        "exponents": {
            variant_of(corpus): {axis: _cut(cut) for axis, cut in cuts.items()}
            for corpus, cuts in study.tails.items()
        },
        "lightest_less_heaviest": tail_gaps(study).to_dict("records"),
    }


def fables_numbers(study: FablesStudy) -> dict[str, str | int]:
    """What prose says of the study, by name."""
    gpts = study.cuts["N"].runs.groupby("x")["bits_per_byte"].mean()
    squeezed = min(compressed(study.profile)["bits_per_byte"].values())
    lowest = min([squeezed, study.best_ngram.bits_per_byte, *gpts])
    fold = study.cuts["N"].fold
    return {
        "fables_runs": len(study.records),
        "fables_floor": f"{study.floor.bits_per_byte:.3f}",
        "fables_lower": "nothing" if lowest >= study.floor.bits_per_byte else "something wrongly",
        "fables_compressor": f"{squeezed:.3f}",
        "fables_ngram": f"{study.best_ngram.bits_per_byte:.3f}",
        "fables_ngram_order": study.best_ngram.order,
        "fables_gpt": f"{gpts.iloc[-1]:.3f}" if len(gpts) else "not yet measured",
        "fables_fold": f"{fold:.1f}-fold" if fold else "by how much is not yet measured",
    }


def write_fables(study: FablesStudy) -> Path:
    """Write fables.json, and what the chapter needs that is measured once."""
    story(study)
    path = Store(study.profile).folder / "fables.json"
    text = json.dumps(fables_summary(study), indent=1, allow_nan=False) + "\n"
    write_atomic(path, text)
    return path
