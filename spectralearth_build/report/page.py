"""The report page: its content, in order, and how it is assembled."""

from __future__ import annotations

from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined

from spectralearth_build.cluster import raise_if_stopped
from spectralearth_build.dataset.access import Dataset, open_dataset
from spectralearth_build.errors import printable
from spectralearth_build.files import write_bytes
from spectralearth_build.layout import REPORT, STORE, TileStatus
from spectralearth_build.report import figures, labels, maps, pictures
from spectralearth_build.report import key_figures as summary
from spectralearth_build.store.codec import PATCH_BYTES
from spectralearth_build.store.manifest import Manifest
from spectralearth_build.store.seal import sealed_page
from spectralearth_build.tables import TUPLES

SAMPLES, DATES = 6, 12
"""Number of sample patches, and number of dates of one location."""
WORST = 40
"""Number of tiles listed with their wavelength deviation."""


def write_report(dataset: Path) -> Path:
    """Write ``report.html`` into a finished dataset: one self-contained page.

    The same dataset gives the same bytes.

    Args:
        dataset: the dataset folder.

    Raises:
        UsageError: The dataset is not finished.
        StoppedError: A signal arrived.
    """
    path = dataset / REPORT
    write_bytes(path, sealed_page(render(open_dataset(dataset))))
    return path


def render(dataset: Dataset) -> str:
    """Render the page as HTML."""
    environment = Environment(
        loader=PackageLoader("spectralearth_build.report", "."),
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    environment.filters |= {"n": "{:,.0f}".format, "day": "{:%Y-%m-%d}".format, "bytes": _bytes}
    written = dataset.query()
    parts: dict[str, Any] = _head(dataset, written) | _tables(dataset) | _origin(dataset.path)
    for draw in (_charts, _pixels) if len(written) else ():
        raise_if_stopped()
        parts |= draw(dataset, written)
    raise_if_stopped()
    return environment.get_template("template.html.j2").render(parts)


def _bytes(count: float) -> str:
    """Format a size in powers of 1000."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if count < 999.5:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} TB"


def _head(dataset: Dataset, written: pd.DataFrame) -> dict[str, Any]:
    stored, shards = summary.stored_bytes(dataset.path / STORE)
    dates = written["location_id"].value_counts()
    return {
        "name": printable(dataset.path.resolve().name),
        "patches": len(written),
        "planned": len(dataset.patches),
        "locations": len(dates),
        "series": int((dates >= 2).sum()),
        "deepest": int(dates.max()) if len(dates) else 0,
        "datatakes": written["datatake"].nunique(),
        "resampled": int(written["resampled"].sum()),
        "tiles_found": len(dataset.tiles),
        "tiles_used": int((dataset.tiles["status"] == TileStatus.USED).sum()),
        "period": (written["acquired"].min(), written["acquired"].max()) if len(written) else None,
        "zones": sorted(dataset.locations["epsg"].unique().tolist()),
        "stored": stored,
        "shards": shards,
        "raw": len(written) * PATCH_BYTES,
    }


def _tables(dataset: Dataset) -> dict[str, Any]:
    used = dataset.tiles[dataset.tiles["status"] == TileStatus.USED]
    nominal = dataset.nominal_nm
    sets = summary.band_sets(used, nominal)
    worst = used.sort_values(["band_deviation_nm", "tile_id"], ascending=[False, True]).head(WORST)
    return {
        "statuses": summary.statuses(dataset.tiles),
        "left_out": summary.left_out(dataset.tiles),
        "holed": int((dataset.tiles["hole_fraction"] > 0).sum()),
        "skipped": summary.skipped(dataset.patches),
        "tuples": summary.tuples_by_size(TUPLES.read(dataset.path), dataset.locations),
        "band_sets": list(zip_longest(sets, list(figures.SET_COLOURS)[: len(sets)])),
        "deviations": figures.deviations(nominal, [one.wavelength_nm for one in sets]),
        "labels": labels.labels(dataset),
        "tile_deviations": [(row.tile_id, row.acquired, row.band_deviation_nm) for row in worst.itertuples()],
    }


def _origin(folder: Path) -> dict[str, Any]:
    manifest = Manifest.read(folder)
    return {
        "plan_id": manifest.plan,
        "origin": [
            (title, summary.flat(getattr(manifest, key)))
            for title, key in (("Settings", "settings"), ("Counts", "counts"), ("Versions", "versions"))
        ],
    }


def _charts(dataset: Dataset, written: pd.DataFrame) -> dict[str, Any]:
    tiles = dataset.tiles
    used = tiles["status"] == TileStatus.USED
    ground = maps.survey(tiles[tiles["eligible"].fillna(False).astype(bool)], dataset.locations)
    return {
        "overview": figures.overview(ground),
        "regions": [figures.region(ground, k) for k in range(len(ground.regions))],
        "other_regions": ground.others,
        "depth_key": figures.depth_key(ground),
        "depths": figures.depths(written["location_id"].value_counts()),
        "months": figures.months(written["acquired"]),
        "seasons": figures.seasons(written["acquired"]),
        "tile_clouds": figures.tile_clouds(tiles.loc[used, "cloud_cover"], tiles.loc[~used, "cloud_cover"]),
        "patch_clouds": figures.patch_clouds(written["cloud_fraction"]),
    }


def _pixels(dataset: Dataset, written: pd.DataFrame) -> dict[str, Any]:
    samples = []
    for location, datatake in summary.samples(dataset.locations, dataset.patches, SAMPLES):
        patch = dataset.patch(location, datatake)
        colours = pictures.natural_colour(patch)
        shape = figures.spectrum(pictures.spectrum(patch, location))
        samples.append(
            {"picture": pictures.png(colours, *pictures.limits(colours)), "spectrum": shape,
             "location": location, "acquired": patch.attrs["acquired"][:10], "tile": patch.attrs["tile_id"]}
        )  # fmt: skip
    return {"samples": samples, **_through_time(dataset, written)}


def _through_time(dataset: Dataset, written: pd.DataFrame) -> dict[str, Any]:
    """Show the location with most dates: images with a common stretch, so that they are comparable, and spectra."""
    location = summary.deepest(written)
    rows = written[written["location_id"] == location].sort_values(["acquired", "datatake"])
    picked = rows.iloc[np.unique(np.linspace(0, len(rows) - 1, min(DATES, len(rows))).round().astype(int))]
    days, colours, spectra = [], [], []
    for row in picked.itertuples():
        patch = dataset.patch(location, row.datatake)
        days.append(f"{row.acquired:%Y-%m-%d}")
        colours.append(pictures.natural_colour(patch))
        spectra.append(pictures.spectrum(patch, days[-1]))
    stretch, lines = pictures.common_limits(colours), figures.date_colours(len(days))
    shown = [pictures.png(one, *stretch) for one in colours]
    return {
        "series_location": location,
        "series_dates": len(rows),
        "series_pictures": list(zip(days, shown, lines, strict=True)),
        "series_spectra": figures.spectra(spectra, lines),
    }
