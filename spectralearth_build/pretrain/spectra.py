"""Wavelengths, statistics and scale of an encoder's input. They are stored with the weights."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from spectralearth_build.errors import UsageError
from spectralearth_build.overlap.lattice import NODATA

TOLERANCE_NM = 1.0
"""Bands whose centres differ by less than this are the same."""


class WavelengthError(UsageError):
    """Raised if data and encoder have different bands. Exit code 2."""

    remedy = "Choose a dataset and an encoder with the same bands."


@dataclass(frozen=True)
class Spectra:
    """The bands of a dataset and their statistics."""

    wavelength_nm: tuple[float, ...]
    """Centre of each band, nominal, nm."""
    mean: tuple[float, ...]
    """Mean of each band over the dataset, in stored values."""
    std: tuple[float, ...]
    """Standard deviation of each band, in stored values."""
    scale: float = 1e-4
    """Reflectance per stored unit."""
    nodata: int = NODATA
    """Stored value that means no data."""

    def check(self, other: Spectra, whose: Path | str) -> None:
        """Check that the bands of data equal these.

        Raises:
            WavelengthError: The bands differ. The message names them.
        """
        ours, theirs = self.wavelength_nm, other.wavelength_nm
        if len(ours) != len(theirs):
            raise WavelengthError(f"The data have {len(theirs)} bands, the encoder has {len(ours)}.", whose)
        wrong = [
            f"band {i}: {b:.1f} nm instead of {a:.1f} nm"
            for i, (a, b) in enumerate(zip(ours, theirs, strict=True))
            if abs(a - b) > TOLERANCE_NM
        ]
        if wrong:
            more = f" and {len(wrong) - 10} more" if len(wrong) > 10 else ""
            raise WavelengthError(f"{'; '.join(wrong[:10])}{more}.", whose)

    def to_json(self) -> str:
        """Serialise to JSON."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Spectra:
        """Parse the output of `to_json`."""
        document = json.loads(text)
        nm, mean, std = (tuple(document[name]) for name in ("wavelength_nm", "mean", "std"))
        return cls(nm, mean, std, document["scale"], document["nodata"])


class Standardise(nn.Module):
    """Standardise stored values on the device: (value - mean) / std per band. Nothing is clipped.

    Args:
        spectra: the statistics. A band with zero standard deviation becomes zero.
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
        """Map int16 [..., band, y, x] to float32. Pixels without data become 0, the mean."""
        # In place, because memory bandwidth limits the speed on a CPU.
        values = torch.sub(counts, self.mean).mul_(self.factor)
        return values.masked_fill_(counts == self.nodata, 0.0)
