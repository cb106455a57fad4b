"""Geometry on integer lattices: validity, depth, n-tuples, the overlap graph. Pure functions without I/O."""
