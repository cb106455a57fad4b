"""The command `tuples`, which lists n-tuples."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from spectralearth_build.cli.options import Begun
from spectralearth_build.texts import counted

if TYPE_CHECKING:
    from collections.abc import Sequence

    import geopandas as gpd


def tuples(
    dataset: Begun,
    map: Annotated[
        Path | None,
        typer.Option(
            help="Also draw a map (PNG) of depth in the components with the most dates.", dir_okay=False
        ),
    ] = None,
    top: Annotated[int, typer.Option(min=0, help="Number of the largest tuples to list.")] = 10,
) -> None:
    """Print the maximal n-tuples of a plan: sets of datatakes that cover the same windows, all valid and clear.

    Shows the distribution of n, and the largest tuples by n and by area. A datatake counts as one date, whatever its
    number of tiles.

    Example: [bold]spectralearth-build tuples dataset/ --map depth.png[/bold]

    Next: open dataset/tuples.parquet in QGIS, or with geopandas.read_parquet in Python.
    """
    from spectralearth_build.files import require_writable
    from spectralearth_build.progress import say
    from spectralearth_build.report.tuples import depth_map, distribution, largest
    from spectralearth_build.tables import TUPLES

    if map is not None:
        require_writable(map)
    table = TUPLES.read(dataset)
    say(f"{counted(len(table), 'maximal n-tuple')} in {counted(table['component'].nunique(), 'component')}")
    by_n = distribution(table)
    share = 100 * by_n["windows"] / max(1, by_n["windows"].sum())
    _table(
        ("n", "tuples", "windows", "area km2", "share of windows"),
        [
            (f"{r.n}", f"{r.tuples:,}", f"{r.windows:,}", f"{r.area_km2:,.1f}", f"{part:.2f} %")
            for r, part in zip(by_n.itertuples(), share, strict=True)
        ],
    )
    for by, what in (("n", "number of dates"), ("area_km2", "area, with two dates or more")):
        found = largest(table, by, top)
        if len(found):
            say(f"The largest by {what}")
            _largest(found)
    say(f"GeoParquet: {dataset / TUPLES.file} (drag it into QGIS, or Layer > Add Layer > Add Vector Layer)")
    if map is not None:
        say(f"map: {depth_map(table, map)}")


def _largest(found: gpd.GeoDataFrame) -> None:
    places = [shape.representative_point() for shape in found.geometry]
    rows = [
        (f"{r.n}", f"{r.windows:,}", f"{r.area_km2:,.2f}", f"{len(r.tiles)}", f"{r.component}", f"{r.epsg}",
         f"{place.x:.3f}", f"{place.y:.3f}", f"{r.datatakes[0]} .. {r.datatakes[-1]}")
        for r, place in zip(found.itertuples(), places, strict=True)
    ]  # fmt: skip
    _table(("n", "windows", "area km2", "tiles", "component", "epsg", "lon", "lat", "datatakes"), rows)


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> None:
    """Print right-aligned columns."""
    from spectralearth_build.progress import say

    widths = [max(len(cell) for cell in column) for column in zip(head, *rows, strict=True)]
    for row in (head, *rows):
        say("  " + "  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)))
