"""Icons of a built book without what no page shows: the theme brings 2,000 of them, in a script of
1.5 MB and again in a font. The font is kept, with those icons that are used.
"""

import re
from collections.abc import Iterable
from io import BytesIO
from pathlib import Path

from fontTools.subset import Options, Subsetter
from fontTools.ttLib import TTFont

from tinylm.files import write_atomic

SCRIPT = re.compile(r"\s*<script[^>]*/scripts/fontawesome\.js[^>]*></script>")
ICON = re.compile(r"\bfa-[a-z0-9-]+")
RULE = re.compile(r'((?:\.fa-[a-z0-9-]+:before,?)+)\{content:"(\\[0-9a-f]+|[^"\\])\s?"\}')
ESCAPE = re.compile(r"\\(f[0-9a-f]{3}|e[0-9a-f]{3})\b")
PRIVATE = range(0xE000, 0xF900)  # where icons stand in Unicode
STYLE = Path("_static/styles/pydata-sphinx-theme.css")
FONT = Path("_static/vendor/fontawesome/webfonts/fa-solid-900.woff2")


def lighten(folder: Path) -> None:
    """Leave in a built book only the icons that its pages, scripts and styles name."""
    pages = list(folder.rglob("*.html"))
    scripts = [path for path in folder.rglob("*.js") if path.name != "fontawesome.js"]
    named: set[str] = set()
    for path in [*pages, *scripts]:
        named.update(ICON.findall(path.read_text(encoding="utf-8")))
    style = (folder / STYLE).read_text(encoding="utf-8")
    kept = keep_rules(style, named)
    write_atomic(folder / STYLE, kept)
    others = (path.read_text(encoding="utf-8") for path in folder.rglob("*.css"))
    codes = set().union(*map(private_codes, others))
    write_atomic(folder / FONT, subset_font((folder / FONT).read_bytes(), codes))
    for path in pages:
        page = path.read_text(encoding="utf-8")
        if (light := SCRIPT.sub("", page)) != page:
            write_atomic(path, light)
    for path in (folder / "_static" / "scripts").glob("fontawesome.js*"):
        path.unlink()


def keep_rules(style: str, named: Iterable[str]) -> str:
    """A style sheet without the rules of icons that are not named."""
    wanted = set(named)

    def keep(rule: re.Match[str]) -> str:
        return rule.group() if wanted & set(ICON.findall(rule.group(1))) else ""

    return RULE.sub(keep, style)


def private_codes(style: str) -> set[int]:
    """Code points of icons that a style sheet shows, as characters or escaped."""
    escaped = {int(code, 16) for code in ESCAPE.findall(style)}
    return escaped | {ord(char) for char in style if ord(char) in PRIVATE}


def subset_font(font: bytes, codes: Iterable[int]) -> bytes:
    """A web font with some characters only."""
    options = Options(flavor="woff2", layout_features=[], notdef_outline=True)
    opened = TTFont(BytesIO(font))
    subsetter = Subsetter(options)
    subsetter.populate(unicodes=list(codes))
    subsetter.subset(opened)
    opened.flavor = "woff2"
    out = BytesIO()
    opened.save(out)
    return out.getvalue()
