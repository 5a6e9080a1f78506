"""The first page: its fits are those of Python, and a reader can guess, choose and see."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from chromium import Visit, open_context
from playwright.sync_api import Browser, Page
from scipy.optimize import minimize
from test_pages import address, browser  # noqa: F401  # fixtures

from tinylm.book.size_runs import size_runs
from tinylm.laws import bootstrap_power_law, fit_power_law

pytestmark = pytest.mark.browser

RESAMPLES = 1000
HUBER_DELTA = 1e-3
CUT = """async ([N, loss, seed, options, n, at]) => {
  const { table, law } = TinyLM.fitCut({ N, loss, seed: seed.map(String) },
    { ...options, ceiling: options.ceiling ?? Infinity });
  const laws = await new Promise((done, failed) =>
    TinyLM.bootstrap(table, law, n, 1, { progress: () => {}, done, failed }));
  const { ratio, widening } = TinyLM.misfit(table, law);
  const tell = (one) => [one.E, one.alpha, TinyLM.lossAtSize({ ...one, U: law.U }, at)];
  return { told: tell(law), resamples: laws.map(tell), ratio, widening, bounds: law.bounds };
}"""


@pytest.fixture
def page(browser: Browser, address: str) -> Iterator[Page]:  # noqa: F811
    with open_context(browser, 1280, "light") as context:
        opened = context.new_page()
        opened.goto(f"{address}/book/index.html")
        opened.wait_for_selector("#tlm-hero[data-ready]")
        yield opened


def columns(text: int, count: int, least: float = 0) -> tuple[list[int], list[float], list[int]]:
    """N, loss and seed of the fitted runs of a text, N without (0) or with (1) embeddings."""
    rows = [row for row in size_runs()["texts"][text]["runs"] if row[0] >= least]
    return [row[count] for row in rows], [row[2] for row in rows], [row[3] for row in rows]


@pytest.mark.parametrize(
    ("text", "count", "least", "floor"),
    [(0, 0, 0, None), (0, 1, 0, None), (0, 0, 2e5, 0.0), (0, 1, 0, 0.0), (1, 0, 0, 0.52)],
)
def test_a_power_law_and_its_intervals_are_those_of_python(
    page: Page, text: int, count: int, least: float, floor: float | None
) -> None:
    n, loss, seed = columns(text, count, least)
    at = 5 * max(n)
    found = page.evaluate(CUT, [n, loss, seed, {"floor": floor}, RESAMPLES, at])
    fit = bootstrap_power_law(n, seed, loss, floor, RESAMPLES)

    ours = [fit.law.E, fit.law.alpha, float(fit.loss(at))]
    np.testing.assert_allclose(found["told"], ours, rtol=5e-4, atol=1e-12)
    assert found["ratio"] == pytest.approx(fit.misfit, rel=5e-4)
    assert found["widening"] == pytest.approx(fit.widening, rel=5e-4)
    assert tuple(found["bounds"]) == fit.law.status.bounds
    our_resamples = np.column_stack(
        [fit.resamples[:, 0], fit.resamples[:, 2], fit.loss_resamples(at)]
    )
    ends = [
        np.percentile(draws, (2.5, 97.5), axis=0) for draws in (found["resamples"], our_resamples)
    ]
    width = np.maximum(ends[1][1] - ends[1][0], 1e-9)
    assert (np.abs(ends[0] - ends[1]) / width).max() < 0.15


@pytest.mark.parametrize("text", [0, 1])
@pytest.mark.parametrize("floor", [None, 0.3])
def test_a_law_with_an_upper_end_is_at_the_minimum_that_scipy_finds(
    page: Page, text: int, floor: float | None
) -> None:
    n, loss, seed = columns(text, 0)
    x, logs = np.log(n) - np.mean(np.log(n)), np.log(loss)
    ceiling = float(size_runs()["texts"][text]["ceiling"])

    def objective(constants: Any) -> float:
        a, alpha = constants[:2]
        E = constants[2] if floor is None else floor
        if not 0 <= E < min(loss):
            return float("inf")
        off = np.abs(np.log(E + 1 / (1 / (ceiling - E) + np.exp(alpha * x - a))) - logs)
        huber = np.where(off < HUBER_DELTA, off**2 / 2, HUBER_DELTA * (off - HUBER_DELTA / 2))
        return float(huber.sum())

    starts = [[0.0, 0.4, 0.5 * min(loss)], [0.5, 0.6, 0.8 * min(loss)]]
    options: Any = {"xatol": 1e-10, "fatol": 1e-16, "maxiter": 20_000, "maxfev": 20_000}
    ends = [
        minimize(
            objective, start if floor is None else start[:2], method="Nelder-Mead", options=options
        )
        for start in starts
    ]
    best = min(ends, key=lambda end: end.fun)
    found = page.evaluate(CUT, [n, loss, seed, {"floor": floor, "ceiling": ceiling}, 2, max(n)])
    expected = [best.x[2] if floor is None else floor, best.x[1]]
    np.testing.assert_allclose(found["told"][:2], expected, rtol=1e-3)
    assert found["told"][2] < ceiling


def said(page: Page) -> str:
    """What the page says of the choice, once its intervals are there, or there are none."""
    page.wait_for_selector("#tlm-hero[data-intervals]")
    return page.inner_text('#tlm-hero [data-part="said"]')


def test_a_guess_is_made_by_keyboard_locked_scored_and_kept(page: Page) -> None:
    assert page.is_hidden('#tlm-hero [data-part="dials"]')
    assert page.locator("#tlm-hero .tlm-came").count() == 0  # nothing is given away
    guess = page.locator('[name="guess"]')
    before = float(guess.input_value())
    guess.press("ArrowLeft")
    assert float(guess.input_value()) < before
    page.click('[data-act="lock"]')
    scored = page.inner_text('#tlm-hero [data-part="scored"]')
    assert f"You said {before - 0.01:.2f} for " in scored
    assert page.locator("#tlm-hero .tlm-came").count() == len(size_runs()["texts"][0]["beyond"])
    page.reload()
    page.wait_for_selector("#tlm-hero[data-ready]")
    assert page.inner_text('#tlm-hero [data-part="scored"]') == scored
    page.click('[data-act="again"]')
    assert page.is_visible('[name="guess"]')
    assert page.is_hidden('#tlm-hero [data-part="dials"]')


def test_all_of_it_can_be_read_aloud(browser: Browser, address: str) -> None:  # noqa: F811
    with open_context(browser, 390, "dark") as context:
        visit = Visit(context, f"{address}/book/index.html")
        visit.page.click('[data-act="lock"]')
        visit.page.wait_for_selector("#tlm-hero[data-intervals]")
        assert visit.barriers() == []
        assert visit.overflow() == []


def test_a_guess_can_be_dragged(page: Page) -> None:
    box = page.locator("#tlm-hero svg").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 100, box["y"] + 0.5 * box["height"])
    page.mouse.down()
    first = float(page.locator('[name="guess"]').input_value())
    page.mouse.move(box["x"] + 100, box["y"] + 0.7 * box["height"])
    page.mouse.up()
    assert float(page.locator('[name="guess"]').input_value()) < first


def alpha(count: int, least: float, floor: float | None) -> str:
    """The exponent of the stories' sizes, as the page writes it."""
    n, loss, _ = columns(0, count, least)
    return f"{fit_power_law(n, loss, floor).alpha:.2f}"


def test_the_same_runs_have_the_exponent_that_one_chooses(page: Page) -> None:
    sizes = sorted({row[0] for row in size_runs()["texts"][0]["runs"]})
    page.click('[data-act="skip"]')
    assert page.is_hidden('#tlm-hero [data-part="scored"]')  # no guess, no score
    assert said(page).startswith(f"Exponent {alpha(0, 0, None)} [")
    page.click('[data-preset="kaplan"]')
    kaplan = said(page)
    assert kaplan.startswith(f"Exponent {alpha(0, 0, 0.0)}, with no floor. Misfit ")
    assert "[" not in kaplan  # no interval where the law does not hold
    page.select_option('[name="from"]', str(len(sizes) - 3))
    largest = alpha(0, sizes[-3], 0.0)
    assert said(page).startswith(f"Exponent {largest} [")
    page.select_option('[name="to"]', str(len(sizes) - 3))
    assert said(page) == "The runs have 1 size; this law needs at least 3."
    page.select_option('[name="from"]', "0")
    page.select_option('[name="to"]', str(len(sizes) - 1))
    page.click('[data-preset="hoffmann"]')
    assert said(page).startswith(f"Exponent {alpha(1, 0, None)} [")
    assert f"exponent α: {largest} to " in page.inner_html('#tlm-hero [data-part="ruler"]')


def test_a_floor_is_known_of_fables_only(page: Page) -> None:
    page.click('[data-act="skip"]')
    assert page.is_disabled('[value="known"]')
    page.check('#tlm-hero [name="text"][value="1"]')
    page.check('[value="known"]')
    assert f"towards a floor of {size_runs()['texts'][1]['floor']:.2f} nats" in said(page)
    page.check('#tlm-hero [name="text"][value="0"]')
    assert page.is_checked('[value="fitted"]')
    assert said(page).startswith(f"Exponent {alpha(0, 0, None)} [")
