"""What is said of the law of one's own text follows from its runs."""

from dataclasses import replace
from pathlib import Path

import pytest
from test_own_law import made, truth

from tinylm.laws.table_words import NO_LAW
from tinylm.studies.own_law_words import doubts


def test_doubts_follow_from_the_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    law = made(tmp_path, truth, monkeypatch)
    law = replace(law, runs=law.runs.assign(train_nats=law.runs["loss"]))
    calm = " ".join(doubts(law))
    assert "by heart" not in calm
    assert "read the text" not in calm
    runs = law.runs.assign(unique_tokens=100_000, train_nats=law.runs["loss"] - 0.3)
    read = " ".join(doubts(replace(law, runs=runs)))
    assert "read the text 4.0 times" in read
    assert "0.30 nats below" in read
    surface = law.fits["sum"].surface
    apart = law.fits | {
        "power": replace(law.fits["sum"], surface=replace(surface, E=surface.E + 0.3))
    }
    assert "part beyond them" in " ".join(doubts(replace(law, fits=apart)))
    apart["power"] = replace(apart["power"], misfit=NO_LAW + 1)  # it does not describe them
    told = replace(law, fits=apart | {"ends": apart["power"]})
    assert "part beyond them" not in " ".join(doubts(told))
