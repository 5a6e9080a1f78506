"""General compressors as bars: what they write can be read back, and is counted whole."""

import lzma
import math
from pathlib import Path

import brotli
import numpy as np
import pytest
import zstandard
from conftest import amount
from hypothesis import given
from hypothesis import strategies as st

from tinylm.corpora import fables
from tinylm.errors import Missing
from tinylm.store import Store
from tinylm.studies.compressors import COMPRESSORS, bits_per_byte, compressed
from tinylm.studies.findings import computing_findings

READERS = {
    "xz -9": lzma.decompress,
    "zstd --ultra -22": zstandard.ZstdDecompressor().decompress,
    "brotli -q 11": brotli.decompress,
}


@pytest.mark.parametrize("name", COMPRESSORS)
@given(content=st.binary(min_size=1, max_size=300))
def test_nothing_is_lost(name: str, content: bytes) -> None:
    assert READERS[name](COMPRESSORS[name](content)) == content


@pytest.mark.parametrize("name", COMPRESSORS)
def test_a_repeat_far_back_is_found(name: str) -> None:
    """Megabytes of noise, twice: the second time costs next to nothing."""
    noise = np.random.default_rng(0).bytes(amount(1_000_000, 4_000_000))
    assert bits_per_byte(noise, name) == pytest.approx(8, rel=0.01)
    assert bits_per_byte(2 * noise, name) == pytest.approx(4, rel=0.01)


def test_nothing_general_goes_below_the_floor(few_fables: Path) -> None:
    with pytest.raises(Missing):
        compressed(Store("smoke"))
    with computing_findings():
        compressed(Store("smoke"))
    measured = compressed(Store("smoke"))
    assert measured.bytes >= 20_000
    exact = sum(
        -fables.log_probability(fables.document("train", i)) for i in range(measured.documents)
    )
    bits = measured.floor_bits_per_byte * measured.bytes
    assert bits == pytest.approx(exact / math.log(2), rel=1e-9)
    assert set(measured.bits_per_byte) == set(COMPRESSORS)
    lowest = min(measured.bits_per_byte.values())
    assert lowest > measured.floor_bits_per_byte
    assert measured.bits_per_byte[measured.best] == lowest
