"""Built pages as a screen reader wants them."""

from pathlib import Path

import pytest

from tinylm.book.accessible import accessible, make_accessible


@pytest.mark.parametrize(
    "heading", ["<th></th>", '<th class="head"><p></p></th>', "<th>&nbsp;</th>", "<th>\n</th>"]
)
def test_an_empty_heading_is_a_plain_cell(heading: str) -> None:
    assert accessible(f"<tr>{heading}<th>N</th></tr>") == "<tr><td></td><th>N</th></tr>"


def test_headings_that_say_something_stay() -> None:
    page = '<tr><th class="head"><p>N</p></th><th scope="row">0</th></tr>'
    assert accessible(page) == page


def test_the_name_of_the_book_stands_in_a_landmark() -> None:
    brand, other = '<a class="navbar-brand logo" href="#">', "<button>Search</button>"
    page = f'<div class="sidebar-primary-item">\n{brand}</a></div>'
    page += f'<div class="sidebar-primary-item">{other}</div>'
    found = accessible(page)
    assert found.count('role="navigation" aria-label="Book"') == 1
    assert f'<div class="sidebar-primary-item">{other}</div>' in found


def test_references_have_no_roles_that_do_not_fit() -> None:
    entry = '<div class="citation" id="id1" role="doc-biblioentry">'
    found = accessible(f'<div role="list" class="citation-list">{entry}</div></div>')
    assert found == '<div class="citation-list"><div class="citation" id="id1"></div></div>'


def test_every_page_of_a_folder_is_put_right(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    page = tmp_path / "deep" / "page.html"
    page.write_text("<th></th>", encoding="utf-8")
    make_accessible(tmp_path)
    assert page.read_text(encoding="utf-8") == "<td></td>"
