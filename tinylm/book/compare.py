"""What a cell shows, held against what it showed before: words exactly, numbers as far as shown.

Another processor adds in another order, so the last bit of a sum differs there, and now and then
the last digit that a chapter prints. Everything else must be equal. The rule:

- Every character outside numbers is equal: words, units, names, tables, the count of rows.
- A number is within one unit of its last digit: 0.146 may become 0.145, never 0.148. In a cell
  tagged `iterative`, whose numbers an optimiser or a bootstrap leaves less exact, a relative
  difference of 1e-3 passes too.
- A whole number is a count and is equal (24 records, 98,752 parameters, 2026), unless it shows
  that it was measured: by a %, k, M, G, T or P, a power of ten, nats or bits after it, or a ±
  before or after it. 49 % may become 48 %.
- Digits inside a word or after a # belong to it: ids, hashes, colours, versions, sizes such as
  720x432 are equal.
- Where a number becomes longer or shorter (9.99, 10.00), the blanks that align a table around it
  may differ in number.
- PNG and JPEG data inside HTML is skipped, as nbval skips it outside; their alternative texts are
  not. Coordinates inside an SVG may move by half a unit, and the hashes by which matplotlib names
  its parts may change. Letters drawn as paths are compared as paths: `svg.fonttype: none` keeps
  them text.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from itertools import takewhile

DRAWN_TOLERANCE = Decimal("0.5")  # units of an SVG, points in matplotlib's
CONTEXT = 30  # characters shown on either side of a difference

_SUPERSCRIPTS = str.maketrans("⁻⁺⁰¹²³⁴⁵⁶⁷⁸⁹", "-+0123456789")
_PREFIXES = {"": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15}
_BLANK = "[ \u00a0\u202f]"  # numbers are kept from their units by blanks that do not break
_E_POWER = r"[eE][-+]?[0-9]{1,3}(?!\w)"
_TOKEN = re.compile(
    rf"""
    (?P<picture> data:image/(?:png|jpeg);base64,[A-Za-z0-9+/=\s]* )
    | (?P<word>
        \#\w+ | [^\W\d]\w*  # a colour or an anchor; a name
        | [0-9]+(?:\.[0-9]+){{2,}}  # a version
        | (?! [0-9]+{_E_POWER} ) [0-9]+ [^\W\d] \w*? [0-9] \w*  # a hash, 720x432
      )
    | (?P<number>
        (?P<sign> (?<! [\w)\]%] ) [-+−] )?
        (?P<digits> [0-9]{{1,3}}(?:,[0-9]{{3}})+(?![0-9]) | [0-9]+ )
        (?P<decimals> \.[0-9]+ )?
        (?P<power> {_E_POWER} | {_BLANK}?[×·]{_BLANK}?10[⁻⁺]?[⁰¹²³⁴⁵⁶⁷⁸⁹]{{1,3}} )?
        (?P<prefix> [kMGTP](?!\w) )?
        (?P<measured> (?= {_BLANK}? (?: % | (?:nats|bits)\b | ± ) ) )?
      )
    """,
    re.VERBOSE,
)
_SVG = re.compile(r"<svg\b.*?</svg>", re.DOTALL)
_HASHED_ID = re.compile(r'\bid="([A-Za-z]+[0-9a-f]{10})"')
_COORDINATES = re.compile(
    r'\s(?:d|points|viewBox|width|height|[xyr]|[xy][12]|[cdr][xy])="([^"]*)"|translate\(([^)]*)\)'
)
_COORDINATE = re.compile(r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?")


@dataclass(frozen=True)
class Number:
    """A number of a text: as shown, what it says, and by how much that may differ."""

    shown: str
    value: Decimal
    tolerance: Decimal  # one unit of its last digit; none of a count

    def agrees(self, other: "Number", relative: Decimal) -> bool:
        """Whether both say the same, by the rule of this module."""
        apart = abs(self.value - other.value)
        tolerances = [self.tolerance, other.tolerance]
        if not any(tolerances):
            return not apart
        # 1e+12 and 9.99e+11: by the digits of the one that shows more
        finer = min(tolerance for tolerance in tolerances if tolerance)
        return apart <= max(finer, relative * max(abs(self.value), abs(other.value)))


@dataclass(frozen=True)
class Reading:
    """A text taken apart: words[0] numbers[0] words[1] ... words[-1]."""

    words: list[str]
    numbers: list[Number]

    def around(self, place: int, into: int) -> str:
        """The text about the character `into` of words[place], or at the end."""
        shown = [*(number.shown for number in self.numbers), ""]
        pieces = [piece for pair in zip(self.words, shown, strict=True) for piece in pair]
        start = sum(map(len, pieces[: 2 * place])) + into
        return "".join(pieces)[max(0, start - CONTEXT) : start + CONTEXT]


def difference(before: str, now: str, relative: float = 0.0) -> str | None:
    """What of `before` is not in `now`, as a sentence; None if the texts agree.

    `relative` is what numbers that are no counts may differ by, beside a unit of the last digit.
    """
    if before == now:
        return None
    old, new = read(before), read(now)
    numbers = list(zip(old.numbers, new.numbers, strict=False))
    aligned_anew = any(len(a.shown) != len(b.shown) for a, b in numbers)
    for place, (was, word) in enumerate(zip(old.words, new.words, strict=False)):
        if not _same_words(was, word, aligned_anew):
            alike = zip(was, word, strict=False)
            into = len([*takewhile(lambda pair: pair[0] == pair[1], alike)])
            return f"text {old.around(place, into)!r} is now {new.around(place, into)!r}"
    for place, (number, later) in enumerate(numbers):
        if not number.agrees(later, Decimal(str(relative))):
            where = new.around(place, len(new.words[place]))
            return f"number {number.shown} is now {later.shown} in {where!r}"
    if len(old.words) != len(new.words):
        return f"{len(old.numbers)} numbers are now {len(new.numbers)}"
    return None


def read(text: str) -> Reading:
    """Take a text apart into numbers and what stands between them; picture data is left out."""
    words, numbers = [""], []
    for part, drawn in _parts(_SVG.sub(_with_plain_ids, text)):
        end = 0
        for match in (_COORDINATE if drawn else _TOKEN).finditer(part):
            words[-1] += part[end : match.start()]
            end = match.end()
            if drawn:
                numbers.append(Number(match[0], Decimal(match[0]), DRAWN_TOLERANCE))
            elif match["number"]:
                numbers.append(_number(match))
            else:
                words[-1] += match["word"] or ""
                continue
            words.append("")
        words[-1] += part[end:]
    return Reading(words, numbers)


def _same_words(was: str, word: str, aligned_anew: bool) -> bool:
    if aligned_anew:
        was, word = (re.sub(" +", " ", each) for each in (was, word))
    return was == word


def _number(match: re.Match[str]) -> Number:
    """Its value and unit, from the groups of `_TOKEN`."""
    power = (match["power"] or "e0").translate(_SUPERSCRIPTS)
    exponent = int(re.split("[eE]|10", power, maxsplit=1)[1]) + _PREFIXES[match["prefix"] or ""]
    sign = "-" if match["sign"] in ("-", "−") else ""
    decimals = match["decimals"] or ""
    value = Decimal(sign + match["digits"].replace(",", "") + decimals).scaleb(exponent)
    before = match.string[max(0, match.start() - 2) : match.start()]
    counted = not (decimals or match["power"] or match["prefix"] or before.rstrip().endswith("±"))
    if counted and match["measured"] is None:
        return Number(match[0], value, Decimal(0))
    return Number(match[0], value, Decimal(1).scaleb(exponent - max(0, len(decimals) - 1)))


def _with_plain_ids(svg: re.Match[str]) -> str:
    """An SVG whose parts are numbered where matplotlib names them by a hash of what they draw."""
    text = svg[0]
    for place, name in enumerate(dict.fromkeys(_HASHED_ID.findall(text))):
        text = text.replace(name, f"part{place}")
    return text


def _parts(text: str) -> Iterator[tuple[str, bool]]:
    """The text in pieces, each with whether it holds coordinates of an SVG."""
    end = 0
    for svg in _SVG.finditer(text):
        for match in _COORDINATES.finditer(text, svg.start(), svg.end()):
            group = 1 if match[1] is not None else 2
            yield text[end : match.start(group)], False
            yield match[group], True
            end = match.end(group)
    yield text[end:], False
