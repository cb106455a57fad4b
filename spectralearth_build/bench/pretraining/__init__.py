"""Benchmarks of pretraining: speed, and whether it learns."""
