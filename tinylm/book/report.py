"""What comes out of a profile: tables, figures and the numbers that the prose is filled with."""

import json
from collections import Counter
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

import pandas as pd

from tinylm.files import write_atomic
from tinylm.laws.published import SIZE_CLAIMS
from tinylm.plots import save_figure
from tinylm.records import RunRecord, to_table
from tinylm.store import Store
from tinylm.studies.cuts import FablesStudy, fables_study
from tinylm.studies.fables_json import fables_numbers, write_fables
from tinylm.studies.figures import (
    context_scaling_figure,
    curves_figure,
    fit_figure,
    position_figure,
    size_scaling_figure,
)
from tinylm.studies.pages import page_numbers, page_tables, scientific
from tinylm.studies.size import SizeStudy, Study, context_study, size_study
from tinylm.studies.verdict import (
    fitted_constants,
    law_figures,
    verdict_numbers,
    verdicts,
)
from tinylm.sweeps.declare import expand, experiments_of, load_experiment

Summary = dict[str, str | float | int]


def write_report(profile: str) -> list[Path]:
    """Write the tables, a CSV of the runs of every experiment, the figures, fables.json and
    summary.json of a profile.

    Raises:
        TinyLMError: a run has no record yet; nothing is written.
    """
    size, context, fables = (
        size_study(profile),
        context_study(profile),
        fables_study(Store(profile)),
    )
    folder = Store(profile).folder
    texts = {
        "table_main.csv": main_table(size, context).to_csv(index=False, float_format="%.6g"),
        "summary.json": json.dumps(summary(size, context, fables), indent=1, ensure_ascii=False)
        + "\n",
    }
    for name in experiments_of(profile):
        if records := Store(profile).found(expand(load_experiment(name), profile)):
            texts[f"{name}.csv"] = to_table(records).to_csv(index=False)
    for name, table in page_tables(size, context, _all_records(profile)).items():
        texts[f"tables/{name}.csv"] = table.to_csv(index=False)
    figures = {
        "fig_scaling.png": size_scaling_figure(size),
        "fig_context.png": context_scaling_figure(context),
        "plots/size_fit.png": fit_figure(size),
        "plots/size_curves.png": curves_figure(size),
        "plots/context_positions.png": position_figure(context),
    }
    figures |= {f"plots/{name}.png": figure for name, figure in law_figures(profile).items()}
    for name, text in texts.items():
        write_atomic(folder / name, text)
    for name, figure in figures.items():
        save_figure(figure, folder / name)
    return [*(folder / name for name in [*texts, *figures]), write_fables(fables)]


def main_table(size: SizeStudy, context: Study) -> pd.DataFrame:
    """Mean ± standard deviation over seeds for each setting of the two studies, with floors."""
    tables = []
    for name, study, column in (
        ("model_size", size, "d_model"),
        ("context_length", context, "context_length"),
    ):
        table = study.by(column).rename(columns={column: "value"})
        table.insert(0, "experiment", name)
        table.insert(1, "setting", column)
        table["ngram_floor_nats"] = study.best_floor.nats_per_token
        table["ngram_floor_bits_per_byte"] = study.best_floor.bits_per_byte
        table["ngram_floor_order"] = study.best_floor.order
        tables.append(table)
    return pd.concat(tables, ignore_index=True)


def _interval(low: float, high: float, digits: int) -> str:
    return f"{low:.{digits}f} to {high:.{digits}f}"


def summary(size: SizeStudy, context: Study, fables: FablesStudy) -> Summary:
    """Every number that the prose may want, by name; strings are rounded as they are printed."""
    return {
        "profile": size.profile,
        "corpus": size.corpus,
        **_machine(_all_records(size.profile)),
        **_size_numbers(size),
        **_context_numbers(context),
        **page_numbers(size, context),
        **fables_numbers(fables),
        **verdict_numbers(verdicts(size.profile)),
        **fitted_constants(size.profile),
    }


def _all_records(profile: str) -> list[RunRecord]:
    """The records that there are of every experiment of a profile, the learning-rate pilot and the
    experiments that take hours included.
    """
    names = experiments_of(profile)
    runs = [run for name in names for run in expand(load_experiment(name), profile)]
    return Store(profile).found(runs)


def _machine(records: Sequence[RunRecord]) -> Summary:
    """Where, when and with what the runs were made."""
    on_cpu = [record for record in records if record.provenance.device == "cpu"]
    hours = sum(record.timing.cpu_seconds for record in on_cpu) / 3600
    machines = Counter(
        one.processor if one.device == "cpu" else one.device
        for one in (record.provenance for record in records)
    )
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
        "size_E_interval": _interval(*law.E_interval, 2),
        "size_alpha": f"{law.law.alpha:.3f}",
        "size_alpha_interval": _interval(*law.alpha_interval, 3),
        "size_misfit": f"{law.misfit:.1f}",
        "size_pure_alpha": f"{pure.law.alpha:.3f}",
        "size_pure_alpha_interval": _interval(*pure.alpha_interval, 3),
        "size_pure_misfit": f"{pure.misfit:.1f}",
        "size_ngram_order": floor.order,
        "size_ngram_nats": f"{floor.nats_per_token:.3f}",
        "size_ngram_bpb": f"{floor.bits_per_byte:.3f}",
    }
    for name, found in (("", study.prediction), ("pure_", study.pure_prediction)):
        numbers |= {
            f"size_{name}predicted": f"{found.predicted:.3f}",
            f"size_{name}predicted_interval": _interval(*found.interval, 3),
            f"size_{name}actual": f"{found.actual:.3f}",
            f"size_{name}error_percent": f"{100 * abs(found.relative_error):.2f}",
        }
    for index, claim in enumerate(SIZE_CLAIMS):
        low, high = (law if claim.with_floor else pure).alpha_interval
        numbers[f"claim_{index}_holds"] = "inside" if low <= claim.exponent <= high else "outside"
    return numbers


def _context_numbers(study: Study) -> Summary:
    table = study.by("context_length")
    best = table.iloc[int(table["nats"].argmin())]
    numbers: Summary = {
        "context_best": int(best["context_length"]),
        "context_flops": scientific(table["flops_exact"].mean()),
        "context_n": f"{table['n_non_embedding'].iloc[0]:,.0f}",
    }
    for row in table.itertuples():
        key = f"context_{row.context_length}"
        numbers[f"{key}_loss"] = f"{row.nats:.3f} ± {row.nats_std:.3f}"
        numbers[f"{key}_tokens"] = f"{row.tokens:,}"
    return numbers
