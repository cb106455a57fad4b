"""Access to a finished dataset, here or on an object store."""
