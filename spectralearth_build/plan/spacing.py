"""Choose the dates of a series that are far enough apart."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Spacing:
    """A rule that chooses dates from the earliest on: each that is far enough from those already chosen.

    With a minimum distance alone, no other choice keeps more dates (interval scheduling).
    """

    days: npt.NDArray[np.int64]
    """Day of each datatake, counted from 1970-01-01."""
    seasons: npt.NDArray[np.int64]
    """Season of each datatake, numbered across years; see `season_of`."""
    apart: int
    """Smallest number of days between two dates."""
    one_a_season: bool
    """Whether to choose at most one date per season."""

    def __call__(self, members: Flags, held: Flags | None = None) -> Flags:
        """Select the datatakes that count at each point, bool [point, datatake]; those in ``held`` always count."""
        chosen = np.zeros_like(members) if held is None else held.copy()
        for k in np.argsort(self.days, kind="stable"):
            near = np.abs(self.days - self.days[k]) < self.apart
            if self.one_a_season:
                near |= self.seasons == self.seasons[k]
            chosen[:, k] |= members[:, k] & ~chosen[:, near].any(axis=1)
        return chosen


def season_of(year: int, month: int) -> int:
    """Number of the season (December to February and so on), the same for December and the January after it."""
    return (12 * year + month) // 3


def spacing(days: list[int], apart: int, one_a_season: bool) -> Spacing | None:
    """The rule for datatakes of these days; None if it would always choose all of them."""
    if apart <= 0 and not one_a_season:
        return None
    dates = np.array(days, "datetime64[D]")
    months = dates.astype("datetime64[M]").astype(np.int64)  # counted from January 1970
    seasons = np.array([season_of(1970 + month // 12, month % 12 + 1) for month in months.tolist()], np.int64)
    return Spacing(dates.astype(np.int64), seasons, apart, one_a_season)
