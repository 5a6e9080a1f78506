"""What general compressors make of a text, in bits a byte: a bar that no probability model sees."""

import lzma
from collections.abc import Callable, Mapping

import brotli
import zstandard

COMPRESSORS: Mapping[str, Callable[[bytes], bytes]] = {
    "xz -9": lambda content: lzma.compress(content, preset=9),
    "zstd --ultra -22": lambda content: zstandard.ZstdCompressor(level=22).compress(content),
    "brotli -q 11": lambda content: brotli.compress(content, quality=11, lgwin=24),
}


def bits_per_byte(content: bytes, name: str) -> float:
    """Bits that a compressor needs for each byte of a text, headers included.

    Raises:
        KeyError: a name that is not in COMPRESSORS.
        ZeroDivisionError: nothing to compress.
    """
    return 8 * len(COMPRESSORS[name](content)) / len(content)
