"""Hand a dataset on: in the format of another tool, or stored by another codec."""

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

    The target appears when it is complete. What was stopped goes on when called again with the same arguments; the
    bytes depend on neither interruptions nor the number of threads.

    Args:
        dataset: folder of a finished dataset.
        target: folder to be made; an empty one may be there.
        to: webdataset, litdata, geotiff, numpy or hf.
        bbox: only windows that touch this box: west, south, east, north in degrees.
        start: only from this moment on, such as ``"2024-06-01"``.
        end: only before this moment.
        min_dates: only locations with so many such dates.
        max_cloud: largest share of a patch under cloud, 0 to 1.
        split: only this part of the split.
        bands: only these wavelengths, nm, such as ``[490, 560, 665]``, or ranges too: ``"490,560,650-680"``.
        per_file: patches a file; 0: what suits the format.
        compress: of GeoTIFFs: deflate (the default), zstd, lzw or none.
        workers: threads; 0: one a core.

    Returns:
        Whether anything was written; False if all was there.

    Raises:
        BuildError: no such dataset, no patch, or the target holds something else.

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
        dataset: folder of a finished dataset; it is only read.
        target: folder to be made, or that of an interrupted call with the same arguments.
        codec: spectral, fast, portable or dense.
        config: settings, as for `build_dataset`; only those of ``run`` matter.

    Returns:
        Shards that this call wrote, and bytes before and after.

    Raises:
        BuildError: no such codec, the dataset is not finished, or the target holds something else.

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
