"""Where things are in a dataset: the name of every file and folder, and the words for the status of its rows.

Names are paths below the dataset's folder, with slashes, so they serve on object stores too. No other module spells
them (`tests/test_layout.py` checks this). What the files hold is the matter of the modules that write them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path

# --- what readers see -----------------------------------------------------------------------------------
PLAN = "plan.json"
"""The plan: what it depends on, how the dataset grew, and numbers."""
MANIFEST = "manifest.json"
"""Size and hash of every published file."""
STATISTICS = "statistics.json"
"""Statistics per band."""
MAP = "plan.png"
"""A map of the plan."""
REPORT = "report.html"
"""The page for people. Not in the manifest."""
INDEX_NAME = "locations"
"""What the files of the R-tree are called, without suffix."""
INDEX = (f"{INDEX_NAME}.idx", f"{INDEX_NAME}.dat")
"""The R-tree over the locations."""

TILES = "tiles.parquet"
OVERLAPS = "overlaps.parquet"
TUPLES = "tuples.parquet"
LOCATIONS = "locations.parquet"
PATCHES = "patches.parquet"
QUARANTINE = "quarantine.parquet"
SPLITS = "splits.parquet"
LABEL_TABLE = "labels.parquet"
"""Files of the tables; `tables` says what their columns are."""

STORE = "store.zarr"
"""The pixels, with what is said of each patch."""
ZARR = "zarr.json"
"""Name of the metadata of the store and of each of its arrays."""
ROOT = f"{STORE}/{ZARR}"
"""Published last: without it nothing can be opened."""
REFLECTANCE = "reflectance"
"""The array of the pixels."""
CHUNK_PREFIX = "c."
"""How the file names of shards and chunks begin."""
COMMITS = "commits"
"""Folder of the records that say that a shard is complete."""
LABELS = "labels"
"""Folder of the definitions of labels."""
LABEL_PREFIX = "label_"
"""How the names of a label's array and of its records begin."""
LABEL_NAME = re.compile(r"[a-z][a-z0-9_]{0,31}")
"""What a label may be called."""

# --- what only builds see -------------------------------------------------------------------------------
WORK = "work"
"""Folder of what builds remember. It may be deleted between builds; then they do more work."""
NEXT = f"{WORK}/next"
"""Tables that are newer than the published ones."""
PENDING = f"{WORK}/pending"
"""Tables that are about to be moved into place, all together."""
PENDING_LIST = f"{PENDING}/complete.json"
"""Written last: the point of no return."""
FAILED = f"{WORK}/failed"
"""Notes on the tiles that failed in cut."""
SCANNED = f"{WORK}/scan"
"""Records of what scan read of each product."""
MASKS = f"{WORK}/masks"
"""Masks of the products."""
LISTINGS = f"{WORK}/listings"
"""What tar archives hold."""
SCRATCH = f"{WORK}/scratch"
"""Temporary files."""
REPAIR = f"{WORK}/repair"
"""A second dataset, in which files are made again."""
APPEALS = f"{WORK}/appeals.json"
"""Failures of cut that are to be tried again."""
CHECKED = f"{WORK}/checked.json"
"""Which manifest the last `build` has verified and reported."""
LOCK = f"{WORK}/lock.json"
"""On an object store: the run that is at work."""
PROBE = f"{WORK}/probe-"
"""How the names of objects begin that are written to try out a store."""
SIGHT = f"{WORK}/sight-"
"""How the names of files begin by which workers recognise the dataset."""

_COMMIT = re.compile(rf"{COMMITS}/shard-(\d+)\.json")
_SHARD = re.compile(rf"{STORE}/{REFLECTANCE}/{re.escape(CHUNK_PREFIX)}(\d+)\.0\.0\.0")
_OF_LABEL = re.compile(
    rf"{LABELS}/({LABEL_NAME.pattern})\.json"
    rf"|{COMMITS}/{LABEL_PREFIX}({LABEL_NAME.pattern})-\d{{8}}\.json"
    rf"|{STORE}/{LABEL_PREFIX}({LABEL_NAME.pattern})/{re.escape(CHUNK_PREFIX)}\d+\.0\.0"
)


class TileStatus(StrEnum):
    """Final status of a product; every product found has exactly one."""

    USED = "used"
    UNUSED = "unused"
    SUPERSEDED = "superseded"
    DUPLICATE = "duplicate"
    REJECTED = "rejected"
    QUARANTINED = "quarantined"


class PatchStatus(StrEnum):
    """Status of a planned patch."""

    PLANNED = "planned"
    """To be cut."""
    WRITTEN = "written"
    """In the store."""
    SKIPPED = "skipped"
    """Not in the store; the table says why."""
    RETIRED = "retired"
    """Superseded by a patch in another row."""


# --- pixels ---------------------------------------------------------------------------------------------
def array_metadata(array: str) -> str:
    """Path of an array's metadata."""
    return f"{STORE}/{array}/{ZARR}"


def shard_name(shard: int) -> str:
    """Path of a shard's file below the dataset; all shards lie in one folder."""
    return f"{STORE}/{REFLECTANCE}/{CHUNK_PREFIX}{shard}.0.0.0"


def shard_path(dataset: Path, shard: int) -> Path:
    """The file of a shard."""
    return dataset / shard_name(shard)


def is_shard(name: str) -> bool:
    """Whether a path is that of a shard of pixels, or of something beside the shards that is called like one."""
    return name.startswith(f"{STORE}/{REFLECTANCE}/{CHUNK_PREFIX}")


def shard_files(dataset: Path) -> Iterator[Path]:
    """The files that are called like shards of pixels, in no order."""
    yield from (dataset / STORE / REFLECTANCE).glob(f"{CHUNK_PREFIX}*")


def commit_name(shard: int) -> str:
    """Path of the record of a shard of pixels."""
    return f"{COMMITS}/shard-{shard:08d}.json"


def commit_files(dataset: Path) -> list[Path]:
    """The records of shards of pixels that are there, in order of shards."""
    return sorted((dataset / COMMITS).glob("shard-*.json"))


def committed_shards(dataset: Path) -> list[int]:
    """Numbers of the shards of pixels that have a record, by the names of the files, ascending."""
    return sorted(int(path.stem.rpartition("-")[2]) for path in commit_files(dataset))


def shard_of(name: str) -> int | None:
    """Number of the shard that a path belongs to, as its file or its record; None for other paths."""
    found = _COMMIT.fullmatch(name) or _SHARD.fullmatch(name)
    return int(found[1]) if found else None


# --- labels ---------------------------------------------------------------------------------------------
def label_array(label: str) -> str:
    """Name of a label's array in the store."""
    return f"{LABEL_PREFIX}{label}"


def label_definition(label: str) -> str:
    """Path of a label's definition."""
    return f"{LABELS}/{label}.json"


def label_record(label: str, shard: int) -> str:
    """Path of the record of a shard of labels."""
    return f"{COMMITS}/{LABEL_PREFIX}{label}-{shard:08d}.json"


def label_record_files(dataset: Path, label: str) -> list[Path]:
    """The records of a label that are there, in order; those of labels whose names begin with it are among them."""
    return sorted((dataset / COMMITS).glob(f"{LABEL_PREFIX}{label}-*.json"))


def label_shard(label: str, shard: int) -> str:
    """Path of a shard of labels."""
    return f"{STORE}/{LABEL_PREFIX}{label}/{CHUNK_PREFIX}{shard}.0.0"


def label_of(name: str) -> str:
    """The label that a definition, record or shard belongs to, by its path; empty for other paths."""
    found = _OF_LABEL.fullmatch(name)
    return next(filter(None, found.groups())) if found else ""


def is_label_shard(name: str) -> bool:
    """Whether a path is that of a shard of labels."""
    return bool(label_of(name)) and name.startswith(f"{STORE}/")


def is_commit(name: str) -> bool:
    """Whether a path is that of a record of pixels: of any that is not of labels."""
    return name.startswith(f"{COMMITS}/") and not label_of(name)


# --- work -----------------------------------------------------------------------------------------------
def mask_name(product_id: str) -> str:
    """Path of a product's mask."""
    return f"{MASKS}/{product_id}.mask"


def scan_record(digest: str) -> str:
    """Path of the record of a product; ``digest`` is a hash of the product's path."""
    return f"{SCANNED}/{digest}.json"


def failed_note(tile_id: str) -> str:
    """Path of the note on a tile that failed in cut."""
    return f"{FAILED}/{tile_id}.json"


def in_work(name: str) -> bool:
    """Whether a path lies in the folder of what builds remember."""
    return name.startswith(f"{WORK}/")
