"""Access to a finished dataset, in a local folder or on an object store."""
