"""Benchmarks of codecs: size and speed."""
