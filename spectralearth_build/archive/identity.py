"""Digests of a product's content, with which cut checks that it reads what scan read.

Small files are hashed completely. The image takes long to read, so only its size, its grid, and pieces of blocks spread
over bands and ground are hashed, with their positions in the file. In compressed files, a position depends on all
blocks before it. Nothing depends on the product's path, on file times, or on whether it is in a folder, an archive or
an object store.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
from rasterio.io import DatasetReader

from spectralearth_build.archive.checks import place_of
from spectralearth_build.archive.disk import require_readable, unreadable
from spectralearth_build.archive.names import IMAGE, METADATA, QUALITY
from spectralearth_build.archive.product import Product
from spectralearth_build.archive.raster import interleaved_by_pixel, open_raster
from spectralearth_build.errors import ContentChangedError
from spectralearth_build.mask import Mask
from spectralearth_build.overlap.lattice import PIXEL, Box

PIECES = 64
"""Blocks to sample from an image: if a tenth of it differs, the chance that all samples miss it is 1 in 1,000."""
PIECE = 16 * 2**10
"""Bytes to read of a block; a strip of a real cut-out has 768."""
MASK = "mask"
SIZE = "bytes"
_GOLDEN = (5**0.5 - 1) / 2
"""The fractional parts of its multiples are evenly spread, however many there are."""
_BLOCK = 2**20
_WORDS = {
    SIZE: "its image has {now} bytes instead of {before}",
    IMAGE: "its image has other pixels or another grid",
    METADATA: "its METADATA.XML differs",
    MASK: "its mask in the work folder differs",
}

Content = Mapping[str, str]
"""Digests by layer and for `MASK`, and under `SIZE` the bytes of the image."""


class ContentGuard:
    """The content of a product when it is opened, to check later that it is unchanged.

    Args:
        product: the product.

    Raises:
        MissingFileError, EmptyFileError, UnreadableFileError, BrokenRasterError: one of its files cannot be read.
    """

    def __init__(self, product: Product) -> None:
        self._product = product
        self._files = [product.layer(layer) for layer in (METADATA, IMAGE, *QUALITY)]
        self._state = self._ask()
        self.content = _content_of(product)

    def require_same(self) -> None:
        """Check that the files have not changed since the product was opened.

        Raises:
            ContentChangedError: they have. Files with new times only are compared by content.
        """
        if self._ask() != self._state:
            require_content(self.content, _content_of(self._product), self._product.path)

    def _ask(self) -> list[tuple[int, ...]]:
        """File identities, sizes and times, without reading the files."""
        try:
            seen = [path.stat() for path in self._files]
        except OSError as error:
            raise unreadable(error, Path(error.filename)) from error
        return [(s.st_dev, s.st_ino, s.st_size, s.st_mtime_ns, s.st_ctime_ns) for s in seen]


def with_mask(content: Content, mask: Mask) -> dict[str, str]:
    """Add the digest of the mask [line, col] that scan made of a content."""
    return {**content, MASK: hashlib.blake2b(mask.tobytes(), digest_size=16).hexdigest()}


def encode(content: Content) -> str:
    """A content as JSON, for the tile table."""
    return json.dumps(content, sort_keys=True, separators=(",", ":"))


def decode(text: str | None) -> Content:
    """The content from the tile table; empty if an earlier version wrote the table."""
    return json.loads(text) if text else {}


def require_content(before: Content, now: Content, path: str) -> None:
    """Check that two contents agree in all keys that both have.

    Raises:
        ContentChangedError: they do not; it names the differences.
    """
    other = sorted(key for key in before.keys() & now.keys() if before[key] != now[key])
    if SIZE in other and IMAGE in other:
        other.remove(IMAGE)
    words = [_WORDS.get(key, f"its layer {key} differs") for key in other]
    if words:
        said = "; ".join(words).format(now=now.get(SIZE), before=before.get(SIZE))
        raise ContentChangedError(f"It is not what was scanned: {said}.", path)


def require_place(image: DatasetReader, epsg: int, box: Box, path: str) -> None:
    """Check that an image is at the same position as when it was scanned.

    Args:
        image: the image.
        epsg: EPSG code of its lattice when it was scanned.
        box: its box on that lattice.
        path: path of the product, for messages.

    Raises:
        ContentChangedError: its position or size has changed.
    """
    now_epsg, now = place_of(image)
    said = f"it has {image.width} x {image.height} pixels instead of {box.width} x {box.height}"
    if (image.height, image.width) == (box.height, box.width):
        said = "its image is not on the 30 m lattice"
        if now is not None and now_epsg in (epsg, None):  # None: this machine's PROJ does not know
            if now == box:
                return
            east, south = PIXEL * (now.col - box.col), PIXEL * (now.line - box.line)
            said = f"its image has moved by {east / 1000:+g} km east and {-south / 1000:+g} km north"
        elif now is not None:
            said = f"its image is in EPSG:{now_epsg} instead of EPSG:{epsg}"
    raise ContentChangedError(f"It is not what was scanned: {said}.", path)


def _content_of(product: Product) -> Content:
    found = {layer: _whole(product.layer(layer)) for layer in (METADATA, *QUALITY)}
    path = product.layer(IMAGE)
    with open_raster(path) as image:
        found |= {SIZE: str(path.stat().st_size), IMAGE: sampled(image, path)}
    return found


def _whole(path: Path) -> str:
    digest = hashlib.blake2b(digest_size=16)
    require_readable(path)
    try:
        with path.open("rb") as file:
            while block := file.read(_BLOCK):
                digest.update(block)
    except OSError as error:
        raise unreadable(error, path) from error
    return digest.hexdigest()


def sampled(image: DatasetReader, path: Path) -> str:
    """Hash of an image's grid and of samples of its blocks."""
    shape = image.count, image.height, image.width, image.dtypes[0], image.block_shapes[0], image.nodata
    digest = hashlib.blake2b(f"{shape} {tuple(image.transform)[:6]}".encode(), digest_size=16)
    try:
        with path.open("rb") as file:
            digest.update(file.read(PIECE))  # the header, with the coordinate system
            for band, line, col in _places(image):
                start, length = (
                    image.get_tag_item(f"BLOCK_{what}_{col}_{line}", "TIFF", bidx=band)
                    for what in ("OFFSET", "SIZE")
                )
                digest.update(f"\n{start} {length} ".encode())
                if start is not None and length is not None:  # None: the block is absent
                    file.seek(int(start))
                    digest.update(file.read(min(PIECE, int(length))))
    except OSError as error:
        raise unreadable(error, path) from error
    return digest.hexdigest()


def _places(image: DatasetReader) -> Iterator[tuple[int, int, int]]:
    """Yield band, line and column of blocks spread over the whole image; the same layout gives the same blocks."""
    height, width = image.block_shapes[0]
    down, across = -(-image.height // height), -(-image.width // width)
    bands = 1 if interleaved_by_pixel(image) else image.count
    for number in range(PIECES):
        line, col = np.unravel_index(int(number * _GOLDEN % 1 * down * across), (down, across))
        yield 1 + number * bands // PIECES, int(line), int(col)
