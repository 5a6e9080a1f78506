"""What `fables.json` and the prose pages say of fables and their floor."""

import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tinylm.corpora.fables import VERSION, variant_of
from tinylm.files import write_atomic
from tinylm.laws import PowerLawWithIntervals
from tinylm.laws.table_words import NO_LAW
from tinylm.store import Store
from tinylm.studies.compressors import compressed
from tinylm.studies.cuts import Cut, FablesStudy, default_cuts
from tinylm.studies.excess import leftover, measure_excess
from tinylm.studies.floor import entropies
from tinylm.studies.knowledge import fact_exponents
from tinylm.studies.stories import measure_story
from tinylm.studies.tails import tail_gaps


def _law(law: PowerLawWithIntervals | None) -> dict[str, Any] | None:
    if law is None:
        return None
    return {
        "exponent": law.law.alpha,
        "interval": list(law.alpha_interval) if law.misfit <= NO_LAW else None,
        "E": law.law.E,
        "E_interval": list(law.E_interval) if law.misfit <= NO_LAW else None,
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
                "nats_a_document": one.nats,
                "bytes_a_document": one.bytes,
                "bits_per_byte": one.bits_per_byte,
            }
            for variant, one in entropies(study.store).items()
        },
        "validation_floor": {
            "nats_a_token": study.floor.nats,
            "bits_per_byte": study.floor.bits_per_byte,
        },
        "compressors": asdict(compressed(study.store)),
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
    squeezed = min(compressed(study.store).bits_per_byte.values())
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
    """Write fables.json, measure what needs the models' weights, and compute all findings that the
    chapter on the floor reads.

    Raises:
        CannotWrite: the disk is full.
    """
    measure_story(study)
    measure_excess(study.store)
    fact_exponents(leftover(study.store), study.store)
    default_cuts(Store("full"))  # the chapter shows these too
    leftover(Store("full"))
    path = study.store.folder / "fables.json"
    text = json.dumps(fables_summary(study), indent=1, allow_nan=False) + "\n"
    write_atomic(path, text)
    return path
