"""Settings of the random views."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, field_validator

from spectralearth_build.settings import Section
from spectralearth_build.settings.bounds import Count, CountOrNone, NotNegative, Range, Share


class Augmentation(Section):
    """Random augmentation of an image. Nothing is clipped and no single band is scaled, so spectra keep their shape."""

    scale: Range = (0.08, 1.0)
    """Minimum and maximum share of the area that a crop keeps."""
    ratio: Range = (3 / 4, 4 / 3)
    """Minimum and maximum aspect ratio (width / height) of a crop."""
    size: CountOrNone = 0
    """Edge of the view in pixels; 0: the edge of the image."""
    flip: Share = 0.5
    """Probability of the horizontal flip, and of the vertical flip."""
    blur: Share = 0.0
    """Probability of a Gaussian blur."""
    sigma: Range = (0.1, 2.0)
    """Minimum and maximum standard deviation of the blur in pixels."""
    kernel: Count = 13
    """Number of taps of the blur kernel; must be odd."""
    drop_bands: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share of the bands that are replaced by their mean."""
    gain: NotNegative = 0.0
    """Standard deviation of the random gain; an image is multiplied by 1 + gain."""
    offset: NotNegative = 0.0
    """Standard deviation of a random value added to the whole image, in standard deviations of a band."""

    @field_validator("scale")
    @classmethod
    def _at_most_all(cls, values: tuple[float, float]) -> tuple[float, float]:
        if values[1] > 1:
            raise ValueError("a crop can keep at most the whole area, 1.0")
        return values

    @field_validator("kernel")
    @classmethod
    def _odd(cls, taps: int) -> int:
        if taps % 2 == 0:
            raise ValueError("the number of taps must be odd")
        return taps
