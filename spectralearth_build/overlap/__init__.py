"""Geometry on integer lattices: validity, depth, n-tuples, the overlap graph. Pure, no I/O."""
