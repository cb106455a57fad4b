"""Named number types with bounds, for settings."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

Share = Annotated[float, Field(ge=0, le=1)]
"""A fraction, 0 to 1."""
Positive = Annotated[float, Field(gt=0)]
"""Above 0."""
NotNegative = Annotated[float, Field(ge=0)]
"""0 or more."""
Count = Annotated[int, Field(ge=1)]
"""1 or more."""
CountOrNone = Annotated[int, Field(ge=0)]
"""0 or more."""
Seed = Annotated[int, Field(ge=0, lt=2**63)]
"""Seed of a random number generator."""


def _ascending(values: tuple[float, float]) -> tuple[float, float]:
    if not 0 < values[0] <= values[1]:
        raise ValueError("the minimum must be above 0 and not larger than the maximum")
    return values


Range = Annotated[tuple[float, float], AfterValidator(_ascending)]
"""Minimum and maximum, both above 0."""
