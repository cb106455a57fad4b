"""Benchmarks of loading patches for training."""
