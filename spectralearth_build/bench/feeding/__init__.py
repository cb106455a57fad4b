"""Ways to get patches into a training loop."""
