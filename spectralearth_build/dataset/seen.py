"""The patches that an encoder was trained on, and which other patches share ground with them. Does not need torch."""

from __future__ import annotations

import hashlib
import zlib
from base64 import b64decode, b64encode
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pandas as pd
from pyproj import Transformer
from scipy.spatial import cKDTree

from spectralearth_build.overlap.lattice import PIXEL, WINDOW, corner_of

Places = npt.NDArray[np.int32]
"""EPSG code, lattice column and lattice row of windows, int32 [window, 3]."""
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class SeenPatches:
    """The patches of a training run. An encoder's file carries them."""

    split: str
    """Name of the split; empty: all patches."""
    patches: int
    """Number of patches."""
    sha256: str
    """Digest of their patch_ids, in alphabetical order, a line each."""
    places: Places
    """Their locations, each once, in ascending order. Those of a distilled encoder include those of its teacher."""

    @classmethod
    def of(cls, patches: pd.DataFrame, split: str) -> Self:
        """Describe patches, given with the columns patch_id and location_id."""
        names = "".join(f"{name}\n" for name in sorted(patches["patch_id"]))
        places = np.unique(places_of(patches["location_id"].unique()), axis=0)
        return cls(split, len(patches), hashlib.sha256(names.encode()).hexdigest(), places)

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Self:
        """Parse the output of `document`.

        Raises:
            ValueError, KeyError, TypeError: It is not such a document.
        """
        steps = np.frombuffer(zlib.decompress(b64decode(document["places"])), "<i4").reshape(3, -1)
        places = np.cumsum(steps, axis=1, dtype=np.int32).T
        return cls(str(document["split"]), int(document["patches"]), str(document["sha256"]), places)

    def document(self) -> dict[str, Any]:
        """Return a JSON document. Places are packed: differences of the sorted columns, zlib, base64."""
        steps = np.diff(self.places.T, axis=1, prepend=0).astype("<i4")
        packed = b64encode(zlib.compress(steps.tobytes(), 6)).decode()
        return {"split": self.split, "patches": self.patches, "sha256": self.sha256, "places": packed}

    def with_ground_of(self, other: SeenPatches) -> SeenPatches:
        """Return the same patches, with the locations of others, too."""
        return replace(self, places=np.unique(np.concatenate([self.places, other.places]), axis=0))

    def share_ground(self, location_ids: Iterable[str]) -> Bools:
        """Tell which locations share ground with a patch that was seen, bool [location].

        Within a UTM zone this is exact. In another zone, windows count as sharing ground if their centres are closer
        than the edge of a window along both axes.
        """
        asked = places_of(location_ids)
        found = np.zeros(len(asked), np.bool_)
        for epsg in np.unique(asked[:, 0]).tolist():
            rows = np.flatnonzero(asked[:, 0] == epsg)
            centres = np.concatenate([np.empty((0, 2)), *_near(self.places, epsg)])
            if len(centres):
                tree, edge = cKDTree(centres), WINDOW * PIXEL
                apart, _ = tree.query(_centres(asked[rows]), p=np.inf, distance_upper_bound=edge)
                found[rows] = apart < edge - 0.5
        return found


def places_of(location_ids: Iterable[str]) -> Places:
    """Read places from location_ids, such as ``32632_20000_174000``."""
    found = [[int(part) for part in name.split("_")] for name in location_ids]
    return np.array(found, np.int32).reshape(-1, 3)


def _near(places: Places, epsg: int) -> Iterator[npt.NDArray[np.float64]]:
    """Yield the centres of windows in a zone and its neighbours, in metres of the zone."""
    for other in np.unique(places[:, 0]).tolist():
        centres = _centres(places[places[:, 0] == other])
        if other == epsg:
            yield centres
        elif (other % 100 - epsg % 100) % 60 in (0, 1, 59):
            x, y = Transformer.from_crs(other, epsg, always_xy=True).transform(*centres.T)
            moved = np.stack([x, y], axis=1)
            yield moved[np.isfinite(moved).all(axis=1)]


def _centres(places: Places) -> npt.NDArray[np.float64]:
    west, north = corner_of(places[:, 2], places[:, 1])
    half = WINDOW * PIXEL / 2
    return np.stack([west + half, north - half], axis=1).astype(np.float64)
