"""The spectral adapter, which maps any number of bands to 128 channels, pixel by pixel.

It consists of three strided convolutions along the band axis and the mean over the remaining axis (SpectralEarth, arXiv
2408.08447). It is implemented as 2-D convolutions with kernel (k, 1) over [bands, pixels]. The result equals the 3-D
convolutions of the paper bit for bit, but avoids 3-D kernels, which are slow and, in bfloat16, unreliable.
"""

from __future__ import annotations

from torch import Tensor, nn

CHANNELS = 128
"""Number of output channels."""
MIN_BANDS = 75
"""Minimum number of bands. Fewer leave nothing for the third convolution."""
LAYERS = ((1, 32, 7, 5), (32, 64, 7, 5), (64, CHANNELS, 5, 3))
"""Input channels, output channels, kernel and stride along the bands; padding is 1."""


class SpectralAdapter(nn.Module):
    """Maps bands to channels: 56,192 parameters for any number of bands from 75.

    Args:
        bands: number of bands, which is only checked.

    Raises:
        ValueError: There are fewer than 75 bands.
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
        """Map pixels to channels.

        Args:
            pixels: standardised [batch, band, ...], with any shape after the bands, such as an image or a list of
                pixels.

        Returns:
            [batch, 128, ...].
        """
        batch, bands, *shape = pixels.shape
        if bands != self.bands:
            raise ValueError(f"The encoder was made for {self.bands} bands, but the input has {bands}.")
        out: Tensor = self.layers(pixels.reshape(batch, 1, bands, -1))
        return out.mean(2).reshape(batch, CHANNELS, *shape)
