"""Pretraining of spectral encoders: encoders, objectives, augmentation, trainer, monitors, export.

Imports only torch, numpy, safetensors and this package's loader, and is itself imported only when one trains.
"""
