"""What the book's prose pages show of a profile: rounded tables, and words that follow."""

from collections.abc import Iterable

import pandas as pd

from tinylm import say
from tinylm.laws import HeldOut, PowerLawWithIntervals
from tinylm.records import RunRecord, to_table
from tinylm.say import NO_BREAK, NO_BREAK_HYPHEN
from tinylm.studies.size import SizeStudy, Study


def page_tables(
    size: SizeStudy, context: Study, records: Iterable[RunRecord]
) -> dict[str, pd.DataFrame]:
    """The tables of the results page, by name, rounded; `records` are all of the profile."""
    return {
        "model_size": _settings(size, "d_model"),
        "context_length": _settings(context, "context_length"),
        "laws": _laws(size),
        "floors": _floors(size),
        "runs": _runs(to_table(records)),
    }


def _settings(study: Study, column: str) -> pd.DataFrame:
    """A row a setting: loss and cost, mean over seeds."""
    return pd.DataFrame(
        {
            column: row[column],
            "N": f"{row['n_non_embedding']:,}",
            "D": f"{row['tokens']:,}",
            "nats a token": say.mean_and_spread(row["nats"], row["nats_std"]),
            "bpb": say.mean_and_spread(row["bits_per_byte"], row["bits_per_byte_std"]),
            "seeds": row["n_seeds"],
            "6ND": say.scientific(row["flops_6nd"]),
            "C exact": say.scientific(row["flops_exact"]),
            f"CPU{NO_BREAK}s": f"{row['cpu_seconds']:,.0f}",
        }
        for row in study.by(column).to_dict("records")
    )


def _laws(study: SizeStudy) -> pd.DataFrame:
    """The two laws side by side: a row a quantity."""
    return pd.DataFrame(
        {
            "with 95 % intervals": [
                "exponent α",
                "E (nats a token)",
                "misfit",
                "predicted for the largest size",
                "measured there",
                "error of the prediction",
            ],
            r"$L = E + A N^{-\alpha}$": _law(study.law, study.prediction),
            r"$L = A N^{-\alpha}$": _law(study.pure, study.pure_prediction),
        }
    )


def _law(law: PowerLawWithIntervals, held: HeldOut) -> list[str]:
    actual = say.mean_and_spread(held.actual, held.actual_std)
    floor = "0, by choice"
    if law.resamples[:, 0].any():
        floor = f"{law.law.E:.2f} {say.interval(law.E_interval, 2)}"
    return [
        f"{law.law.alpha:.3f} {say.interval(law.alpha_interval)}",
        floor,
        f"{law.misfit:.1f}",
        f"{held.predicted:.3f} {say.interval(held.interval)}",
        f"{actual}, {say.within(held.interval, held.actual)}",
        say.percent(abs(held.relative_error), 2),
    ]


def _floors(study: Study) -> pd.DataFrame:
    """The n-gram baselines of the data, a row an order."""
    return pd.DataFrame(
        {
            "order": [floor.order for floor in study.floors],
            "nats a token": [f"{floor.nats_per_token:.3f}" for floor in study.floors],
            "bpb": [f"{floor.bits_per_byte:.3f}" for floor in study.floors],
        }
    )


def _runs(runs: pd.DataFrame) -> pd.DataFrame:
    """Where and when each run was made, and what it took."""
    return pd.DataFrame(
        {
            "run": [f"`{run_id}`" for run_id in runs["run_id"]],
            "corpus": [name.replace("-", NO_BREAK_HYPHEN) for name in runs["corpus"]],
            "D": [f"{tokens:,}" for tokens in runs["tokens"]],
            "d_model": runs["d_model"],
            "context": runs["context_length"],
            "rate": [f"{rate:g}" for rate in runs["learning_rate"]],
            "seed": runs["seed"],
            "status": runs["status"],
            "nats": [f"{nats:.4f}" for nats in runs["nats"]],
            f"CPU{NO_BREAK}s": [f"{seconds:,.0f}" for seconds in runs["cpu_seconds"]],
            f"clock{NO_BREAK}s": [f"{seconds:,.0f}" for seconds in runs["wall_seconds"]],
            "commit": runs["commit"],
            "tree": runs["clean"].map({True: "clean", False: "changed"}).fillna("unknown"),
            "date": [date.replace("-", NO_BREAK_HYPHEN) for date in runs["date"]],
            "processor": [name.replace(" ", NO_BREAK) for name in runs["processor"]],
        }
    )


def page_numbers(size: SizeStudy, context: Study) -> dict[str, str | float | int]:
    """Numbers and words of the prose pages, by the names that they use."""
    return {
        **_origin(size.records + context.records),
        **_size_words(size),
        **_context_words(context),
    }


def _origin(records: list[RunRecord]) -> dict[str, str | float | int]:
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


def _size_words(study: SizeStudy) -> dict[str, str | float | int]:
    losses, floor = study.by("d_model")["nats"], study.best_floor.nats_per_token
    gap = float(losses.iloc[-1]) - floor
    return {
        "size_n_below_ngram": int((losses < floor).sum()),
        "size_ngram_gap": f"{abs(gap):.3f} nats a token {'above' if gap > 0 else 'below'}",
        "size_prediction_holds": say.within(study.prediction.interval, study.prediction.actual),
        "size_pure_prediction_holds": say.within(
            study.pure_prediction.interval, study.pure_prediction.actual
        ),
        "size_bounds": ", ".join(study.law.law.status.bounds) or "none",
    }


def _context_words(study: Study) -> dict[str, str | float | int]:
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
