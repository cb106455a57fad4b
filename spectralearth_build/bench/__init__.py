"""Measure planning: strategies against each other, cost against size. Nothing else depends on it."""
