"""A dataset made final: tables, statistics, metadata, manifest, and the root last."""
