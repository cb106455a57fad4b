"""Choose the year of the raster that labels a patch."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Literal, get_args

YearRule = Literal["nearest", "before", "same"]
YEAR_RULES: tuple[YearRule, ...] = get_args(YearRule)


def year_for(years: Collection[int], acquired: datetime, rule: YearRule = "nearest") -> int | None:
    """The year whose raster labels a patch.

    Years are compared with the calendar year of the acquisition, in UTC.

    Args:
        years: years of the rasters.
        acquired: date of the patch.
        rule: nearest: the year nearest to that of the patch; of two equally near years, the earlier. before: the latest
            year that is not after it. same: the year of the patch itself.

    Returns:
        The year; None if the rule allows none.
    """
    own = acquired.year
    if rule == "same":
        return own if own in years else None
    allowed = [year for year in years if rule == "nearest" or year <= own]
    return min(allowed, key=lambda year: (abs(year - own), year), default=None)
