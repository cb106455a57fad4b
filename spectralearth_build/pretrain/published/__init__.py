"""Weights under the names of SpectralEarth's published code, and of timm: reading, importing and writing them."""
