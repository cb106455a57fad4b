"""Specification of a synthetic product: identity, position, angles, quality layers, and layout of its files."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

import numpy as np
import numpy.typing as npt
from pyproj import Transformer

from spectralearth_build.overlap.lattice import Box
from spectralearth_build.synthetic.band_sets import BandSetName

Layer = npt.NDArray[np.uint8]
Corners = tuple[tuple[float, float], ...]
"""Longitude and latitude of the upper-left, lower-left, lower-right and upper-right corner, degrees."""
BACKGROUND = 3
"""Value of QUALITY_CLASSES outside the swath."""
LINE_SECONDS = 4.535 / 1024
"""Time per line, seconds: an inner tile of a datatake has 1024 lines and takes 4.535 s."""


_SOMEWHERE = Box(-210703, 15569, 256, 256)


@dataclass(frozen=True)
class ProductSpec:
    """All properties of a product except its pixels. The defaults give a plain, sound tile."""

    datatake: str = "DT0000001849"
    tile: int = 1
    number_of_tiles: int = 1
    started: datetime = datetime(2024, 7, 8, 10, 44, 7, 36933, tzinfo=UTC)
    """Start of the tile's acquisition."""
    processed: datetime = datetime(2024, 7, 9, 3, 59, 21, tzinfo=UTC)
    version: str = "V010502"
    """Processor version."""
    level: str = "L2A"
    epsg: int = 32633
    """EPSG code of the raster, 326xx or 327xx."""
    box: Box = _SOMEWHERE
    """Box of the raster on the zone's lattice."""
    corners: Corners | None = None
    """Corners of the footprint; None for the corners of the raster."""
    band_set: BandSetName = "C"
    lines: int = 1024
    """Scan lines of the tile, which determine the stop time."""
    sun_elevation: float = 55.31
    """Sun elevation at the centre, degrees; below 0 is night."""
    sun_azimuth: float = 171.08
    across_off_nadir: float = 7.8
    along_off_nadir: float = 0.09
    scene_azimuth: float = 16.63
    mean_elevation: int = 120
    """Ground elevation, metres."""
    overall_quality: int = 0
    """0 nominal, 1 reduced, 2 low (2 also for night)."""
    water_vapour: int = 2291
    """sceneWV, 1000 times the column in cm."""
    aerosol: int = 140
    """sceneAOT, 1000 times the optical thickness."""
    correction: str = "Land_Mode"
    """Correction of the values: Land_Mode, Water_Mode or Combined; empty if the metadata lack the element."""
    water_type: str = "NA"
    """Clear, Turbid or Highly_Turbid if values are of water; otherwise NA."""
    cirrus_haze_removal: bool = False
    """Whether cirrus and haze were removed from the pixels."""
    computed: bool = True
    """Whether covers, quality and off-nadir angles were computed; otherwise they are -999."""

    @property
    def stopped(self) -> datetime:
        """End of the tile's acquisition."""
        return self.started + timedelta(seconds=self.lines * LINE_SECONDS)

    @property
    def tile_id(self) -> str:
        """Datatake and tile, such as DT0000001849_005."""
        return f"{self.datatake}_{self.tile:03d}"

    @property
    def product_id(self) -> str:
        """Full name, such as ENMAP01-____L2A-DT0000001849_20220716T101233Z_005_V010110_20221119T202614Z."""
        return (
            f"ENMAP01-{self.level:_>7}-{self.datatake}_{self.started:%Y%m%dT%H%M%S}Z_{self.tile:03d}"
            f"_{self.version}_{self.processed:%Y%m%dT%H%M%S}Z"
        )

    @property
    def projection(self) -> str:
        """The projection as named in METADATA.XML, such as UTM_Zone32_North."""
        return f"UTM_Zone{self.epsg % 100}_{'North' if self.epsg < 32700 else 'South'}"

    def footprint(self) -> Corners:
        """The corners of the footprint, which are those of the raster if none are set."""
        return self.raster_corners() if self.corners is None else self.corners

    def raster_corners(self) -> Corners:
        """The corners of the raster."""
        west, south, east, north = self.box.bounds
        lonlat = Transformer.from_crs(self.epsg, 4326, always_xy=True)
        points = ((west, north), (west, south), (east, south), (east, north))
        return tuple(lonlat.transform(x, y) for x, y in points)

    @property
    def centre(self) -> tuple[float, float]:
        """Longitude and latitude of the mean of the corners, which may be on both sides of the antimeridian."""
        return centre_of(self.footprint())


def centre_of(corners: Corners) -> tuple[float, float]:
    """Mean of corners, which may be on both sides of the antimeridian."""
    first = corners[0][0]
    lon = first + sum((c[0] - first + 180) % 360 - 180 for c in corners) / len(corners)
    return (lon + 180) % 360 - 180, sum(c[1] for c in corners) / len(corners)


@dataclass(frozen=True)
class Layers:
    """The quality layers, each uint8 [line, col]."""

    classes: Layer
    """0 none, 1 land, 2 water, 3 background."""
    cloud: Layer
    """0 or 1, like shadow, haze and snow."""
    shadow: Layer
    haze: Layer
    snow: Layer
    cirrus: Layer
    """0 none to 3 thick."""
    testflags: Layer
    """Bits 0-1 quality, 2/3 interpolated SWIR/VNIR, 4/5 saturated, 6/7 artefact."""
    pixelmask: Layer | None = None
    """[224, line, col]: 0 sound, 1 defective, 255 background; None for 1 where a band has no data inside the swath."""

    @classmethod
    def clear(
        cls, shape: tuple[int, int], inside: npt.NDArray[np.bool_] | None = None, water: bool = False
    ) -> Layers:
        """A cloudless tile of land (or water) in ``inside``, by default everywhere."""
        zeros = np.zeros(shape, np.uint8)
        classes = np.full(shape, 2 if water else 1, np.uint8)
        if inside is not None:
            classes[~inside] = BACKGROUND
        return cls(classes, zeros, zeros, zeros, zeros, zeros, zeros)

    @property
    def inside(self) -> npt.NDArray[np.bool_]:
        """Pixels inside the swath."""
        return np.asarray(self.classes != BACKGROUND)

    def percent(self, where: npt.NDArray[np.bool_]) -> int:
        """Share of the pixels inside the swath, in whole percent as in products."""
        inside = self.inside
        return round(100 * int((where & inside).sum()) / max(1, int(inside.sum())))


@dataclass(frozen=True)
class Layout:
    """Layout of the files of a product; the defaults are those of HySpecNet's cuts of real products."""

    compress: Literal["deflate", "lzw", "zstd", "none"] = "deflate"
    interleave: Literal["band", "pixel"] = "band"
    block: int = 0
    """Edge of square blocks, a multiple of 16; 0 for strips."""
    cog: bool = False
    """Whether files are cloud-optimised: blocks, overviews, directory first."""
    suffix: str = ".TIF"
    """Suffix after the layer's name: .TIF, _COG.TIF (catalogue) or .tiff."""
    metadata_suffix: str = ".XML"
    prefixed: bool = True
    """Whether file names start with the product's name."""
    effort: int = 1
    """Deflate level, 1 fast to 9 small."""

    def name(self, product_id: str, layer: str) -> str:
        """File name of a raster layer, such as SPECTRAL_IMAGE, or of METADATA or HISTORY."""
        suffix = self.metadata_suffix if layer in ("METADATA", "HISTORY") else self.suffix
        return f"{product_id}-{layer}{suffix}" if self.prefixed else f"{layer}{suffix}"


PLAIN = Layout()
"""The default layout."""
