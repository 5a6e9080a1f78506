"""What general compressors make of a text, in bits per byte: a bar set by no probability model."""

import lzma
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import brotli
import zstandard

from tinylm.corpora.fables import VERSION
from tinylm.corpora.fables.check import counted_document
from tinylm.store import Store
from tinylm.studies.findings import finding

COMPRESSORS: Mapping[str, Callable[[bytes], bytes]] = {
    "xz -9": lambda content: lzma.compress(content, preset=9),
    "zstd --ultra -22": lambda content: zstandard.ZstdCompressor(level=22).compress(content),
    "brotli -q 11": lambda content: brotli.compress(content, quality=11, lgwin=24),
}
COMPRESSED_BYTES = {"smoke": 200_000, "quick": 2_000_000, "paper": 64_000_000, "full": 64_000_000}


def bits_per_byte(content: bytes, name: str) -> float:
    """Bits that a compressor needs for each byte of a text, headers included.

    Raises:
        KeyError: a name that is not in COMPRESSORS.
        ZeroDivisionError: nothing to compress.
    """
    return 8 * len(COMPRESSORS[name](content)) / len(content)


@dataclass(frozen=True)
class Compressed:
    """One long text of fables, and what it takes to write it down."""

    documents: int
    bytes: int
    floor_bits_per_byte: float  # its exact code length
    bits_per_byte: Mapping[str, float]  # by compressor

    @property
    def best(self) -> str:
        """The compressor that needs fewest bits."""
        return min(self.bits_per_byte, key=lambda name: self.bits_per_byte[name])


def compressed(store: Store) -> Compressed:
    """What each compressor makes of one long text of fables, as a finding; it takes minutes.

    Raises:
        Missing: it was not computed yet, and this is no `tinylm report`.
    """
    wanted = COMPRESSED_BYTES[store.profile]

    def compute() -> Compressed:
        texts: list[str] = []
        size, nats = 0, 0.0
        while size < wanted:
            text, cost = counted_document(len(texts), "default")
            texts.append(text)
            size, nats = size + len(text), nats + cost
        content = "\n".join(texts).encode()
        return Compressed(
            documents=len(texts),
            bytes=len(content),
            floor_bits_per_byte=nats / math.log(2) / len(content),
            bits_per_byte={name: bits_per_byte(content, name) for name in COMPRESSORS},
        )

    return finding(
        store, "compressors", [], (__name__,), compute, version=VERSION, asked_bytes=wanted
    )
