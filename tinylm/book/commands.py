"""The book's commands, for the `tinylm` command line; heavy imports wait until one is called."""

from pathlib import Path
from typing import Annotated, Any

import typer
import yaml

from tinylm.errors import BadInput

Profile = Annotated[str, typer.Option(help="whose results the pages show")]


def book(
    profile: Profile = "paper",
    out: Annotated[Path | None, typer.Option(help="folder for the pages")] = None,
) -> None:
    """Build the book, with warnings as errors, and check that every page is there."""
    from tinylm.book.build import build_book

    print(f"Open {build_book(profile, out) / 'index.html'} in a browser, or run: make serve")


def serve(
    profile: Profile = "paper",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: any free one")] = 8000,
) -> None:
    """Show the built book on this machine's loopback address."""
    from tinylm.book import pages_folder
    from tinylm.book.serve import serve as serve_folder

    serve_folder(pages_folder(profile), port)


def pairs() -> None:
    """Check that the .py and .ipynb of every chapter agree; print the difference if not."""
    from tinylm.book import NOTEBOOKS, BookError
    from tinylm.book.pairs import check_pairs, scripts_of

    if report := check_pairs(NOTEBOOKS):
        raise BookError("\n".join(["pairs differ", *report, "the .py counts: make notebooks"]))
    print(f"{len(scripts_of(NOTEBOOKS))} notebook pairs agree")


def notebooks(
    names: Annotated[list[str] | None, typer.Argument(help="as 05; default: all")] = None,
) -> None:
    """Execute chapters from their .py files and rewrite their .ipynb files."""
    from tinylm.book import NOTEBOOKS
    from tinylm.book.execute import execute_notebook
    from tinylm.book.pairs import scripts_of

    for script in scripts_of(NOTEBOOKS, names or []):
        print(f"{script.stem} ...", flush=True)
        execute_notebook(script)


def run_notebook(
    name: Annotated[str, typer.Argument(help="number or name of the chapter, as 05")],
    out: Annotated[Path, typer.Option(help="the .ipynb to write")],
    profile: Annotated[str | None, typer.Option(help="sets the parameter `profile`")] = None,
    parameter: Annotated[
        list[str] | None, typer.Option("--parameter", "-p", help="NAME=VALUE, repeatable")
    ] = None,
) -> None:
    """Run one chapter with other parameters into a file of your own."""
    from tinylm.book import NOTEBOOKS
    from tinylm.book.execute import execute_notebook
    from tinylm.book.pairs import scripts_of

    given = dict(map(parse_parameter, parameter or []))
    script = scripts_of(NOTEBOOKS, [name])[0]
    print(f"Wrote {execute_notebook(script, profile, given, out)}")


def parse_parameter(text: str) -> tuple[str, Any]:
    """NAME=VALUE, the value read as YAML, but with 1e-3 the number that it looks like.

    Raises:
        TinyLMError: no such form.
    """
    name, equals, value = text.partition("=")
    if not equals or not name.isidentifier():
        raise BadInput(f"parameter {text!r}: expected NAME=VALUE")
    try:
        read = yaml.safe_load(value)
    except yaml.YAMLError:
        raise BadInput(f"parameter {name}: cannot read the value {value!r} as YAML") from None
    if isinstance(read, str):
        try:
            return name, float(read)
        except ValueError:
            return name, read
    return name, read


def register(app: typer.Typer) -> None:
    """Add the book's commands to a command line."""
    for command in (book, serve, pairs, notebooks):
        app.command()(command)
    app.command("run-notebook")(run_notebook)
