"""What is done with hostile input, in a `Watched` process: all that scan does, up to the rows of the tile table."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from spectralearth_build.archive.discover import Found, find_products
from spectralearth_build.archive.inspect import identify, inspect_product
from spectralearth_build.archive.names import parse_name
from spectralearth_build.archive.product import open_product
from spectralearth_build.archive.raster import read_image
from spectralearth_build.archive.record import Record, load_record, mask_path, save_record
from spectralearth_build.archive.tile_rows import row_of_problem, rows_of_tile
from spectralearth_build.archive.versions import candidates
from spectralearth_build.config import ScanConfig
from spectralearth_build.errors import ProductError
from spectralearth_build.mask import save
from spectralearth_build.overlap.lattice import Box
from spectralearth_build.synthetic import spoil_metadata
from spectralearth_build.synthetic.product import write_product
from spectralearth_build.synthetic.spec import Layers, Layout, ProductSpec
from spectralearth_build.tables import TILES

SPEC = ProductSpec(box=Box(-210703, 15569, 16, 20))
LAYOUTS = {
    "strips": Layout(compress="none"),
    "deflate": Layout(interleave="pixel"),
    "blocks": Layout(compress="lzw", block=16),
    "cog": Layout(compress="zstd", block=16, cog=True),
}
_READ = (
    "qualityFlag", "vnirProductQuality", "swirProductQuality", "datatakeID", "tileID", "sunElevationAngle",
    "sunAzimuthAngle", "acrossOffNadirAngle", "bandCharacterisation", "widthOfOrthoScene", "heightOfOrthoScene",
)  # fmt: skip
"""What is read of `specific`."""
Edit = tuple[int, bytes]
"""Bytes to put at a place."""


def sound_product(folder: Path, layout: Layout = LAYOUTS["strips"]) -> Path:
    """A sound product of 16 x 20 pixels below a folder."""
    shape = (SPEC.box.height, SPEC.box.width)
    cube = np.random.default_rng(0).integers(20, 3000, (224, *shape)).astype(np.int16)
    product = write_product(folder, SPEC, cube, Layers.clear(shape), layout)
    with spoil_metadata.edited(product) as root:  # what nobody reads costs time only
        for group in root.findall("product"):
            for part in [part for part in group if part.tag != "ortho"]:
                group.remove(part)
        for group in root.findall("specific"):
            for part in [part for part in group if part.tag not in _READ]:
                group.remove(part)
    return product


def edited(data: bytes, edits: Sequence[Edit], keep: float = 1.0) -> bytes:
    """Overwrite some places, then cut."""
    result = bytearray(data)
    for place, piece in edits:
        start = place % max(1, len(result))
        result[start : start + len(piece)] = piece[: len(result) - start]
    return bytes(result[: int(len(result) * keep)])


def read_changed_file(folder: Path, case: tuple[str, str, bytes]) -> str:
    """One file of the product of a layout has other bytes."""
    layout, part, data = case
    source = folder / "sound" / layout
    product = next(source.iterdir())
    archive = folder / "archive"
    target = archive / product.name
    if not (archive / layout).exists():  # link the sound files once, so that a case writes one file only
        shutil.rmtree(archive, ignore_errors=True)
        shutil.copytree(product, target)
        (archive / layout).touch()
    path = next(path for path in target.iterdir() if part in path.name)
    before = path.read_bytes()
    path.write_bytes(data)
    try:
        return _ends(read_product(folder, archive, target.name))
    finally:
        path.write_bytes(before)


def read_archive(folder: Path, case: tuple[str, bytes]) -> str:
    """An archive of some name and bytes, as all there is."""
    name, data = case
    archive = _emptied(folder)
    (archive / name).write_bytes(data)
    return read_everything(folder, archive)


def read_tree(folder: Path, case: list[tuple[list[bytes], bytes | Path | None]]) -> str:
    """Folders, files and links of odd names.

    Args:
        folder: where to work.
        case: of each, its path in parts, and what it holds; a path for a link there, None for a folder.
    """
    archive = _emptied(folder)
    for parts, content in case:
        path = Path(archive, *(part.decode("utf-8", "surrogateescape") for part in parts))
        try:
            if not path.resolve().is_relative_to(archive.resolve()) or path.is_symlink():
                continue  # behind a link that was made before
            path.parent.mkdir(parents=True, exist_ok=True)
            if content is None:
                path.mkdir()
            elif isinstance(content, Path):
                path.symlink_to(content)
            else:
                path.write_bytes(content)
        except (OSError, ValueError, RuntimeError):  # no name that this system takes, or there is such a one
            continue
    return read_everything(folder, archive)


def read_everything(folder: Path, archive: Path) -> str:
    """Find, open and look at all that an archive holds, twice, as a run that goes on does."""
    before = _tree(archive)
    first = find_products(archive, folder / "listings")
    found = find_products(archive, folder / "listings")
    assert [item.path for item in found] == [item.path for item in first]
    rows = []
    for item in found:
        if item.problem is not None:
            rows.append(row_of_problem(item, Record.of_error(item.problem, archive)))
        else:
            rows += read_product(folder, archive, item.path, item)
    candidates(found)
    table = TILES.frame(rows)
    assert len(table) == len(rows) >= len(found)
    assert all(str(path).isprintable() for path in table["path"]) if len(table) else True
    assert _tree(archive) == before
    return _ends(rows)


def read_product(folder: Path, archive: Path, path: str, item: Found | None = None) -> list[dict[str, Any]]:
    """Read a product and make of it rows of the tile table; of a sound one, read all pixels too."""
    item = item or Found(path, "folder", parse_name(path), "")
    try:
        with open_product(archive, path, folder / "scratch") as product:
            name = item.name or identify(product)
            row, coded = inspect_product(product, name, ScanConfig(validity="all-bands"))
            pixels = read_image(product.image_path, np.array(row["band_index"]))
            assert pixels.shape[1:] == coded.shape == (row["height"], row["width"])
        save(mask_path(folder, name.product_id), coded)
        record = Record(row=row)
    except ProductError as error:
        record = Record.of_error(error, archive)
    assert record.reason.isprintable()
    save_record(folder, item, "", record)
    known = load_record(folder, item, [""])
    assert known is not None
    rows = rows_of_tile([item], [known])
    if known.sound:  # of others it holds texts only
        TILES.arrow(TILES.frame(rows))
    assert not list((folder / "scratch").glob("*"))
    return rows


def _ends(rows: list[dict[str, Any]]) -> str:
    """The classes of problems among rows; 'sound' for what has none, 'nothing' if there are no rows."""
    return " ".join(sorted({row["error_class"] or "sound" for row in rows})) or "nothing"


def _emptied(folder: Path) -> Path:
    archive = folder / "archive"
    for name in ("archive", "listings"):
        shutil.rmtree(folder / name, ignore_errors=True)
    archive.mkdir()
    return archive


def _tree(folder: Path) -> list[tuple[str, int]]:
    return sorted((str(path), path.lstat().st_mtime_ns) for path in folder.rglob("*"))
