"""Built books without the icons that no page shows."""

from io import BytesIO
from pathlib import Path

import pytest
from fontTools.fontBuilder import FontBuilder
from fontTools.ttLib import TTFont

from tinylm.book.lighter import FONT, STYLE, keep_rules, lighten, private_codes

ICONS = {"bars": 0xF0C9, "moon": 0xF186, "bell": 0xF0F3, "music": 0xF001}
RULES = "".join(f'.fa-{name}:before{{content:"\\{code:x}"}}' for name, code in ICONS.items())


def font() -> bytes:
    """A web font in which each icon is an empty glyph."""
    builder = FontBuilder(1000, isTTF=False)
    names = [".notdef", *ICONS]
    builder.setupGlyphOrder(names)
    builder.setupCharacterMap({code: name for name, code in ICONS.items()})
    builder.setupCFF("Icons", {}, {name: _outline() for name in names}, {})
    builder.setupHorizontalMetrics(dict.fromkeys(names, (500, 0)))
    builder.setupHorizontalHeader()
    builder.setupNameTable({"familyName": "Icons", "styleName": "Solid"})
    builder.setupOS2()
    builder.setupPost()
    builder.font.flavor = "woff2"
    out = BytesIO()
    builder.save(out)
    return out.getvalue()


def _outline() -> object:
    from fontTools.pens.t2CharStringPen import T2CharStringPen

    pen = T2CharStringPen(500, None)
    pen.moveTo((0, 0))
    pen.lineTo((500, 0))
    pen.lineTo((250, 500))
    pen.closePath()
    return pen.getCharString()


@pytest.fixture
def book(tmp_path: Path) -> Path:
    """One that shows two icons by name, one in a style and one not at all."""
    for path in (STYLE, FONT, Path("_static/scripts/fontawesome.js")):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / STYLE).write_text(RULES + ':root{--pst-icon-bell:"\\f0f3"}', encoding="utf-8")
    (tmp_path / FONT).write_bytes(font())
    (tmp_path / "_static/scripts/fontawesome.js").write_text("icons", encoding="utf-8")
    (tmp_path / "_static/own.js").write_text("add('fa-moon')", encoding="utf-8")
    (tmp_path / "page.html").write_text(
        '<script defer src="_static/scripts/fontawesome.js?digest=1"></script>'
        '<script src="own.js"></script><i class="fa-solid fa-bars"></i>',
        encoding="utf-8",
    )
    return tmp_path


def test_only_icons_that_are_shown_stay(book: Path) -> None:
    lighten(book)
    assert set(TTFont(book / FONT).getBestCmap()) == {0xF0C9, 0xF186, 0xF0F3}
    style = (book / STYLE).read_text(encoding="utf-8")
    assert ".fa-bars" in style
    assert ".fa-music" not in style
    assert (book / "page.html").read_text(encoding="utf-8") == (
        '<script src="own.js"></script><i class="fa-solid fa-bars"></i>'
    )
    assert not (book / "_static/scripts/fontawesome.js").exists()


def test_a_second_time_changes_nothing(book: Path) -> None:
    lighten(book)
    before = (book / STYLE).read_bytes(), TTFont(book / FONT).getBestCmap()
    lighten(book)
    assert before == ((book / STYLE).read_bytes(), TTFont(book / FONT).getBestCmap())


def test_a_rule_of_several_names_stays_for_any_of_them() -> None:
    rule = '.fa-bars:before,.fa-navicon:before{content:"\\f0c9"}'
    assert keep_rules(rule + ".x{top:0}", ["fa-navicon"]) == rule + ".x{top:0}"
    assert keep_rules(rule + ".x{top:0}", ["fa-bar"]) == ".x{top:0}"


def test_codes_are_read_as_characters_and_escaped() -> None:
    assert private_codes('a{content:"\uf071"} b{content:"\\f303"} c{color:#f303}') == {
        0xF071,
        0xF303,
    }
