"""The book: notebook pairs checked and executed, pages built, checked and served."""

from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent.parent
NOTEBOOKS = CHECKOUT / "notebooks"


class BookError(RuntimeError):
    """The book cannot be made from what is there: one message that names the page or notebook."""


def results_folder(profile: str) -> Path:
    """`results/<profile>/`."""
    from tinylm.store import Store  # not above: the command line would wait for torch

    return Store(profile).folder


def is_committed(profile: str, source: Path = CHECKOUT) -> bool:
    """Whether the results of this profile are those kept in git, which the notebooks show."""
    return profile == "paper" and (
        results_folder(profile) == source.resolve() / "results" / profile
    )


def pages_folder(profile: str, source: Path = CHECKOUT) -> Path:
    """Where the built pages of a profile lie unless told otherwise."""
    if is_committed(profile, source):
        return source / "_build" / "html"
    return results_folder(profile) / "book"
