"""Publication of a dataset: final tables, statistics, metadata, manifest, and the root last."""
