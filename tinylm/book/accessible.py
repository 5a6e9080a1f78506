"""What the theme and pandas write into pages that a screen reader stumbles over, put right."""

import re
from pathlib import Path

from tinylm.files import write_atomic

EMPTY_HEADING = re.compile(r"<th(?: class=\"[^\"]*\")?>\s*(?:<p>\s*</p>|&nbsp;)?\s*</th>")
BRAND = re.compile(r'<div class="sidebar-primary-item">(?=\s*<a class="navbar-brand)')


def accessible(page: str) -> str:
    """A page of HTML, in which an empty heading of a table is a plain cell, the name of the book
    stands in a landmark, and references have no roles that their elements do not fit.
    """
    page = EMPTY_HEADING.sub("<td></td>", page)
    page = BRAND.sub('<div class="sidebar-primary-item" role="navigation" aria-label="Book">', page)
    page = page.replace(' role="doc-biblioentry"', "")
    return page.replace('<div role="list" class="citation-list">', '<div class="citation-list">')


def make_accessible(folder: Path) -> None:
    """Put all pages of a built book right."""
    for path in folder.rglob("*.html"):
        page = path.read_text(encoding="utf-8")
        if (mended := accessible(page)) != page:
            write_atomic(path, mended)
