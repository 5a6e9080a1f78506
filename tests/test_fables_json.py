"""What fables.json and the prose pages say of fables."""

import json
from pathlib import Path

import pytest
from planted_fables import plant, reported

from tinylm.store import Store
from tinylm.studies.cuts import CUTS, FablesStudy, grid
from tinylm.studies.fables_json import fables_numbers, write_fables
from tinylm.studies.findings import computing_findings

SIZES = CUTS["N"]
SMOKE = Store("smoke")


def numbers(study: FablesStudy) -> dict[str, str | int]:
    with computing_findings():
        return fables_numbers(study)


def test_what_has_no_law_yet_is_null(few_fables: Path) -> None:
    plant(grid(SMOKE, SIZES)[:3], lambda n, d: 1.0, reported().floor.nats)
    with computing_findings():
        path = write_fables(reported())
    content = json.loads(path.read_text())
    assert content["cuts"]["N"]["measured"] is None
    assert content["cuts"]["N"]["runs"] == 3
    assert content["exponents"]["heavy"]["D"]["predicted"] == pytest.approx(0.2)
    assert content["exponents"]["heavy"]["D"]["measured"] is None
    assert set(content["entropy"]) == {"default", "heavy", "light"}
    lowest = min(content["compressors"]["bits_per_byte"].values())
    assert lowest > content["compressors"]["floor_bits_per_byte"]


def test_prose_says_what_is_not_yet_measured(few_fables: Path) -> None:
    before = numbers(reported())
    assert (before["fables_runs"], before["fables_gpt"]) == (0, "not yet measured")
    plant(grid(SMOKE, SIZES), lambda n, d: 30 * n**-0.5, reported().floor.nats)
    after = numbers(reported())
    assert after["fables_runs"] == 8
    assert after["fables_fold"] == "4.0-fold"
    assert after["fables_lower"] == "nothing"


def test_prose_says_if_something_goes_below_the_floor(few_fables: Path) -> None:
    floor = reported().floor.nats
    plant(grid(SMOKE, SIZES), lambda n, d: 0.01 - floor, floor)
    assert numbers(reported())["fables_lower"] == "something wrongly"
