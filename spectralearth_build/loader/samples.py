"""Samples: single patches, or several dates of a location, and how to read their pixels."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, TypedDict, Unpack

import numpy as np
import numpy.typing as npt
import pandas as pd

from spectralearth_build.arguments import whole
from spectralearth_build.dataset.access import Dataset, open_dataset
from spectralearth_build.dataset.select import TimeRange
from spectralearth_build.errors import DamagedError, UsageError
from spectralearth_build.layout import shard_name
from spectralearth_build.loader.order import keys
from spectralearth_build.loader.series import RULES, Rule, choose
from spectralearth_build.reading.reader import Reader, array_of, open_reader
from spectralearth_build.store.codec import Patch
from spectralearth_build.store.index import Bounds
from spectralearth_build.tables import PATCHES

Chosen = tuple[int, ...]
"""The patches of a sample, as positions in `Samples.patches`, in chronological order."""
Numbers = npt.NDArray[np.int64]
COLUMNS = ("patch_id", "location_id", "acquired", "store_row", "checksum")
"""Columns to read from patches.parquet."""


class Query(TypedDict, total=False):
    """Conditions on patches: the keywords of `Dataset.query`."""

    bbox: Bounds | None
    time: TimeRange | None
    min_dates: int
    max_cloud: float | None
    split: str | None


class Samples:
    """The samples of a dataset that meet given conditions.

    Args:
        dataset: a dataset, or its folder or URL (``s3://bucket/dataset``).
        dates: None: each patch is a sample. k: each location is a sample, with k of its dates in chronological order.
            If a location has fewer dates, some are repeated.
        rule: how to choose dates, see `series.Rule`.
        bands: indices of the bands to return, in this order; None: all.
        seed: random seed of the choice of dates.
        patches: a selection returned by `Dataset.query`, instead of conditions.
        **query: conditions of `Dataset.query`.

    Raises:
        UsageError: An argument is invalid, or no patch meets the conditions.
        DamagedError: The store cannot be opened.
    """

    def __init__(
        self,
        dataset: Dataset | str | Path,
        dates: int | None = None,
        rule: Rule = "random",
        bands: Sequence[int] | None = None,
        seed: int = 0,
        patches: pd.DataFrame | None = None,
        **query: Unpack[Query],
    ) -> None:
        dates = None if dates is None else whole("dates", dates, 1)
        seed = whole("seed", seed)
        if rule not in RULES:
            raise UsageError(f"Unknown rule '{rule}'.", remedy=f"Use one of: {', '.join(RULES)}.")
        opened = dataset if isinstance(dataset, Dataset) else open_dataset(dataset)
        place = str(opened.remote or opened.path)
        self._anew = partial(Samples, place, dates, rule, bands, seed, patches, **query)
        self.place, self.dates, self.rule, self.seed = place, dates, rule, seed
        self.patches = opened.query(**query, columns=COLUMNS) if patches is None else _given(patches, opened)
        if self.patches.empty:
            raise UsageError("No patch meets the conditions.", place, "Relax the conditions.")
        self.reader: Reader = open_reader(array_of(place))
        self.bands = _checked(bands, self.reader.layout.shape[0])
        self._row = self.patches["store_row"].to_numpy(np.int64)
        moments = self.patches["acquired"].dt.tz_convert(None)
        self._acquired = moments.to_numpy("datetime64[us]").astype(np.int64)
        if dates is not None:
            self._members, self._begins = _by_location(self.patches["location_id"], self._acquired)
        self._checksum = self.patches["checksum"].to_numpy(np.float64)
        self._consistency, self._checked = opened.consistency, set[int]()
        self._scratch = threading.local()
        self._keys = lru_cache(maxsize=2)(partial(keys, len(self._row), seed))

    def __len__(self) -> int:
        return len(self._row) if self.dates is None else len(self._begins) - 1

    def __reduce__(self) -> tuple[Any, ...]:  # pickle only the arguments
        return self._anew, ()

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """The shape of a sample's pixels: date, band, y, x. There is one date if each patch is a sample."""
        bands, height, width = self.reader.layout.shape
        return self.dates or 1, bands if self.bands is None else len(self.bands), height, width

    def chosen(self, sample: int, epoch: int) -> Chosen:
        """Return the patches of a sample in an epoch."""
        if self.dates is None:
            return (sample,)
        members = self._members[self._begins[sample] : self._begins[sample + 1]]
        picked = choose(self.rule, self._acquired[members], self._keys(epoch)[members], self.dates)
        return tuple(members[picked].tolist())

    def request(self, chosen: Chosen) -> dict[int, Any]:
        """Begin to read the patches of a sample, without waiting.

        Returns:
            What `read` needs, by patch; empty if the dataset's reader cannot begin before `read`.
        """
        rows = {patch: int(self._row[patch]) for patch in chosen}
        begun = {p: self.reader.request(row) for p, row in rows.items() if row < self.reader.layout.rows}
        return {patch: request for patch, request in begun.items() if request is not None}

    def read(
        self, chosen: Chosen, out: npt.NDArray[np.int16], requests: Mapping[int, Any] | None = None
    ) -> None:
        """Read the pixels of a sample. A repeated patch is read only once.

        Args:
            chosen: the patches of the sample.
            out: output array, int16 [date, band, y, x].
            requests: output of `request` for these patches; None: begin now.

        Raises:
            DamagedError: A patch is missing or damaged. The message names it and its shard.
        """
        for k, patch in enumerate(chosen):
            first = chosen.index(patch)
            if first < k:
                out[k] = out[first]
            else:
                self._read_patch(patch, out[k], (requests or {}).get(patch))

    def labels(self, several: Sequence[Chosen]) -> dict[str, Any]:
        """Return the metadata of samples.

        Returns:
            ``row`` (store row), ``index`` (label in `patches` and in ``dataset.patches``) and ``acquired``
            (microseconds since 1970 UTC), each int64 [sample, date], without the date axis if each patch is a sample;
            ``location``, a list of location_id.
        """
        at = np.array(several, np.int64).reshape(-1, self.shape[0])
        location = self.patches["location_id"].array.take(at[:, 0])
        flat = at[:, 0] if self.dates is None else at
        return {
            "row": self._row[flat],
            "index": self.patches.index.to_numpy(np.int64)[flat],
            "acquired": self._acquired[flat],
            "location": [str(name) for name in location],
        }

    def patch_id(self, patch: int) -> str:
        """Return the patch_id of a position in `patches`."""
        return str(self.patches["patch_id"].array[patch])

    def _read_patch(self, patch: int, out: Patch, request: Any) -> None:  # noqa: ANN401
        row = int(self._row[patch])
        into = out if self.bands is None else self._whole_patch()
        try:
            there = self.reader.read_into(row, into, request)
        except DamagedError as error:
            raise DamagedError(
                f"Patch {self.patch_id(patch)}: {error.what}", error.path, error.remedy
            ) from error
        if not there:
            raise DamagedError(
                f"Patch {self.patch_id(patch)}: row {row} is not in the store.", self.reader.shard_of(row)
            )
        self._prove(patch, row, into)
        if self.bands is not None:
            np.take(into, self.bands, axis=0, out=out)

    def _prove(self, patch: int, row: int, pixels: Patch) -> None:
        """Check, once per shard, that its content matches the tables of this dataset."""
        shard = row // (self.reader.layout.shard_rows or 1)
        if shard in self._checked:
            return
        try:
            self._consistency.require(shard_name(shard), row, float(self._checksum[patch]), pixels)
        except DamagedError as error:
            raise DamagedError(
                f"Patch {self.patch_id(patch)}: {error.what}", error.path, error.remedy
            ) from error
        self._checked.add(shard)

    def _whole_patch(self) -> Patch:
        held: Patch | None = getattr(self._scratch, "patch", None)
        if held is None:
            held = self._scratch.patch = np.empty(self.reader.layout.shape, np.int16)
        return held


def _by_location(location: pd.Series, acquired: Numbers) -> tuple[Numbers, Numbers]:
    """Return patch positions grouped by location (in order of appearance), sorted by time, and where groups begin."""
    code, names = pd.factorize(location)
    by_time = np.argsort(acquired, kind="stable")
    # A single sort of distinct numbers: by location first, then by time.
    place = np.sort(code[by_time].astype(np.int64) * len(code) + np.arange(len(code))) % len(code)
    return by_time[place], np.concatenate([[0], np.cumsum(np.bincount(code, minlength=len(names)))])


def _given(patches: pd.DataFrame, opened: Dataset) -> pd.DataFrame:
    """Return the required columns of a user's selection, which may lack checksums."""
    *asked, checksum_column = COLUMNS
    if not isinstance(patches, pd.DataFrame) or not set(asked) <= set(patches.columns):
        raise UsageError(
            f"patches must be a table with columns {', '.join(asked)}.",
            remedy="Pass the result of `Dataset.query`.",
        )
    if checksum_column in patches:
        return patches[list(COLUMNS)]
    known = opened.read(PATCHES, ["store_row", checksum_column]).set_index("store_row")[checksum_column]
    return patches[asked].assign(checksum=known.reindex(patches["store_row"]).to_numpy())


def _checked(bands: Sequence[int] | None, count: int) -> Numbers | None:
    if bands is None:
        return None
    chosen = np.asarray(bands).reshape(-1)
    if chosen.dtype.kind not in "iu" or not chosen.size or chosen.min() < 0 or chosen.max() >= count:
        raise UsageError(
            f"bands must be a list of integers from 0 to {count - 1}; got {bands!r}.",
            remedy="Pass bands=[0, 10, 20], or None for all.",
        )
    return chosen.astype(np.int64)
