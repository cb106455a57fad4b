"""The layout of a dataset: the name of every file and folder, and the statuses of the rows of its tables.

Names are paths below the dataset's folder, with slashes, so they are also valid on object stores. No other module
spells them (`tests/test_layout.py` checks this). The contents of the files are defined by the modules that write them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path

# --- for readers ----------------------------------------------------------------------------------------
PLAN = "plan.json"
"""The plan: its inputs, the generations of the dataset, and counts."""
MANIFEST = "manifest.json"
"""Size and hash of every published file."""
STATISTICS = "statistics.json"
"""Statistics per band."""
MAP = "plan.png"
"""A map of the plan."""
REPORT = "report.html"
"""The report page. Not in the manifest."""
INDEX_NAME = "locations"
"""Name of the files of the R-tree, without suffix."""
INDEX = (f"{INDEX_NAME}.idx", f"{INDEX_NAME}.dat")
"""The R-tree of the locations."""

TILES = "tiles.parquet"
OVERLAPS = "overlaps.parquet"
TUPLES = "tuples.parquet"
LOCATIONS = "locations.parquet"
PATCHES = "patches.parquet"
QUARANTINE = "quarantine.parquet"
SPLITS = "splits.parquet"
LABEL_TABLE = "labels.parquet"
"""Files of the tables; `tables` defines their columns."""

STORE = "store.zarr"
"""The store of pixels, coordinates and label maps."""
ZARR = "zarr.json"
"""Name of the metadata files of the store and of its arrays."""
ROOT = f"{STORE}/{ZARR}"
"""Metadata of the store. Published last: without it, the store cannot be opened."""
REFLECTANCE = "reflectance"
"""The array of the pixels."""
CHUNK_PREFIX = "c."
"""Prefix of the file names of shards and chunks."""
COMMITS = "commits"
"""Folder of the commit records; each says that a shard is complete."""
LABELS = "labels"
"""Folder of the definitions of labels."""
LABEL_PREFIX = "label_"
"""Prefix of the names of a label's array and of its records."""
LABEL_NAME = re.compile(r"[a-z][a-z0-9_]{0,31}")
"""Valid names of labels."""

# --- for builds only ------------------------------------------------------------------------------------
WORK = "work"
"""Folder of intermediate results. It may be deleted between builds, which then have to do more work."""
NEXT = f"{WORK}/next"
"""Tables that are newer than the published ones."""
PENDING = f"{WORK}/pending"
"""Tables that are about to be moved into place together."""
PENDING_LIST = f"{PENDING}/complete.json"
"""List of the pending tables. Written last: the point of no return."""
FAILED = f"{WORK}/failed"
"""Folder of notes on tiles that failed in cut."""
SCANNED = f"{WORK}/scan"
"""Folder of scan's records of products."""
MASKS = f"{WORK}/masks"
"""Folder of the masks of products."""
EXACT = f"{WORK}/exact"
"""Folder of the masks that cut corrected, of products in which it found pixels without data."""
ALL_EXACT = f"{EXACT}/all"
"""Note that this folder has all corrected masks, because it was there before the first shard was cut."""
LISTINGS = f"{WORK}/listings"
"""Folder of cached contents of tar archives."""
LOGS = f"{WORK}/logs"
"""Folder of the event logs of runs."""
SCRATCH = f"{WORK}/scratch"
"""Folder of temporary files."""
REPAIR = f"{WORK}/repair"
"""Folder of a second dataset, in which files are rebuilt."""
APPEALS = f"{WORK}/appeals.json"
"""Failures of cut to try again."""
CHECKED = f"{WORK}/checked.json"
"""Hash of the manifest that the last `build` verified and reported."""
PUBLISHED = f"{WORK}/published.json"
"""What the last publication found, and the state of all files after it."""
LOCK = f"{WORK}/lock.json"
"""On an object store: the run that holds the dataset."""
PROBE = f"{WORK}/probe-"
"""Prefix of the names of objects that are written to test a store."""
SIGHT = f"{WORK}/sight-"
"""Prefix of the names of files by which workers recognise the dataset."""

_COMMIT = re.compile(rf"{COMMITS}/shard-(\d+)\.json")
_SHARD = re.compile(rf"{STORE}/{REFLECTANCE}/{re.escape(CHUNK_PREFIX)}(\d+)\.0\.0\.0")
_LABEL_SHARD = re.compile(rf"{STORE}/{LABEL_PREFIX}{LABEL_NAME.pattern}/{re.escape(CHUNK_PREFIX)}(\d+)\.0\.0")
_OF_LABEL = re.compile(
    rf"{LABELS}/({LABEL_NAME.pattern})\.json"
    rf"|{COMMITS}/{LABEL_PREFIX}({LABEL_NAME.pattern})-\d{{8}}\.json"
    rf"|{STORE}/{LABEL_PREFIX}({LABEL_NAME.pattern})/{re.escape(CHUNK_PREFIX)}\d+\.0\.0"
)


class TileStatus(StrEnum):
    """Final status of a product. Every product found has exactly one."""

    USED = "used"
    UNUSED = "unused"
    SUPERSEDED = "superseded"
    DUPLICATE = "duplicate"
    REJECTED = "rejected"
    QUARANTINED = "quarantined"


class PatchStatus(StrEnum):
    """Status of a planned patch."""

    PLANNED = "planned"
    """Not cut yet."""
    WRITTEN = "written"
    """In the store."""
    SKIPPED = "skipped"
    """Not in the store; the table gives the reason."""
    RETIRED = "retired"
    """Replaced by a patch in another row."""


# --- pixels ---------------------------------------------------------------------------------------------
def array_metadata(array: str) -> str:
    """Return the path of an array's metadata."""
    return f"{STORE}/{array}/{ZARR}"


def shard_name(shard: int) -> str:
    """Path of a shard's file below the dataset; all shards are in one folder."""
    return f"{STORE}/{REFLECTANCE}/{CHUNK_PREFIX}{shard}.0.0.0"


def shard_path(dataset: Path, shard: int) -> Path:
    """Return the path of a shard file."""
    return dataset / shard_name(shard)


def is_shard(name: str) -> bool:
    """Whether a path is that of a shard of pixels, or of another file in their folder with the same prefix."""
    return name.startswith(f"{STORE}/{REFLECTANCE}/{CHUNK_PREFIX}")


def shard_files(dataset: Path) -> Iterator[Path]:
    """Yield the files with the prefix of shards of pixels, in any order."""
    yield from (dataset / STORE / REFLECTANCE).glob(f"{CHUNK_PREFIX}*")


def commit_name(shard: int) -> str:
    """Return the path of the commit record of a shard of pixels."""
    return f"{COMMITS}/shard-{shard:08d}.json"


def commit_files(dataset: Path) -> list[Path]:
    """The existing records of shards of pixels, in order of shards."""
    return sorted((dataset / COMMITS).glob("shard-*.json"))


def committed_shards(dataset: Path) -> list[int]:
    """Numbers of the shards of pixels that have a record, ascending; files with other names are not records."""
    found = (shard_of(f"{COMMITS}/{path.name}") for path in commit_files(dataset))
    return sorted(shard for shard in found if shard is not None)


def shard_of(name: str) -> int | None:
    """Number of the shard whose file or record has this path; None for other paths."""
    found = _COMMIT.fullmatch(name) or _SHARD.fullmatch(name)
    return int(found[1]) if found else None


# --- labels ---------------------------------------------------------------------------------------------
def label_array(label: str) -> str:
    """Return the name of a label's array in the store."""
    return f"{LABEL_PREFIX}{label}"


def label_definition(label: str) -> str:
    """Return the path of a label's definition."""
    return f"{LABELS}/{label}.json"


def label_record(label: str, shard: int) -> str:
    """Return the path of the record of a label shard."""
    return f"{COMMITS}/{LABEL_PREFIX}{label}-{shard:08d}.json"


def label_record_files(dataset: Path, label: str) -> list[Path]:
    """The existing records of a label, in order, including those of labels whose names begin with its name."""
    return sorted((dataset / COMMITS).glob(f"{LABEL_PREFIX}{label}-*.json"))


def label_shard(label: str, shard: int) -> str:
    """Return the path of a label shard."""
    return f"{STORE}/{LABEL_PREFIX}{label}/{CHUNK_PREFIX}{shard}.0.0"


def label_of(name: str) -> str:
    """Return the label of the definition, record or shard with this path; empty for other paths."""
    found = _OF_LABEL.fullmatch(name)
    return next(filter(None, found.groups())) if found else ""


def is_label_shard(name: str) -> bool:
    """Return whether a path is that of a label shard."""
    return bool(label_of(name)) and name.startswith(f"{STORE}/")


def label_shard_of(name: str) -> int | None:
    """Number of the label shard with this path; None for other paths."""
    found = _LABEL_SHARD.fullmatch(name)
    return int(found[1]) if found else None


def is_commit(name: str) -> bool:
    """Whether a path is that of a commit record other than of labels."""
    return name.startswith(f"{COMMITS}/") and not label_of(name)


# --- work -----------------------------------------------------------------------------------------------
def mask_name(product_id: str) -> str:
    """Path of a product's mask."""
    return f"{MASKS}/{product_id}.mask"


def exact_name(mask: str, digest: str) -> str:
    """Path of the mask that cut corrected; ``mask`` is the path of scan's, ``digest`` says for which content."""
    return f"{EXACT}/{mask.rpartition('/')[2].removesuffix('.mask')}-{digest}.mask"


def exact_files(dataset: Path) -> list[Path]:
    """Paths of the masks that cut corrected."""
    return sorted((dataset / EXACT).glob("*.mask"))


def scan_record(digest: str) -> str:
    """Path of the record of a product; ``digest`` is a hash of the product's path."""
    return f"{SCANNED}/{digest}.json"


def failed_note(tile_id: str) -> str:
    """Path of the note on a tile that failed in cut."""
    return f"{FAILED}/{tile_id}.json"


def log_name(run: str) -> str:
    """Path of the event log of a run."""
    return f"{LOGS}/{run}.jsonl"


def log_files(dataset: Path) -> list[Path]:
    """Event logs of the dataset, oldest first: their names begin with the time."""
    return sorted((dataset / LOGS).glob("*.jsonl"))


def in_work(name: str) -> bool:
    """Whether a path is in the work folder."""
    return name.startswith(f"{WORK}/")
