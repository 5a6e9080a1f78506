"""The page on which a reader's table is fitted says what the laws in Python say."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from chromium import Visit, open_context
from playwright.sync_api import Browser, Page
from test_pages import address, browser  # noqa: F401  # fixtures

from tinylm.book import CHECKOUT
from tinylm.book.example_table import read_example_table
from tinylm.laws import SurfaceWithIntervals, bootstrap_surface
from tinylm.laws.forms import make_form
from tinylm.laws.solver import Array
from tinylm.laws.surface import NAMES
from tinylm.laws.table import read_table
from tinylm.say import NO_BREAK

pytestmark = pytest.mark.browser

RESAMPLES = 1000
FIT = """async ([text, form, n, seed, asked]) => {
  const table = TinyLM.readTable(text);
  const surface = TinyLM.fitSurface(table, form);
  const laws = await new Promise((done, failed) =>
    TinyLM.bootstrap(table, surface, n, seed, { progress: () => {}, done, failed }));
  const tell = (law) => {
    const best = TinyLM.optimal(law, asked.flops);
    const { E, A, alpha, B, beta, g } = law;
    return [E, A, alpha, B, beta, g, TinyLM.lossAt(law, asked.N, asked.D), best.N, best.loss];
  };
  const { ratio, widening } = TinyLM.misfit(table, surface);
  const { rms, bounds } = surface;
  return { told: tell(surface), resamples: laws.map(tell), ratio, widening, rms, bounds };
}"""
LOGS = [1, 3, 7]  # of what is told: A, B and the best N vary by factors


class Case(NamedTuple):
    text: str
    form: str


def losses(n: Array, d: Array, power: float, rng: np.random.Generator) -> Array:
    """Those of a law with that power, and a third of a percent of noise."""
    law = 1.7 + (400 / n**0.34 + 400 / d**0.28) ** power
    return np.asarray(law * np.exp(rng.normal(0, 0.003, len(n))))


def table(columns: dict[str, Array], separator: str = ",") -> str:
    """CSV of some columns."""
    rows = zip(*columns.values(), strict=True)
    lines = [separator.join(f"{value:.6g}" for value in row) for row in rows]
    return "\n".join([separator.join(columns), *lines])


def cases() -> dict[str, Case]:
    rng = np.random.default_rng(7)
    n, d = np.repeat(np.geomspace(1e6, 1e9, 6), 5), np.tile(np.geomspace(1e8, 1e11, 5), 6)
    n3, d3 = np.repeat(n, 3), np.repeat(d, 3)
    plain = table({"N": n, "D": d, "loss": losses(n, d, 0.6, rng)})
    seeds = {"loss": losses(n3, d3, 1.0, rng), "seed": np.tile([0.0, 1.0, 2.0], 30)}
    lines = table({"n": n3, "d": d3} | seeds, ";").splitlines()
    odd = [*lines[:3], "1e6;1e9;diverged;0", *lines[3:]]
    return {
        "example, power": Case(read_example_table(), "power"),
        "example, sum": Case(read_example_table(), "sum"),
        "without seeds": Case(plain, "power"),
        "with C": Case(table({"C": 6 * n3 * d3, "N": n3} | seeds), "sum"),
        "semicolons": Case("\n".join(["sep=;", *odd]), "sum"),
    }


@pytest.fixture
def page(browser: Browser, address: str) -> Iterator[Page]:  # noqa: F811
    with open_context(browser, 1280, "light") as context:
        opened = context.new_page()
        opened.goto(f"{address}/book/fit.html")
        opened.wait_for_selector("#tlm-fit[data-ready]")
        yield opened


def tell(fit: SurfaceWithIntervals, n: float, d: float, flops: float) -> tuple[Array, Array]:
    """Constants, a predicted loss, the best N and its loss, as FIT tells them; of the surface, and
    of its resamples.
    """
    best = fit.surface.optimal(flops)
    one = [*fit.surface.constants, float(fit.surface.loss(n, d)), best.N, best.loss]
    size, _, loss = fit.optimal_resamples(flops)
    many = np.column_stack([fit.resamples, fit.loss_resamples(n, d), size, loss])
    return np.array(one), many


@pytest.mark.parametrize("name", cases())
def test_constants_predictions_and_intervals_are_those_of_python(
    page: Page, tmp_path: Path, name: str
) -> None:
    text, form = cases()[name]
    path = tmp_path / "runs.csv"
    path.write_text(text, encoding="utf-8")
    runs = read_table(path)
    n, d, flops = 2 * runs.N.max(), 3 * runs.D.max(), 10 * runs.flops.max()
    fit = bootstrap_surface(
        runs.N, runs.D, runs.seed, runs.loss, n_resamples=RESAMPLES, form=make_form(form)
    )
    asked = {"N": n, "D": d, "flops": flops}
    found = page.evaluate(FIT, [text, form, RESAMPLES, 1, asked])

    ours, our_resamples = tell(fit, n, d, flops)
    np.testing.assert_allclose(found["told"], ours, rtol=5e-4)
    assert found["ratio"] == pytest.approx(fit.misfit, rel=5e-4)
    assert found["widening"] == pytest.approx(fit.widening, rel=5e-4)
    assert found["rms"] == pytest.approx(fit.surface.residual_rms, rel=5e-4)
    assert tuple(found["bounds"]) == fit.surface.status.bounds

    theirs = np.array(found["resamples"])
    theirs[:, LOGS], our_resamples[:, LOGS] = (
        np.log(theirs[:, LOGS]),
        np.log(our_resamples[:, LOGS]),
    )
    their_ends, our_ends = (
        np.percentile(draws, (2.5, 97.5), axis=0) for draws in (theirs, our_resamples)
    )
    width = np.maximum(our_ends[1] - our_ends[0], 1e-12)  # that of g is none for a sum
    assert np.abs((their_ends - our_ends) / width).max() < 0.15


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("N,loss\n1,2", "expected loss and two of N, D and C"),
        ("N,D,loss\n1e6,,3", "Row 1 has D nothing; expected a positive number."),
        ("N,D,loss\n1e6,1e8,3\n2e6,1e8,3*", "Row 2 has loss “3*”; expected a positive number with"),
        ("N,D,loss\n1e6,-2,3", "Row 1 has D “-2”; expected a positive number."),
        ("N,D,loss\n1e6,1e8,3,21", "Row 1 has 4 fields and the header 3; is a comma"),
        ("N,D,C,loss\n1e6,1e8,1e9,3", "Row 1 has C 1e+09, where 6·N·D is 6e+14"),
        ("N,D,loss\n0.5,1e8,3", "not millions or PF-days of them"),
        ("N,D,loss,seed\n1e6,1e8,3,", "Row 1 has no seed"),
        ("N,D,N,loss\n1,1,1,3", "expected N once"),
        ('N,D,loss\n"1e6,1e8,3', "A quote of the table is not closed."),
        ('N,D,loss\n"1e6"3,1e8,3', "Something follows a quoted cell"),
        ("N,D,loss\n1e6,1e8,diverged", "no run with a finite loss"),
        ("\n# mine\n", "The table is empty."),
        ("N,D,loss\n1e6,1e8,3\n2e6,1e8,2.9\n4e6,1e8,2.8", "D has one value only"),
        (
            table({"N": np.geomspace(1e6, 1e9, 9), "D": 20 * np.geomspace(1e6, 1e9, 9),
                   "loss": np.linspace(4, 3, 9)}),
            "lie on one line (D proportional to N^1",
        ),
        (
            table({"N": np.geomspace(1e6, 1e9, 9), "C": np.full(9, 1e18),
                   "loss": np.linspace(4, 3, 9)}),
            "lie on one line (one budget 6·N·D",
        ),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_table_is_told_in_a_sentence(page: Page, text: str, said: str) -> None:
    page.fill('[name="table"]', text)
    page.wait_for_function(
        "!document.querySelector('[data-part=said]').innerText.includes('itted')"
    )
    told = page.inner_text('[data-part="said"]')
    assert said in told
    assert told[-1] in ".?"
    assert page.is_hidden('[data-part="found"]')  # nothing of the table before


def words(page: Page, part: str) -> str:
    """The text of a part of the page, its blanks all alike."""
    return page.inner_text(f'[data-part="{part}"]').replace(NO_BREAK, " ")


def fitted(page: Page) -> str:
    """The text of what was found, once its intervals are there."""
    page.wait_for_selector("#tlm-fit[data-intervals]")
    return page.inner_text('[data-part="found"]')


def test_a_reader_asks_and_is_answered(page: Page) -> None:
    assert "60 runs lie" in fitted(page)
    page.fill('[name="N"]', "1e7")
    page.fill('[name="D"]', "1e8")
    told = words(page, "prediction")
    assert told.startswith("At N = 1 × 10⁷ and D = 1 × 10⁸ the law says")
    assert told.endswith("beyond the N and D of all runs.")
    page.fill('[name="N"]', "many")
    assert "N and D are numbers from 1 to" in page.inner_text('[data-part="prediction"]')
    assert page.get_attribute('[name="N"]', "aria-invalid") == "true"
    page.fill('[name="C"]', "1e16")
    assert "budget, 1 × 10¹⁶" in words(page, "best")
    page.check('[value="sum"]')  # whose misfit is above 3
    warned = page.inner_text('[data-part="warnings"]')
    assert "this form does not hold" in warned
    assert "[" not in page.inner_text('[data-part="constants"]')
    assert "interval" not in page.inner_text('[data-part="best"]')
    page.check('[value="power"]')
    assert page.inner_text('[data-part="constants"]').count("[") == 0  # not those of before
    assert fitted(page).count("[") > len(NAMES)
    assert page.locator("th:empty").count() == 0


def test_curves_are_of_what_the_runs_share(page: Page) -> None:
    def drawn(text: str) -> tuple[str, int]:
        page.fill('[name="table"]', text)
        page.wait_for_timeout(400)
        fitted(page)
        picture = page.locator('[data-part="picture"] svg')
        return str(picture.get_attribute("aria-label")), picture.locator("polyline").count()

    label, curves = drawn(cases()["without seeds"].text)
    assert label.endswith("a curve for each D, tokens: 100M, 562M, 3.16G, 17.8G, 100G")
    assert curves == 5
    rng = np.random.default_rng(1)
    n, flops = 10 ** rng.uniform(7, 9, 40), np.repeat([1e18, 1e19, 1e20, 1e21], 10)
    loss = losses(n, flops / 6 / n, 1.0, rng)
    label, curves = drawn(table({"N": n, "C": flops, "loss": loss}))
    assert label.endswith("a curve for each C, FLOPs: 1e18, 1e19, 1e20, 1e21")
    assert curves == 4
    d = 10 ** rng.uniform(9, 11, 40)
    label, curves = drawn(table({"N": n, "D": d, "loss": losses(n, d, 1.0, rng)}))
    assert curves == 6
    assert "nearest" in page.inner_text("figcaption")


def test_doubtful_tables_are_fitted_with_warnings(page: Page) -> None:
    grid = [(n, d) for n in (1, 4, 16, 64, 256) for d in (10, 40, 160, 640, 2560)]
    lines = [f"{n},{d},{2 + n**-0.5 + 2 * d**-0.5:.5f}" for n, d in grid]
    lines[5] = lines[5][:-7] + "9.50000"
    page.fill('[name="table"]', "\n".join(["N,D,loss", *lines, "1,1,diverged"]))
    page.wait_for_function("document.querySelector('[data-part=said]').innerText.includes('left')")
    assert "25 runs, 1 without a finite loss left out" in page.inner_text('[data-part="said"]')
    told = fitted(page)
    assert "is N in parameters, not in millions?" in told
    assert "far more than most; is it right?" in told


def test_files_are_read_however_they_come(page: Page) -> None:
    for encoding in ("utf-8-sig", "utf-16", "utf-16-le"):
        content = cases()["without seeds"].text.replace(",", "\t").encode(encoding)
        page.set_input_files('[name="file"]', {"name": "a.csv", "mimeType": "", "buffer": content})
        page.wait_for_function(
            "document.querySelector('[data-part=said]').innerText.includes(' 30 ')"
        )
        assert page.input_value('[name="file"]') == ""
        page.click('[data-part="example"]')
        assert "60 runs" in page.inner_text('[data-part="headline"]')
    page.evaluate(
        """text => {
          const files = new DataTransfer();
          files.items.add(new File([text], "b.csv"));
          const how = { dataTransfer: files, bubbles: true, cancelable: true };
          document.querySelector('[name="table"]').dispatchEvent(new DragEvent("drop", how));
        }""",
        cases()["semicolons"].text,
    )
    page.wait_for_function("document.querySelector('[data-part=said]').innerText.includes(' 90 ')")


def test_it_works_from_a_file_alone_and_fits_a_phone(browser: Browser, address: str) -> None:  # noqa: F811
    named = os.environ.get("TINYLM_BOOK_HTML")
    folder = Path(named) if named else CHECKOUT / "_build" / "html"
    with open_context(browser, 390, "dark") as context:
        visit = Visit(context, (folder / "book" / "fit.html").resolve().as_uri())
        asked: list[str] = []
        visit.page.on("request", lambda request: asked.append(request.url))
        for case in cases().values():
            visit.page.fill('[name="table"]', case.text)
            visit.page.wait_for_timeout(400)
            fitted(visit.page)
            assert visit.overflow() == []
        assert all(url.startswith("blob:") for url in asked)
        assert visit.outside == []
        assert visit.errors == []


def test_what_a_browser_restores_is_what_is_fitted(page: Page, address: str) -> None:  # noqa: F811
    page.fill('[name="table"]', cases()["with C"].text)
    page.check('[value="sum"]')
    fitted(page)
    page.goto(f"{address}/book/glossary.html")
    page.go_back()
    page.wait_for_selector("#tlm-fit[data-ready]")
    page.wait_for_timeout(300)
    found: Any = fitted(page)
    assert page.input_value('[name="table"]') == cases()["with C"].text
    assert page.is_checked('[value="sum"]')
    assert "90 runs lie" in found
    assert page.locator("figcaption sup").count() == 2  # a sum, without g
