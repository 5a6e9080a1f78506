"""What comes out of a profile: findings, tables, figures and the numbers that prose is filled with.

Only this writes findings: everything else reads them.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from tinylm.book import is_committed
from tinylm.book.example_table import write_example_table
from tinylm.book.size_runs import write_size_runs
from tinylm.book.summary import summary
from tinylm.files import write_atomic
from tinylm.plots import save_figure
from tinylm.records import RunRecord
from tinylm.store import Store
from tinylm.studies.ablations import ABLATIONS, ablation_study
from tinylm.studies.ablations_words import ablation_figure
from tinylm.studies.afterwards import afterwards
from tinylm.studies.context import (
    context_scaling_figure,
    context_shares,
    context_study,
    position_figure,
)
from tinylm.studies.cuts import FablesStudy, fables_study
from tinylm.studies.epochs import repeat_study
from tinylm.studies.fables_json import write_fables
from tinylm.studies.findings import computing_findings
from tinylm.studies.grid import grid_study, news_study
from tinylm.studies.kinds import measure_and_fit_kinds
from tinylm.studies.noise_scale import noise_scales
from tinylm.studies.rates import rate_study
from tinylm.studies.runs import runs_page_table, to_table
from tinylm.studies.schedule_curves import schedule_curves
from tinylm.studies.size import (
    SizeStudy,
    Study,
    curves_figure,
    held_out_figure,
    size_figure,
    size_study,
)
from tinylm.studies.size_words import floors_table, laws_table, settings_table
from tinylm.studies.verdict import law_figures, size_exponents
from tinylm.sweeps.declare import expand, experiment_names, experiments_of, load_experiment

# Studies of which chapters show what the pages do not, by the experiments that they are made from.
STUDIES: list[tuple[tuple[str, ...], Callable[[Store], object]]] = [
    (("context_fables",), context_shares),
    (("maximal_updates",), rate_study),
    (("data_epochs",), repeat_study),
    (("recipe", "grid"), noise_scales),
    (("grid",), grid_study),
    (("grid_ag_news",), news_study),
    (("grid", "grid_beyond"), afterwards),
    (("model_size",), size_exponents),
    (("schedules",), schedule_curves),
    (("fables_grid",), measure_and_fit_kinds),
]


@dataclass(frozen=True)
class Report:
    """What a report wrote, and what it could not."""

    written: list[Path]
    removed: list[Path]  # made by an earlier one from runs that have no record any more
    left_out: list[str]  # sentences: experiments some of whose runs have none

    def __str__(self) -> str:
        """A line a file, and a sentence on each thing left out."""
        lines = [str(path) for path in self.written]
        lines += [
            f"removed: {path}, since not all of its runs have records" for path in self.removed
        ]
        return "\n".join([*lines, *self.left_out])


# What a report of a profile with pages may write, beside a CSV for each experiment.
OF_THE_PAGES = (
    "table_main.csv", "summary.json", "fables.json", "fig_scaling.png", "fig_context.png",
    *(f"plots/{name}.png" for name in (
        "size_fit", "size_curves", "context_positions", "grid", "repeats",
    )),
    *(f"tables/{name}.csv" for name in (
        "model_size", "context_length", "laws", "floors", "runs",
    )),
)  # fmt: skip


def write_report(profile: str) -> Report:
    """Compute the findings of a profile, and write its tables, a CSV of the runs of every
    experiment and of the arms of every ablation, the figures, fables.json and summary.json; of a
    profile without runs of model_size and context_length, which the pages are about, the CSVs and
    the figures of ablations alone; of the book's own profile also the table of the page book/fit.
    What an earlier report made and this one does not is removed, so that no figure is of other runs
    than its table.

    Raises:
        Missing: a run of these two has no record yet; nothing is written.
        Damaged: a record, or what is kept beside them, cannot be read.
    """
    store = Store(profile)
    with computing_findings():
        texts = run_tables(store)
        figures: dict[str, Figure] = {}
        written: list[Path] = []
        for study in chapter_studies(store):
            study(store)
        for name in (name for name in ABLATIONS if has_ended(store, name)):
            ablation = ablation_study(name, store)
            texts[ablation_file(name)] = ablation.arms.to_csv(index=False, float_format="%.6g")
            for plot in ablation_plots(name):
                figures[plot] = ablation_figure(ablation)
        if has_pages(store):
            size, context, fables = size_study(store), context_study(store), fables_study(store)
            texts |= page_files(size, context, fables)
            figures |= page_figures(size, context)
            written = [write_fables(fables)]
        if is_committed(profile) and has_ended(store, "grid"):
            written += [write_example_table(), write_size_runs()]
    for name, text in texts.items():
        write_atomic(store.folder / name, text)
    for name, figure in figures.items():
        save_figure(figure, store.folder / name)
    written = [*(store.folder / name for name in [*texts, *figures]), *written]
    ours = [
        *OF_THE_PAGES,
        *(f"{name}.csv" for name in experiment_names()),
        *(file for name in ABLATIONS for file in (ablation_file(name), *ablation_plots(name))),
    ]
    removed = sorted({path for name in ours if (path := store.folder / name).exists()} - {*written})
    for path in removed:
        path.unlink()
    return Report(written, removed, left_out(store))


def ablation_file(name: str) -> str:
    """Where a report keeps the arms of an ablation."""
    return f"ablation_{name}.csv"


def ablation_plots(name: str) -> list[str]:
    """Where it keeps their figure."""
    return [f"plots/ablation_{name}.{kind}" for kind in ("png", "svg")]


def left_out(store: Store) -> list[str]:
    """A sentence on each experiment some of whose runs have a record, and others have none."""
    found = []
    for name in experiments_of(store.profile):
        runs = {run.run_id for run in expand(load_experiment(name), store.profile)}
        done = len(records_of(store, name))
        if 0 < done < len(runs):
            found.append(
                f"{name}: {len(runs) - done} of {len(runs)} runs have no record; studies that need "
                f"them all are left out"
            )
    return found


def has_pages(store: Store) -> bool:
    """Whether a profile has runs that the pages are about, or none at all, which is told there."""
    names = {"model_size", "context_length"}
    if not names <= set(experiments_of(store.profile)):
        return False
    return any(records_of(store, name) for name in names) or not all_records(store)


def chapter_studies(store: Store) -> list[Callable[[Store], object]]:
    """The studies of STUDIES whose runs have all ended; none of smoke, whose grids are too small
    for some of them.
    """
    if store.profile == "smoke":
        return []
    return [
        study
        for experiments, study in STUDIES
        if all(has_ended(store, name) for name in experiments)
    ]


def has_ended(store: Store, experiment: str) -> bool:
    """Whether a profile asks for an experiment, and all its runs have records."""
    if experiment not in experiments_of(store.profile):
        return False
    runs = expand(load_experiment(experiment), store.profile)
    return len(records_of(store, experiment)) == len({run.run_id for run in runs})


def records_of(store: Store, experiment: str) -> list[RunRecord]:
    """The records that there are of an experiment of the profile."""
    return store.found(expand(load_experiment(experiment), store.profile))


def all_records(store: Store) -> list[RunRecord]:
    """The records that there are of every experiment of a profile, the learning-rate pilot and the
    experiments that take hours included.
    """
    names = experiments_of(store.profile)
    return store.found(
        [run for name in names for run in expand(load_experiment(name), store.profile)]
    )


def run_tables(store: Store) -> dict[str, str]:
    """By file, a CSV of the runs of every experiment that has any."""
    return {
        f"{name}.csv": to_table(records).to_csv(index=False)
        for name in experiments_of(store.profile)
        if (records := records_of(store, name))
    }


def page_files(size: SizeStudy, context: Study, fables: FablesStudy) -> dict[str, str]:
    """By file, the tables of the pages and summary.json."""
    records = all_records(size.store)
    numbers = summary(size, context, fables, records)
    tables = page_tables(size, context, records)
    return {
        "table_main.csv": main_table(size, context).to_csv(index=False, float_format="%.6g"),
        "summary.json": json.dumps(numbers, indent=1, ensure_ascii=False) + "\n",
        **{f"tables/{name}.csv": table.to_csv(index=False) for name, table in tables.items()},
    }


def page_tables(
    size: SizeStudy, context: Study, records: Sequence[RunRecord]
) -> dict[str, pd.DataFrame]:
    """The tables of the results page, by name, rounded; `records` are all of the profile."""
    return {
        "model_size": settings_table(size, "d_model"),
        "context_length": settings_table(context, "context_length"),
        "laws": laws_table(size),
        "floors": floors_table(size),
        "runs": runs_page_table(records),
    }


def page_figures(size: SizeStudy, context: Study) -> dict[str, Figure]:
    """By file, the figures of the pages."""
    return {
        "fig_scaling.png": size_figure(size),
        "fig_context.png": context_scaling_figure(context),
        "plots/size_fit.png": held_out_figure(size),
        "plots/size_curves.png": curves_figure(size),
        "plots/context_positions.png": position_figure(context),
        **{f"plots/{name}.png": figure for name, figure in law_figures(size.store).items()},
    }


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
