"""The command `export`, which writes a dataset in the format of another tool or with another codec."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from spectralearth_build.cli.options import Begun, Settings

if TYPE_CHECKING:
    from spectralearth_build.export.format import Options
    from spectralearth_build.export.selection import Filters


class To(StrEnum):
    """The formats that --to accepts."""

    webdataset = "webdataset"
    litdata = "litdata"
    geotiff = "geotiff"
    numpy = "numpy"
    hf = "hf"


class Compression(StrEnum):
    """The compression of GeoTIFFs."""

    deflate = "deflate"
    zstd = "zstd"
    lzw = "lzw"
    none = "none"


Target = Annotated[
    Path, typer.Argument(metavar="TARGET", help="Folder to create.", file_okay=False, show_default=False)
]
Box = Annotated[
    tuple[float, float, float, float] | None,
    typer.Option(
        metavar="W S E N", help="Only windows that intersect this box: west, south, east, north in degrees."
    ),
]
Cloud = Annotated[
    float | None, typer.Option(min=0, max=1, help="Only patches with at most this cloud fraction, 0-1.")
]
Bands = Annotated[
    str, typer.Option(metavar="NM", help="Only these wavelengths and ranges in nm, such as 490,560,650-680.")
]


def export(
    dataset: Begun,
    target: Target,
    settings: Settings,
    to: Annotated[To | None, typer.Option(help="Format of the export; see above.")] = None,
    codec: Annotated[
        str, typer.Option(help="Instead of --to: rewrite the whole dataset with this codec, such as dense.")
    ] = "",
    bbox: Box = None,
    start: Annotated[
        str, typer.Option(help="Only patches acquired at or after this time, such as 2024-06-01.")
    ] = "",
    end: Annotated[str, typer.Option(help="Only patches acquired before this time.")] = "",
    min_dates: Annotated[
        int, typer.Option(min=1, help="Only locations with at least this many selected dates.")
    ] = 1,
    max_cloud: Cloud = None,
    split: Annotated[str, typer.Option(help="Only patches of this split, such as train.")] = "",
    bands: Bands = "",
    per_file: Annotated[int, typer.Option(min=0, help="Patches per file; 0: the default of the format.")] = 0,
    compress: Annotated[
        Compression | None, typer.Option(help="Compression of GeoTIFFs. Default: deflate.")
    ] = None,
) -> None:
    """Write patches in the format of another tool.

    The target appears only once it is complete. A stopped export continues when run again. The same options always
    write the same bytes.

    [bold]--to webdataset[/bold]: tar files of .npy and .json, with the dates of a location next to each other.
    [bold]litdata[/bold]: chunks for litdata.StreamingDataset. [bold]geotiff[/bold]: SpectralEarth's folders,
    enmap/location/tile.tif. [bold]numpy[/bold]: large .npy files for memory mapping. [bold]hf[/bold]: Parquet with a
    dataset card, for datasets.load_dataset.

    Example: [bold]spectralearth-build export dataset/ tars/ --to webdataset --min-dates 2 --max-cloud 0.02[/bold]

    Next: docs/exporting.md shows how to read each format.
    """
    from spectralearth_build.export.format import Options
    from spectralearth_build.export.selection import Filters

    filters = Filters(
        bbox, start or None, end=end or None, min_dates=min_dates, max_cloud=max_cloud, split=split or None
    )
    options = Options(bands, per_file, "" if compress is None else compress.value)
    _check(to, codec, filters, options)
    from spectralearth_build.api.exporting import export_dataset, recode_dataset

    config = settings.load()
    if to is None:
        recode_dataset(dataset, target, codec, config)
        return
    export_dataset(dataset, target, to.value, **vars(filters), **vars(options), workers=config.run.workers)


def _check(to: To | None, codec: str, filters: Filters, options: Options) -> None:
    """Refuse options that cannot be combined.

    Raises:
        UsageError: Both or neither of format and codec are given, or filters together with a codec.
    """
    from spectralearth_build.errors import UsageError

    if (to is None) == (not codec):
        raise UsageError(
            "Give either a format or a codec.",
            remedy="Use --to, such as --to webdataset, or --codec, such as --codec dense, not both.",
        )
    if codec and (filters.document() or options != type(options)()):
        raise UsageError(
            "--codec rewrites a whole dataset and cannot be combined with filters.",
            remedy="Leave out the options that select patches and bands.",
        )
