"""From product files to the table of tiles: names, metadata, rasters, bands, versions, validity."""
