"""Patches cut out of tiles, into committed shards."""
