"""Export of datasets to the formats of other tools. Exports are visibly complete or not, resumable and reproducible."""
