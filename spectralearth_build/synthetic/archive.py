"""Plan a synthetic archive, and write it product by product."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Literal

from spectralearth_build.cluster.task import Executor, Failure
from spectralearth_build.errors import BuildError, ConfigError, OtherCorrectionError, UsageError
from spectralearth_build.files import PARTIAL, move
from spectralearth_build.layout import TileStatus
from spectralearth_build.progress import track
from spectralearth_build.synthetic.dirty import CASES
from spectralearth_build.synthetic.geometry import (
    OVERLAP,
    Footprint,
    Pass,
    footprints_of,
    heading,
    sun,
)
from spectralearth_build.synthetic.pack import pack, pack_order
from spectralearth_build.synthetic.processor import Coast, processed
from spectralearth_build.synthetic.product import write_product
from spectralearth_build.synthetic.render import render
from spectralearth_build.synthetic.scene import Scene
from spectralearth_build.synthetic.sites import Visit, band_set_of, demo_passes, random_passes, version_of
from spectralearth_build.synthetic.sky import Sky
from spectralearth_build.synthetic.spec import LINE_SECONDS, PLAIN, Layout, ProductSpec
from spectralearth_build.synthetic.water_mode import corrected

Packing = Literal["folder", "zip", "ZIP", "order", "twice"]
CORRECTIONS = ("Land_Mode", "Combined", "Water_Mode", "")
"""Corrections that the metadata may name; the last one stands for metadata that name none."""
MIXED = (
    PLAIN,
    Layout(block=128),
    Layout(interleave="pixel"),
    Layout(prefixed=False, metadata_suffix=".xml"),
    Layout(cog=True, block=128, suffix="_COG.TIF"),
    Layout(compress="zstd", suffix=".tiff"),
)
"""Layouts of real products."""
BUILDING = f"archive{PARTIAL}"
"""Folder inside the archive's folder for products until all are written."""
_ORDER = "dims_op_oc_oc-en_700000001_1.tar.gz"
_PACKINGS: tuple[Packing, ...] = ("folder", "zip", "folder", "ZIP")


@dataclass(frozen=True)
class ArchiveOptions:
    """Options of a synthetic archive."""

    preset: Literal["demo", "random"] = "random"
    """demo: about a dozen chosen tiles. random: sites of all kinds until there are ``tiles``."""
    tiles: int = 12
    """Number of tiles of the random preset."""
    seed: int = 0
    size: int = 300
    """Nominal raster edge, pixels; 1240 for real tiles."""
    dirty: tuple[str, ...] = ()
    """Names of dirty cases, each of which adds a product; ``("all",)`` for all."""
    layouts: tuple[Layout, ...] = (PLAIN,)
    """Layouts of the files, used in turn."""
    noise: float = 1.0
    """Factor on the sensor's noise; 0 for the analytic scene, which is only rounded."""
    clouds: bool = True
    generations: bool = False
    """Whether pixels imitate the generations of the processor, see `processor`; the first site is then at a coast."""
    corrections: tuple[str, ...] = ("Land_Mode",)
    """Corrections of the datatakes, used in turn; see `spec.ProductSpec.correction`."""

    def cases(self) -> tuple[str, ...]:
        """The dirty cases by name.

        Raises:
            ConfigError: a name is unknown.
        """
        if self.dirty == ("all",):
            return tuple(CASES)
        if unknown := [name for name in self.dirty if name not in CASES]:
            raise ConfigError(
                f"Unknown faults in --dirty: {', '.join(unknown)}.", remedy=f"Use one of: {', '.join(CASES)}."
            )
        return self.dirty


@dataclass(frozen=True)
class ProductTask:
    """One product to write."""

    spec: ProductSpec
    footprint: Footprint
    cover: float
    """Target cloud cover, 0-1."""
    layout: Layout = PLAIN
    packing: Packing = "folder"
    case: str = ""
    """Dirty case to apply to it; empty for none."""
    superseded: bool = False
    """Whether there is a newer version of the same tile."""


@dataclass(frozen=True)
class Made:
    """A product that was written, and its expected status in a build."""

    path: str
    """Path below the archive; that of the order if the product is in one."""
    tile_id: str
    product_id: str
    status: str
    """used (or unused by the plan), superseded, quarantined or rejected, in a build with scan.correction = land."""
    case: str
    """Dirty case; empty for a clean product."""
    error_class: str
    """Class of the problem; empty for none."""


def synthesize(target: Path, options: ArchiveOptions, executor: Executor | None = None) -> list[Made]:
    """Write an archive. The same options give the same bytes.

    Args:
        target: a folder that is empty or does not exist.
        options: what to write.
        executor: runs the tasks, one per product; None runs them one after the other in this process.

    Returns:
        Every product, in order of acquisition.

    Raises:
        UsageError: the folder is not empty.
        ConfigError: unknown dirty case.
        OutOfSpaceError: the disk is full; nothing is left behind.
    """
    tasks = {task.spec.product_id: task for task in plan_archive(options)}
    building = target / BUILDING
    if target.is_dir() and any(path != building for path in target.iterdir()):
        raise UsageError("The folder is not empty.", target, "Give a new folder.")
    shutil.rmtree(building, ignore_errors=True)  # left by a run that was killed
    building.mkdir(parents=True)
    try:
        paths = _write_all(building.resolve(), tasks, options, executor)
        for path in sorted(building.iterdir()):
            move(path, target / path.name)
    finally:
        shutil.rmtree(building, ignore_errors=True)
    return [_made(task, _ORDER if task.packing == "order" else paths[key]) for key, task in tasks.items()]


def _write_all(
    folder: Path, tasks: dict[str, ProductTask], options: ArchiveOptions, executor: Executor | None
) -> dict[str, str]:
    """Write all products; returns their paths below the folder."""
    arguments = {key: (folder, task, options) for key, task in tasks.items()}
    outcomes = (
        executor.run("synthesize", make_product, arguments)
        if executor is not None
        else ((key, make_product(*values)) for key, values in arguments.items())
    )
    paths: dict[str, str] = {}
    for key, outcome in track(outcomes, "synthesize", len(tasks)):
        if isinstance(outcome, Failure):
            raise BuildError(f"{key}: {outcome.message}", folder)
        paths[key] = outcome
    ordered = [folder / paths[key] for key, task in tasks.items() if task.packing == "order"]
    if ordered:
        pack_order(ordered, folder / _ORDER)
    return paths


def make_product(target: Path, task: ProductTask, options: ArchiveOptions) -> str:
    """Render, write, spoil and pack one product; returns its path below the archive."""
    spec = task.spec
    scene = _scene(options)
    key = int.from_bytes(sha256(spec.datatake.encode()).digest()[:4], "big")
    size = 1500 * min(1.0, options.size / 600)
    sky = Sky((options.seed, 3, key), task.cover, spec.sun_elevation, spec.sun_azimuth, size)
    cube, layers = render(scene, sky, spec, task.footprint.inside(), options.noise)
    cube = corrected(cube, layers, spec)
    if options.generations:
        cube, layers = processed(cube, layers, spec)
    spec = replace(spec, overall_quality=int(layers.percent(layers.cloud > 0) >= 10))
    folder = target / f"{spec.started:%Y}"
    product = write_product(folder, spec, cube, layers, task.layout)
    if task.case:
        product = CASES[task.case].apply(product, spec)
    if task.packing != "folder":
        product = pack(product, ".ZIP" if task.packing == "ZIP" else ".zip", keep=task.packing == "twice")
    return product.relative_to(target).as_posix()


def _scene(options: ArchiveOptions) -> Scene:
    """The ground of the archive."""
    if not options.generations:
        return Scene(options.seed)
    return Coast(options.seed, _passes(options)[0].lat)


def plan_archive(options: ArchiveOptions) -> list[ProductTask]:
    """The products of an archive, in order of acquisition."""
    passes = _passes(options)
    tasks = [
        replace(
            task,
            packing="order" if strip.tiles == 3 else "folder",
            spec=_of_mode(task.spec, options.corrections[i % len(options.corrections)]),
        )
        for i, strip in enumerate(passes)
        for task in _tasks_of(strip, options)
    ]
    tasks = [
        replace(task, layout=options.layouts[i % len(options.layouts)], packing=_packing(task, i))
        for i, task in enumerate(tasks)
    ]
    tasks[-1] = replace(tasks[-1], packing="twice")
    older = tasks[0].spec
    newer = replace(older, version=_next(older.version), processed=older.processed + timedelta(days=30))
    tasks[0:1] = [replace(tasks[0], superseded=True), replace(tasks[0], spec=newer)]
    if "Water_Mode" in options.corrections:
        newest = replace(newer, version=_next(newer.version), processed=newer.processed + timedelta(days=30))
        tasks.append(replace(tasks[0], superseded=False, spec=_of_mode(newest, "Water_Mode")))
    return sorted([*tasks, *_dirty_tasks(passes, options)], key=lambda task: task.spec.started)


def _passes(options: ArchiveOptions) -> list[Pass]:
    if options.preset == "demo":
        return demo_passes(options.seed, options.size)
    return random_passes(options.tiles, options.seed, options.size)


def _of_mode(spec: ProductSpec, correction: str) -> ProductSpec:
    water = correction in ("Water_Mode", "Combined")
    return replace(spec, correction=correction, water_type="Clear" if water else "NA")


def _packing(task: ProductTask, number: int) -> Packing:
    return task.packing if task.packing == "order" else _PACKINGS[number % len(_PACKINGS)]


def _next(version: str) -> str:
    return f"V{int(version[1:]) + 1:06d}"


def _dirty_tasks(passes: list[Pass], options: ArchiveOptions) -> Iterator[ProductTask]:
    """One product for each case, in March 2023, at the first site or at the site that the case needs."""
    taken = {strip.datatake for strip in passes}
    first = passes[0]
    for number, name in enumerate(options.cases()):
        lon, lat = CASES[name].site or (first.lon, first.lat)
        visit = Visit(datetime(2023, 3, 1, tzinfo=UTC) + timedelta(days=number), lon, lat)
        for task in _tasks_of(visit.as_pass(taken), options):
            yield replace(task, case=name)


def _tasks_of(strip: Pass, options: ArchiveOptions) -> Iterator[ProductTask]:
    for number, footprint in enumerate(footprints_of(strip, options.size), 1):
        started = strip.started + timedelta(seconds=(number - 1) * (footprint.lines - OVERLAP) * LINE_SECONDS)
        elevation, azimuth = sun(strip.lon, strip.lat, started)
        spec = ProductSpec(
            datatake=strip.datatake,
            tile=number,
            number_of_tiles=strip.tiles,
            started=started,
            processed=(started + timedelta(days=1)).replace(microsecond=0),
            version=version_of(started),
            epsg=footprint.epsg,
            box=footprint.box(),
            corners=footprint.corners(),
            band_set=band_set_of(started),
            lines=round(footprint.lines),
            sun_elevation=round(elevation, 6),
            sun_azimuth=round(azimuth, 6),
            across_off_nadir=strip.off_nadir,
            scene_azimuth=round(heading(strip.lat), 6),
        )
        yield ProductTask(spec, footprint, strip.cover if options.clouds else 0.0)


def _made(task: ProductTask, path: str) -> Made:
    spec = task.spec
    error, status = "", str(TileStatus.SUPERSEDED if task.superseded else TileStatus.USED)
    if spec.correction == "Water_Mode":
        status, error = OtherCorrectionError.status, OtherCorrectionError.__name__
    if task.case:
        status, error = CASES[task.case].status, CASES[task.case].error
    return Made(
        path, spec.tile_id, product_id=spec.product_id, status=status, case=task.case, error_class=error
    )
