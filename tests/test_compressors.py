"""General compressors as bars: what they write can be read back, and is counted whole."""

import lzma

import brotli
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from tinylm.compressors import COMPRESSORS, bits_per_byte

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
    """Two megabytes, twice: the second time costs next to nothing."""
    content = bytes(x * x * 7919 % 65_521 % 256 for x in range(2_000_000))
    once, twice = bits_per_byte(content, name), bits_per_byte(2 * content, name)
    assert twice == pytest.approx(once / 2, rel=0.02)
