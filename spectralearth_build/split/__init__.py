"""Parts of a dataset (train, val, test) that have no ground, tile, datatake or component in common."""
