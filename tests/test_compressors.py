"""General compressors as bars: what they write can be read back, and is counted whole."""

import lzma

import brotli
import numpy as np
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from tinylm.studies.compressors import COMPRESSORS, bits_per_byte

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
    """Four megabytes of noise, twice: the second time costs next to nothing."""
    noise = np.random.default_rng(0).bytes(4_000_000)
    assert bits_per_byte(noise, name) == pytest.approx(8, rel=0.01)
    assert bits_per_byte(2 * noise, name) == pytest.approx(4, rel=0.01)
