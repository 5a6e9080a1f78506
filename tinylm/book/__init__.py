"""The book: notebook pairs checked and executed, pages built, checked and served."""

from pathlib import Path

from tinylm.store import Store

CHECKOUT = Path(__file__).resolve().parent.parent.parent
NOTEBOOKS = CHECKOUT / "notebooks"


class BookError(RuntimeError):
    """The book cannot be made from what is there: one message that names the page or notebook."""


def is_committed(profile: str, source: Path = CHECKOUT) -> bool:
    """Whether the results of this profile are those kept in git, which the notebooks show."""
    return profile == "paper" and (Store(profile).folder == source.resolve() / "results" / profile)


def pages_folder(profile: str, source: Path = CHECKOUT) -> Path:
    """Where the built pages of a profile lie unless told otherwise."""
    if is_committed(profile, source):
        return source / "_build" / "html"
    return Store(profile).folder / "book"
