"""Take a picture of every page of a built book: wide and narrow, light and dark.

python tests/browser/screenshots.py BOOK_FOLDER PICTURES_FOLDER [PAGE ...]
"""

import sys
from pathlib import Path

from chromium import Visit, find_chromium, launch, open_context, serving
from playwright.sync_api import sync_playwright

from tinylm.book import CHECKOUT
from tinylm.book.build import toc_pages


def main(book: Path, pictures: Path, pages: list[str]) -> None:
    """Write PAGE-WIDTH-SCHEME.png for each page."""
    pictures.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright, serving(book) as address:
        executable = find_chromium(playwright)
        if executable is None:
            sys.exit("no Chromium found; install one or name it in TINYLM_CHROMIUM")
        browser = launch(playwright, executable)
        for width in (1280, 390):
            for scheme in ("light", "dark"):
                context = open_context(browser, width, scheme)
                for page in pages:
                    visit = Visit(context, f"{address}/{page}.html")
                    name = f"{page.replace('/', '-')}-{width}-{scheme}.png"
                    visit.page.screenshot(path=pictures / name, full_page=True)
                    visit.page.close()
                context.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:] or toc_pages(CHECKOUT))
