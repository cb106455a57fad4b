"""Where patches go: placement strategies, rows of the store, estimates."""
