"""The codecs that `bench store` compares: the presets of this package, and others if installed."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import numcodecs
import numpy as np

from spectralearth_build.store.codec import (
    CHECKSUM_BYTES,
    PRESETS,
    SCRATCH_WORDS,
    Patch,
    accumulate,
    decode_into,
    difference,
    encode_patch,
)

OTHER = "other"
LIMIT = "limit"
_own = threading.local()


@dataclass(frozen=True)
class Coder:
    """A lossless coder of patches."""

    name: str
    """Name in the table."""
    kind: str
    """``preset``, ``limit`` (decompression alone) or ``other``."""
    encode: Callable[[Patch], Any]
    """Encodes int16 [202, 128, 128] to anything with a length."""
    decode: Callable[[Any, Patch], None]
    """Decodes into memory of the caller, C-contiguous."""


def coders() -> Iterator[Coder]:
    """Yield all available codecs."""
    for name in PRESETS:
        yield _preset(name)
        yield _bare(name)
    for level, shuffle in ((5, numcodecs.Blosc.BITSHUFFLE), (5, numcodecs.Blosc.SHUFFLE)):
        how = "bits" if shuffle == numcodecs.Blosc.BITSHUFFLE else "bytes"
        yield _plain(f"blosc zstd-{level}, {how} shuffled", numcodecs.Blosc("zstd", level, shuffle))
    yield _plain("blosc lz4, bits shuffled", numcodecs.Blosc("lz4", 5, numcodecs.Blosc.BITSHUFFLE))
    yield _plain("zstd-3", numcodecs.Zstd(3))
    yield _plain("gzip-6", numcodecs.GZip(6))
    yield _delta("band delta + blosc zstd-3", numcodecs.Blosc("zstd", 3, numcodecs.Blosc.BITSHUFFLE, 1 << 20))
    if find_spec("pcodec"):
        yield _pcodec()
    if find_spec("imagecodecs"):
        yield from _images()


def _preset(name: str) -> Coder:
    return Coder(
        name,
        "preset",
        lambda patch: encode_patch(patch, name),
        lambda data, out: decode_into(data, out, name),
    )


def _bare(name: str) -> Coder:
    """Return only the blosc part of a preset, without checksum and transform, so that the output is not the patch."""
    blosc = numcodecs.Blosc()

    def decode(data: bytes, out: Patch) -> None:
        body = memoryview(data)[:-CHECKSUM_BYTES]
        size = int.from_bytes(body[4:8], "little")
        if size == out.nbytes:
            blosc.decode(body, out)
            return
        if not hasattr(_own, "words"):
            _own.words = np.empty(SCRATCH_WORDS, np.uint16)
        blosc.decode(body, _own.words[: size // 2])

    return Coder(f"{name}, blosc alone", LIMIT, lambda patch: encode_patch(patch, name), decode)


def _plain(name: str, codec: Any) -> Coder:  # noqa: ANN401
    return Coder(name, OTHER, codec.encode, codec.decode)


def _delta(name: str, codec: Any) -> Coder:  # noqa: ANN401
    def decode(data: bytes, out: Patch) -> None:
        codec.decode(data, out)
        accumulate(out, 0)

    return Coder(name, OTHER, lambda patch: codec.encode(difference(patch, 0)), decode)


def _pcodec() -> Coder:
    from pcodec import ChunkConfig, DeltaSpec, ModeSpec, PagingSpec, standalone

    config = ChunkConfig(
        compression_level=8,
        delta_spec=DeltaSpec.no_op(),
        mode_spec=ModeSpec.classic(),
        paging_spec=PagingSpec.equal_pages_up_to(1 << 17),
    )

    def decode(data: bytes, out: Patch) -> None:
        standalone.simple_decompress_into(data, out.reshape(-1))
        accumulate(out, 0)

    return Coder(
        "band delta + pcodec-8",
        OTHER,
        lambda patch: standalone.simple_compress(difference(patch, 0).reshape(-1), config),
        decode,
    )


def _images() -> Iterator[Coder]:
    """Yield image codecs, applied band by band to differences as uint16."""
    import imagecodecs

    def of_bands(name: str, encode: Callable[[Any], bytes], decode: Callable[[bytes], Any]) -> Coder:
        def pack(patch: Patch) -> bytes:
            parts = [encode(band) for band in difference(patch, 0, zigzag=True).view(np.uint16)]
            return b"".join(len(part).to_bytes(4, "little") + part for part in parts)

        def unpack(data: bytes, out: Patch) -> None:
            at = 0
            for band in out:
                stop = at + 4 + int.from_bytes(data[at : at + 4], "little")
                band[:] = decode(data[at + 4 : stop]).view(np.int16)
                at = stop
            accumulate(out, 0, zigzag=True)

        return Coder(f"band delta + {name}", OTHER, pack, unpack)

    if imagecodecs.JPEGXL.available:
        yield of_bands(
            "JPEG XL",
            lambda band: bytes(imagecodecs.jpegxl_encode(band, lossless=True, effort=3, numthreads=1)),
            lambda data: imagecodecs.jpegxl_decode(data, numthreads=1),
        )
    if imagecodecs.JPEGLS.available:
        yield of_bands(
            "JPEG-LS", lambda band: bytes(imagecodecs.jpegls_encode(band)), imagecodecs.jpegls_decode
        )
