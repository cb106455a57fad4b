"""Checks that this machine and its environment work, before any product is checked."""

from __future__ import annotations

import math
import os
import resource
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path

from spectralearth_build.errors import MachineError

OF_PROJ = ("PROJ_DATA", "PROJ_LIB")
OF_GDAL = ("GDAL_DATA", "GDAL_DRIVER_PATH", "GDAL_SKIP", "GDAL_CONFIG_FILE")
OF_BOTH = ("LD_LIBRARY_PATH", "LD_PRELOAD", "DYLD_LIBRARY_PATH")
"""Variables that make PROJ and GDAL use files other than their own."""
POINT, UTM32 = (9.0, 48.0), (500000.0, 5316300.2245)
"""A point on the central meridian of zone 32, in degrees and in UTM metres. The northing is the meridian arc on WGS 84
from the equator, integrated by Simpson's rule, times 0.9996."""
FILES = 256
"""Minimum limit of open files: libraries, sockets to workers, and the products of a task."""
ENOUGH = 65536
"""Limit of open files to set where the system allows it."""
FIRST_YEAR = 2024
"""A clock before this year is wrong: the package did not exist then."""


@cache
def check_machine() -> None:
    """Check, once per process, coordinate systems, GeoTIFF, temporary files and the limit of open files.

    Raises:
        MachineError: one of them does not work. It names a variable that may be the cause, and says what to type.
    """
    for check, variables in ((_check_proj, OF_PROJ), (_check_gtiff, OF_GDAL)):
        try:
            check()
        except Exception as error:
            raise _library_error(error, variables) from error
    _check_temporary()
    _check_open_files()


def clock_note(seconds: float | None = None) -> str:
    """A warning if the clock is far behind; empty otherwise. Work in local folders does not need the clock.

    Args:
        seconds: the clock's time in seconds since 1970; None for now.
    """
    year = time.gmtime(seconds).tm_year
    return (
        f"This machine's clock says {year}: object stores and TLS will fail. Set the clock."
        if year < FIRST_YEAR
        else ""
    )


def memory_limit(system: Path = Path("/")) -> int | None:
    """The lowest memory limit, bytes, of this process's control groups (v1 and v2), all their parents, and its job.

    Dask reads only the top group, which is right in most containers but wrong for a SLURM job or a systemd service.
    SLURM does not always limit a job by a group; it may kill a job that uses more than it asked for.

    Args:
        system: root of the file system.

    Returns:
        The limit; None if there is none, or none can be read.
    """
    limits = []
    for file in _limit_files(system):
        with suppress(OSError, ValueError):  # "max", or a group that is not visible here
            limits.append(int(file.read_text()))
    limits += _asked_of_slurm(os.environ)
    return min(limits, default=None)


def _asked_of_slurm(environment: Mapping[str, str]) -> list[int]:
    """Return the memory in bytes that a job of Slurm asked for, of its node or of each core; 0 stands for all of it."""
    found = []
    for name, number in (
        ("SLURM_MEM_PER_NODE", "1"),
        ("SLURM_MEM_PER_CPU", environment.get("SLURM_CPUS_ON_NODE")),
    ):
        with suppress(LookupError, TypeError, ValueError):
            found.append((int(environment[name]) * int(number or "")) << 20)
    return [limit for limit in found if limit > 0]


def _limit_files(system: Path) -> Iterator[Path]:
    """Limit files from the group of this process up to the top."""
    top = system / "sys/fs/cgroup"
    try:
        lines = (system / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if not controllers:
            start, name = top, "memory.max"
        elif "memory" in controllers.split(","):
            start, name = top / "memory", "memory.limit_in_bytes"
        else:
            continue
        place = start / path.lstrip("/")
        yield from (folder / name for folder in (place, *place.parents) if folder.is_relative_to(start))


def _check_proj() -> None:
    from pyproj import Transformer
    from rasterio.warp import transform

    by_pyproj = Transformer.from_crs(4326, 32632, always_xy=True).transform(*POINT)
    (east,), (north,) = transform("EPSG:4326", "EPSG:32632", [POINT[0]], [POINT[1]])
    for name, found in (("pyproj", by_pyproj), ("rasterio", (east, north))):
        if not math.dist(found, UTM32) < 0.01:
            raise ValueError(f"{name} puts {POINT} at {found} in EPSG:32632, not at {UTM32}")


def _check_gtiff() -> None:
    """Write and read a GeoTIFF like those of products, in memory."""
    import numpy as np
    from rasterio import Affine, MemoryFile

    pixels = np.arange(64, dtype=np.int16).reshape(1, 8, 8)
    options = {
        "driver": "GTiff",
        "dtype": "int16",
        "count": 1,
        "height": 8,
        "width": 8,
        "compress": "deflate",
    }
    place = {"crs": "EPSG:32632", "transform": Affine(30, 0, 500000, 0, -30, 5316300)}
    with MemoryFile() as memory:
        with memory.open(**options, **place) as file:
            file.write(pixels)
        with memory.open() as file:
            if file.crs.to_epsg() != 32632 or not np.array_equal(file.read(), pixels):
                raise ValueError("a GeoTIFF does not read back as it was written")


def _library_error(error: Exception, variables: tuple[str, ...]) -> MachineError:
    blamed = _given(variables) or _given(OF_BOTH)
    why = " ".join(str(error.__cause__ or error).split())[:300].rstrip(".")
    what = f"GDAL or PROJ does not work here, so every product would fail ({type(error).__name__}: {why})."
    if not blamed:
        return MachineError(what, remedy="Type `pip install --force-reinstall rasterio pyproj`.")
    values = ", ".join(f"{name}={os.environ[name]}" for name in blamed)
    remedy = f"Type `unset {' '.join(blamed)}` and run the same command again."
    return MachineError(
        f"{what} They may be using the files of another installation: {values}.", remedy=remedy
    )


def _given(names: tuple[str, ...]) -> list[str]:
    return [name for name in names if os.environ.get(name)]


def _check_temporary() -> None:
    try:
        tempfile.gettempdir()
    except FileNotFoundError as error:
        what = "No folder for temporary files is writable."
        raise MachineError(what, remedy="Type `export TMPDIR=/path/to/a/writable/folder`.") from error


def _check_open_files() -> None:
    """Raise the limit as far as allowed. The defaults, 256 on macOS and 1024 elsewhere, are low."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    unlimited = resource.RLIM_INFINITY
    wanted = ENOUGH if hard == unlimited else min(ENOUGH, hard)
    if soft != unlimited and soft < wanted:
        for number in (wanted, 10240):  # macOS allows no more, whatever it reports
            with suppress(OSError, ValueError):
                resource.setrlimit(resource.RLIMIT_NOFILE, (number, hard))
                break
        soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if soft != unlimited and soft < FILES:
        what = f"This process may open {soft} files; {FILES} are needed."
        raise MachineError(
            what, remedy=f"Type `ulimit -n {FILES}`, or ask your administrator to raise the limit."
        )
