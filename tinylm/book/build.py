"""Build the book and check what came out: every page there, every code cell executed."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tinylm.book import CHECKOUT, BookError, is_committed, pages_folder
from tinylm.book.execute import execute_notebook, notebook_parameters
from tinylm.book.pairs import read_notebook, read_text_notebook
from tinylm.config import read_yaml
from tinylm.errors import BadInput, Missing
from tinylm.store import Store

MINIMUM_WORDS = 10  # a page with fewer is taken for an empty one


def build_book(profile: str = "paper", out: Path | None = None, source: Path | None = None) -> Path:
    """Build the whole site with warnings as errors, offline; return the folder of its pages.

    The paper's book shows the committed notebooks as they are. Another profile's book is made
    from a copy in which every notebook with a `profile` parameter is run with that profile, so
    that readers see their own numbers. `out` defaults to `_build/html` in the checkout, or to
    `results/<profile>/book`; `source` is the checkout.

    Raises:
        TinyLMError: there is no book in `source`, the profile has no results yet, or `out` holds
            something else than an earlier book, which would be lost.
        BookError: Sphinx warned, a page is missing or empty, a notebook is not executed.
    """
    source = source or CHECKOUT
    results = Store(profile).folder
    if not (source / "_toc.yml").is_file():
        raise Missing(f"no _toc.yml in {source}: the book is built from a checkout")
    if not results.is_dir():
        raise Missing(
            f"profile {profile!r} has no results yet; run: make reproduce PROFILE={profile}"
        )
    if out is not None:
        _check_replaceable(out)
    target = out or pages_folder(profile, source)
    if is_committed(profile, source):
        return _build(source, profile, target)
    work = results / "book-src"
    _stage(source, profile, results, work)
    return _build(work, profile, target)


def _check_replaceable(target: Path) -> None:
    """Raises BadInput for a place that holds anything but a book that was built before."""
    if not target.exists() or (target.is_dir() and not any(target.iterdir())):
        return
    if not (target / "objects.inv").is_file() or not (target / "_static").is_dir():
        raise BadInput(
            f"--out {target}: it is there and holds no built book; expected a new folder, an empty "
            f"one, or a book, which is replaced"
        )


def toc_pages(source: Path) -> list[str]:
    """Document names of all pages in `_toc.yml`, the root first."""
    content = read_yaml(source / "_toc.yml")

    def files(entries: Iterable[dict[str, object]]) -> Iterable[str]:
        for entry in entries:
            if "file" in entry:
                yield str(entry["file"])
            for key in ("parts", "chapters", "sections"):
                nested = entry.get(key, [])
                if isinstance(nested, list):
                    yield from files(nested)

    return [str(content["root"]), *files([content])]


def _stage(source: Path, profile: str, results: Path, work: Path) -> None:
    """Copy the book's sources to `work` and run there the chapters that take a profile."""
    if work.exists():
        shutil.rmtree(work)
    for name in ("book", "notebooks"):
        shutil.copytree(source / name, work / name)
    for name in ("_config.yml", "_toc.yml"):
        shutil.copy(source / name, work / name)
    skipped = shutil.ignore_patterns(work.name, "book", "runs", "checkpoints", "models")
    shutil.copytree(results, work / "results" / profile, ignore=skipped)
    if (bench := source / "results" / "bench").is_dir():  # the same for every profile
        shutil.copytree(bench, work / "results" / "bench")
    chapters = [work / f"{page}.py" for page in toc_pages(work) if page.startswith("notebooks/")]
    ours = [c for c in chapters if "profile" in notebook_parameters(read_text_notebook(c))]
    workers = os.cpu_count() or 1
    with ThreadPoolExecutor(max_workers=min(workers, 4)) as pool:
        list(pool.map(lambda chapter: execute_notebook(chapter, profile), ours))


def _build(source: Path, profile: str, target: Path) -> Path:
    """Run jupyter-book in `source`, check what it made and move it to `target`."""
    html = source / "_build" / "html"
    pages = toc_pages(source)
    check_executed(source, pages)
    environment = os.environ | {
        "TINYLM_BOOK_PROFILE": profile,
        "HF_HUB_OFFLINE": "1",
        "PYTHONWARNINGS": "ignore",
    }
    start = "from jupyter_book.cli.main import main; main()"
    command = [sys.executable, "-c", start, "build", "--all", "-W", "-n", "--keep-going"]
    shutil.rmtree(html, ignore_errors=True)  # no page of an older table of contents
    finished = subprocess.run(
        [*command, str(source)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if finished.returncode:
        raise BookError(_complaints(finished.stdout + finished.stderr))
    check_pages(html, pages)
    if target != html:
        shutil.rmtree(target, ignore_errors=True)
        shutil.move(html, target)
    return target


def _complaints(log: str) -> str:
    """The lines of a failed build that say why; its last lines if none does."""
    lines = [re.sub(r"\x1b\[[0-9;]*m", "", line) for line in log.splitlines()]
    telling = [line for line in lines if re.search(r"WARNING|ERROR|Error:|error:", line)]
    return "the book does not build:\n" + "\n".join(telling or lines[-20:])


def check_executed(source: Path, pages: Iterable[str]) -> None:
    """Refuse notebooks with a code cell that was not run or that failed (they build blank)."""
    for page in pages:
        path = source / f"{page}.ipynb"
        if not path.is_file():
            continue
        cells = [c for c in read_notebook(path).cells if c.cell_type == "code" and c.source.strip()]
        if any(cell.execution_count is None for cell in cells):
            raise BookError(
                f"notebook {path.stem}: a code cell was not executed; run: make notebooks"
            )
        if any(out.output_type == "error" for cell in cells for out in cell.outputs):
            raise BookError(
                f"notebook {path.stem}: holds the error of a failed cell; run: make notebooks"
            )


def check_pages(html: Path, pages: Iterable[str]) -> None:
    """Refuse a site in which a page of the table of contents is missing or empty."""
    for page in pages:
        path = html / f"{page}.html"
        if not path.is_file():
            raise BookError(f"page {page} of _toc.yml was not built")
        article = re.search(r"<article.*?</article>", path.read_text(encoding="utf-8"), re.DOTALL)
        words = re.sub(r"<[^>]+>", " ", article.group() if article else "").split()
        if len(words) < MINIMUM_WORDS or (article and "<h1" not in article.group()):
            raise BookError(f"page {page} was built empty")
