"""The settings of a build: one typed tree, every field described once.

The descriptions become the commented template (`config template`), the validation messages and the
documentation.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from spectralearth_build import waive, worth
from spectralearth_build.settings import Section, read

Fraction = float
StrategyName = Literal["shelves", "algorithm1", "lattice", "greedy"]
ValueName = Literal["patches", "series", "pairs"]
CodecName = Literal["spectral", "fast", "portable", "dense"]
WIDEST_NM = 5.0
"""Largest tolerance of a wavelength; from 12 nm on it would be another band's."""


class ScanConfig(Section):
    """What scan reads of each product."""

    manifest: str = Field(
        default="", description="Tile list (CSV): take exactly these tiles. Empty: everything found."
    )
    validity: Literal["all-bands", "classes"] = Field(
        default="all-bands",
        description="all-bands: read the image and ask every kept band for data (exact, and proves that the "
        "file decodes). classes: trust QUALITY_CLASSES (fast; bad files and pixels show only in cut).",
    )
    correction: Literal["land", "water"] = Field(
        default="land",
        description="What the values are. land: surface reflectance, from land-mode products. water: normalised "
        "water-leaving reflectance, from water-mode products. Of Combined products only the pixels of that kind count.",
    )
    band_tolerance_nm: float = Field(
        default=1.0,
        gt=0,
        le=WIDEST_NM,
        description="Largest distance of a band from its nominal wavelength, nm.",
    )
    accept: Annotated[tuple[str, ...], BeforeValidator(waive.split), AfterValidator(waive.check)] = Field(
        default=(),
        description="Tiles to use although they fail a check: TILE or TILE=CHECK, such as "
        f"DT0000001849_005=hole. Checks: {', '.join(waive.CHECKS)}; without CHECK, all of them.",
    )


class QualityConfig(Section):
    """Which windows count as clear, and which tiles as usable. Fractions are shares of a window's pixels."""

    max_cloud: Fraction = Field(default=0.05, ge=0, le=1, description="Largest cloud fraction of a window.")
    max_shadow: Fraction = Field(default=0.10, ge=0, le=1, description="Largest cloud-shadow fraction.")
    max_haze: Fraction = Field(default=0.20, ge=0, le=1, description="Largest haze fraction.")
    max_cirrus: Fraction = Field(
        default=0.20, ge=0, le=1, description="Largest fraction of cirrus at or above cirrus_level."
    )
    cirrus_level: int = Field(
        default=2, ge=1, le=3, description="Cirrus that counts: 1 thin, 2 medium, 3 thick only."
    )
    max_snow: Fraction = Field(
        default=1.0, ge=0, le=1, description="Largest snow fraction (1: snow is welcome)."
    )
    min_sun_elevation: float = Field(
        default=10.0,
        ge=-90,
        le=90,
        description="Lowest sun elevation, degrees; 0 and below is night. -90: also tiles of unknown sun.",
    )
    max_overall_quality: int = Field(
        default=1,
        ge=0,
        le=2,
        description="Worst overall quality: 0 nominal, 1 reduced, 2 low; 2 also takes tiles of unknown quality.",
    )


class PlanConfig(Section):
    """Where patches go."""

    strategy: StrategyName = Field(
        default="shelves",
        description="shelves: best rows of windows (default). algorithm1: SpectralEarth's n-tuples by area. "
        "lattice: fixed grid. greedy: deepest windows first.",
    )
    value: Annotated[str, AfterValidator(worth.check)] = Field(
        default="patches",
        description="What a window of depth d is worth. patches: d. series: locations with two dates or more "
        "first. pairs: d(d-1)/2 first. Or a formula in d, such as 'min(d, 5)' or 'd * (d >= 3)'.",
    )
    min_dates: int = Field(default=1, ge=1, description="Leave out locations with fewer dates.")
    min_days_apart: int = Field(
        default=0,
        ge=0,
        description="Days between two dates of a location, at least; nearer ones are left out.",
    )
    one_a_season: bool = Field(
        default=False, description="At most one date of a location in a season (December to February, ...)."
    )
    start: date | None = Field(default=None, description="First day of acquisition, 2023-01-31. Absent: any.")
    stop: date | None = Field(default=None, description="Last day of acquisition. Absent: any.")
    region: str = Field(
        default="",
        description="Vector file (any that GDAL reads, with a coordinate system): only windows whose centre lies "
        "in one of its polygons. Empty: everywhere.",
    )
    kept_tuples: int = Field(
        default=20, ge=1, description="algorithm1 only: tuples kept from one size to the next."
    )
    replace_versions: bool = Field(
        default=False,
        description="Where the dataset has patches of a tile and the archive has a newer version of it: false: keep "
        "them and say so. true: cut them again from the newer version, as new rows, and retire the old ones. May "
        "change from one build to the next.",
    )


class StoreConfig(Section):
    """How patches are stored."""

    codec: CodecName = Field(
        default="spectral",
        description="spectral: band prediction + lz4 (less than half of raw). fast: band delta + lz4, quickest to "
        "write and read. portable: blosc with zstd inside, for Zarr v3 readers without this package. dense: for "
        "archives, smallest and three times slower to read.",
    )
    shard_rows: int = Field(default=16, ge=1, le=1024, description="Patches per shard file; about 3 MB each.")


class RunConfig(Section):
    """Where and how the work runs; nothing here changes a byte of the result."""

    scheduler: str = Field(
        default="",
        description="A Dask scheduler's address (tcp://...). Empty: a local cluster. 'inline': this process.",
    )
    workers: int = Field(
        default=0, ge=0, description="Local worker processes; 0: one per core, as memory allows."
    )
    threads: int = Field(
        default=0,
        ge=0,
        description="Threads of a task of cut, which decode and encode; 0: the cores of this machine shared among the "
        "local workers, one on a scheduler's.",
    )
    memory_limit: str = Field(
        default="", description="Memory per local worker, such as '4 GiB'. Empty: a fair share."
    )
    dashboard: str = Field(
        default="127.0.0.1:8787",
        description="Where a local cluster's dashboard listens; another port if taken. Empty: none.",
    )
    task_timeout: int = Field(
        default=3600,
        ge=1,
        description="Seconds after which a task counts as hung and is tried alone, as long again.",
    )
    staging: str = Field(
        default="",
        description="Folder for what is kept here of datasets and archives on object stores; it may be deleted "
        "between runs. Empty: the user's cache.",
    )
    check_space: bool = Field(
        default=True, description="Before cutting, ask whether the disk has room for what the plan says."
    )
    accept_quarantined: Fraction = Field(
        default=0.0,
        ge=0,
        le=1,
        description="Share of the products, 0 to 1, that may be quarantined without exit code 4, so that a chained job "
        "starts. Files that cannot be opened and errors that are not the product's are never accepted.",
    )
    tls: str = Field(
        default="",
        description="Folder with ca.pem, cert.pem and key.pem: everything between scheduler, workers and this process "
        "is encrypted, and only who has a certificate of that authority takes part. Empty: no encryption.",
    )
    performance_report: str = Field(
        default="", description="Save Dask's performance report to this HTML file."
    )


class Config(Section):
    """All settings."""

    scan: ScanConfig = ScanConfig()
    quality: QualityConfig = QualityConfig()
    plan: PlanConfig = PlanConfig()
    store: StoreConfig = StoreConfig()
    run: RunConfig = RunConfig()


def load(path: Path | None = None, overrides: Mapping[str, Any] | None = None) -> Config:
    """Read a TOML file and apply overrides; see `settings.read`.

    Raises:
        ConfigError: naming each unknown key or bad value, and what is allowed.
    """
    return read(Config, path, overrides or {})
