"""The command `bench build`, which measures whole builds."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def build(
    archive: Annotated[
        Path | None,
        typer.Option(help="Archive of products in folders. Default: make a synthetic one.", exists=True),
    ] = None,
    tiles: Annotated[int, typer.Option(min=1, help="Number of tiles of the synthetic archive.")] = 3,
    edge: Annotated[
        int,
        typer.Option(min=256, help="Edge of the synthetic rasters in pixels. Real tiles have about 1240."),
    ] = 1240,
    workers: Annotated[str, typer.Option(help="Numbers of workers to measure, separated by commas.")] = "1,2",
    rounds: Annotated[
        int, typer.Option(min=1, help="Number of runs of each method; the fastest counts.")
    ] = 2,
    seed: Annotated[int, typer.Option(min=0, help="Random seed of the synthetic archive.")] = 0,
    out: Annotated[Path, typer.Option(help="Folder for the table (Parquet).", file_okay=False)] = Path(
        "bench-results"
    ),
) -> None:
    """Build a dataset, and compare its cost with decoding and encoding alone and with a script in rasterio and Zarr.

    The script is given the windows of the plan. It reads each image once, checks that every pixel has data in every
    band, and writes the same patches to a sharded array (zstd). It makes no tables, checks no metadata, and cannot be
    resumed.
    Prints CPU seconds per tile and per patch, and core hours for archives of 11,636 and 240,000 tiles.

    Example: [bold]spectralearth-build bench build --tiles 4 --workers 1,2[/bold]

    Next: [bold]bench cut[/bold], which measures the steps of one tile.
    """
    from tempfile import TemporaryDirectory

    from spectralearth_build.bench.cutting import build as bench
    from spectralearth_build.bench.show import save
    from spectralearth_build.cli.bench_numbers import numbers
    from spectralearth_build.files import require_writable
    from spectralearth_build.progress import say

    require_writable(out)
    counts = tuple(numbers("--workers", workers))
    with TemporaryDirectory(prefix="bench-archive-") as folder:
        place = archive or bench.synthetic(Path(folder) / "archive", tiles, edge, seed)
        measured = bench.measure(place, counts, rounds)
    for line in bench.lines(measured):
        say(line)
    say(f"bench: wrote {save(measured, out / 'bench-build.parquet')}")
