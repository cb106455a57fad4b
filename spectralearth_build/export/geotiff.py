"""GeoTIFF in the folder layout of SpectralEarth: ``enmap/<location>/<tile>.tif``.

Its pretraining code (github.com/AABNassim/spectral_earth, ``src/datasets/spectral_earth.py``) lists the folders below
``<root>/enmap``, takes one or two random ``.tif`` files of a location and reads them with rasterio. The lists of its
labelled tasks have one ``location/tile.tif`` per line. This export writes one such list per split.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import rasterio
from affine import Affine
from rasterio.io import MemoryFile

from spectralearth_build.errors import UsageError
from spectralearth_build.export.format import Contents, Cube
from spectralearth_build.export.selection import ExportPart, Row, Selection
from spectralearth_build.files import write_bytes
from spectralearth_build.overlap.lattice import PIXEL
from spectralearth_build.store.codec import NODATA
from spectralearth_build.store.schema import SCALE

SENSOR = "enmap"
COMPRESSIONS = ("deflate", "zstd", "lzw", "none")


class GeoTiff:
    """One file per patch. Bands are compressed separately, so each can be read on its own."""

    layout = 1
    per_file = 64  # number of patches that are written together
    most_per_file = 1_000_000

    def __init__(self, compress: str = "") -> None:
        self.compress = compress or COMPRESSIONS[0]
        if self.compress not in COMPRESSIONS:
            raise UsageError(
                f"Unknown compression '{compress}'.",
                remedy=f"Use one of: {', '.join(COMPRESSIONS)}.",
            )
        self.raw = self.compress == "none"

    def files(self, selection: Selection, part: ExportPart) -> list[str]:
        """One file a patch."""
        rows = selection.frame.iloc[part.start : part.stop]
        places, tiles = rows["location_id"], rows["tile_id"]
        return [f"{SENSOR}/{place}/{tile}.tif" for place, tile in zip(places, tiles, strict=True)]

    def write(self, selection: Selection, part: ExportPart, cubes: Iterator[Cube], folder: Path) -> None:
        """Write the files one by one."""
        names = self.files(selection, part)
        for index, name, cube in zip(range(part.start, part.stop), names, cubes, strict=True):
            write_bytes(folder / name, encoded(cube, selection.plain(index), self.compress))

    def indices(self, contents: Contents) -> dict[str, bytes]:
        """Return ``splits/<split>.txt``: the files of a split, one per line."""
        return {
            f"splits/{split}.txt": "".join(
                f"{name.removeprefix(f'{SENSOR}/')}\n"
                for part in parts
                for name in self.files(contents.selection, part)
            ).encode()
            for split, parts in contents.splits().items()
        }


def encoded(cube: Cube, row: Row, compress: str) -> bytes:
    """Encode a patch as GeoTIFF: int16, one strip per band, bands described by wavelength.

    It is encoded in memory, because GDAL does not always report a full disk.

    Args:
        cube: int16 [band, y, x].
        row: metadata of the patch, from `Selection.plain`.
        compress: one of `COMPRESSIONS`.
    """
    bands, height, width = cube.shape
    profile: dict[str, Any] = {
        "driver": "GTiff",
        "count": bands,
        "height": height,
        "width": width,
        "dtype": "int16",
        "nodata": NODATA,
        "crs": f"EPSG:{row['epsg']}",
        "transform": Affine(PIXEL, 0, row["west"], 0, -PIXEL, row["north"]),
        "interleave": "band",
        "blockysize": height,
    }
    if compress != "none":
        profile |= {"compress": compress, "predictor": 2}
    with rasterio.Env(GDAL_NUM_THREADS=1), MemoryFile() as memory:
        with memory.open(**profile) as image:
            image.write(cube)
            image.scales = (SCALE,) * bands
            image.update_tags(**{key: row[key] for key in ("patch_id", "location_id", "tile_id", "acquired")})
            for band, (wave, width_nm) in enumerate(
                zip(row["wavelength_nm"], row["fwhm_nm"], strict=True), 1
            ):
                image.set_band_description(band, f"{wave:.2f} nm")
                microns = {"CENTRAL_WAVELENGTH_UM": f"{wave / 1000:.6f}", "FWHM_UM": f"{width_nm / 1000:.6f}"}
                image.update_tags(band, ns="IMAGERY", **microns)
        return bytes(memory.read())
