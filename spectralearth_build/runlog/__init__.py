"""The event log of a run: written by the driver while it works, read by `status` at any time."""
