"""Comparison of encoders: a grid of evaluations on any number of workers, then tables, plots and an HTML page."""
