"""Whose runs a chapter shows: those of the reader's profile, or the published ones."""

from collections.abc import Callable
from typing import TypeVar

from tinylm.store import Store
from tinylm.sweeps.declare import load_experiment

Study = TypeVar("Study")


def shown_profile(experiment: str, profile: str) -> str:
    """The profile whose runs of an experiment a chapter shows: this one where it asks for any, or
    the published `paper`, or `second` or `first`, whose runs had an earlier recipe, or `next`,
    whose are not all made.
    """
    asked = load_experiment(experiment).profiles
    return next(one for one in (profile, "paper", "second", "first", "next") if one in asked)


def shown(make: Callable[[Store], Study], experiment: str, profile: str) -> tuple[Study, str]:
    """What `make` finds in the results that a chapter shows, those of `shown_profile`; and the
    sentence that a reader is owed who asked for another profile, else ''.

    Raises:
        TinyLMError: as `make`, such as Missing for runs that have not ended.
    """
    source = shown_profile(experiment, profile)
    note = f"The profile `{profile}` has no such runs; here are those of the published book. "
    same = source == profile or profile == "paper"  # whose pages are the published ones
    return make(Store(source)), "" if same else note
