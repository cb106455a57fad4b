"""Speed of training, and whether it learns."""
