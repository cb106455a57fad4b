"""`GeoPatches`: patches of one UTM zone, indexed by place and time like the geospatial datasets of torchgeo."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, Unpack

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pandas as pd
import pyproj
import shapely
import torch
from torch.utils.data import Dataset as TorchDataset

from spectralearth_build.dataset.access import Dataset, open_dataset
from spectralearth_build.errors import UsageError
from spectralearth_build.loader.samples import Query, Samples
from spectralearth_build.overlap.lattice import PIXEL, WINDOW, bounds_of, col_at, corner_of, line_at
from spectralearth_build.store.codec import NODATA
from spectralearth_build.tables import LOCATIONS

Box = tuple[float, float, float, float]
"""West, south, east, north in metres."""


class Asked(NamedTuple):
    """A parsed query of `GeoPatches.__getitem__`."""

    box: Box
    time: tuple[pd.Timestamp, pd.Timestamp] | None
    """First and last time, both inclusive."""


class GeoPatches(TorchDataset[dict[str, Any]]):
    """The patches on the lattice of one UTM zone, sampled by boxes.

    It works with the samplers of torchgeo, since it has the attributes of a ``GeoDataset`` (``crs``, ``res``,
    ``bounds``, ``index``) and gives the same kind of samples. torchgeo itself is not needed. If a location has several
    dates in the requested time, the first is used.

    Args:
        dataset: a dataset, or its folder or URL.
        epsg: EPSG code of the zone; None: the zone with the most patches.
        bands: indices of the bands to return; None: all.
        **query: conditions of `Dataset.query`.

    Raises:
        UsageError: No patch of the zone meets the conditions.

    Examples:
        >>> places = GeoPatches(folder)
        >>> x, y, time = places.bounds
        >>> sample = places[x.start : x.start + 1920, y.start : y.start + 1920, time]
        >>> sample["image"].shape, sample["crs"].to_epsg() == places.crs.to_epsg()
        (torch.Size([202, 64, 64]), True)
    """

    res = (float(PIXEL), float(PIXEL))
    """Pixel size in metres."""

    def __init__(
        self,
        dataset: Dataset | str | Path,
        epsg: int | None = None,
        bands: Sequence[int] | None = None,
        **query: Unpack[Query],
    ) -> None:
        opened = dataset if isinstance(dataset, Dataset) else open_dataset(dataset)
        place = str(opened.remote or opened.path)
        columns = ["location_id", "epsg", "lattice_col", "lattice_row"]
        patches = opened.query(**query, columns=["patch_id", "location_id", "acquired", "store_row"])
        where = LOCATIONS.read(opened.path, columns).set_index("location_id").loc[patches["location_id"]]
        zone = epsg or int(where["epsg"].mode().max() if len(where) else 0)
        here = where["epsg"].to_numpy() == zone
        if not here.any():
            raise UsageError(
                f"No patch of EPSG:{zone} meets the conditions.",
                place,
                "Relax the conditions, or leave out epsg.",
            )
        self._anew = partial(GeoPatches, place, epsg, bands, **query)
        self.samples = Samples(opened, bands=bands, patches=patches[here])
        self.crs = pyproj.CRS.from_epsg(zone)
        self._col, self._row = (
            where[name].to_numpy(np.int64)[here] for name in ("lattice_col", "lattice_row")
        )
        shapes = shapely.box(*bounds_of(self._row, self._col))
        moments = self.samples.patches["acquired"].dt.tz_convert(None)
        times = pd.IntervalIndex.from_arrays(moments, moments, closed="both", name="datetime")
        self.index = gpd.GeoDataFrame(
            {"location_id": self._locations()}, geometry=shapes, crs=self.crs
        ).set_index(times)
        self._tree, self._time = shapely.STRtree(shapes), moments.to_numpy()

    def __len__(self) -> int:
        return len(self.index)

    @property
    def bounds(self) -> tuple[slice, slice, slice]:
        """The extent of all patches: x and y in metres, and time."""
        west, south, east, north = self.index.total_bounds
        first, last = pd.Timestamp(self._time.min()), pd.Timestamp(self._time.max())
        return slice(west, east), slice(south, north), slice(first, last)

    def __getitem__(self, query: Any) -> dict[str, Any]:  # noqa: ANN401
        """Return the pixels of a box.

        Args:
            query: ``[west:east, south:north]`` or ``[west:east, south:north, first:last]`` in metres and times (open
                slices extend to the `bounds`), or west, south, east, north, or a ``BoundingBox`` of torchgeo.

        Returns:
            ``image``, stored values as float32 [band, y, x], with nodata (-32768) outside patches; ``crs``; ``bounds``,
            the box snapped to whole pixels: west, south, east, north; ``transform``, six coefficients in rasterio's
            order.

        Raises:
            IndexError: No patch intersects the box.
            DamagedError: A patch is missing or damaged. The message names it.
        """
        asked = self._asked(query)
        west, south, east, north = asked.box
        col, row = round(col_at(west)), -round(line_at(north))
        width, height = (max(1, round(length / PIXEL)) for length in (east - west, north - south))
        image = np.full((self.samples.shape[1], height, width), NODATA, np.int16)
        patches = list(self._touching(asked))
        if not patches:
            raise IndexError(f"No patch intersects {query}.")
        pixels = np.empty(self.samples.shape, np.int16)
        for patch in patches:
            y, from_y = _shared(row - int(self._row[patch]), height)
            x, from_x = _shared(int(self._col[patch]) - col, width)
            if y.start < y.stop and x.start < x.stop:
                self.samples.read((patch,), pixels)
                image[:, y, x] = pixels[0, :, from_y, from_x]
        west, north = map(float, corner_of(row, col))
        return {
            "image": torch.from_numpy(image.astype(np.float32)),
            "crs": self.crs,
            "bounds": (west, north - PIXEL * height, west + PIXEL * width, north),
            "transform": (float(PIXEL), 0.0, west, 0.0, -float(PIXEL), north),
        }

    def __reduce__(self) -> tuple[Any, ...]:
        return self._anew, ()

    def _locations(self) -> npt.NDArray[np.object_]:
        names: npt.NDArray[np.object_] = self.samples.patches["location_id"].to_numpy(object)
        return names

    def _touching(self, asked: Asked) -> Iterator[int]:
        """Yield the first patch, within the requested time, of every location that intersects the box."""
        hits = self._tree.query(shapely.box(*asked.box), predicate="intersects")
        if asked.time is not None:
            first, last = (_naive(moment) for moment in asked.time)
            hits = hits[(self._time[hits] >= first) & (self._time[hits] <= last)]
        hits = hits[np.argsort(self._time[hits], kind="stable")]
        names = self._locations()
        yield from {names[hit]: int(hit) for hit in hits[::-1]}.values()

    def _asked(self, query: Any) -> Asked:  # noqa: ANN401
        if hasattr(query, "minx"):
            time = (pd.Timestamp(query.mint, unit="s"), pd.Timestamp(query.maxt, unit="s"))
            return Asked((query.minx, query.miny, query.maxx, query.maxy), time)
        if len(query) == 4 and not isinstance(query[0], slice):
            west, south, east, north = query
            return Asked((float(west), float(south), float(east), float(north)), None)
        given: tuple[slice, ...] = tuple(query)
        parts = zip((*given, *self.bounds[len(given) :]), self.bounds, strict=True)
        (west, east), (south, north), time = (
            (
                every.start if part.start is None else part.start,
                every.stop if part.stop is None else part.stop,
            )
            for part, every in parts
        )
        return Asked((float(west), float(south), float(east), float(north)), time)


def _shared(offset: int, length: int) -> tuple[slice, slice]:
    """Return the slice of an image that a window at ``offset`` covers, and the matching slice of the window."""
    begin, end = max(0, offset), max(0, min(length, offset + WINDOW))
    return slice(begin, end), slice(begin - offset, end - offset)


def _naive(moment: Any) -> np.datetime64:  # noqa: ANN401
    """Convert a time to UTC without a time zone, as in the index."""
    stamp = pd.Timestamp(moment)
    return np.datetime64((stamp.tz_convert(None) if stamp.tz is not None else stamp).to_datetime64())
