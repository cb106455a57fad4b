"""Benchmarks of planning: strategies, upper bounds, and the cost of the plan stage by archive size."""
