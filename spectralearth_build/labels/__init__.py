"""Labels of patches from land-cover rasters: class tables, resampling to the patch's grid, summaries."""
