"""What the driver of a build does besides cutting, by number of patches."""
