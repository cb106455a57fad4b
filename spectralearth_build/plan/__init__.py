"""Place patches: placement strategies, rows of the store, estimates."""
