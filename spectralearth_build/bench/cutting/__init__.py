"""Cutting tiles, against what its steps take alone and against windows one by one."""
