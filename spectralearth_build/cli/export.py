"""The verb that hands a dataset on, in the format of another tool or with another codec: `export`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from spectralearth_build.cli.options import Begun, Settings
from spectralearth_build.texts import counted

if TYPE_CHECKING:
    from spectralearth_build.export.format import Options
    from spectralearth_build.export.selection import Filters


class To(StrEnum):
    """Formats, as the option says them."""

    webdataset = "webdataset"
    litdata = "litdata"
    geotiff = "geotiff"
    numpy = "numpy"
    hf = "hf"


class Compression(StrEnum):
    """Compressions of GeoTIFFs."""

    deflate = "deflate"
    zstd = "zstd"
    lzw = "lzw"
    none = "none"


Target = Annotated[
    Path, typer.Argument(metavar="TARGET", help="Folder to be made.", file_okay=False, show_default=False)
]
Box = Annotated[
    tuple[float, float, float, float] | None,
    typer.Option(metavar="W S E N", help="Only windows that touch this box, in degrees."),
]
Cloud = Annotated[float | None, typer.Option(min=0, max=1, help="Largest share of a patch under cloud, 0-1.")]
Bands = Annotated[
    str, typer.Option(metavar="NM", help="Only these wavelengths and ranges, such as 490,560,650-680.")
]


def export(
    dataset: Begun,
    target: Target,
    settings: Settings,
    to: Annotated[To | None, typer.Option(help="Format; see above.")] = None,
    codec: Annotated[str, typer.Option(help="Or: the same dataset with this codec, such as dense.")] = "",
    bbox: Box = None,
    start: Annotated[str, typer.Option(help="Only from this moment on, such as 2024-06-01.")] = "",
    end: Annotated[str, typer.Option(help="Only before this moment.")] = "",
    min_dates: Annotated[int, typer.Option(min=1, help="Only locations with so many such dates.")] = 1,
    max_cloud: Cloud = None,
    split: Annotated[str, typer.Option(help="Only this split.")] = "",
    bands: Bands = "",
    per_file: Annotated[int, typer.Option(min=0, help="Patches a file; 0: what suits the format.")] = 0,
    compress: Annotated[Compression | None, typer.Option(help="Of GeoTIFFs; deflate by default.")] = None,
) -> None:
    """Write patches in the format of another tool: complete or not there, resumable, the same bytes every time.

    [bold]--to webdataset[/bold]: tar files of .npy and .json, the dates of a location in a row. [bold]litdata[/bold]:
    chunks for litdata.StreamingDataset. [bold]geotiff[/bold]: SpectralEarth's folders, enmap/location/tile.tif.
    [bold]numpy[/bold]: large .npy files to be memory-mapped. [bold]hf[/bold]: Parquet with a card, for
    datasets.load_dataset.

    Example: [bold]spectralearth-build export dataset/ tars/ --to webdataset --min-dates 2 --max-cloud 0.02[/bold]

    Next: docs/exporting.md shows how each is read.
    """
    from spectralearth_build.export.format import Options
    from spectralearth_build.export.selection import Filters

    filters = Filters(bbox, start or None, end or None, min_dates, max_cloud, split or None)
    options = Options(bands, per_file, "" if compress is None else compress.value)
    _check(to, codec, filters, options)
    if to is None:
        _recode(dataset, target, codec, settings)
    else:
        from spectralearth_build.export import driver

        driver.export(dataset, target, to.value, filters, options, settings.load().run.workers)


def _check(to: To | None, codec: str, filters: Filters, options: Options) -> None:
    """Refuse options that do not go together.

    Raises:
        UsageError: both or none of format and codec, or conditions with a codec.
    """
    from spectralearth_build.errors import UsageError

    if (to is None) == (not codec):
        raise UsageError("Either a format or a codec is needed.", remedy="Give --to or --codec, not both.")
    if codec and (filters.document() or options != type(options)()):
        raise UsageError("--codec is for whole datasets.", remedy="Leave out what chooses patches and bands.")


def _recode(dataset: Path, target: Path, codec: str, settings: Settings) -> None:
    from spectralearth_build.cluster import connect
    from spectralearth_build.export.recode import recode
    from spectralearth_build.progress import say

    with connect(settings.load().run) as executor:
        done = recode(dataset, target, codec, executor)
    say(
        f"{target}: {counted(done.shards, 'shard')} written; {done.before / 1e6:,.1f} MB before, "
        f"{done.after / 1e6:,.1f} MB now"
    )
