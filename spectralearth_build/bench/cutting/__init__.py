"""Benchmarks of cutting, compared with its steps alone and with reading window by window."""
