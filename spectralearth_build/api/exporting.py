"""Export a dataset to the format of another tool, or rewrite it with another codec."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from spectralearth_build.api.entry import config_of, folder, new, public
from spectralearth_build.texts import counted

if TYPE_CHECKING:
    from spectralearth_build.api.entry import Settings
    from spectralearth_build.config import Config
    from spectralearth_build.export.recode import Recoded
    from spectralearth_build.store.index import Bounds


@public
def export_dataset(
    dataset: str | Path,
    target: str | Path,
    to: str,
    *,
    bbox: Bounds | None = None,
    start: str | date | None = None,
    end: str | date | None = None,
    min_dates: int = 1,
    max_cloud: float | None = None,
    split: str | None = None,
    bands: str | Sequence[float] = "",
    per_file: int = 0,
    compress: str = "",
    workers: int = 0,
) -> bool:
    """Write patches in the format of another tool. The same as ``spectralearth-build export --to``.

    The target appears only once it is complete. To continue after a stop, call the function again with the same
    arguments. The bytes do not depend on interruptions or on the number of threads.

    Args:
        dataset: folder of a finished dataset.
        target: folder to create; it may exist if it is empty.
        to: webdataset, litdata, geotiff, numpy or hf.
        bbox: only windows that intersect this box: west, south, east, north in degrees.
        start: only patches acquired at or after this time, such as ``"2024-06-01"``.
        end: only patches acquired before this time.
        min_dates: only locations with at least this many selected dates.
        max_cloud: only patches with at most this cloud fraction, 0 to 1.
        split: only patches of this split, such as train.
        bands: only these wavelengths in nm, such as ``[490, 560, 665]``, or with ranges: ``"490,560,650-680"``.
        per_file: patches per file; 0: the default of the format.
        compress: compression of GeoTIFFs: deflate (the default), zstd, lzw or none.
        workers: number of threads; 0: one per core.

    Returns:
        Whether anything was written; False if the export was already complete.

    Raises:
        BuildError: The dataset does not exist, no patch is selected, or the target contains something else.

    Examples:
        ```python
        export_dataset("dataset", "tars", "webdataset", min_dates=2, max_cloud=0.02)
        ```
    """
    from spectralearth_build.export import driver
    from spectralearth_build.export.format import Options
    from spectralearth_build.export.selection import Filters

    chosen = bands if isinstance(bands, str) else ",".join(f"{band:g}" for band in bands)
    filters = Filters(
        bbox, _text(start), end=_text(end), min_dates=min_dates, max_cloud=max_cloud, split=split or None
    )
    options = Options(chosen, per_file, compress)
    return driver.export(
        folder(dataset), new(target), to=to, filters=filters, options=options, workers=workers
    )


@public
def recode_dataset(
    dataset: str | Path,
    target: str | Path,
    codec: str,
    config: Config | Settings | str | Path | None = None,
) -> Recoded:
    """Write the same dataset with another codec. The same as ``spectralearth-build export --codec``.

    Args:
        dataset: folder of a finished dataset, which is only read.
        target: folder to create, or the one of an interrupted call with the same arguments.
        codec: spectral, fast, portable or dense.
        config: settings, as for `build_dataset`; only the section ``run`` is used.

    Returns:
        The number of shards that this call wrote, and the sizes in bytes before and after.

    Raises:
        BuildError: The codec is unknown, the dataset is not finished, or the target contains something else.

    Examples:
        ```python
        recode_dataset("dataset", "dataset-dense", "dense")
        ```
    """
    from spectralearth_build.cluster import connect
    from spectralearth_build.export.recode import recode
    from spectralearth_build.progress import say

    mine, place = folder(dataset), new(target)
    with connect(config_of(config).run) as executor:
        done = recode(mine, place, codec, executor)
    say(
        f"{target}: {counted(done.shards, 'shard')} written; {done.before / 1e6:,.1f} MB before, "
        f"{done.after / 1e6:,.1f} MB now"
    )
    return done


def _text(moment: str | date | None) -> str | None:
    return moment.isoformat() if isinstance(moment, date) else moment or None
