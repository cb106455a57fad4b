"""Export in any format: writes the patches in parts, on several threads."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from spectralearth_build.arguments import whole
from spectralearth_build.dataset.access import Dataset, open_dataset
from spectralearth_build.errors import UsageError
from spectralearth_build.export import band_choice
from spectralearth_build.export.format import Contents, Format, Options
from spectralearth_build.export.geotiff import GeoTiff
from spectralearth_build.export.huggingface import HuggingFace
from spectralearth_build.export.litdata import LitData
from spectralearth_build.export.npy import Npy
from spectralearth_build.export.patch_reader import PatchReader
from spectralearth_build.export.selection import ExportPart, Filters, Selection, select_patches
from spectralearth_build.export.target import Entries, Target
from spectralearth_build.export.webdataset import WebDataset
from spectralearth_build.layout import MANIFEST, PATCHES, TILES
from spectralearth_build.lock import alone
from spectralearth_build.progress import say, track
from spectralearth_build.store.manifest import entry_of_file, versions
from spectralearth_build.texts import counted

FORMATS = ("webdataset", "litdata", "geotiff", "numpy", "hf")


@dataclass(frozen=True)
class _ExportWork:
    """State that the threads share."""

    file_format: Format
    selection: Selection
    pixels: PatchReader
    target: Target

    def write(self, part: ExportPart) -> Entries:
        """Write a part and record that it is complete."""
        rows = self.selection.frame["store_row"].to_numpy()[part.start : part.stop].tolist()
        self.file_format.write(self.selection, part, map(self.pixels.read, rows), self.target.building)
        return self.target.record(part, self.file_format.files(self.selection, part))


def export(
    dataset: str | Path,
    target: str | Path,
    to: str,
    filters: Filters | None = None,
    options: Options | None = None,
    workers: int = 0,
) -> bool:
    """Write patches of a dataset in another format.

    The target appears only when it is complete. A stopped export continues when called again with the same arguments.
    The bytes do not depend on interruptions or the number of threads.

    Args:
        dataset: folder of a finished dataset.
        target: folder to create; it may exist if it is empty.
        to: one of `FORMATS`.
        filters: which patches to export.
        options: how to write them.
        workers: number of threads; 0: one per core.

    Returns:
        Whether anything was written; False if the export was already complete.

    Raises:
        UsageError: The dataset does not exist, no patch is selected, or the target contains something else.
        DamagedError: A patch cannot be read, or files of a finished target are missing.
        OutOfSpaceError: There is not enough free space for the target.
        StoppedError: A signal arrived.
    """
    source, filters, options = open_dataset(dataset), filters or Filters(), options or Options()
    file_format, path = format_of(to, options), _checked(Path(target).resolve(), source)
    chosen = band_choice.choose(options.bands, source.nominal_nm)
    selection = select_patches(source, filters, chosen)
    per_file, workers = whole("per_file", options.per_file) or file_format.per_file, whole("workers", workers)
    if per_file > file_format.most_per_file:
        raise UsageError(
            f"A file of {to} can contain at most {file_format.most_per_file} patches, got {per_file}.",
            remedy="Give a smaller --per-file.",
        )
    settings = {
        "layout": file_format.layout,
        "to": to,
        "per_file": per_file,
        "compress": getattr(file_format, "compress", None),
        "bands": chosen.tolist() if options.bands else "all",
    }
    identity = _identity(source, selection, filters, settings)
    work = _ExportWork(file_format, selection, PatchReader(source, chosen), Target(path, identity))
    if work.target.finished():
        say(f"{path}: already complete")
        return False
    # No lease: two exports write the same files, and the slower one fails at its end.
    with alone(work.target.building, lease=False):
        _run(work, per_file, workers or os.cpu_count() or 1)
    say(f"{path}: {counted(len(selection), 'patch', 'patches')}")
    return True


def _checked(target: Path, source: Dataset) -> Path:
    """The target, unless nothing can be put there."""
    if target.is_relative_to(source.path.resolve()):
        raise UsageError("The target is inside the dataset.", target, "Give a folder outside the dataset.")
    if target.is_mount():
        raise UsageError(
            "The target is a mount point, so the finished export cannot be moved there.",
            target,
            "Give a folder inside the target.",
        )
    return target


def format_of(to: str, options: Options) -> Format:
    """Return the format with a name.

    Raises:
        UsageError: The format does not exist, or does not support an option.
    """
    if options.compress and to != "geotiff":
        raise UsageError(
            "--compress is only for GeoTIFF.", remedy="Leave out --compress, or use --to geotiff."
        )
    if to == "geotiff":
        return GeoTiff(options.compress)
    known: dict[str, type[Format]] = {
        "webdataset": WebDataset,
        "litdata": LitData,
        "numpy": Npy,
        "hf": HuggingFace,
    }
    if to not in known:
        raise UsageError(f"Unknown format '{to}'.", remedy=f"Use one of: {', '.join(FORMATS)}.")
    return known[to]()


def _identity(
    dataset: Dataset, selection: Selection, filters: Filters, settings: Mapping[str, object]
) -> dict[str, object]:
    """Return everything that determines the bytes of an export, as values that survive a JSON round trip."""
    conditions = {name: list(v) if isinstance(v, tuple) else v for name, v in filters.document().items()}
    return {
        **settings,
        "plan": dataset.store.attrs["plan"],
        "dataset": entry_of_file(dataset.path / MANIFEST)["sha256"],
        "filters": conditions,
        "patches": len(selection),
        "selection": selection.digest(),
    }


def _run(work: _ExportWork, per_file: int, workers: int) -> None:
    """Write the missing parts and publish."""
    target, selection = work.target, work.selection
    if target.finished():  # another run finished between the check and the lock
        target.building.rmdir()
        return
    target.begin()
    if target.complete():
        target.publish()
        return
    parts = selection.parts(per_file)
    todo = [part for part in parts if part.name not in target.done]
    if work.file_format.raw:
        bands_, height, width = work.pixels.shape
        target.require_space(2 * bands_ * height * width * sum(map(len, todo)))
    found = dict(target.done)
    for part, entries in _written(work, todo, workers):
        found[part.name] = entries
    files = {name: known for part in parts for name, known in found[part.name].items()}
    contents = Contents(selection, parts, work.pixels.shape, files, str(target.identity["plan"]))
    small = {**work.file_format.indices(contents), **_tables(work, parts)}
    target.finish(files, small, {"counts": _counts(selection, files), "versions": versions()})


def _written(work: _ExportWork, todo: list[ExportPart], workers: int) -> Iterator[tuple[ExportPart, Entries]]:
    """Write parts on threads, and yield each once it is durable.

    If one part fails, no other begins. After a signal, running parts also stop at their next patch.
    """
    total = sum(map(len, todo))
    with ThreadPoolExecutor(workers, thread_name_prefix="export") as pool:
        futures: dict[Future[Entries], ExportPart] = {pool.submit(work.write, part): part for part in todo}
        try:
            finished = (future for future in as_completed(futures) for _ in range(len(futures[future])))
            seen: set[Future[Entries]] = set()
            for future in track(finished, "export", total):
                if future not in seen:
                    seen.add(future)
                    yield futures[future], future.result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _tables(work: _ExportWork, parts: list[ExportPart]) -> dict[str, bytes]:
    """Return patches.parquet (metadata, file and position of each patch) and tiles.parquet (wavelengths)."""
    files = [name for part in parts for name in work.file_format.files(work.selection, part)]
    places: dict[str, int] = {}
    inside = []
    for name in files:
        places[name] = places.get(name, -1) + 1
        inside.append(places[name])
    patches = pa.Table.from_pandas(work.selection.frame, preserve_index=False)
    patches = patches.append_column("file", pa.array(files)).append_column("index", pa.array(inside))
    tiles = sorted(work.selection.wavelength_nm)
    waves, widths = work.selection.wavelength_nm, work.selection.fwhm_nm
    about = {
        "tile_id": tiles,
        "wavelength_nm": [waves[t] for t in tiles],
        "fwhm_nm": [widths[t] for t in tiles],
    }
    return {PATCHES: _parquet(patches), TILES: _parquet(pa.table(about))}


def _parquet(table: pa.Table) -> bytes:
    buffer = BytesIO()
    pq.write_table(table.replace_schema_metadata(None), buffer, compression="zstd")
    return buffer.getvalue()


def _counts(selection: Selection, files: Entries) -> dict[str, object]:
    return {
        "patches": len(selection),
        "locations": int(selection.frame["location_id"].nunique()),
        "splits": {
            str(name): int(count) for name, count in selection.frame["split"].value_counts(sort=False).items()
        },
        "files": len(files),
        "bytes": sum(known["bytes"] for known in files.values()),
    }
