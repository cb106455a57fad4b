"""Which tiles planning may use, and what becomes of them."""

from __future__ import annotations

import geopandas as gpd

from spectralearth_build.config import QualityConfig
from spectralearth_build.errors import PoorQualityError


def reject_poor(tiles: gpd.GeoDataFrame, quality: QualityConfig) -> gpd.GeoDataFrame:
    """The tile table with the status of eligible tiles made anew: `rejected` by quality, else `unused` as yet."""
    judged = tiles.copy()
    eligible = judged["eligible"].astype(bool)
    judged.loc[eligible, ["status", "reason", "error_class"]] = ["unused", "", ""]
    sun, grade = judged["sun_elevation"], judged["overall_quality"]
    low = eligible & (sun < quality.min_sun_elevation)
    poor = eligible & ~low & (grade > quality.max_overall_quality)
    for wrong, text in (
        (
            low,
            "sun at "
            + sun.round(1).astype(str)
            + f" degrees, at least {quality.min_sun_elevation} asked for.",
        ),
        (
            poor,
            "overall quality " + grade.astype(str) + f", at most {quality.max_overall_quality} asked for.",
        ),
    ):
        judged.loc[wrong, "status"] = PoorQualityError.status
        judged.loc[wrong, "error_class"] = PoorQualityError.__name__
        judged.loc[wrong, "reason"] = text[wrong] + " " + PoorQualityError.remedy
    return judged
