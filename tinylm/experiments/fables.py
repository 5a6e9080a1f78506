"""Fables against their true floor: two cuts through the loss surface, compressors, n-grams, and one
story with what each character could cost and did.

A cut shows the runs that have records; what has none yet is counted, not made up.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from tinylm.baselines import MAX_ORDER, NgramFloor
from tinylm.batches import TokenFile, prepare
from tinylm.checkpoints import load_model
from tinylm.compressors import COMPRESSORS, bits_per_byte
from tinylm.corpora import open_corpus
from tinylm.corpora.fables import CORPORA, VARIANTS, VERSION, entropy, information
from tinylm.corpora.fables.check import counted_document
from tinylm.evaluate import position_bins
from tinylm.experiments.analysis import ngram_bars
from tinylm.experiments.declare import expand, load_experiment
from tinylm.files import results_dir, write_atomic
from tinylm.laws import PowerLawWithIntervals, bootstrap_power_law
from tinylm.records import RunRecord, find_record, to_table
from tinylm.tokenizers import Tokenizer

COMPRESSED_BYTES = {"smoke": 200_000, "quick": 2_000_000, "paper": 64_000_000, "full": 64_000_000}
NGRAM_ORDERS = {"paper": range(1, MAX_ORDER + 1), "full": range(1, MAX_ORDER + 1)}  # else 1 to 6
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
    """Loss above the floor along one axis, the other held at its largest."""

    corpus: str
    axis: str  # "n_non_embedding" or "tokens"
    runs: pd.DataFrame  # x, seed, nats, bits_per_byte, excess: a row a finished run
    wanted: int  # runs that the grid asks for
    predicted: float  # the exponent by the theory of knowledge in pieces
    law: PowerLawWithIntervals | None  # with E at the true floor; None: too few runs yet
    free: PowerLawWithIntervals | None  # with E fitted

    @property
    def means(self) -> pd.DataFrame:
        """Mean and standard deviation of the excess at each x."""
        table = self.runs.groupby("x")["excess"].agg(["mean", "std", "count"])
        return table.reset_index()

    @property
    def fold(self) -> float:
        """Excess of the smallest over that of the largest x."""
        means = self.means["mean"]
        return float(means.iloc[0] / means.iloc[-1])


@dataclass(frozen=True)
class FablesStudy:
    """All that is measured of one profile's runs on the default tail, beside its floor."""

    profile: str
    floor: TokenFloor
    size: Cut
    data: Cut
    records: list[RunRecord]
    ngrams: list[NgramFloor]

    @property
    def best_ngram(self) -> NgramFloor:
        """The order with the lowest loss."""
        return min(self.ngrams, key=lambda bar: bar.nats_per_token)


def predicted_exponent(axis: str, tail: float) -> float:
    """Of the excess, if knowledge comes in pieces used as rank^-(1+a): a in N, a/(1+a) in D.

    Source: Hutter 2021; Maloney, Roberts & Sully 2022; Michaud et al. 2023.
    """
    return tail if axis == "n_non_embedding" else tail / (1 + tail)


def token_information(text: str, tokenizer: Tokenizer, variant: str = "default") -> Floats:
    """Exact nats of each token of a document, that of its closing token (0) last."""
    nats = information(text, variant=variant)
    lengths = [len(tokenizer.token_text(token)) for token in tokenizer.encode(text)]
    ends = np.cumsum(lengths)
    if ends[-1] != len(text):
        raise AssertionError(f"tokens spell {ends[-1]} characters, the text has {len(text)}")
    sums = np.add.reduceat(nats, np.append(0, ends[:-1]))
    return np.append(sums, 0.0)


def token_floor(texts: Sequence[str], tokens: TokenFile, tokenizer: Tokenizer) -> TokenFloor:
    """The floor under the loss on these documents, in whole and in the bins of a record.

    It is exact for models whose context holds a whole document.
    """
    longest = int(np.diff(tokens.starts).max())
    sums, counts = np.zeros(longest), np.zeros(longest, dtype=np.int64)
    for text in texts:
        nats = token_information(text, tokenizer, CORPORA[tokens.manifest["corpus"]])
        sums[: len(nats)] += nats
        counts[: len(nats)] += 1
    first = position_bins(longest)
    last = np.append(first[1:] - 1, longest)
    bins = [
        {"first": a, "last": b, "nats": sums[a - 1 : b].sum() / counts[a - 1 : b].sum()}
        for a, b in zip(first.tolist(), last.tolist(), strict=True)
    ]
    total = float(sums.sum())
    return TokenFloor(
        nats=total / int(counts.sum()),
        bits_per_byte=total / math.log(2) / tokens.n_bytes,
        by_position=pd.DataFrame(bins),
    )


def cut(experiment: str, axis: str, profile: str, corpus: str, floor: TokenFloor) -> Cut:
    """The runs of an experiment on one corpus that have ended, and the laws through them."""
    runs = [
        run
        for run in expand(load_experiment(experiment), profile)
        if run.config.data.corpus == corpus
    ]
    found = [find_record(profile, run.run_id) for run in runs]
    records = [record for record in found if record is not None]
    columns = ["x", "seed", "nats", "bits_per_byte", "excess"]
    table = pd.DataFrame(columns=columns)
    if records:
        done = to_table(records)
        done = done[done["status"] == "done"]
        table = done.assign(x=done[axis], excess=done["nats"] - floor.nats)[columns]
        table = table.sort_values(["x", "seed"], ignore_index=True)
    points = table["x"].to_numpy(), table["seed"].to_numpy(), table["nats"].to_numpy()
    n = table["x"].nunique()
    repeated = len(table) - n >= 4
    return Cut(
        corpus=corpus,
        axis=axis,
        runs=table,
        wanted=len(runs),
        predicted=predicted_exponent(axis, VARIANTS[CORPORA[corpus]].tail),
        law=bootstrap_power_law(*points, floor=floor.nats) if n >= 3 and repeated else None,
        free=bootstrap_power_law(*points) if n >= 4 and repeated else None,
    )


def fables_study(profile: str) -> FablesStudy:
    """Both cuts on `fables`, their floor and the n-gram bars.

    Raises:
        InputError: a profile without these experiments, or data that cannot be made.
    """
    runs = [
        run
        for name in ("fables_size", "fables_data")
        for run in expand(load_experiment(name), profile)
    ]
    tokenizer_name = runs[0].config.data.tokenizer
    data = prepare("fables", tokenizer_name)
    floor = token_floor(
        open_corpus("fables").documents["validation"], data.validation, data.tokenizer
    )
    found = {run.run_id: find_record(profile, run.run_id) for run in runs}
    return FablesStudy(
        profile=profile,
        floor=floor,
        size=cut("fables_size", "n_non_embedding", profile, "fables", floor),
        data=cut("fables_data", "tokens", profile, "fables", floor),
        records=[record for record in found.values() if record is not None],
        ngrams=ngram_bars(
            profile, "fables", tokenizer_name, NGRAM_ORDERS.get(profile, range(1, 7))
        ),
    )


def compressed(profile: str) -> dict[str, Any]:
    """Bits a byte of each compressor on one long text, and the exact code length of that text.

    Measured once and kept beside the records.
    """
    path = results_dir(profile) / "floors" / "fables-compressors.json"
    if path.exists():
        kept: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if kept["version"] == VERSION and kept["asked_bytes"] == COMPRESSED_BYTES[profile]:
            return kept
    texts: list[str] = []
    size, nats = 0, 0.0
    while size < COMPRESSED_BYTES[profile]:
        text, cost = counted_document(len(texts), "default")
        texts.append(text)
        size, nats = size + len(text), nats + cost
    content = "\n".join(texts).encode()
    kept = {
        "version": VERSION,
        "asked_bytes": COMPRESSED_BYTES[profile],
        "documents": len(texts),
        "bytes": len(content),
        "floor_bits_per_byte": nats / math.log(2) / len(content),
        "bits_per_byte": {name: bits_per_byte(content, name) for name in COMPRESSORS},
    }
    write_atomic(path, json.dumps(kept, indent=1) + "\n")
    return kept


@torch.inference_mode()
def character_losses(text: str, tokenizer: Tokenizer, folder: Path) -> Floats:
    """Nats that a trained model pays for each character of a document: those of its token, in equal
    shares. The closing token is left out.
    """
    model, _ = load_model(folder)
    ids = tokenizer.encode(text)
    logits = model(torch.tensor([[0, *ids[:-1]]]))
    nats = F.cross_entropy(logits[0], torch.tensor(ids), reduction="none").double().numpy()
    lengths = np.array([len(tokenizer.token_text(token)) for token in ids])
    return np.repeat(nats / lengths, lengths)


def story(study: FablesStudy) -> dict[str, Any] | None:
    """One validation document with the exact information and the largest model's loss, character by
    character. Made where the model's weights are and kept beside the records; None before.
    """
    path = results_dir(study.profile) / "floors" / "fables-story.json"
    kept: dict[str, Any] | None = None
    if path.exists():
        kept = json.loads(path.read_text(encoding="utf-8"))
    done = [record for record in study.records if record.validation is not None]
    if not done:
        return kept
    best = min(
        done, key=lambda r: (-r.parameters.non_embedding, -r.tokens, r.seed)
    )  # the largest model on the most tokens, its first seed
    folder = results_dir(study.profile) / "models" / best.run_id
    if (kept and kept["run_id"] == best.run_id) or not folder.is_dir():
        return kept
    data = prepare("fables", best.config.data.tokenizer)
    text = open_corpus("fables").documents["validation"][STORY]
    kept = {
        "run_id": best.run_id,
        "n_non_embedding": best.parameters.non_embedding,
        "tokens": best.tokens,
        "text": text,
        "floor": [round(v, 4) for v in information(text).tolist()],
        "loss": [round(v, 4) for v in character_losses(text, data.tokenizer, folder).tolist()],
    }
    write_atomic(path, json.dumps(kept) + "\n")
    return kept


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


def fables_summary(study: FablesStudy) -> dict[str, Any]:
    """What `fables.json` holds: entropies, bars, models, and exponents predicted and measured."""
    exponents: dict[str, Any] = {}
    for corpus, variant in CORPORA.items():
        cuts = {"N": study.size, "D": study.data} if corpus == "fables" else {}
        exponents[variant] = {
            name: {
                "predicted": predicted_exponent(axis, VARIANTS[variant].tail),
                "runs": len(cuts[name].runs) if name in cuts else 0,
                "wanted": cuts[name].wanted if name in cuts else None,
                "fold": cuts[name].fold if name in cuts and len(cuts[name].runs) else None,
                "measured": _law(cuts[name].law) if name in cuts else None,
                "with_free_floor": _law(cuts[name].free) if name in cuts else None,
            }
            for name, axis in (("N", "n_non_embedding"), ("D", "tokens"))
        }
    by_size = study.size.runs.groupby("x")["bits_per_byte"].agg(["mean", "std", "count"])
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
        "exponents": exponents,
    }


def write_fables(profile: str) -> list[Path]:
    """Write fables.json, and what it needs that is measured once."""
    study = fables_study(profile)
    story(study)
    path = results_dir(profile) / "fables.json"
    text = json.dumps(fables_summary(study), indent=1, allow_nan=False) + "\n"
    write_atomic(path, text)
    return [path]
