"""Find Chromium, start it without any network chatter, and serve a built book on loopback."""

import functools
import http.server
import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, Playwright, Route

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def find_chromium(playwright: Playwright) -> str | None:
    """Path of a browser: TINYLM_CHROMIUM, the system's, playwright's own; None if there is none."""
    candidates = [os.environ.get("TINYLM_CHROMIUM"), *map(shutil.which, NAMES)]
    candidates.append(playwright.chromium.executable_path)
    return next((path for path in candidates if path and Path(path).is_file()), None)


def launch(playwright: Playwright, executable: str) -> Browser:
    """Headless Chromium that talks to no one on its own account."""
    return playwright.chromium.launch(executable_path=executable, args=list(FLAGS))


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: the tests report what matters."""


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    """Serve `folder` on a free loopback port; yields its address."""
    handler = functools.partial(_Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def open_context(browser: Browser, width: int, scheme: str) -> BrowserContext:
    """A fresh profile of the given width, in the `light` or `dark` colour scheme."""
    height = 844 if width < 600 else 900
    dark = scheme == "dark"
    return browser.new_context(
        viewport={"width": width, "height": height}, color_scheme="dark" if dark else "light"
    )


class Visit:
    """A page loaded to the end, with what went wrong and what was asked of other machines."""

    def __init__(self, context: BrowserContext, address: str) -> None:
        self.page: Page = context.new_page()
        self.errors: list[str] = []
        self.outside: list[str] = []
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on(
            "console",
            lambda said: self.errors.append(said.text) if said.type == "error" else None,
        )
        self.page.route("**/*", self._only_loopback)
        self.page.goto(address, wait_until="load")
        self.page.wait_for_function("!document.querySelector('meta[http-equiv=Refresh]')")
        self.page.wait_for_load_state("load")
        self._settle()

    def _only_loopback(self, route: Route) -> None:
        url = urlsplit(route.request.url)
        if url.scheme in {"http", "https", "ws", "wss"} and url.hostname != "127.0.0.1":
            self.outside.append(route.request.url)
            route.abort()
        else:
            route.continue_()

    def _settle(self) -> None:
        """Scroll through, so that lazy images load, and wait for fonts and mathematics."""
        self.page.evaluate(
            """async () => {
                document.querySelectorAll('img').forEach(image => { image.loading = 'eager'; });
                await Promise.all([...document.images].map(i => i.decode().catch(() => {})));
                await document.fonts.ready;
                if (window.MathJax?.startup) await window.MathJax.startup.promise;
            }"""
        )

    def overflow(self) -> list[str]:
        """What sticks out to the right, if the page can be scrolled sideways."""
        found: list[str] = self.page.evaluate(
            """() => {
                const room = document.documentElement.clientWidth;
                if (document.documentElement.scrollWidth <= room) return [];
                const wide = [...document.querySelectorAll('body *')]
                    .filter(element => element.getBoundingClientRect().right > room + 1);
                return wide.slice(0, 5).map(e => e.tagName + '.' + e.className);
            }"""
        )
        return found

    def barriers(self) -> list[str]:
        """What axe-core finds that keeps people from reading or using the page."""
        found = Axe().run(self.page).response["violations"]
        return [f"{one['id']}: {node['html'][:80]}" for one in found for node in one["nodes"]]

    def broken_images(self) -> list[str]:
        """Addresses of the images that did not load."""
        found: list[str] = self.page.evaluate(
            "() => [...document.images].filter(i => i.naturalWidth === 0).map(i => i.src)"
        )
        return found

    def plain_mathematics(self) -> list[str]:
        """Formulas that were not typeset."""
        found: list[str] = self.page.evaluate(
            """() => [...document.querySelectorAll('article .math')]
                .filter(formula => !formula.querySelector('mjx-container mjx-math')
                                   || formula.querySelector('mjx-merror'))
                .map(formula => formula.textContent)"""
        )
        return found

    def stuck_controls(self) -> list[str]:
        """Controls over drawn frames (`tlm-frames`) that show no other frame when moved."""
        found: list[str] = self.page.evaluate(
            """() => {
                const shown = box => [...box.querySelectorAll('.tlm-frame')]
                    .map(frame => getComputedStyle(frame).display !== 'none').join();
                const stuck = [];
                for (const box of document.querySelectorAll('.tlm-frames'))
                    for (const control of box.querySelectorAll('input[type=range], select')) {
                        const last = control.max ?? control.options[control.length - 1].value;
                        const before = shown(box);
                        control.value = control.value === last ? '0' : last;
                        control.dispatchEvent(new Event('input', {bubbles: true}));
                        const after = shown(box);
                        if (after === before || !after.includes('true'))
                            stuck.push(control.outerHTML.slice(0, 80));
                    }
                return stuck;
            }"""
        )
        return found
