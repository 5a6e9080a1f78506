"""The built book in headless Chromium: sound on a desk and on a phone, alone in the world."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from chromium import Visit, find_chromium, launch, open_context, serving
from playwright.sync_api import Browser, sync_playwright

from tinylm.book import CHECKOUT
from tinylm.book.build import toc_pages

pytestmark = pytest.mark.browser

VIEWS = ((1280, "light"), (390, "dark"))
PAGES = toc_pages(CHECKOUT)


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """Where the built book is served; `make test` builds it first and names it."""
    named = os.environ.get("TINYLM_BOOK_HTML")
    folder = Path(named) if named else CHECKOUT / "_build" / "html"
    if not (folder / "index.html").is_file():
        if named or os.environ.get("CI"):
            pytest.fail(f"there is no built book in {folder}")
        pytest.skip("the book is not built; run: make book")
    with serving(folder) as url:
        yield url


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One headless Chromium for the module."""
    with sync_playwright() as playwright:
        executable = find_chromium(playwright)
        if executable is None:
            if os.environ.get("CI"):
                pytest.fail("no Chromium found, and CI must have one")
            pytest.skip("no Chromium found; install chromium or name one in TINYLM_CHROMIUM")
        running = launch(playwright, executable)
        yield running
        running.close()


@pytest.fixture(params=VIEWS, ids=lambda view: f"{view[0]}-{view[1]}")
def view(request: pytest.FixtureRequest) -> tuple[int, str]:
    """Width in pixels, and colour scheme."""
    width, scheme = request.param
    return width, scheme


@pytest.mark.parametrize("page", PAGES)
def test_page_is_sound(browser: Browser, address: str, page: str, view: tuple[int, str]) -> None:
    width, scheme = view
    with open_context(browser, width, scheme) as context:
        visit = Visit(context, f"{address}/{page}.html")
        assert visit.errors == []
        assert visit.outside == []
        assert visit.page.locator("html").get_attribute("data-theme") == scheme
        assert visit.page.locator("article h1").is_visible()
        assert visit.overflow() == []
        assert visit.broken_images() == []
        assert visit.plain_mathematics() == []
        assert visit.stuck_controls() == []
        assert visit.barriers() == []


def test_main_figure_is_on_the_landing_page(
    browser: Browser, address: str, view: tuple[int, str]
) -> None:
    with open_context(browser, *view) as context:
        visit = Visit(context, f"{address}/index.html")
        figure = visit.page.locator("figure#main-figure img")
        figure.scroll_into_view_if_needed()
        box = figure.bounding_box()
        assert box is not None
        assert box["width"] > 250
        natural = figure.evaluate("image => image.naturalWidth / image.naturalHeight")
        padded = 0.1 * natural  # the card around a figure in the dark scheme
        assert box["width"] / box["height"] == pytest.approx(natural, abs=padded)


def test_search_finds_a_page(browser: Browser, address: str) -> None:
    with open_context(browser, 1280, "light") as context:
        visit = Visit(context, f"{address}/search.html?q=loss")
        visit.page.locator("#search-results li").first.wait_for()
        assert visit.outside == []
        assert visit.errors == []


def test_a_term_is_explained_where_it_is_first_used(browser: Browser, address: str) -> None:
    with open_context(browser, 390, "dark") as context:
        visit = Visit(context, f"{address}/notebooks/06_model_size.html")
        terms, card = visit.page.locator("a.tlm-term"), visit.page.locator(".tlm-card")
        words = [word.lower() for word in terms.all_inner_texts()]
        assert len(words) == len(set(words)) > 3
        assert card.is_hidden()
        misfit = terms.filter(has_text="misfit")
        misfit.focus()
        assert "in units of what" in card.inner_text()
        assert visit.overflow() == []
        visit.page.keyboard.press("Escape")
        assert card.is_hidden()
        misfit.click()
        assert visit.page.url.endswith("book/glossary.html#term-misfit")


def test_the_checks_see_what_is_wrong(browser: Browser, tmp_path: Path) -> None:
    (tmp_path / "bad.html").write_text(
        """<body><article><div style="width: 900px; height: 1px"></div><img src="gone.png">
        <img src="http://example.invalid/x.png"><span class="math">a</span>
        <div class="tlm-frames"><input type="range" min="0" max="1" value="0">
        <select><option value="0">a</option><option value="1">b</option></select>
        <div class="tlm-frame">a</div><div class="tlm-frame" hidden>b</div></div>
        <script>undefined_name()</script></article></body>"""
    )
    with serving(tmp_path) as url, open_context(browser, 390, "light") as context:
        visit = Visit(context, f"{url}/bad.html")
        assert any("undefined_name" in error for error in visit.errors)
        assert visit.outside == ["http://example.invalid/x.png"]
        assert visit.overflow()
        assert len(visit.broken_images()) == 2
        assert visit.plain_mathematics() == ["a"]
        barriers = " ".join(visit.barriers())
        assert all(name in barriers for name in ("image-alt", "select-name", "region"))
        assert len(visit.stuck_controls()) == 2
