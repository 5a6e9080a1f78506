"""What a name asks for that is no corpus of this package: a path, or a data set of the hub.

    notes.txt                        a file, or a folder of files
    ./poems?documents=files          with options after a question mark, as in a web address
    hub:owner/name?column=story      a data set of the Hugging Face hub

Values may hold %0A for a line break, and other characters as %XX.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import unquote

from tinylm.errors import BadInput

HUB = "hub:"
HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")
SUFFIXES = (".txt", ".md", ".jsonl", ".csv", ".parquet")
BY = ("blank-lines", "files", "pieces")  # what makes a document, but for a separator
OPTIONS = {
    "path": ("column", "documents", "separator"),
    "hub": ("column", "config", "split"),
}
OPTIONS_BEGIN = re.compile(r"\?(?=[a-z]+=)")


@dataclass(frozen=True)
class Address:
    """A path or a data set of the hub, and options."""

    kind: Literal["path", "hub"]
    place: str  # the path, or OWNER/NAME
    options: Mapping[str, str]

    @property
    def path(self) -> Path:
        """Where the file or folder is."""
        return Path(self.place).expanduser()

    @property
    def folder(self) -> str:
        """A name for its files in `data/`: short, of one part, and this address's alone."""
        whole = f"{self.kind} {self.place} {sorted(self.options.items())}"
        stem = re.sub(r"\W+", "-", Path(self.place).stem).strip("-").lower()[:40] or "text"
        return f"own-{stem}-{hashlib.sha256(whole.encode()).hexdigest()[:8]}"


def is_address(name: str) -> bool:
    """Whether a name is meant as a path or a data set of the hub: it has a slash, a colon after
    `hub`, or the suffix of a file that can be read.
    """
    place = OPTIONS_BEGIN.split(name, maxsplit=1)[0]
    marks = name.startswith((HUB, ".", "~")) or "/" in place or "\\" in place
    return marks or place.lower().endswith(SUFFIXES)


def parse_address(name: str) -> Address:
    """The address that a name is.

    Raises:
        BadInput: an option that it cannot have, one without a value, or a data set without owner.
    """
    place, *rest = OPTIONS_BEGIN.split(name, maxsplit=1)
    kind: Literal["path", "hub"] = "hub" if place.startswith(HUB) else "path"
    place = place.removeprefix(HUB)
    if kind == "hub" and not HUB_NAME.fullmatch(place):
        here = "; without hub: it is a file here" if Path(place).expanduser().exists() else ""
        raise BadInput(f"corpus {name!r}: expected hub:OWNER/NAME, as the hub calls it{here}")
    options: dict[str, str] = {}
    for part in rest[0].split("&") if rest else []:
        key, equals, value = part.partition("=")
        if key not in OPTIONS[kind]:
            known = ", ".join(OPTIONS[kind])
            raise BadInput(f"corpus {name!r}: unknown option {key!r}; expected one of {known}")
        if not equals or not value:
            raise BadInput(f"corpus {name!r}: option {key} has no value; expected {key}=...")
        options[key] = unquote(value)
    by = options.get("documents", BY[0])
    if by not in BY:
        raise BadInput(f"corpus {name!r}: documents={by}; expected one of {', '.join(BY)}")
    if "separator" in options and "documents" in options:
        raise BadInput(f"corpus {name!r}: separator beside documents; expected one of them")
    return Address(kind, place, options)
