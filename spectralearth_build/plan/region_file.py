"""Read the region that a plan is limited to from a vector file."""

from __future__ import annotations

import hashlib
from pathlib import Path

import geopandas as gpd
import shapely
from shapely.geometry.base import BaseGeometry

from spectralearth_build.errors import ConfigError


def read_region(path: str) -> BaseGeometry | None:
    """Read the polygons of a vector file as one shape in longitude and latitude; None if the path is empty.

    Raises:
        ConfigError: the file cannot be read, has no coordinate system or no polygon.
    """
    if not path:
        return None
    try:
        shapes = gpd.read_file(Path(path))
    except Exception as error:  # GDAL's drivers raise many exceptions
        raise ConfigError(
            f"plan.region cannot be read: {error}.", path, "Give a vector file of polygons."
        ) from error
    if shapes.crs is None:
        raise ConfigError("plan.region has no coordinate system.", path, "Assign one, such as EPSG:4326.")
    whole = shapely.union_all(shapely.make_valid(shapes.geometry.dropna().to_crs(4326).to_numpy()))
    polygons = [part for part in shapely.get_parts(whole) if shapely.get_dimensions(part) == 2]
    if not polygons:
        raise ConfigError("plan.region has no polygon.", path, "Give a vector file of polygons.")
    return shapely.union_all(polygons)


def fingerprint_of(region: BaseGeometry | None) -> str:
    """A short hash of the region's content; empty for no region."""
    return (
        "" if region is None else hashlib.sha256(shapely.to_wkb(shapely.normalize(region))).hexdigest()[:16]
    )
