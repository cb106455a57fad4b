"""Select the tiles that planning may use, and set the status of the others."""

from __future__ import annotations

import geopandas as gpd
import pandas as pd

from spectralearth_build.config import PlanConfig, QualityConfig
from spectralearth_build.errors import PoorQualityError
from spectralearth_build.layout import TileStatus
from spectralearth_build.plan.region_file import read_region


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
