"""Measurements that are kept are not made again, but for another key."""

from pathlib import Path

import pytest

from tinylm.errors import TinyLMError
from tinylm.studies.kept import measured_once, read_kept


def test_a_measurement_is_made_once_a_key(tmp_path: Path) -> None:
    made: list[int] = []

    def measure() -> dict[str, int]:
        made.append(1)
        return {"value": len(made)}

    path = tmp_path / "floors" / "kept.json"
    assert read_kept(path) is None
    first = measured_once(path, {"version": "1"}, measure)
    assert first == measured_once(path, {"version": "1"}, measure) == {"version": "1", "value": 1}
    assert read_kept(path) == first
    assert measured_once(path, {"version": "2"}, measure) == {"version": "2", "value": 2}


@pytest.mark.parametrize("content", ["{", "[1]"])
def test_a_damaged_file_is_named(tmp_path: Path, content: str) -> None:
    path = tmp_path / "kept.json"
    path.write_text(content)
    with pytest.raises(TinyLMError, match=r"kept\.json is damaged .* delete it"):
        measured_once(path, {}, dict)
