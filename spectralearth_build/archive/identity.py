"""What identifies the content of a product, so that cut can check that it reads what scan read.

Small files count whole. Of the image, which takes long to read, its size, its grid, and pieces of blocks spread over
bands and ground count, with their place in the file: where blocks are compressed, it tells of all blocks before.
Nothing depends on the product's path, its times, or whether it lies in a folder, an archive or an object store.
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
"""Blocks of an image that are looked at: if a tenth of it differs, all of them miss it once in a thousand times."""
PIECE = 16 * 2**10
"""Bytes of a block that are looked at; a strip of a real cut-out has 768."""
MASK = "mask"
SIZE = "bytes"
_GOLDEN = (5**0.5 - 1) / 2
"""Multiples of it, without their whole part, are spread evenly however many there are."""
_BLOCK = 2**20
_WORDS = {
    SIZE: "its image has {now} bytes instead of {before}",
    IMAGE: "its image has other pixels or another grid",
    METADATA: "its METADATA.XML differs",
    MASK: "its mask in the work folder differs",
}

Content = Mapping[str, str]
"""Digests by layer, `SIZE` of the image, and `MASK`."""


class ContentGuard:
    """The content of a product at the moment when it is opened, and whether it is still the same later.

    Args:
        product: its files.

    Raises:
        MissingFileError, EmptyFileError, UnreadableFileError, BrokenRasterError: of any of its files.
    """

    def __init__(self, product: Product) -> None:
        self._product = product
        self._files = [product.layer(layer) for layer in (METADATA, IMAGE, *QUALITY)]
        self._state = self._ask()
        self.content = _content_of(product)

    def require_same(self) -> None:
        """Make sure that what was read meanwhile is what was there in the beginning.

        Raises:
            ContentChangedError: it is not; files that were only touched are looked at again.
        """
        if self._ask() != self._state:
            require_content(self.content, _content_of(self._product), self._product.path)

    def _ask(self) -> list[tuple[int, ...]]:
        """What the system knows of the files without reading them."""
        try:
            seen = [path.stat() for path in self._files]
        except OSError as error:
            raise unreadable(error, Path(error.filename)) from error
        return [(s.st_dev, s.st_ino, s.st_size, s.st_mtime_ns, s.st_ctime_ns) for s in seen]


def with_mask(content: Content, mask: Mask) -> Content:
    """A content, and the mask [line, col] that scan made of it."""
    return {**content, MASK: hashlib.blake2b(mask.tobytes(), digest_size=16).hexdigest()}


def encode(content: Content) -> str:
    """A content as the tile table has it."""
    return json.dumps(content, sort_keys=True, separators=(",", ":"))


def decode(text: str | None) -> Content:
    """The content that the tile table says; nothing if it is of a version that did not know it."""
    return json.loads(text) if text else {}


def require_content(before: Content, now: Content, path: str) -> None:
    """Make sure that two contents agree in all that both of them know.

    Raises:
        ContentChangedError: they do not; it says in what.
    """
    other = sorted(key for key in before.keys() & now.keys() if before[key] != now[key])
    if SIZE in other and IMAGE in other:
        other.remove(IMAGE)
    words = [_WORDS.get(key, f"its layer {key} differs") for key in other]
    if words:
        said = "; ".join(words).format(now=now.get(SIZE), before=before.get(SIZE))
        raise ContentChangedError(f"It is not what was scanned: {said}.", path)


def require_place(image: DatasetReader, epsg: int, box: Box, path: str) -> None:
    """Make sure that an image lies where it lay when it was scanned.

    Args:
        image: the image.
        epsg: its lattice.
        box: its place on that.
        path: the product, for messages.

    Raises:
        ContentChangedError: it is elsewhere, or of another size.
    """
    now_epsg, now = place_of(image)
    said = f"it has {image.width} x {image.height} pixels instead of {box.width} x {box.height}"
    if (image.height, image.width) == (box.height, box.width):
        said = "its image is not on the 30 m lattice"
        if now is not None and now_epsg in (epsg, None):  # None: this machine's PROJ does not know
            if now == box:
                return
            east, south = PIXEL * (now.col - box.col), PIXEL * (now.line - box.line)
            said = f"its image lies {east / 1000:+g} km east and {-south / 1000:+g} km north of where it lay"
        elif now is not None:
            said = f"its image is in EPSG:{now_epsg} instead of EPSG:{epsg}"
    raise ContentChangedError(f"It is not what was scanned: {said}.", path)


def _content_of(product: Product) -> Content:
    found = {layer: _whole(product.layer(layer)) for layer in (METADATA, *QUALITY)}
    path = product.layer(IMAGE)
    with open_raster(path) as image:
        found |= {SIZE: str(path.stat().st_size), IMAGE: _sampled(image, path)}
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


def _sampled(image: DatasetReader, path: Path) -> str:
    """Hash of an image's grid and of pieces of its blocks."""
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
    """Band, line and column of blocks that are spread over all of an image, the same ones for the same layout."""
    height, width = image.block_shapes[0]
    down, across = -(-image.height // height), -(-image.width // width)
    bands = 1 if interleaved_by_pixel(image) else image.count
    for number in range(PIECES):
        line, col = np.unravel_index(int(number * _GOLDEN % 1 * down * across), (down, across))
        yield 1 + number * bands // PIECES, int(line), int(col)
