"""Pretraining of spectral encoders: encoders, objectives, augmentation, trainer, monitors, export.

Its core imports only torch, numpy, safetensors and the loader of this package. It is imported only for training.
"""
