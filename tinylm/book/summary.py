"""The numbers that prose is filled with: `summary.json` of a profile."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any

from tinylm import say
from tinylm.laws import PowerLawWithIntervals
from tinylm.laws.published import SIZE_CLAIMS
from tinylm.laws.table_words import NO_LAW
from tinylm.records import RunRecord
from tinylm.studies.cuts import FablesStudy
from tinylm.studies.fables_json import fables_numbers
from tinylm.studies.headlines import headlines
from tinylm.studies.runs import made_on, to_table
from tinylm.studies.size import SizeStudy, Study
from tinylm.studies.verdict import Verdicts, fitted_constants, verdict_numbers, verdicts

Summary = dict[str, str | float | int | list[float]]


def summary(
    size: SizeStudy, context: Study, fables: FablesStudy, records: Sequence[RunRecord]
) -> Summary:
    """Every number that the prose may want, by name; strings are rounded as they are printed.
    `records` are all of the profile.
    """
    verdict = verdicts(size.store)
    numbers: Summary = {
        "profile": size.store.profile,
        "corpus": size.corpus,
        **_machine(records),
        **_extent(records),
        **_size_numbers(size),
        **_context_numbers(context),
        **page_numbers(size, context),
        **fables_numbers(fables),
        **verdict_numbers(verdict),
        **_claims(verdict),
        **fitted_constants(size.store),
        **headlines(size.store),
    }
    return {**numbers, **guess_answers(size, context, numbers)}


def _machine(records: Sequence[RunRecord]) -> Summary:
    """Where, when and with what the runs were made."""
    on_cpu = [record for record in records if record.provenance.device == "cpu"]
    hours = sum(record.timing.cpu_seconds for record in on_cpu) / 3600
    machines = Counter(made_on(to_table(records)))
    versions = sorted({record.provenance.packages["torch"] for record in records})
    dates = sorted(record.provenance.date[:10] for record in records)
    commits = sorted({(record.provenance.commit or "unknown")[:10] for record in records})
    return {
        "n_runs": len(records),
        "n_diverged": sum(record.status == "diverged" for record in records),
        "core_hours": f"{hours:.2f}",
        "core_minutes": f"{60 * hours:.0f}",
        "n_gpu_runs": len(records) - len(on_cpu),
        "machines": "; ".join(f"{name}: {n} runs" for name, n in machines.most_common()),
        "torch_version": ", ".join(versions),
        "tinylm_version": version("tinylm-scaling"),
        "first_date": dates[0],
        "last_date": dates[-1],
        "commits": ", ".join(commits),
    }


def _extent(records: Sequence[RunRecord]) -> Summary:
    """How far the runs reach: sizes, amounts of text, corpora, tokenizers, depths, processors."""
    layers = sorted({record.config.model.n_layers for record in records})
    tokenizers = sorted({record.config.data.tokenizer for record in records})
    epochs = max(record.tokens / record.unique_tokens for record in records)
    return {
        "all_largest_n": f"{max(record.parameters.non_embedding for record in records):,}",
        "all_most_tokens": f"{max(record.tokens for record in records):,}",
        "all_corpora": ", ".join(sorted({record.config.data.corpus for record in records})),
        "all_tokenizers": ", ".join(tokenizers),
        "all_layers": ", ".join([str(n) for n in layers]),
        "all_most_epochs": f"{epochs:.2g}",
        "all_n_machines": len(set(made_on(to_table(records)))),
    }


def _size_numbers(study: SizeStudy) -> Summary:
    by_size = study.by("d_model")
    smallest, largest = by_size.iloc[0], by_size.iloc[-1]
    law, pure = study.law, study.pure
    floor = study.best_floor
    numbers: Summary = {
        "size_n_sizes": len(by_size),
        "size_n_seeds": int(by_size["n_seeds"].min()),
        "size_n_smallest": f"{smallest['n_non_embedding']:,.0f}",
        "size_n_largest": f"{largest['n_non_embedding']:,.0f}",
        "size_n_ratio": f"{largest['n_non_embedding'] / smallest['n_non_embedding']:.0f}",
        "size_tokens": f"{largest['tokens']:,.0f}",
        "size_tokens_millions": f"{largest['tokens'] / 1e6:.2g}",
        "size_loss_smallest": f"{smallest['nats']:.3f} ± {smallest['nats_std']:.3f}",
        "size_loss_largest": f"{largest['nats']:.3f} ± {largest['nats_std']:.3f}",
        "size_bpb_smallest": f"{smallest['bits_per_byte']:.3f}",
        "size_bpb_largest": f"{largest['bits_per_byte']:.3f}",
        "size_E": f"{law.law.E:.2f}",
        "size_E_interval": _interval(law, law.E_interval, 2),
        "size_alpha": f"{law.law.alpha:.3f}",
        "size_alpha_interval": _interval(law, law.alpha_interval, 3),
        "size_misfit": f"{law.misfit:.1f}",
        "size_pure_alpha": f"{pure.law.alpha:.3f}",
        "size_pure_misfit": f"{pure.misfit:.1f}",
        "size_ngram_order": floor.order,
        "size_ngram_nats": f"{floor.nats_per_token:.3f}",
        "size_ngram_bpb": f"{floor.bits_per_byte:.3f}",
    }
    for name, found in (("", study.prediction), ("pure_", study.pure_prediction)):
        numbers |= {
            f"size_{name}predicted": f"{found.predicted:.3f}",
            f"size_{name}predicted_interval": _bounds(found.interval, 3),
            f"size_{name}actual": f"{found.actual:.3f}",
            f"size_{name}error_percent": f"{100 * abs(found.relative_error):.2f}",
        }
    return numbers


def _claims(verdict: Verdicts) -> Summary:
    """What the front page says of each claim about size."""
    by_key = {one.key: one for one in verdict.found}
    said: Summary = {}
    for index in range(len(SIZE_CLAIMS)):
        one = by_key[f"size_{index}"]
        told = "of a law that does not hold for our sizes"
        if one.interval is not None:
            off = f"{abs(one.distance):.1f} standard errors off"
            told = f"95% interval {say.interval(one.interval)}: {off}"
        said[f"claim_{index}"] = f"{one.measured:.3f}, {told}"
    return said


def _context_numbers(study: Study) -> Summary:
    table = study.by("context_length")
    best = table.iloc[int(table["nats"].argmin())]
    numbers: Summary = {
        "context_best": int(best["context_length"]),
        "context_flops": say.scientific(table["flops_exact"].mean(), 1),
        "context_n": f"{table['n_non_embedding'].iloc[0]:,.0f}",
    }
    for row in table.itertuples():
        key = f"context_{row.context_length}"
        numbers[f"{key}_loss"] = f"{row.nats:.3f} ± {row.nats_std:.3f}"
        numbers[f"{key}_tokens"] = f"{row.tokens:,}"
    return numbers


def _interval(law: PowerLawWithIntervals, bounds: tuple[float, float], digits: int) -> str:
    """Of a constant, if the law holds."""
    return _bounds(bounds, digits) if law.misfit <= NO_LAW else "none, for the law does not hold"


def _bounds(bounds: tuple[float, float], digits: int) -> str:
    low, high = bounds
    return f"{low:.{digits}f} to {high:.{digits}f}"


def page_numbers(size: SizeStudy, context: Study) -> Summary:
    """Numbers and words of the prose pages, by the names that they use."""
    return {
        **_origin(size.records + context.records),
        **_size_words(size),
        **_context_words(context),
    }


def _origin(records: list[RunRecord]) -> Summary:
    """What the runs read and where they were made."""
    first = records[0]
    corpus = first.provenance.corpus
    cheapest = min(records, key=lambda record: record.timing.cpu_seconds)
    seconds = cheapest.timing.cpu_seconds
    validated = next(record.validation for record in records if record.validation is not None)
    return {
        "corpus_origin": corpus["origin"],
        "corpus_licence": corpus["licence"],
        "train_documents": f"{corpus['documents']['train']:,}",
        "validation_documents": f"{validated.documents:,}",
        "train_tokens": f"{first.unique_tokens:,}",
        "validation_tokens": f"{validated.tokens:,}",
        "most_epochs": f"{max(record.tokens / record.unique_tokens for record in records):.2g}",
        "python_version": first.provenance.python,
        "threads": first.provenance.threads,
        "example_run": cheapest.run_id,
        "example_seconds": f"{seconds:.0f}",
    }


def _size_words(study: SizeStudy) -> Summary:
    losses, floor = study.by("d_model")["nats"], study.best_floor.nats_per_token
    gap = float(losses.iloc[-1]) - floor
    return {
        "size_n_below_ngram": int((losses < floor).sum()),
        "size_ngram_gap": f"{abs(gap):.3f} nats per token {'above' if gap > 0 else 'below'}",
        "size_prediction_holds": say.within(study.prediction.interval, study.prediction.actual),
        "size_pure_prediction_holds": say.within(
            study.pure_prediction.interval, study.pure_prediction.actual
        ),
        "size_bounds": ", ".join(study.law.law.status.bounds) or "none",
    }


def _context_words(study: Study) -> Summary:
    """Differences between context lengths, within each seed and then averaged."""
    runs = study.finished
    table = runs.pivot(index="seed", columns="context_length", values="nats")
    losses = {int(length): table[length] for length in sorted(set(runs["context_length"]))}
    by_loss = sorted(losses, key=lambda length: float(losses[length].mean()))
    best, worst = by_loss[0], by_loss[-1]
    second, longest = list(losses)[-2:]
    cost, step = losses[worst] - losses[best], losses[longest] - losses[second]
    change = float(step.mean())
    return {
        "context_worst": worst,
        "context_worst_cost": say.mean_and_spread(float(cost.mean()), float(cost.std())),
        "context_second": second,
        "context_longest": longest,
        "context_last_step": say.mean_and_spread(abs(change), float(step.std())),
        "context_last_step_way": "more" if change > 0 else "less",
    }


def guess_answers(size: SizeStudy, context: Study, numbers: Mapping[str, Any]) -> dict[str, float]:
    """What was measured of each thing that a chapter lets its reader guess, where the profile has
    the runs; `numbers` is the rest of its summary.
    """
    sizes, contexts = size.by("d_model"), context.by("context_length")["nats"]
    decades = math.log10(sizes["n_non_embedding"].iloc[-1] / sizes["n_non_embedding"].iloc[0])
    fall = float(sizes["nats"].iloc[-1] / sizes["nats"].iloc[0])
    per_byte = sizes["bits_per_byte"].iloc[-1] * math.log(2)
    found = {
        "bytes_per_token": float(sizes["nats"].iloc[-1] / per_byte),
        "seeds_percent": 100 * float((sizes["nats_std"] / sizes["nats"]).mean()),
        "tenfold_percent": 100 * (1 - fall ** (1 / decades)),
        "context_percent": 100 * float(contexts.max() / contexts.min() - 1),
        "compressor_fold": float(numbers["fables_compressor"]) / float(numbers["fables_floor"]),
        "claims_percent": 100 * numbers["verdict_near"] / max(1, numbers["verdict_n"]),
    }
    if "recipe_mistuning_percent_unswept" in numbers:
        found["recipe_percent"] = float(numbers["recipe_mistuning_percent_unswept"])
    if (worth := float(numbers.get("repeats_R_star", 0))) > 1:
        found["twice_epochs"] = 1 - worth * math.log(1 - 1 / worth)
    if "size_exponent_kaplan_count" in numbers:
        found["hundredfold_size"] = 100 ** float(numbers["size_exponent_kaplan_count"])
    if errors := numbers.get("prediction_error_percent"):
        found["prediction_percent"] = sum(map(abs, errors)) / len(errors)
    return {f"guess_{name}": value for name, value in found.items()}
