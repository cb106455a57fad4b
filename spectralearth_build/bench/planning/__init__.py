"""Placement strategies against each other, against bounds, and the plan stage by size."""
