"""The `tinylm` command: one subcommand for each step from text to book."""

import sys
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer

from tinylm import say
from tinylm.book.commands import register
from tinylm.errors import BadInput, TinyLMError
from tinylm.sweeps.processes import interruptible, start_early

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Build a GPT from scratch and measure how its loss scales.",
)
Profile = Annotated[str, typer.Option(help="smoke, quick, paper, full, first, second or next")]


@app.command()
def data(
    corpora: Annotated[
        list[str] | None,
        typer.Argument(help="names, paths or hub:OWNER/NAME; default: all but long ones"),
    ] = None,
    tokenizer: Annotated[str, typer.Option(help="characters, or bpe-K")] = "bpe-512",
    select: Annotated[
        bool,
        typer.Option("--select", help="instead: write data/CORPUS.selection of what there is"),
    ] = False,
) -> None:
    """Prepare corpora: fetch or generate, train the tokenizer, write token files."""
    from tinylm.sweeps.preparing import prepare_corpora, select_corpora

    (select_corpora if select else prepare_corpora)(corpora or [], tokenizer)


@app.command()
def law(
    text: Annotated[str, typer.Argument(help="a file, a folder, hub:OWNER/NAME, or a corpus")],
    minutes: Annotated[float, typer.Option(min=0.1, help="that it may take")] = 10.0,
    jobs: Annotated[
        int | None, typer.Option(min=1, help="runs at a time; default: a core each")
    ] = None,
) -> None:
    """The scaling law of your own text: trains what there is time for, and writes one page."""
    start_early()
    from tinylm.book.own_page import law_of

    page = law_of(text, minutes, jobs)
    if page is None:
        raise typer.Exit(1)
    print(f"\nThe law of your text: open {page} in a browser.")


@app.command()
def fables(
    show: Annotated[int, typer.Option(min=0, help="print the first N documents")] = 0,
    check: Annotated[
        int, typer.Option(min=0, help="check reader, writer and entropy on N documents")
    ] = 0,
    entropy: Annotated[bool, typer.Option("--entropy", help="print the exact entropy")] = False,
    variant: Annotated[str, typer.Option(help="default, heavy or light: the tail")] = "default",
) -> None:
    """Look at the generated corpus whose entropy is known, or check it."""
    from tinylm.corpora.fables.check import run

    if not run(show, check, entropy, variant):
        raise typer.Exit(1)


@app.command()
def sweep(
    experiments: Annotated[list[str], typer.Argument(help="such as model_size context_length")],
    profile: Profile = "quick",
    jobs: Annotated[
        int | None, typer.Option(min=1, help="runs at a time; default: all that there is room for")
    ] = None,
    dry_run: Annotated[bool, typer.Option(help="only show what is done and to do")] = False,
    executor: Annotated[str, typer.Option(help="local, ray or slurm: where runs train")] = "local",
    device: Annotated[
        str | None, typer.Option(help="local: cpu or cuda, where runs train; default cpu")
    ] = None,
    address: Annotated[
        str | None, typer.Option(help="ray: a running cluster, as auto or HOST:PORT")
    ] = None,
    cpus_per_run: Annotated[
        int | None, typer.Option(min=1, help="ray, slurm: CPUs, and threads, of a run; default 1")
    ] = None,
    gpus_per_run: Annotated[
        int | None, typer.Option(min=0, help="ray, slurm: GPUs of a run; default 0")
    ] = None,
    partition: Annotated[str | None, typer.Option(help="slurm: where to queue")] = None,
    minutes: Annotated[
        int | None, typer.Option(min=1, help="slurm: time limit of a run; default 60")
    ] = None,
    batched: Annotated[
        int, typer.Option(min=1, help="runs of one shape trained together: faster, and fills a GPU")
    ] = 1,
) -> None:
    """Train every run of the experiments that has no record yet. Kill it and start it again at
    will."""
    if executor == "local":
        start_early()
    from tinylm.sweeps.terminal import run_experiments

    asked = {
        "device": device,
        "address": address,
        "cpus_per_run": cpus_per_run,
        "gpus_per_run": gpus_per_run,
        "partition": partition,
        "minutes": minutes,
    }
    outcome = run_experiments(
        experiments,
        profile,
        jobs=jobs,
        dry_run=dry_run,
        executor=executor,
        options={name: value for name, value in asked.items() if value is not None},
        batched=batched,
    )
    if outcome.failed:
        raise typer.Exit(1)


@app.command()
def status(
    experiments: Annotated[list[str] | None, typer.Argument(help="names; default: all")] = None,
    profile: Profile = "quick",
    watch: Annotated[bool, typer.Option(help="keep looking until every run has ended")] = False,
) -> None:
    """Show what is done, failed, under way and to do, whoever trains it."""
    from tinylm.sweeps.declare import experiments_of
    from tinylm.sweeps.status import show_status

    with interruptible(), suppress(KeyboardInterrupt):  # the way to end --watch
        show_status(experiments or experiments_of(profile), profile, watch=watch)


@app.command()
def report(profile: Profile = "quick") -> None:
    """Make tables, figures and summary.json from the records of a profile."""
    from tinylm.book.report import write_report

    print(write_report(profile))


@app.command()
def predict(
    experiment: Annotated[str, typer.Argument(help="an experiment none of whose runs is made")],
    profile: Profile = "paper",
) -> None:
    """Write down what earlier runs say of an experiment before it begins; commit it, then sweep."""
    from tinylm.store import Store
    from tinylm.studies.predictions import write_prediction

    print(write_prediction(experiment, Store(profile)))


@app.command()
def reproduce(profile: Profile = "quick") -> None:
    """The main job: data, every experiment, tables and figures, and the book."""
    start_early()
    from tinylm.book.build import build_book
    from tinylm.book.examples import storyteller
    from tinylm.book.report import write_report
    from tinylm.sweeps.declare import experiments_of
    from tinylm.sweeps.terminal import run_experiments

    if run_experiments(experiments_of(profile), profile).failed:
        raise typer.Exit(1)
    print(write_report(profile))
    page = build_book(profile) / "index.html"
    print(f"\nThe book with your own numbers: open {page} in a browser.")
    if writer := storyteller(profile):
        print(f"A model that tells fables: .venv/bin/tinylm generate {writer}")


@app.command()
def train(
    config: Annotated[str, typer.Option(help="name of a config, or a YAML file")] = "base",
    seed: Annotated[int, typer.Option(min=0)] = 0,
    profile: Profile = "quick",
    device: Annotated[
        str | None, typer.Option(help="cpu or cuda; default: cuda where there is one")
    ] = None,
) -> None:
    """Train one run and print its result."""
    from tinylm.sweeps.terminal import train_one
    from tinylm.train import describe

    record = train_one(config, seed, profile, device)
    print(describe(record))
    if record.status != "done":
        raise typer.Exit(1)


@app.command()
def fit(
    file: Annotated[
        Path,
        typer.Argument(help="CSV, or - (standard input): loss, two of N, D, C, perhaps seed"),
    ],
    floor: Annotated[
        float | None, typer.Option(help="E, where it is known; default: fitted")
    ] = None,
    form: Annotated[
        str,
        typer.Option(help="sum, power (of the sum), kaplan, ends (a ceiling too), or both"),
    ] = "sum",
    ceiling: Annotated[
        float | None, typer.Option(help="U of ends and both: the loss of token frequencies alone")
    ] = None,
    predict: Annotated[
        list[str] | None, typer.Option(help="N,D: the loss there; may be given again")
    ] = None,
    budget: Annotated[
        list[float] | None, typer.Option(help="FLOPs: their best use; may be given again")
    ] = None,
    resamples: Annotated[int, typer.Option(min=50, help="of the bootstrap")] = 1000,
    plot: Annotated[
        Path | None,
        typer.Option(help=".png or .svg, replaced if it is there; default: FILE.png"),
    ] = None,
) -> None:
    """Fit the loss surface L(N, D) = E + A/N^alpha + B/D^beta, or another form of it, to anybody's
    table of runs: print constants with intervals, and draw them."""
    from tinylm.laws import bootstrap_surface
    from tinylm.laws.forms import make_form
    from tinylm.laws.table import STANDARD_INPUT, read_table
    from tinylm.laws.table_words import describe, headline, read_questions
    from tinylm.plots import figure_kind, save_figure, surface_figure

    named = file != STANDARD_INPUT and file.name
    path = plot or (file.with_suffix(".png") if named else Path("fit.png"))
    figure_kind(path)
    if path.resolve() == file.resolve():
        raise BadInput(f"--plot {path}: the figure would replace the table; name another file")
    law, questions = make_form(form, ceiling), read_questions(predict or [], budget or [])
    table = read_table(file)
    found = bootstrap_surface(table.N, table.D, table.seed, table.loss, floor, resamples, form=law)
    print(describe(table, found, floor, questions))
    title = headline(found.surface)
    save_figure(surface_figure(table.N, table.D, table.loss, found, title=title), path)
    print(f"\nwritten: {path}")


@app.command()
def repeat(
    run: Annotated[str, typer.Argument(help="run id, or a unique beginning")],
    device: Annotated[
        str | None, typer.Option(help="cpu or cuda; default: cuda where there is one")
    ] = None,
) -> None:
    """Train a run that has its record again: see whether it comes out the same here, and have its
    model. The record stays as it is."""
    from tinylm.sweeps.terminal import repeat_one

    print(repeat_one(run, device))


@app.command()
def evaluate(run: Annotated[str, typer.Argument(help="run id, or a unique beginning")]) -> None:
    """Evaluate a finished run's model again, and compare it with the run's record."""
    from tinylm.sweeps.terminal import evaluate_one

    print(evaluate_one(run))


@app.command()
def generate(
    run: Annotated[str, typer.Argument(help="run id, or a unique beginning")],
    prompt: Annotated[str, typer.Option(help="what the text begins with")] = "",
    tokens: Annotated[int, typer.Option(min=1)] = 200,
    temperature: Annotated[float, typer.Option()] = 0.8,
    top_k: Annotated[int | None, typer.Option()] = None,
    top_p: Annotated[float | None, typer.Option()] = None,
    seed: Annotated[int, typer.Option(min=0)] = 0,
) -> None:
    """Let a trained model write."""
    import torch

    from tinylm.generate import generate as sample
    from tinylm.store import find_run
    from tinylm.tokenizers import END_OF_TEXT

    store, record = find_run(run)
    model, tokenizer = store.load_model(record)
    start = torch.tensor([[END_OF_TEXT, *tokenizer.encode(prompt)]])
    text = sample(
        model,
        start,
        tokens,
        temperature=temperature,
        top_k=top_k,
        top_p=top_p,
        stop=END_OF_TEXT,
        seed=seed,
    )
    ids = [token for token in text[0].tolist() if token != END_OF_TEXT]
    print(tokenizer.decode(ids))


@app.command()
def export(
    runs: Annotated[list[str], typer.Argument(help="run ids, or unique beginnings")],
    out: Annotated[Path, typer.Option(help="the .js file, or the folder, to write")],
    layout: Annotated[
        str,
        typer.Option(
            "--format",
            help="js: one or more models as a page of the book reads them, in eight bits per "
            "weight; gpt2: one, for transformers",
        ),
    ] = "js",
) -> None:
    """Write trained models for others to read."""
    if layout == "js":
        from tinylm.book.export import write_models

        write_models(runs, out)
    elif layout == "gpt2":
        from tinylm.inside.gpt2 import export_gpt2

        export_gpt2(runs, out)
    else:
        raise BadInput(f"--format {layout}: expected js or gpt2")
    files = [out] if out.is_file() else [*out.iterdir()]
    print(f"Wrote {out}, {sum(file.stat().st_size for file in files) / 1e6:.1f} MB")


@app.command()
def estimate(
    gpu: Annotated[
        str | None, typer.Option(help="rtx4090, a100, h100 or h200; default: all")
    ] = None,
    tokens_per_parameter: Annotated[float, typer.Option(help="D over N")] = 20.0,
    utilisation: Annotated[
        float | None, typer.Option(help="share of the GPU's peak; default: 0.30 to 0.40")
    ] = None,
) -> None:
    """What 10M, 100M and 1B parameters would take: FLOPs, memory, GPU hours. Trains nothing; writes
    results/bench/scale_estimate.csv."""
    from tinylm.bench.scale import show_estimate

    show_estimate(gpu, tokens_per_parameter, utilisation)


@app.command()
def bench(
    names: Annotated[list[str] | None, typer.Argument(help="which; default: all")] = None,
    anew: Annotated[bool, typer.Option(help="drop what earlier measurements kept")] = False,
) -> None:
    """Measure speed and its cost on this machine, which should have nothing else to do, how often
    intervals hold the truth, and how long `make reproduce` and `make test` take; writes
    results/bench/. Killed and started again, it goes on where it was."""
    from tinylm.bench.command import run_benchmarks

    if not run_benchmarks(names or [], anew=anew):
        raise typer.Exit(1)


register(app)


def main() -> None:
    """Run the command line; bad input is one sentence and exit code 2."""
    from tinylm.book import BookError

    say.fit_to_terminal()
    try:
        app()
    except TinyLMError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except BookError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)
