"""The same patches in all formats to compare: our store, a plain Zarr store, GeoTIFFs, tar files, LitData."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from spectralearth_build.config import load
from spectralearth_build.dataset.access import open_dataset
from spectralearth_build.export.driver import export
from spectralearth_build.files import replacing, write_bytes
from spectralearth_build.layout import MANIFEST, PATCHES, ROOT, STORE, ZARR, PatchStatus, shard_name
from spectralearth_build.pipeline import build
from spectralearth_build.progress import say, track
from spectralearth_build.reading.reader import array_of, open_reader
from spectralearth_build.store import schema
from spectralearth_build.store.codec import encode_patch
from spectralearth_build.store.shard import write_shard
from spectralearth_build.synthetic.archive import ArchiveOptions, synthesize

SIZE = 1240
"""Edge of the raster of a real tile in pixels."""
PLAIN = "portable"
"""Codec of the plain Zarr store, which uses only standard codecs that every library can read."""
SHARD_ROWS = 64


@dataclass(frozen=True)
class StoredFormats:
    """The locations of the patches in all formats."""

    dataset: Path
    """A finished dataset."""
    rows: tuple[int, ...]
    """The rows of the patches in the store."""
    plain: Path
    """A sharded Zarr array with the patches in its first rows, with the codec `PLAIN`."""
    exports: dict[str, Path]
    """The folder of each export: geotiff, webdataset, litdata."""

    @property
    def array(self) -> Path:
        """The patch array of the dataset."""
        return Path(array_of(self.dataset))


def prepare(work: Path, dataset: Path | None, tiles: int, seed: int) -> StoredFormats:
    """Make all formats below a folder. Existing ones are kept.

    Args:
        work: folder for the data.
        dataset: a finished dataset; None: build one from synthetic tiles.
        tiles: number of synthetic tiles.
        seed: random seed of the synthetic tiles.
    """
    if dataset is None:
        dataset = work / f"dataset-{tiles}-{seed}"
        if not (dataset / ROOT).is_file():
            archive = work / f"archive-{tiles}-{seed}"
            synthesize(archive, ArchiveOptions("random", tiles, seed, SIZE, clouds=False))
            build(archive, dataset, load())
    rows = tuple(open_dataset(dataset).query()["store_row"].tolist())
    exports = {name: work / f"{dataset.name}-{name}" for name in ("geotiff", "webdataset", "litdata")}
    for name, folder in exports.items():
        export(dataset, folder, name)
    plain = work / f"{dataset.name}-plain"
    if not (plain / ZARR).is_file():
        _write_plain(dataset, rows, plain)
    return StoredFormats(dataset, rows, plain, exports)


def simulate(formats: StoredFormats, rows: int, folder: Path) -> Path:
    """Make a dataset whose table has ``rows`` patches, which share the rows of the real store."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / STORE).unlink(missing_ok=True)
    (folder / STORE).symlink_to((formats.dataset / STORE).resolve())
    write_bytes(folder / MANIFEST, b"{}")
    place, date = np.divmod(np.arange(rows), 3)
    table = pd.DataFrame({
        "patch_id": [f"326{32 + k % 3}_{k % 20_000}_{k}_DT{k % 9000:010d}" for k in range(rows)],
        "location_id": [f"326{32 + k % 3}_{k % 20_000}_{k}" for k in place.tolist()],
        "acquired": pd.Timestamp("2022-05-01", tz="UTC") + pd.to_timedelta(place % 777 + 300 * date, unit="D"),
        "store_row": np.resize(formats.rows, rows),
        "status": PatchStatus.WRITTEN,
        "cloud_fraction": (place % 50) / 1000,
    })  # fmt: skip
    with replacing(folder / PATCHES) as temporary:
        table.sample(frac=1, random_state=0).to_parquet(temporary, index=False, compression="zstd")
    return folder


def drop(folders: Iterable[Path]) -> None:
    """Drop the files below folders from the page cache. The kernel may keep some."""
    for folder in folders:
        for path in (entry for entry in folder.rglob("*") if entry.is_file()):
            descriptor = os.open(path, os.O_RDONLY)
            try:
                os.fsync(descriptor)  # dirty pages cannot be dropped
                os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
            finally:
                os.close(descriptor)


def _write_plain(dataset: Path, rows: tuple[int, ...], folder: Path) -> None:
    reader = open_reader(array_of(dataset))
    patch = np.empty(reader.layout.shape, np.int16)
    starts = range(0, len(rows), SHARD_ROWS)
    for shard, start in enumerate(track(starts, "plain store", len(starts))):
        encoded = []
        for place, row in enumerate(rows[start : start + SHARD_ROWS]):
            reader.read_into(row, patch)
            encoded.append((place, encode_patch(patch, PLAIN)))
        write_shard(folder / Path(shard_name(shard)).name, SHARD_ROWS, encoded)
    document = schema.reflectance_document(len(starts), SHARD_ROWS, PLAIN)
    write_bytes(folder / ZARR, schema.metadata_bytes(document))
    say(f"bench: {len(rows)} patches in {folder}")
