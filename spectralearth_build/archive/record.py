"""Records of the products that scan has read, one JSON file each, so that scanning can resume."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Container, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import shapely

from spectralearth_build import errors
from spectralearth_build.archive.discover import Found
from spectralearth_build.cluster.task import Failure
from spectralearth_build.config import ScanConfig
from spectralearth_build.errors import ProductError, printable
from spectralearth_build.files import remove, write_bytes
from spectralearth_build.layout import mask_name, scan_record
from spectralearth_build.waive import accepted

FORMAT = 2
"""Version of the format and of the checks; records and quarantine decisions of other versions are not used."""


@dataclass(frozen=True)
class Record:
    """The outcome of reading one product."""

    error_class: str = ""
    """Class of the problem; empty if the product is sound."""
    status: str = ""
    """Status because of the problem: quarantined or rejected; empty if the product is sound."""
    reason: str = ""
    """Description of the problem."""
    row: Mapping[str, Any] = field(default_factory=dict)
    """Columns of the tile table as JSON values, lists as arrays; empty unless the product is sound."""

    @property
    def sound(self) -> bool:
        """Whether the product can be used."""
        return not self.error_class

    @property
    def final(self) -> bool:
        """Whether reading the same files again would give the same result; see `ProductError.lasting`."""
        return self.sound or errors.is_lasting(self.error_class)

    @classmethod
    def of_error(cls, error: ProductError, archive: Path) -> Record:
        """The record of a product that cannot be used, with paths relative to the archive."""
        return cls(type(error).__name__, error.status, str(error).replace(f"{_shown(archive)}/", ""))

    @classmethod
    def of_failure(cls, failure: Failure, archive: Path) -> Record:
        """The record of a product whose task failed."""
        kind = getattr(errors, failure.error_class, ProductError)
        return cls(failure.error_class, kind.status, failure.message.replace(f"{_shown(archive)}/", ""))


def stamp_of(item: Found, settings: ScanConfig) -> str:
    """A stamp that changes whenever a product must be read again."""
    waived = accepted(settings.accept, item.name.tile_id) if item.name else ()
    read = f"{settings.validity} {settings.band_tolerance_nm!r} {settings.correction}"
    return " ".join([str(FORMAT), read, item.stamp, *waived])


def forget_record(dataset: Path, path: str) -> None:
    """Make scan read a product again, even if sizes and times of its files are unchanged.

    Args:
        dataset: the dataset.
        path: path of the product below the archive.
    """
    remove(_path(dataset, path))


def overrule(dataset: Path, path: str, record: Record) -> None:
    """Replace the record of a product that turned out to be damaged, so that scan takes another product of the tile.

    Args:
        dataset: the dataset.
        path: path of the product below the archive.
        record: what was found. It holds until the files of the product change.
    """
    place = _path(dataset, path)
    try:
        stamp = json.loads(place.read_bytes())["stamp"]
    except (OSError, ValueError, TypeError, LookupError):
        return  # scan will read the product again
    write_bytes(place, json.dumps({"stamp": stamp, **vars(record)}, sort_keys=True).encode())


def save_record(dataset: Path, item: Found, stamp: str, record: Record) -> None:
    """Save a record atomically."""
    content = {"stamp": stamp, **vars(record)}
    write_bytes(_path(dataset, item.path), json.dumps(content, sort_keys=True).encode())


def load_record(dataset: Path, item: Found, stamps: Container[str]) -> Record | None:
    """The record of a product, if there is one with one of the stamps and its mask still exists."""
    try:
        content = json.loads(_path(dataset, item.path).read_bytes())
        if content.pop("stamp") not in stamps:
            return None
        row = {
            key: np.array(value) if isinstance(value, list) else value
            for key, value in content["row"].items()
        }
        record = Record(**content | {"row": row})
    except (OSError, ValueError, TypeError, LookupError, AttributeError):
        return None
    return record if not record.sound or mask_path(dataset, str(record.row["product_id"])).is_file() else None


def mask_path(dataset: Path, product_id: str) -> Path:
    """Path of the mask of a product."""
    return dataset / mask_name(product_id)


def columns_of(record: Record) -> dict[str, Any]:
    """A sound record's columns as values for the tile table."""
    return {
        **record.row,
        "acquired": datetime.fromisoformat(record.row["acquired"]),
        "geometry": shapely.from_wkb(record.row["geometry"]),
    }


def _shown(archive: Path) -> str:
    return printable(archive, limit=4096)


def _path(dataset: Path, path: str) -> Path:
    digest = hashlib.sha1(os.fsencode(path), usedforsecurity=False).hexdigest()
    return dataset / scan_record(digest)
