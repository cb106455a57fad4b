"""Cutting of patches out of tiles, into committed shards."""
