"""The format of a dataset on disk: plan, codec, shards, commit records, manifest, labels."""
