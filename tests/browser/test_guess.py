"""Guesses are locked, scored, kept, and summed up on the verdict page."""

from collections.abc import Iterator

import pytest
from chromium import Visit, open_context
from playwright.sync_api import Browser, BrowserContext, Page
from test_pages import address, browser  # noqa: F401  # fixtures

pytestmark = pytest.mark.browser

SIZE, COMPUTE, VERDICT = (
    f"notebooks/{name}.html" for name in ("06_model_size", "08_compute", "12_verdict")
)


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:  # noqa: F811
    with open_context(browser, 390, "light") as opened:
        yield opened


def visit(context: BrowserContext, address: str, page: str) -> Page:  # noqa: F811
    visited = Visit(context, f"{address}/{page}")
    assert visited.errors == []
    return visited.page


def test_a_guess_is_locked_scored_and_kept(context: BrowserContext, address: str) -> None:  # noqa: F811
    page = visit(context, address, SIZE)
    box = page.locator(".tlm-guess")
    answer = float(box.get_attribute("data-answer") or "nan")
    assert f"{answer:.0f} %" not in box.inner_text()
    slider = box.locator("input")
    slider.fill("10")
    assert box.locator("output").inner_text() == "10 %"
    assert slider.get_attribute("aria-valuetext") == "10 %"
    box.locator("button").click()
    miss = round(100 * abs(10 - answer) / 60)
    said = f"You said 10 %; it is {answer:.0f} %. You missed by {miss} % of the scale."
    assert box.locator("[role=status]").inner_text().replace("\xa0", " ") == said
    assert box.locator("button").is_hidden()
    page.reload()
    assert "You said 10 %" in page.locator(".tlm-guess [role=status]").inner_text()


def test_all_guesses_are_summed_up(context: BrowserContext, address: str) -> None:  # noqa: F811
    page = visit(context, address, VERDICT)
    assert "no guess yet" in page.inner_text(".tlm-guesses")
    for chapter, value in ((SIZE, "25"), (COMPUTE, "0")):
        page = visit(context, address, chapter)
        page.locator(".tlm-guess input").fill(value)
        page.locator(".tlm-guess button").click()
    page = visit(context, address, VERDICT)
    rows = page.locator(".tlm-guesses tbody tr")
    assert rows.count() == 2
    assert "Your 2 guesses missed by" in page.inner_text(".tlm-guesses p")
    assert "1 times" in rows.nth(1).inner_text()  # the least of a logarithmic scale
    page.click("text=Forget my guesses")
    assert "no guess yet" in page.inner_text(".tlm-guesses")
    page.goto(f"{address}/{SIZE}")
    assert page.locator(".tlm-guess button").is_visible()


def test_what_else_stands_under_that_name_is_no_guess(
    context: BrowserContext,
    address: str,  # noqa: F811
) -> None:
    page = visit(context, address, VERDICT)
    for odd in ("nonsense", "null", "[]", "5", '{"tenfold": {"said": 10}}', '{"tenfold": null}'):
        page.evaluate("odd => localStorage.setItem('tinylm.guesses', odd)", odd)
        page = visit(context, address, VERDICT)
        assert "no guess yet" in page.inner_text(".tlm-guesses")
        assert visit(context, address, SIZE).locator(".tlm-guess button").is_visible()
