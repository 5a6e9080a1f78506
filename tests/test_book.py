"""The book's machinery on a small book: numbers, figures, profiles, and what goes wrong."""

import json
import re
import shutil
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
from matplotlib.figure import Figure

from tinylm.book import CHECKOUT, BookError, pages_folder
from tinylm.book.build import build_book, check_pages, toc_pages
from tinylm.book.execute import execute_notebook
from tinylm.book.extension import read_summary
from tinylm.book.serve import serve
from tinylm.errors import BadInput, TinyLMError

TOC = """\
format: jb-book
root: book/index
parts:
  - caption: Measure it
    numbered: true
    chapters:
      - file: notebooks/01_sums
  - caption: Stand on it
    chapters:
      - file: book/references
"""
INDEX = """\
# A small book

The exponent of this book of the {{ profile }} profile is {{ exponent }}, as {{ runs }} runs say.

```{figure} ../results/paper/fig.png
:name: main-figure

Loss falls.
```
"""
CHAPTER = """\
# %% [markdown]
# # Sums
#
# As in {cite:t}`kaplan2020scaling`, $L = E$; see {numref}`main-figure` for what that looks like.

# %% tags=["parameters"]
profile = "paper"

# %%
print("these are the numbers of", profile)
"""


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small book with the real configuration, and results of two profiles."""
    monkeypatch.setenv("TINYLM_ROOT", str(tmp_path))
    shutil.copy(CHECKOUT / "_config.yml", tmp_path)
    shutil.copytree(CHECKOUT / "book" / "assets", tmp_path / "book" / "assets")
    for name in ("references.md", "references.bib"):
        shutil.copy(CHECKOUT / "book" / name, tmp_path / "book")
    (tmp_path / "_toc.yml").write_text(TOC)
    (tmp_path / "book" / "index.md").write_text(INDEX)
    for profile, exponent in {"paper": "0.31 [0.28, 0.34]", "quick": "0.44"}.items():
        results = tmp_path / "results" / profile
        results.mkdir(parents=True)
        (results / "summary.json").write_text(json.dumps({"exponent": exponent, "runs": 18}))
        draw(results / "fig.png")
    (tmp_path / "notebooks").mkdir()
    chapter = tmp_path / "notebooks" / "01_sums.py"
    chapter.write_text(CHAPTER)
    execute_notebook(chapter)
    return tmp_path


def draw(path: Path) -> None:
    figure = Figure()
    figure.subplots().plot([1, 2])
    figure.savefig(path)


def text_of(page: Path) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", page.read_text()).split())


def test_the_papers_book(checkout: Path) -> None:
    html = build_book(source=checkout)
    assert html == pages_folder("paper", checkout) == checkout / "_build" / "html"
    index = text_of(html / "book" / "index.html")
    assert "of the paper profile is 0.31 [0.28, 0.34], as 18 runs say" in index
    assert "these are the numbers of paper" in text_of(html / "notebooks" / "01_sums.html")
    assert (html / "index.html").is_file()
    assert (html / "_static" / "mathjax" / "tex-chtml.js").is_file()
    for page in html.rglob("*.html"):
        source = page.read_text()
        assert "thebe-config" not in source
        assert "THEBE" not in source
        assert (
            re.findall(r"<(?:script|link|img|iframe)[^>]*(?:src|href)=\"(?:https?:)?//", source)
            == []
        )


def test_a_chapter_is_opened_elsewhere_where_the_repository_is_named(checkout: Path) -> None:
    config = checkout / "_config.yml"
    chapter = Path("notebooks") / "01_sums.html"
    plain = (build_book(source=checkout) / chapter).read_text()
    assert "colab" not in plain
    assert "binder" not in plain
    config.write_text(
        config.read_text().replace('_url: ""', "_url: https://github.com/someone/tinylm-scaling")
    )
    page = (build_book(source=checkout) / chapter).read_text()
    for address in (
        "https://colab.research.google.com/github/someone/tinylm-scaling/blob/main/"
        "notebooks/01_sums.ipynb",
        "https://mybinder.org/v2/gh/someone/tinylm-scaling/main?urlpath=lab/tree/"
        "notebooks/01_sums.ipynb",
    ):
        assert f'href="{address}"' in page


def test_a_chapter_can_be_downloaded(checkout: Path) -> None:
    html = build_book(source=checkout)
    page = html / "notebooks" / "01_sums.html"
    (link,) = re.findall(r'href="([^"]+\.ipynb)"', page.read_text())
    assert (page.parent / link).read_bytes() == (checkout / "notebooks/01_sums.ipynb").read_bytes()


def test_a_folder_of_other_things_is_not_replaced(checkout: Path, tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "thesis.txt").write_text("years of work")
    for out in (mine, mine / "thesis.txt", checkout):
        with pytest.raises(BadInput, match="holds no built book; expected a new folder, an empty"):
            build_book(source=checkout, out=out)
    assert (mine / "thesis.txt").read_text() == "years of work"
    (mine / "thesis.txt").unlink()
    assert build_book(source=checkout, out=mine) == mine
    (mine / "stale.html").write_text("an earlier page")
    build_book(source=checkout, out=mine)
    assert (mine / "index.html").is_file()
    assert not (mine / "stale.html").exists()


def test_pages_show_what_was_measured_and_say_what_was_not(checkout: Path) -> None:
    table = (
        "```{results-table} ../results/bench/NAME.csv\nwidth | {d_model}\nratio | {r:.2f}\n```\n"
    )
    page = 'A sweep is {{ "%.1f" % bench.sweep.ratio }} times as fast.\n\n'
    page += table.replace("NAME", "sweep") + "\n" + table.replace("NAME", "other")
    page += "\nIt takes {{ reproduce_minutes }} minutes; tests: {{ test_minutes }}.\n"
    (checkout / "book" / "index.md").write_text(INDEX + "\n" + page)
    bench = checkout / "results" / "bench"
    bench.mkdir(parents=True)
    (bench / "summary.json").write_text('{"sweep": {"ratio": 2.25}}')
    (bench / "sweep.csv").write_text("d_model,r\n64,1.5\n128,2.5\n")
    (bench / "times.json").write_text('{"reproduce_seconds": 500.0}')
    index = text_of(build_book(source=checkout) / "book" / "index.html")
    assert "A sweep is 2.2 times as fast." in index
    assert "width ratio 64 1.50 128 2.50" in index
    assert "Not measured yet." in index
    assert "It takes 8 minutes; tests: not measured yet." in index


def test_a_readers_book_shows_the_readers_numbers(checkout: Path) -> None:
    committed = (checkout / "notebooks" / "01_sums.ipynb").read_bytes()
    half = pages_folder("quick")  # of a build that was stopped
    half.mkdir(parents=True)
    (half / "page.html").write_text("half a page")
    html = build_book("quick", source=checkout)
    assert not (half / "page.html").exists()
    assert html == pages_folder("quick") == checkout / "results" / "quick" / "book"
    assert "of the quick profile is 0.44" in text_of(html / "book" / "index.html")
    assert "these are the numbers of quick" in text_of(html / "notebooks" / "01_sums.html")
    assert (checkout / "notebooks" / "01_sums.ipynb").read_bytes() == committed


def test_everything_missing_fails_the_build_and_is_named(checkout: Path) -> None:
    page = INDEX.replace("runs }}", "runz }}").replace("fig.png", "gone.png")
    faults = "\n[x](nowhere.md) {cite:p}`nobody2020` {numref}`no-figure` {{ bench.sweep }}\n"
    faults += "```{results-table} ../results/bench/sweep.csv\nratio | {speed:.2f}\n```\n"
    (checkout / "results" / "bench").mkdir()
    (checkout / "results" / "bench" / "sweep.csv").write_text("d_model,ratio\n64,1.5\n")
    (checkout / "book" / "index.md").write_text(page + faults)
    (checkout / "_toc.yml").write_text(TOC + "      - file: book/absent\n")
    (checkout / "results" / "paper" / "summary.json").unlink()
    with pytest.raises(BookError) as caught:
        build_book(source=checkout)
    missing = ["runz", "gone.png", "nowhere.md", "nobody2020", "no-figure", "book/absent"]
    missing += ["no attribute 'sweep'", "'speed'; the CSV has d_model, ratio"]
    for name in (*missing, "summary.json"):
        assert name in str(caught.value)


def test_an_unexecuted_notebook_is_refused_before_the_build(checkout: Path) -> None:
    path = checkout / "notebooks" / "01_sums.ipynb"
    notebook = json.loads(path.read_text())
    notebook["cells"][-1]["execution_count"] = None
    path.write_text(json.dumps(notebook))
    with pytest.raises(BookError, match=r"01_sums.*not executed"):
        build_book(source=checkout)
    assert not (checkout / "_build").exists()


def test_a_profile_without_results_is_refused(checkout: Path) -> None:
    with pytest.raises(TinyLMError, match=r"'full'.*make reproduce PROFILE=full"):
        build_book("full", source=checkout)


def test_missing_and_empty_pages_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BookError, match="book/index"):
        check_pages(tmp_path, ["book/index"])
    (tmp_path / "page.html").write_text("<article><h1>Title</h1></article>")
    with pytest.raises(BookError, match="page was built empty"):
        check_pages(tmp_path, ["page"])


def test_the_front_page_names_every_chapter_in_order() -> None:
    front = (CHECKOUT / "book" / "index.md").read_text(encoding="utf-8")
    named = re.findall(r"^\d+\. \{doc\}`\.\./(notebooks/\w+)`: ", front, re.MULTILINE)
    assert named == [page for page in toc_pages(CHECKOUT) if page.startswith("notebooks/")]


def test_all_pages_of_the_contents_are_listed_in_order() -> None:
    pages = toc_pages(CHECKOUT)
    assert pages[0] == "book/index"
    assert pages[-1] == "book/references"
    assert len(pages) == len(set(pages)) > 8


@pytest.mark.parametrize(
    "content", ["[]", '{"a": ["b"]}', '{"a": {"b": 1}}', '{"a": null}', '{"a b": 1}']
)
def test_a_summary_is_a_flat_mapping_of_names(tmp_path: Path, content: str) -> None:
    path = tmp_path / "summary.json"
    path.write_text(content)
    with pytest.raises(ValueError, match="expected"):
        read_summary(path)


def test_lists_and_what_pages_cannot_name_are_left_to_programs(tmp_path: Path) -> None:
    path = tmp_path / "summary.json"
    path.write_text('{"a": 1, "alpha_tinystories-v2": 0.3, "errors": [1.0, 2.0]}')
    assert read_summary(path) == {"a": 1}


def test_serving_needs_a_book_and_a_free_port(tmp_path: Path) -> None:
    with pytest.raises(TinyLMError, match="make book"):
        serve(tmp_path)
    (tmp_path / "index.html").write_text("a book")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(TinyLMError, match=f"port {port}"):
            serve(tmp_path, port)


def test_serving_answers_on_loopback(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("a book")
    code = (
        "import pathlib, sys; from tinylm.book.serve import serve; "
        "serve(pathlib.Path(sys.argv[1]), 0)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True
    ) as server:
        try:
            assert server.stdout is not None
            address = re.search(r"http://127\.0\.0\.1:\d+/", server.stdout.readline())
            assert address is not None
            with urllib.request.urlopen(address.group()) as answer:
                assert answer.read() == b"a book"
        finally:
            server.terminate()


@pytest.mark.parametrize("page", sorted((CHECKOUT / "book").glob("*.md")), ids=lambda p: p.stem)
def test_no_code_block_has_a_number_to_fill_in(page: Path) -> None:
    """MyST fills in prose, not code: a reader would see the braces."""
    within: list[str] = []  # languages and directives of fences, the innermost last
    for line in page.read_text(encoding="utf-8").splitlines():
        if line.startswith("```") and line.strip("`"):
            within.append(line.strip("`"))
        elif line.startswith("```"):
            within.pop()
        elif within and not within[-1].startswith("{"):
            assert "{{" not in line
