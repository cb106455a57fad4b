"""What the numbers of an encoder's input mean: wavelengths, statistics, scale. Travels with data and weights."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from spectralearth_build.errors import UsageError
from spectralearth_build.overlap.lattice import NODATA

TOLERANCE_NM = 1.0
"""Bands nearer than that are the same."""


class WavelengthError(UsageError):
    """Data and encoder have different bands. Exit code 2."""

    remedy = "Choose a dataset and an encoder with the same bands."


@dataclass(frozen=True)
class Spectra:
    """Bands of a dataset and their statistics."""

    wavelength_nm: tuple[float, ...]
    """Centre of each band, nominal, nm."""
    mean: tuple[float, ...]
    """Mean of each band over the dataset, in stored counts."""
    std: tuple[float, ...]
    """Standard deviation of each band, in stored counts."""
    scale: float = 1e-4
    """Reflectance of one count."""
    nodata: int = NODATA
    """Count that means no data."""

    def check(self, other: Spectra, whose: Path | str) -> None:
        """Compare the bands of data with these.

        Raises:
            WavelengthError: naming the bands that differ.
        """
        ours, theirs = self.wavelength_nm, other.wavelength_nm
        if len(ours) != len(theirs):
            raise WavelengthError(f"{len(theirs)} bands, where the encoder has {len(ours)}.", whose)
        wrong = [
            f"band {i}: {b:.1f} nm instead of {a:.1f} nm"
            for i, (a, b) in enumerate(zip(ours, theirs, strict=True))
            if abs(a - b) > TOLERANCE_NM
        ]
        if wrong:
            more = f" and {len(wrong) - 10} more" if len(wrong) > 10 else ""
            raise WavelengthError(f"{'; '.join(wrong[:10])}{more}.", whose)

    def to_json(self) -> str:
        """As JSON text."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Spectra:
        """Undo `to_json`."""
        document = json.loads(text)
        nm, mean, std = (tuple(document[name]) for name in ("wavelength_nm", "mean", "std"))
        return cls(nm, mean, std, document["scale"], document["nodata"])


class Standardise(nn.Module):
    """Counts to standardised values, on the device: (count - mean) / std per band. Nothing is clipped.

    Args:
        spectra: the statistics. A band that never varies stays at zero.
    """

    mean: Tensor
    factor: Tensor

    def __init__(self, spectra: Spectra) -> None:
        super().__init__()
        std = torch.tensor(spectra.std, dtype=torch.float64)
        factor = torch.where(std > 0, 1 / std, 0.0)
        self.nodata = spectra.nodata
        self.register_buffer("mean", torch.tensor(spectra.mean, dtype=torch.float32)[:, None, None])
        self.register_buffer("factor", factor.float()[:, None, None])

    def forward(self, counts: Tensor) -> Tensor:
        """int16 [..., band, y, x] to float32; pixels without data become 0, the mean."""
        values = torch.sub(counts, self.mean).mul_(self.factor)  # in place: on a CPU memory sets the pace
        return values.masked_fill_(counts == self.nodata, 0.0)
