"""The tables of a dataset: names, columns, types and meanings, each defined once.

`columns` writes and reads them.
"""

from __future__ import annotations

import pyarrow as pa

from spectralearth_build import layout
from spectralearth_build.columns import GEOMETRY, Column, Table

_TIME = pa.timestamp("us", tz="UTC")
_TEXTS = pa.list_(pa.string())
_DOUBLES = pa.list_(pa.float64())

STATUSES = tuple(map(str, layout.TileStatus))
"""Final status of a product; every product found has exactly one."""

AT_CUT = "at-cut"
"""Key in `content` of a tile of which cut checks all pixels, and the value of scan.validity that leaves it to cut."""
ALL_BANDS = "all-bands"
"""The value of scan.validity with which scan checks all pixels, as earlier versions did unless told otherwise."""

TILES = Table(
    layout.TILES,
    "Every product found, with its status.",
    (
        Column(
            "product_id",
            pa.string(),
            "Full product name, ENMAP01-____L2A-DT...Z; the path if the name cannot be read.",
        ),
        Column("tile_id", pa.string(), "Datatake and tile, DT0000001849_005, whatever the version."),
        Column("datatake", pa.string(), "Datatake, DT0000001849; all its tiles count as one date."),
        Column("tile", pa.int32(), "Tile number within the datatake, from 1."),
        Column("version", pa.string(), "Processor version, V010402."),
        Column("processed", _TIME, "Processing time."),
        Column("acquired", _TIME, "Start of the tile's acquisition, UTC."),
        Column("epsg", pa.int32(), "Lattice of the raster: 326xx or 327xx."),
        Column(
            "lattice_col", pa.int32(), "Column of the raster's upper-left corner: x = 15 + 30 lattice_col."
        ),
        Column("lattice_row", pa.int32(), "Row of the raster's upper-left corner: y = 15 + 30 lattice_row."),
        Column("height", pa.int32(), "Lines of the raster."),
        Column("width", pa.int32(), "Columns of the raster."),
        Column(
            "path",
            pa.string(),
            "Path below the archive; members of a .zip or .tar after '!', bytes that are not UTF-8 as \\xff.",
        ),
        Column("status", pa.string(), "used, unused, superseded, duplicate, rejected or quarantined."),
        Column("reason", pa.string(), "Why the product is not used; empty if it is used."),
        Column("error_class", pa.string(), "Class of the problem; empty if there is none."),
        Column(
            "eligible",
            pa.bool_(),
            "Whether plan may use it: sound, unique, and either newest or already in the dataset. Set by scan only.",
        ),
        Column(
            "fingerprint",
            pa.string(),
            "Hash of what scan derived from the product: metadata, band table, mask, and a checksum of the pixels or "
            "(at-cut) a digest of samples of the image.",
        ),
        Column(
            "content",
            pa.string(),
            "Digest of each file that scan read, by layer, as JSON; cut refuses files with other digests. The key "
            "at-cut: scan left the check of all pixels to cut.",
            later=True,
        ),
        Column(
            "mask", pa.string(), "Path of the tile's mask below the dataset; empty: the geometry is the mask."
        ),
        Column("valid_fraction", pa.float64(), "Pixels with data in every kept band / pixels of the raster."),
        Column(
            "hole_fraction",
            pa.float64(),
            "Pixels in holes / pixels inside the swath; null: not checked.",
            later=True,
        ),
        Column(
            "accepted",
            pa.string(),
            "Checks that scan.accept waived for the tile, separated by spaces; null: none.",
            later=True,
        ),
        Column(
            "cloud_cover", pa.float64(), "Percent of the tile under cloud, from its metadata; null: unknown."
        ),
        Column("haze_cover", pa.float64(), "Percent under haze."),
        Column("cirrus_cover", pa.float64(), "Percent under cirrus."),
        Column("snow_cover", pa.float64(), "Percent under snow."),
        Column("water_cover", pa.float64(), "Percent water."),
        Column("sun_elevation", pa.float64(), "Sun elevation at the centre, degrees."),
        Column("sun_azimuth", pa.float64(), "Sun azimuth at the centre, degrees."),
        Column("off_nadir", pa.float64(), "Across-track off-nadir angle at the centre, degrees."),
        Column("overall_quality", pa.int32(), "0 nominal, 1 reduced, 2 low."),
        Column(
            "band_index",
            pa.list_(pa.int32()),
            "0-based index in the raster of each of the 202 kept bands.",
        ),
        Column("wavelength_nm", _DOUBLES, "Actual centre wavelength of the 202 kept bands, nm."),
        Column("fwhm_nm", _DOUBLES, "Actual full width at half maximum of the 202 kept bands, nm."),
        Column(
            "band_deviation_nm",
            pa.float64(),
            "Largest deviation of a kept band from its nominal wavelength, nm.",
        ),
        Column("geometry", GEOMETRY, "Footprint: convex hull of the pixels inside the swath."),
        Column(
            "correction",
            pa.string(),
            "Quantity of the values, from processing/correctionType: land (surface reflectance), water (normalised "
            "water-leaving reflectance) or combined (the latter over water).",
            later=True,
        ),
        Column(
            "correction_assumed",
            pa.bool_(),
            "The product names no correction, so it counts as land.",
            later=True,
        ),
        Column(
            "water_type",
            pa.string(),
            "Water type that the correction assumed: Clear, Turbid or Highly_Turbid; null: not given.",
            later=True,
        ),
        Column(
            "cirrus_haze_removal",
            pa.bool_(),
            "Whether cirrus and haze were removed from the pixels; null: not given.",
            later=True,
        ),
    ),
    rows_at_once=1 << 14,  # a row has 4 kB of bands
)

OVERLAPS = Table(
    layout.OVERLAPS,
    "Edges of the overlap graph: tiles of different datatakes that share at least one window.",
    (
        Column("tile_a", pa.string(), "First tile, in order of tile_id."),
        Column("tile_b", pa.string(), "Second tile."),
        Column("component", pa.int64(), "Component both belong to."),
        Column("windows", pa.int64(), "Windows that lie entirely in both tiles and are clear in both."),
        Column("area_km2", pa.float64(), "Area that both footprints cover, square kilometres."),
    ),
)

TUPLES = Table(
    layout.TUPLES,
    "Maximal n-tuples: sets of datatakes that are the complete cover of at least one anchor.",
    (
        Column("component", pa.int64(), "Component of the overlap graph."),
        Column("epsg", pa.int32(), "Lattice of the anchors."),
        Column("n", pa.int32(), "Number of datatakes."),
        Column("datatakes", _TEXTS, "The datatakes, sorted."),
        Column("tiles", _TEXTS, "Tiles of these datatakes that intersect the area, sorted."),
        Column("windows", pa.int64(), "Number of anchors with exactly this cover."),
        Column("area_km2", pa.float64(), "windows times 0.0009 square kilometres."),
        Column("geometry", GEOMETRY, "Area of the centres of these windows."),
    ),
)

LOCATIONS = Table(
    layout.LOCATIONS,
    "Chosen windows; no two overlap.",
    (
        Column("location_id", pa.string(), "epsg_col_row of the window's upper-left corner."),
        Column("epsg", pa.int32(), "Lattice: the UTM zone of the window's centre."),
        Column("lattice_col", pa.int32(), "x = 15 + 30 lattice_col metres at the window's west edge."),
        Column(
            "lattice_row",
            pa.int32(),
            "y = 15 + 30 lattice_row metres at its north edge; increases to the north.",
        ),
        Column("n", pa.int32(), "Number of dates (planned or written patches)."),
        Column("component", pa.int64(), "Component of the overlap graph."),
        Column("geometry", GEOMETRY, "Outline of the window."),
    ),
)

PATCHES = Table(
    layout.PATCHES,
    "One row per patch: a location at one datatake.",
    (
        Column("patch_id", pa.string(), "location_id and datatake; unique among rows that are not retired."),
        Column("location_id", pa.string(), "The location."),
        Column(
            "tile_id", pa.string(), "The tile that provides most of the pixels; its task writes the patch."
        ),
        Column("sources", _TEXTS, "Tiles that provide pixels, in order of precedence."),
        Column("datatake", pa.string(), "Datatake of the date."),
        Column("acquired", _TIME, "Start of the tile's acquisition, UTC."),
        Column("store_row", pa.int64(), "Row in store.zarr."),
        Column("shard", pa.int64(), "Shard of that row: store_row // rows per shard."),
        Column("generation", pa.int32(), "Generation of the plan that added it, from 0; see plan.json."),
        Column(
            "status",
            pa.string(),
            "planned, written, skipped or retired (replaced by a patch from a newer version of a tile).",
        ),
        Column("reason", pa.string(), "Why it was skipped or retired; empty otherwise."),
        Column(
            "checksum",
            pa.int64(),
            "crc32c of the patch's pixels, int16 [band, y, x], little-endian; readers check it. Null if no pixels were "
            "written, or if an earlier version wrote them.",
            later=True,
        ),
        Column("cloud_fraction", pa.float64(), "Fraction of the window's pixels under cloud, 0-1."),
        Column("shadow_fraction", pa.float64(), "Fraction in cloud shadow, 0-1."),
        Column("haze_fraction", pa.float64(), "Fraction under haze, 0-1."),
        Column("cirrus_fraction", pa.float64(), "Fraction under cirrus of any thickness, 0-1."),
        Column("snow_fraction", pa.float64(), "Fraction under snow, 0-1."),
        Column("water_fraction", pa.float64(), "Fraction of water, 0-1."),
        Column(
            "resampled",
            pa.bool_(),
            "Whether some pixels were resampled (bilinear) from a tile of another UTM zone.",
        ),
        Column(
            "correction",
            pa.string(),
            "Quantity of the values, as for its tile: land, water, or combined (only pixels of that quantity).",
            later=True,
        ),
        Column(
            "correction_assumed",
            pa.bool_(),
            "The tile's product names no correction, so it counts as land.",
            later=True,
        ),
    ),
)

QUARANTINE = Table(
    layout.QUARANTINE,
    "Quarantined products by cause, most frequent first.",
    (
        Column("error_class", pa.string(), "Class of the problem."),
        Column("cause", pa.string(), "Meaning of the class."),
        Column("stage", pa.string(), "Stage that found it: scan or cut."),
        Column("tile_id", pa.string(), "Tile, if the product's name gives it."),
        Column("product_id", pa.string(), "Product; the path if the name cannot be read."),
        Column(
            "path",
            pa.string(),
            "Path below the archive; members of a .zip or .tar after '!', bytes that are not UTF-8 as \\xff.",
        ),
        Column("reason", pa.string(), "What was found and what was expected."),
        Column("remedy", pa.string(), "What to do."),
    ),
)

SPLITS = Table(
    layout.SPLITS,
    "The split of each patch, if `split` was run.",
    (
        Column("patch_id", pa.string(), "The patch, planned or written."),
        Column("location_id", pa.string(), "Its location."),
        Column("split", pa.string(), "Its split, such as train, val or test; empty if it is in none."),
        Column("reason", pa.string(), "Why it is in none; empty otherwise."),
    ),
)

LABELS = Table(
    layout.LABEL_TABLE,
    "What `pair` found for each patch: one row per label and patch.",
    (
        Column("label", pa.string(), "Name of the label; its map is label_<name> in store.zarr."),
        Column("patch_id", pa.string(), "The patch, which is written."),
        Column("location_id", pa.string(), "Its location."),
        Column("store_row", pa.int64(), "Row in store.zarr."),
        Column("year", pa.int32(), "Year of the raster; 0: the raster was given without one."),
        Column("source", pa.string(), "File names of the rasters that intersect the patch, in order."),
        Column(
            "labelled_fraction",
            pa.float64(),
            "Fraction of the patch's pixels that have a class or value, 0-1.",
        ),
        Column(
            "classes",
            pa.list_(pa.int32()),
            "Indices of the classes whose share of the labelled pixels reaches the threshold, ascending.",
        ),
        Column("majority", pa.int32(), "Index of the most frequent class; -1: none."),
        Column("status", pa.string(), "written, or skipped (the patch has no map)."),
        Column("reason", pa.string(), "Why it was skipped; empty otherwise."),
        Column(
            "checksum",
            pa.int64(),
            "crc32c of its map as stored, little-endian; null if it has no map, or if an earlier version wrote it.",
            later=True,
        ),
    ),
)

ALL = (TILES, OVERLAPS, TUPLES, LOCATIONS, PATCHES, QUARANTINE, SPLITS, LABELS)
