"""Whose runs a chapter shows."""

import pytest

from tinylm.errors import Missing
from tinylm.store import Store
from tinylm.studies.shown import shown, shown_profile


def test_what_a_profile_lacks_is_shown_of_the_paper() -> None:
    assert shown_profile("grid", "quick") == "paper"
    assert shown_profile("grid", "smoke") == "smoke"
    assert shown_profile("model_size", "quick") == "quick"


def test_a_chapter_gets_a_study_and_is_told_whose() -> None:
    assert shown(lambda store: store, "model_size", "quick") == (Store("quick"), "")
    store, note = shown(lambda store: store, "grid", "quick")
    assert store == Store("paper")
    assert note == "The profile `quick` has no such runs; here are those of the published book. "


def test_runs_that_are_missing_are_no_reason_for_others() -> None:
    def none(store: Store) -> None:
        raise Missing(f"{store.profile} has none")

    with pytest.raises(Missing, match="smoke has none"):
        shown(none, "grid", "smoke")
