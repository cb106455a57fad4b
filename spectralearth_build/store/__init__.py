"""What a dataset is on disk: plan, codec, shards, commit records, manifest, labels."""
