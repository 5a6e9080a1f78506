"""A Sphinx extension: measured numbers in prose, and pages that ask nothing of other machines."""

import importlib.util
import json
import os
import re
import shutil
from pathlib import Path
from typing import Any

from tinylm.book.accessible import make_accessible
from tinylm.book.csv_tables import NOT_MEASURED, ResultsTable
from tinylm.book.guesses import Guess, Guesses
from tinylm.book.lighter import lighten
from tinylm.book.terms import link_terms
from tinylm.extras import needs

with needs("book"):
    from sphinx.application import Sphinx
    from sphinx.config import Config
    from sphinx.util import logging

logger = logging.getLogger(__name__)

# What pages need of MathJax: the component, the fonts, and the TeX packages it loads on demand.
MATHJAX_PARTS = ("tex-chtml.js", "output/chtml/fonts", "input/tex/extensions")

LAUNCH_BUTTONS = {
    "notebook_interface": "jupyterlab",
    "binderhub_url": "https://mybinder.org",
    "colab_url": "https://colab.research.google.com",
}


def profile_name() -> str:
    """The profile whose results the pages show: TINYLM_BOOK_PROFILE, else `paper`."""
    return os.environ.get("TINYLM_BOOK_PROFILE", "paper")


def read_summary(path: Path) -> dict[str, str | int | float]:
    """The measured numbers of a profile, by the names that prose pages use. Lists, and numbers
    under what is no name here, such as one with a corpus in it, are for programs and left out.

    Raises:
        ValueError: the file is missing, no JSON, or not a flat mapping of names to values.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(f"no measured numbers in {path.name}: {error.strerror}") from error
    if not isinstance(content, dict):
        raise ValueError(f"{path.name}: expected a mapping of names to values")
    for name, value in content.items():
        number = isinstance(value, str | int | float)
        numbers = isinstance(value, list) and all(isinstance(one, int | float) for one in value)
        if not re.fullmatch(r"[^\W\d][\w-]*", name) or not (number or numbers):
            raise ValueError(f"{path.name}: expected a name and a text or number, got {name!r}")
    return {
        name: value
        for name, value in content.items()
        if name.isidentifier() and not isinstance(value, list)
    }


def read_bench(folder: Path) -> dict[str, Any]:
    """What was measured of the machine: `bench`, the findings, which pages name as
    `{{ bench.sweep_ratio }}`; and the whole minutes that the two commands take.

    Raises:
        ValueError: a file is damaged.
    """
    found: dict[str, Any] = {"bench": {}}
    times: dict[str, float] = {}
    for name, content in (("summary.json", found["bench"]), ("times.json", times)):
        try:
            content |= json.loads((folder / name).read_text(encoding="utf-8"))
        except FileNotFoundError:
            continue
        except (OSError, ValueError, TypeError) as error:
            raise ValueError(f"{name} is damaged: {error}") from error
    for command in ("reproduce", "test"):
        seconds = times.get(f"{command}_seconds")
        found[f"{command}_minutes"] = NOT_MEASURED if seconds is None else round(seconds / 60)
    return found


def _fill_in_numbers(app: Sphinx, config: Config) -> None:
    """Let pages write `{{ name }}` for each entry of the profile's summary.json, and for what was
    measured into `results/bench/`.
    """
    profile, results = profile_name(), Path(app.srcdir) / "results"
    numbers: dict[str, Any] = {"profile": profile}
    for what, read, place in (
        (f"results of profile {profile}", read_summary, results / profile / "summary.json"),
        ("measurements", read_bench, results / "bench"),
    ):
        try:
            numbers |= read(place)
        except ValueError as error:
            logger.warning("%s: %s", what, error)
    config.myst_substitutions = {**config.myst_substitutions, **numbers}


def _show_own_figures(app: Sphinx, docname: str, source: list[str]) -> None:
    """Pages name the figures of the paper; in another profile's book they become its own."""
    if not docname.startswith("notebooks/"):
        source[0] = source[0].replace("../results/paper/", f"../results/{profile_name()}/")


def _drop_thebe(
    app: Sphinx, pagename: str, template: str, context: dict[str, Any], doctree: object
) -> None:
    """Remove sphinx-thebe's scripts: they name a CDN and raise an error on every page."""

    def is_thebe(script: object) -> bool:
        body = getattr(script, "attributes", {}).get("body") or ""
        return "thebe" in str(getattr(script, "filename", None) or script) or "THEBE" in body

    context["script_files"] = [s for s in context.get("script_files", []) if not is_thebe(s)]


def _drop_thebe_settings(app: Sphinx, doctree: Any, docname: str) -> None:
    """Remove the settings that sphinx-thebe puts into the text of each page."""
    for node in list(doctree.children):
        if node.tagname == "raw" and ("thebe" in node.astext() or "kernelName" in node.astext()):
            doctree.remove(node)


def _copy_mathjax(app: Sphinx, error: Exception | None) -> None:
    """Put the local MathJax beside the pages (2 of the package's 24 MB)."""
    spec = importlib.util.find_spec("sphinx-mathjax-offline")
    if error or app.builder.format != "html" or spec is None or spec.origin is None:
        return
    origin = Path(spec.origin).parent / "static" / "mathjax"
    target = Path(app.outdir) / "_static" / "mathjax"
    for part in MATHJAX_PARTS:
        (target / part).parent.mkdir(parents=True, exist_ok=True)
        if (origin / part).is_dir():
            shutil.copytree(origin / part, target / part, dirs_exist_ok=True)
        else:
            shutil.copy(origin / part, target / part)


def _finish_pages(app: Sphinx, error: Exception | None) -> None:
    """Put right what a screen reader would stumble over, and drop the icons that no page shows."""
    if not error and app.builder.format == "html":
        make_accessible(Path(app.outdir))
        lighten(Path(app.outdir))


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with Sphinx; called by it."""
    app.add_directive("results-table", ResultsTable)
    app.add_directive("guess", Guess)
    app.add_directive("guesses", Guesses)
    app.connect("config-inited", _use_local_mathjax)
    app.connect("config-inited", _fill_in_numbers)
    app.connect("config-inited", _offer_to_run)
    app.connect("source-read", _show_own_figures)
    app.connect("doctree-resolved", _drop_thebe_settings, priority=900)
    app.connect("doctree-resolved", link_terms, priority=950)
    app.connect("html-page-context", _drop_thebe, priority=900)
    app.connect("build-finished", _copy_mathjax)
    app.connect("build-finished", _finish_pages)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def _offer_to_run(app: Sphinx, config: Config) -> None:
    """Buttons that open a chapter elsewhere, where `_config.yml` names the repository."""
    options = config.html_theme_options
    options["launch_buttons"] = LAUNCH_BUTTONS if options.get("repository_url") else {}


def _use_local_mathjax(app: Sphinx, config: Config) -> None:
    """MathJax from `_static`, without its context menu, whose parts are loaded from elsewhere."""
    config.mathjax_path = "mathjax/tex-chtml.js"
    config.mathjax3_config = {"options": {"enableMenu": False}}
