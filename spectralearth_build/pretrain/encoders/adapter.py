"""The spectral adapter: from any number of bands to 128 channels, pixel by pixel.

Three strided convolutions along the band axis and the mean over what is left of it (SpectralEarth, arXiv 2408.08447).
Written as a 2-D convolution with a kernel of (k, 1) over [bands, pixels]: bit for bit what the 3-D convolution of the
paper gives, without the slow and, in bfloat16, unreliable paths of 3-D kernels.
"""

from __future__ import annotations

from torch import Tensor, nn

CHANNELS = 128
"""Channels that come out."""
MIN_BANDS = 75
"""Fewer leave nothing for the third convolution."""
LAYERS = ((1, 32, 7, 5), (32, 64, 7, 5), (64, CHANNELS, 5, 3))
"""Channels in and out, kernel and stride along the bands; padding is 1."""


class SpectralAdapter(nn.Module):
    """Bands to channels: 56,192 parameters for any number of bands from 75 up.

    Args:
        bands: number of bands; only checked.

    Raises:
        ValueError: fewer than 75 bands.
    """

    def __init__(self, bands: int) -> None:
        super().__init__()
        if bands < MIN_BANDS:
            raise ValueError(f"The spectral adapter needs at least {MIN_BANDS} bands, not {bands}.")
        self.bands = bands
        self.layers = nn.Sequential(
            *(
                nn.Sequential(
                    nn.Conv2d(inputs, outputs, (kernel, 1), (stride, 1), (1, 0)),
                    nn.BatchNorm2d(outputs),
                    nn.ReLU(inplace=True),
                )
                for inputs, outputs, kernel, stride in LAYERS
            )
        )

    def forward(self, pixels: Tensor) -> Tensor:
        """Adapt pixels.

        Args:
            pixels: standardised [batch, band, ...], any shape behind the bands: an image or a list of pixels.

        Returns:
            [batch, 128, ...].
        """
        batch, bands, *shape = pixels.shape
        if bands != self.bands:
            raise ValueError(f"The encoder was made for {self.bands} bands, the input has {bands}.")
        out: Tensor = self.layers(pixels.reshape(batch, 1, bands, -1))
        return out.mean(2).reshape(batch, CHANNELS, *shape)
