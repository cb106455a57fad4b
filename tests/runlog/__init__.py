"""The event log of a run, and what it says of the run."""
