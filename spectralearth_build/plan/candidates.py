"""Select the tiles that planning may use, and set the status of the others."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

import geopandas as gpd
import pandas as pd
import pyarrow as pa

from spectralearth_build.config import PlanConfig, QualityConfig
from spectralearth_build.errors import PoorQualityError
from spectralearth_build.geoparquet import extent_of
from spectralearth_build.layout import TileStatus
from spectralearth_build.plan.assemble import replaced
from spectralearth_build.plan.region_file import read_region
from spectralearth_build.tables import TILES

SET_HERE = ("status", "reason", "error_class")
"""Columns of the tile table that planning sets."""
JUDGED = [
    c.name for c in TILES.columns if c.name not in ("band_index", "wavelength_nm", "fwhm_nm", "content")
]
"""Columns of the tile table that planning holds in memory: all but the longest."""


def reject_poor(tiles: gpd.GeoDataFrame, quality: QualityConfig) -> gpd.GeoDataFrame:
    """The tile table with a new status for eligible tiles: `rejected` if of poor quality, else `unused` for now."""
    judged = tiles.copy()
    eligible = judged["eligible"].astype(bool)
    judged.loc[eligible, ["status", "reason", "error_class"]] = [TileStatus.UNUSED, "", ""]
    sun, grade = judged["sun_elevation"], judged["overall_quality"].astype("Int64")
    waived = judged["accepted"].fillna("").astype(str).str.split()
    low = eligible & ~(sun >= quality.min_sun_elevation) & (quality.min_sun_elevation > -90)
    low &= ~waived.map(lambda names: "sun" in names)
    fits = (grade <= quality.max_overall_quality).fillna(quality.max_overall_quality == 2).astype(bool)
    poor = eligible & ~low & ~fits & ~waived.map(lambda names: "quality" in names)
    for wrong, text in (
        (
            low,
            "sun at "
            + sun.round(1).astype(str).where(sun.notna(), "unknown")
            + f" degrees, at least {quality.min_sun_elevation} asked for.",
        ),
        (
            poor,
            "overall quality "
            + grade.astype(str).where(grade.notna(), "unknown")
            + f", at most {quality.max_overall_quality} asked for.",
        ),
    ):
        judged.loc[wrong, "status"] = PoorQualityError.status
        judged.loc[wrong, "error_class"] = PoorQualityError.__name__
        judged.loc[wrong, "reason"] = text[wrong] + " " + PoorQualityError.remedy
    return judged


def leave_out(judged: gpd.GeoDataFrame, config: PlanConfig) -> gpd.GeoDataFrame:
    """Set the reason of `unused` tiles that are outside the dates or the region asked for."""
    day = judged["acquired"].dt.date
    early = day < config.start if config.start else pd.Series(False, judged.index)
    late = day > config.stop if config.stop else pd.Series(False, judged.index)
    region = read_region(config.region)
    apart = ~judged.intersects(region) if region is not None else pd.Series(False, judged.index)
    for wrong, reason in (
        (
            early | late,
            f"acquired outside {config.start or '...'} to {config.stop or '...'} (plan.start, plan.stop)",
        ),
        (apart, "outside plan.region"),
    ):
        judged.loc[(judged["status"] == TileStatus.UNUSED) & wrong, "reason"] = reason
    return judged


def candidates(judged: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """The tiles that planning may use, sorted by tile_id: those that are `unused` without a reason."""
    return judged[(judged["status"] == TileStatus.UNUSED) & (judged["reason"] == "")].sort_values(
        "tile_id", ignore_index=True
    )


def with_final_status(judged: gpd.GeoDataFrame, used: Collection[str]) -> gpd.GeoDataFrame:
    """Set the status of the candidates: `used` if their tile_id is in ``used``, else `unused` with a reason."""
    open_ones = (judged["status"] == TileStatus.UNUSED) & (judged["reason"] == "")
    taken = open_ones & judged["tile_id"].isin(used)
    judged.loc[taken, "status"] = TileStatus.USED
    judged.loc[open_ones & ~taken, "reason"] = "no window that is valid and clear enough was placed on it"
    return judged


def write_judged(judged: gpd.GeoDataFrame, source: Path, folder: Path, plans: Sequence[str] = ()) -> None:
    """Write the tile table with the status of each tile.

    Args:
        judged: the rows with the columns `JUDGED`.
        source: the folder with the same rows and all columns.
        folder: the folder to write to.
        plans: ids of the plan generations.
    """
    status = TILES.arrow(judged[list(SET_HERE)]).select(SET_HERE)

    def parts() -> Iterator[pa.Table]:
        start = 0
        for rows in TILES.parts(source):
            yield replaced(rows, {name: status[name].slice(start, len(rows)) for name in SET_HERE})
            start += len(rows)

    TILES.write_parts(parts(), folder, plans, extent_of(judged.geometry.to_numpy()))
