"""What is done with a finished dataset: reading, maps, the report."""
