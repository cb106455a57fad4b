"""The settings of a build: one typed tree, every field described once.

The text below a field becomes its comment in the template (`config template`) and its row in the documentation.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from spectralearth_build import waive, worth
from spectralearth_build.settings import Section, read
from spectralearth_build.settings.bounds import Count, CountOrNone, Share

StrategyName = Literal["shelves", "algorithm1", "lattice", "greedy"]
ValueName = Literal["patches", "series", "pairs"]
CodecName = Literal["spectral", "fast", "portable", "dense"]
WIDEST_NM = 5.0
"""Largest tolerance of a wavelength; from 12 nm on, a neighbouring band could match."""


class ScanConfig(Section):
    """Which products to use, and what scan reads from them."""

    manifest: str = ""
    """Tile list (CSV): use exactly these tiles. Empty: all that are found."""
    validity: Literal["at-cut", "all-bands", "classes"] = "at-cut"
    """When pixels without data, holes and damage are found. at-cut: scan decodes a few bands, and cut checks all bands
    of the image, which it decodes anyway; cut leaves out windows with such pixels and quarantines damaged products.
    all-bands: scan decodes the whole image too, and windows are placed around such pixels. classes: trust
    QUALITY_CLASSES; holes that read as zeros are not found. Products from which patches were cut stay as they were
    scanned, at-cut or all-bands."""
    correction: Literal["land", "water"] = "land"
    """Quantity of the values. land: surface reflectance, from land-mode products. water: normalised water-leaving
    reflectance, from water-mode products. Combined products provide only pixels of that quantity."""
    band_tolerance_nm: Annotated[float, Field(gt=0, le=WIDEST_NM)] = 1.0
    """Largest deviation of a band from its nominal wavelength, nm."""
    accept: Annotated[tuple[str, ...], BeforeValidator(waive.split), AfterValidator(waive.check)] = ()
    """Tiles to use even if they fail a check: TILE or TILE=CHECK, such as DT0000001849_005=hole. Checks: hole,
    size, corners, bands, latitude, correction, sun, quality; without CHECK, all of them."""


class QualityConfig(Section):
    """Which windows count as clear, and which tiles as usable. Fractions are of a window's pixels."""

    max_cloud: Share = 0.05
    """Largest cloud fraction of a window."""
    max_shadow: Share = 0.10
    """Largest cloud-shadow fraction."""
    max_haze: Share = 0.20
    """Largest haze fraction."""
    max_cirrus: Share = 0.20
    """Largest fraction of cirrus at or above cirrus_level."""
    cirrus_level: Annotated[int, Field(ge=1, le=3)] = 2
    """Lowest cirrus level that counts: 1 thin, 2 medium, 3 thick."""
    max_snow: Share = 1.0
    """Largest snow fraction (1: any snow is accepted)."""
    min_sun_elevation: Annotated[float, Field(ge=-90, le=90)] = 10.0
    """Lowest sun elevation, degrees; 0 and below is night. -90 also accepts tiles with unknown sun."""
    max_overall_quality: Annotated[int, Field(ge=0, le=2)] = 1
    """Worst overall quality: 0 nominal, 1 reduced, 2 low. 2 also accepts tiles of unknown quality."""


class PlanConfig(Section):
    """Where patches are placed."""

    strategy: StrategyName = "shelves"
    """shelves: best rows of windows (default). algorithm1: SpectralEarth's n-tuples by area. lattice: fixed grid.
    greedy: deepest windows first."""
    value: Annotated[str, AfterValidator(worth.check)] = "patches"
    """Value of a window of depth d. patches: d. series: locations with two or more dates first. pairs:
    d(d-1)/2 first. Or a formula in d, such as 'min(d, 5)' or 'd * (d >= 3)'."""
    min_dates: Count = 1
    """Smallest number of dates of a location."""
    min_days_apart: CountOrNone = 0
    """Smallest number of days between two dates of a location. Dates that are closer are left out."""
    one_a_season: bool = False
    """Use at most one date of a location per season (December to February, ...)."""
    start: date | None = None
    """First day of acquisition, such as 2023-01-31. Absent: any."""
    stop: date | None = None
    """Last day of acquisition. Absent: any."""
    region: str = ""
    """Vector file (any format that GDAL reads, with a coordinate system): use only windows whose centre is in one of
    its polygons. Empty: everywhere."""
    kept_tuples: Count = 20
    """algorithm1 only: number of tuples kept from one size to the next."""
    replace_versions: bool = False
    """What to do when the archive has a newer version of a tile that has patches. false: keep them and print a note.
    true: cut them again from the newer version, as new rows, and retire the old ones. May change from one build to
    the next."""


class StoreConfig(Section):
    """How patches are stored."""

    codec: CodecName = "spectral"
    """spectral: band prediction + lz4 (less than half of raw). fast: band delta + lz4, quickest to write and read.
    portable: blosc with zstd, for Zarr v3 readers without this package. dense: for archiving, smallest and
    three times slower to read."""
    shard_rows: Annotated[int, Field(ge=1, le=1024)] = 16
    """Patches per shard file; about 3 MB each."""


def _one_line(text: str) -> str:
    if any(not character.isprintable() for character in text):
        raise ValueError("line breaks and control characters are not allowed")
    return text


Word = Annotated[str, AfterValidator(_one_line)]
"""A text on one line."""


class SlurmConfig(Section):
    """The jobs that run the workers with run.scheduler = "slurm". Each is one element of a job array."""

    jobs: Annotated[int, Field(ge=1, le=1000)] = 4
    """Number of jobs in the queue or running at a time; arrays of Slurm have at most 1000 elements by default. Those
    that end are replaced while there is work."""
    cores: Count = 1
    """Cores of a job; it runs one worker per core."""
    memory: str = "4 GiB"
    """Memory of a job, for all of its workers. `plan` prints what a worker needs."""
    minutes: Annotated[int, Field(ge=1)] = 60
    """Time limit of a job. Its workers stop a little earlier, by themselves."""
    partition: Word = ""
    """Partition. Empty: the default one."""
    account: Word = ""
    """Account to charge. Empty: the default one."""
    directives: tuple[Word, ...] = ()
    """More options of sbatch, such as ["--qos=long", "--constraint=avx2"]."""
    prologue: tuple[Word, ...] = ()
    """Lines of shell before the worker starts, such as ["module load gdal"]. Jobs have the environment of this
    command."""
    interface: Word = ""
    """Network interface by which jobs and this command reach each other, such as "ib0"; `ip -brief address` lists them.
    Needed."""


class RunConfig(Section):
    """Where and how the work runs. Nothing here changes a byte of the result."""

    scheduler: str = ""
    """Address of a Dask scheduler (tcp://...), or its scheduler file (.json). Empty: a local cluster. 'inline': this
    process. 'slurm': workers in jobs that this command submits, see run.slurm."""
    workers: CountOrNone = 0
    """Local worker processes; 0: one per core, as memory allows."""
    threads: CountOrNone = 0
    """Threads that decode and encode in a task of cut; 0: the cores of this machine divided by the number of local
    workers, or 1 with a scheduler."""
    memory_limit: str = ""
    """Memory per local worker, such as '4 GiB'. Empty: an equal share."""
    dashboard: str = "127.0.0.1:8787"
    """Address of the dashboard of the local cluster. If the port is taken, another one is used. Empty: no dashboard."""
    task_timeout: Count = 3600
    """Seconds after which a task counts as hung. It is then tried once more, alone, with the same limit."""
    staging: str = ""
    """Folder for local copies of datasets and archives on object stores; it may be deleted between runs.
    Empty: the user's cache."""
    check_space: bool = True
    """Before cutting, check that the disk has room for the planned dataset."""
    accept_quarantined: Share = 0.0
    """Fraction of the products, 0 to 1, that may be quarantined without exit code 4, so that a job chained to this
    one starts. Files that cannot be opened or read, and unexpected errors, are never accepted."""
    tls: str = ""
    """Folder with ca.pem, cert.pem and key.pem: traffic between scheduler, workers and this process is encrypted,
    and only holders of a certificate of that authority may connect. Empty: no encryption."""
    performance_report: str = ""
    """Save Dask's performance report to this HTML file."""
    slurm: SlurmConfig = SlurmConfig()


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
        ConfigError: it names each unknown key or bad value, and what is allowed.
    """
    return read(Config, path, overrides or {})
