"""manifest.json, which lists every file of a finished dataset with its hash.

It contains no times, machine names or paths outside the dataset. So two builds of the same plan with the same versions
give the same bytes.
"""

from __future__ import annotations

import hashlib
import json
from collections import ChainMap, Counter
from collections.abc import Collection, Iterator, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import pyarrow.compute as pc
import pyproj
import shapely

from spectralearth_build.columns import Table
from spectralearth_build.errors import DamagedError
from spectralearth_build.layout import MANIFEST, PatchStatus
from spectralearth_build.store.commit import json_bytes
from spectralearth_build.store.labels import StoredLabel
from spectralearth_build.store.planned import Planned
from spectralearth_build.store.seal import KEY
from spectralearth_build.tables import LOCATIONS, PATCHES, STATUSES, TILES
from spectralearth_build.version import __version__

FORMAT = 1
"""Version of the dataset layout."""
_PACKAGES = (
    "geopandas",
    "numcodecs",
    "numpy",
    "pandas",
    "pyarrow",
    "pyproj",
    "rasterio",
    "rtree",
    "shapely",
    "zarr",
)
_BLOCK = 1 << 20
_AT_ONCE = 1 << 12
"""Files whose entries are encoded at a time."""

Entry = dict[str, int | str]
"""``bytes`` and ``sha256`` of a file."""


def versions() -> dict[str, str]:
    """Return the versions of this package and of libraries that affect bytes and pixels."""
    import rasterio  # readers of a dataset do not need it, and it takes a while

    found = {name: _version(name) for name in _PACKAGES}
    libraries = {
        "GDAL": rasterio.__gdal_version__,
        "GEOS": shapely.geos_version_string,
        "PROJ": pyproj.proj_version_str,
    }
    return {"spectralearth-build": __version__, **found, **libraries}


@dataclass(frozen=True)
class Manifest:
    """The content of a finished dataset."""

    plan: str
    """Id of the plan that was published."""
    settings: Mapping[str, Any]
    """The settings that determined it, by dotted name."""
    versions: Mapping[str, str]
    """Versions of this package and of libraries that affect bytes and pixels."""
    counts: Mapping[str, Any]
    """What `counts` returns."""
    files: Mapping[str, Entry]
    """Size and hash of every file, by path below the dataset."""
    format: int = FORMAT
    """Version of the dataset layout."""

    def encode(self) -> bytes:
        """Return the content of the file, with its own hash."""
        return b"".join(self.pieces())

    def write(self, path: Path) -> Path:
        """Write what `encode` returns to a new file, piece by piece."""
        with path.open("wb") as file:
            file.writelines(self.pieces())
        return path

    def pieces(self) -> Iterator[bytes]:
        """Yield what `encode` returns in pieces of a few thousand files."""
        names, digest = sorted(self.files), hashlib.sha256()
        for piece in self._pieces(vars(self), names):
            digest.update(piece)
        yield from self._pieces({**vars(self), KEY: digest.hexdigest()}, names)

    def _pieces(self, document: Mapping[str, Any], names: Sequence[str]) -> Iterator[bytes]:
        """Yield what `json_bytes` makes of a document whose ``files`` are those of this manifest."""
        opening = "{"
        for key in sorted(document):
            yield f'{opening}"{key}":'.encode()
            yield from self._entries(names) if key == "files" else [json_bytes(document[key]).rstrip()]
            opening = ","
        yield b"}\n"

    def _entries(self, names: Sequence[str]) -> Iterator[bytes]:
        yield b"{"
        for first in range(0, len(names), _AT_ONCE):
            some = {name: self.files[name] for name in names[first : first + _AT_ONCE]}
            yield (b"," if first else b"") + json_bytes(some).rstrip()[1:-1]
        yield b"}"

    @classmethod
    def decode(cls, data: bytes) -> Manifest:
        """Parse the content of the file. The seal may be missing or wrong.

        Raises:
            ValueError: This is not a manifest. The message says what is missing.
        """
        try:
            found = json.loads(data)
            files, numbers = found["files"], found["counts"]
            if not isinstance(numbers, dict):
                raise TypeError("counts are not an object")
            for name, known in files.items():
                if not _inside(name):
                    raise TypeError(f"{name[:60]!a} is not a path of a dataset")
                if type(known["bytes"]) is not int or type(known["sha256"]) is not str:
                    raise TypeError(f"{name[:60]!a} has no bytes and sha256")
            settings, versions = dict(found.get("settings", {})), dict(found.get("versions", {}))
            return cls(str(found.get("plan", "")), settings, versions, numbers, files, found.get("format", 0))
        except (KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
            raise ValueError(f"it is not a manifest ({error!r})") from error

    @classmethod
    def read(cls, dataset: Path) -> Manifest:
        """Read the manifest of a dataset.

        Raises:
            OSError: The file does not exist or cannot be read.
            DamagedError: The file is not a manifest. The message says what is missing.
        """
        try:
            return cls.decode((dataset / MANIFEST).read_bytes())
        except ValueError as error:
            raise DamagedError(f"It cannot be read: {error}.", dataset / MANIFEST) from error


def published_files(dataset: Path) -> frozenset[str]:
    """Return the names of the files in the manifest of a dataset; empty without a readable manifest."""
    try:
        return frozenset(Manifest.read(dataset).files)
    except (OSError, DamagedError):
        return frozenset()


@dataclass(frozen=True)
class StatusCounts:
    """Counts over the rows of tables with their final status."""

    folders: Mapping[str, Path]
    """Folder of each table, by file name."""

    @property
    def tiles(self) -> Counter[str]:
        """Products by status."""
        return self._counted(TILES, "status")

    @property
    def patches(self) -> Counter[str]:
        """Patches by status."""
        return self._counted(PATCHES, "status")

    @property
    def dates(self) -> Counter[int]:
        """Locations by number of dates."""
        return self._counted(LOCATIONS, "n")

    @property
    def written(self) -> npt.NDArray[np.int64]:
        """Rows of written patches, int64 [patch]."""
        batches = PATCHES.batches(self.folders[PATCHES.file], ["store_row", "status"])
        rows = (
            batch.filter(pc.equal(batch["status"], PatchStatus.WRITTEN))["store_row"] for batch in batches
        )
        return np.concatenate([np.empty(0, np.int64), *(each.to_numpy() for each in rows)])

    def _counted(self, table: Table, column: str) -> Counter[Any]:
        found: Counter[Any] = Counter()
        for batch in table.batches(self.folders[table.file], [column]):
            for each in pc.value_counts(batch[column]).to_pylist():
                found[each["values"]] += each["counts"]
        return found


def counts(
    planned: Planned,
    statuses: StatusCounts,
    shards: int,
    shard_bytes: int,
    labels: Collection[StoredLabel] = (),
) -> dict[str, Any]:
    """Return counts that add up: every product has one status, every planned patch is written, skipped or retired.

    Args:
        planned: the plan.
        statuses: the tables with their final status.
        shards: number of shards that were written.
        shard_bytes: their size in bytes.
        labels: the labels. If there are none, their counts are left out.
    """
    tiles, patches, dates = statuses.tiles, statuses.patches, statuses.dates
    final = (PatchStatus.WRITTEN, PatchStatus.SKIPPED, PatchStatus.RETIRED)
    found: dict[str, Any] = {
        "tiles": {"found": tiles.total(), **{name: tiles[name] for name in STATUSES}},
        "patches": {"planned": patches.total(), **{name: patches[name] for name in final}},
        "locations": {"planned": dates.total(), "by_dates": {str(n): dates[n] for n in sorted(dates)}},
        "store": {
            "rows": planned.shards * planned.shard_rows,
            "shards": planned.shards,
            "shards_written": shards,
            "shard_bytes": shard_bytes,
        },
    }
    if labels:
        found["labels"] = _labelled(labels, statuses.written)
    return found


def manifest_of(
    planned: Planned,
    numbers: Mapping[str, Any],
    entries: Mapping[str, Entry],
    dataset: Path,
    labels: Collection[StoredLabel] = (),
) -> Manifest:
    """The manifest of a dataset.

    Args:
        planned: the plan.
        numbers: output of `counts`.
        entries: size and hash of all files but those of labels, by path below the dataset.
        dataset: folder of the dataset, from which the records of labels are hashed.
        labels: the labels, whose records contain the hashes of their shards.
    """
    of_labels: dict[str, Entry] = {}
    for record in (record for label in labels for record in label.records.values()):
        of_labels[record.name] = entry((dataset / record.name).read_bytes())
        of_labels[record.shard_name] = {"bytes": record.size, "sha256": record.sha256}
    return Manifest(planned.id, planned.settings, versions(), numbers, together(of_labels, entries))


def together(*entries: Mapping[str, Entry]) -> Mapping[str, Entry]:
    """Return the entries of several mappings, which are not copied. The first that has a path counts."""
    return ChainMap(*(cast("MutableMapping[str, Entry]", each) for each in entries))


def entries_of(files: Mapping[str, bytes | Path]) -> dict[str, Entry]:
    """Return size and hash of contents, given as bytes or as a file that has them, by path below the dataset."""
    return {
        name: entry_of_file(content) if isinstance(content, Path) else entry(content)
        for name, content in files.items()
    }


def listed(dataset: Path, name: str) -> Entry | None:
    """Return the manifest entry of a file; None if it is not listed, or there is no readable manifest."""
    path = dataset / MANIFEST
    try:
        seen = path.stat()
        return _files_of(path, seen.st_mtime_ns, seen.st_size).get(name)
    except (OSError, ValueError):
        return None


@lru_cache(maxsize=4)
def _files_of(path: Path, _time: int, _size: int) -> Mapping[str, Entry]:
    return Manifest.decode(path.read_bytes()).files


def _inside(name: str) -> bool:
    """Return whether a name is a path below the dataset."""
    parts = name.split("/")
    return name.isprintable() and all(part not in ("", ".", "..") for part in parts)


def entry(data: bytes) -> Entry:
    """Return size and hash of content."""
    return {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}


def entry_of_file(path: Path) -> Entry:
    """Return size and hash of a file, which is read in blocks."""
    digest, size = hashlib.sha256(), 0
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
            size += len(block)
    return {"bytes": size, "sha256": digest.hexdigest()}


def _labelled(labels: Collection[StoredLabel], rows: npt.NDArray[np.int64]) -> dict[str, dict[str, int]]:
    """Return for each label how many written patches have a map, and how many were left out.

    Args:
        labels: the labels.
        rows: rows of the written patches.
    """
    found = {}
    for label in labels:
        patches = [patch for record in label.records.values() for patch in record.patches]
        left_out = np.array([bool(patch.reason) for patch in patches], np.bool_)
        there = np.isin(np.array([patch.row for patch in patches], np.int64), rows)
        written, skipped = (int((there & each).sum()) for each in (~left_out, left_out))
        found[label.definition.label] = {"written": written, "skipped": skipped}
    return found


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:  # a build without package metadata still has a module
        return "unknown"
