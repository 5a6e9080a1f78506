"""The book's commands, registered on the `tinylm` command line."""

import sys
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, ParamSpec

import typer
import yaml

from tinylm.book import BookError
from tinylm.book.build import CHECKOUT, build_book
from tinylm.book.build import serve as serve_folder
from tinylm.book.execute import execute_notebook
from tinylm.book.pairs import check_pairs, scripts_of
from tinylm.errors import InputError
from tinylm.files import results_dir

P = ParamSpec("P")
Profile = Annotated[str, typer.Option(help="Whose results the pages show.")]
NOTEBOOKS = CHECKOUT / "notebooks"


def _reported(command: Callable[P, None]) -> Callable[P, None]:
    """Print a BookError instead of a traceback, and exit with 1."""

    @wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            command(*args, **kwargs)
        except BookError as error:
            print(error, file=sys.stderr)
            raise typer.Exit(1) from None

    return run


def pages_folder(profile: str) -> Path:
    """Where the built book of a profile lies."""
    return CHECKOUT / "_build" / "html" if profile == "paper" else results_dir(profile) / "book"


@_reported
def book(profile: Profile = "paper") -> None:
    """Build the book, with warnings as errors, and check that every page is there."""
    print(f"The book is built: open {build_book(profile) / 'index.html'}")


@_reported
def serve(profile: Profile = "paper", port: int = 8000) -> None:
    """Serve the built book on this machine."""
    serve_folder(pages_folder(profile), port)


@_reported
def pairs() -> None:
    """Check that the .py and .ipynb of every chapter agree; print the difference if not."""
    report = check_pairs(NOTEBOOKS)
    if report:
        raise BookError("\n".join(report) + "\nThe .py counts; run: make notebooks")
    print(f"{len(scripts_of(NOTEBOOKS))} notebook pairs agree")


@_reported
def notebooks(names: Annotated[list[str] | None, typer.Argument()] = None) -> None:
    """Execute chapters from their .py files (all, or those named: 05) and rewrite the .ipynb."""
    for script in scripts_of(NOTEBOOKS, names or []):
        print(f"{script.stem} ...", flush=True)
        execute_notebook(script)


@_reported
def run_notebook(
    name: Annotated[str, typer.Argument(help="Number or name of the chapter, as 05.")],
    out: Annotated[Path, typer.Option(help="The .ipynb to write.")],
    profile: Annotated[str | None, typer.Option(help="Set the parameter `profile`.")] = None,
    parameter: Annotated[
        list[str] | None, typer.Option("--parameter", "-p", help="NAME=VALUE, repeatable.")
    ] = None,
) -> None:
    """Run one chapter with other parameters into a file of your own."""
    given = _split_parameters(parameter or [])
    script = scripts_of(NOTEBOOKS, [name])[0]
    print(f"Wrote {execute_notebook(script, profile, given, out)}")


def _split_parameters(pairs_given: list[str]) -> dict[str, Any]:
    """NAME=VALUE to a mapping; a value is read as YAML, with 1e-3 a number."""
    given: dict[str, Any] = {}
    for text in pairs_given:
        name, equals, value = text.partition("=")
        if not equals or not name.isidentifier():
            raise InputError(f"parameter {text!r}: expected NAME=VALUE")
        try:
            given[name] = float(value) if "e" in value.lower() else yaml.safe_load(value)
        except ValueError:
            given[name] = yaml.safe_load(value)
        except yaml.YAMLError:
            raise InputError(f"parameter {name}: cannot read the value {value!r}") from None
    return given


def register(app: typer.Typer) -> None:
    """Add the book's commands to the command line."""
    for command in (book, serve, pairs, notebooks):
        app.command()(command)
    app.command("run-notebook")(run_notebook)
