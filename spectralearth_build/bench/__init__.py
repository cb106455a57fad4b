"""Benchmarks. Nothing else depends on this package, except its tables for the terminal."""
