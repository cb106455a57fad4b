"""Verification of finished datasets, comparison with their archive, and repair."""
