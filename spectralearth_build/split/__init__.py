"""Splits of a dataset into parts (train, val, test) without common ground, tiles, datatakes or components."""
