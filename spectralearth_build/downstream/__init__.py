"""Encoders compared: a grid of evaluations on any number of workers, then tables, pictures and one page."""
