"""Tiles of poor quality, and those that are accepted all the same."""

from spectralearth_build.config import QualityConfig
from spectralearth_build.plan.candidates import reject_poor
from spectralearth_build.tables import TILES


def test_sun_and_quality_may_be_waived_for_a_tile():
    rows = [
        {"tile_id": f"DT{number:010d}_001", "eligible": True, "sun_elevation": sun, "overall_quality": grade,
         "accepted": accepted}
        for number, (sun, grade, accepted) in enumerate(
            [(50, 0, None), (4, 0, None), (4, 0, "sun"), (4, 2, "hole sun"), (50, 2, None), (50, 2, "quality"),
             (4, 2, "hole sun quality")]
        )
    ]  # fmt: skip
    judged = reject_poor(TILES.frame(rows), QualityConfig())
    assert judged["status"].tolist() == [
        "unused", "rejected", "unused", "rejected", "rejected", "unused", "unused"
    ]  # fmt: skip
    assert judged["reason"][3].startswith("overall quality 2")
    assert (judged["error_class"] == "PoorQualityError").sum() == 3
