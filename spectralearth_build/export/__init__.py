"""Datasets in the formats of other tools: complete or visibly not, resumable, the same bytes every time."""
