"""GDAL closes files that it could not write and says nothing: every raster is read back before it gets its name."""

from __future__ import annotations

import subprocess
from contextlib import contextmanager, suppress

import numpy as np
import pytest

from spectralearth_build.errors import OutOfSpaceError
from spectralearth_build.overlap.lattice import Box
from spectralearth_build.synthetic.archive import ArchiveOptions, synthesize
from spectralearth_build.synthetic.land_cover import land_cover
from spectralearth_build.synthetic.product import write_raster
from spectralearth_build.synthetic.spec import Layout, ProductSpec
from tests.support.files import tree

SPEC = ProductSpec(box=Box(-183000, 15600, 64, 64))
LAYOUTS = {
    "strips": Layout(compress="none"),
    "blocks": Layout(block=32, compress="none"),
    "pixel": Layout(interleave="pixel", compress="none"),
    "deflate": Layout(),
    "cog": Layout(cog=True, block=128, compress="zstd"),
}


@contextmanager
def tmpfs(folder, kilobytes):
    folder.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        pytest.skip(f"not permitted here: {done.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_raster_is_whole_or_not_there(tmp_path, layout):
    """At every size of the disk, down to a page; noise, so that nothing is compressed away."""
    cube = np.random.default_rng(1).integers(-30000, 30000, (6, 64, 64), np.int16)
    write_raster(tmp_path / "expected.tif", SPEC, cube, LAYOUTS[layout])
    expected = (tmp_path / "expected.tif").read_bytes()
    ended = set()
    for kilobytes in range(4, 2 * len(expected) // 1024 + 20, 12):
        with tmpfs(tmp_path / f"m{kilobytes}", kilobytes) as disk:
            with suppress(OutOfSpaceError):
                write_raster(disk / "x.tif", SPEC, cube, LAYOUTS[layout])
            found = {path.name: path.read_bytes() for path in disk.iterdir()}
            assert found in ({}, {"x.tif": expected})
            ended.add(len(found))
    assert ended == {0, 1}


@pytest.mark.slow
@pytest.mark.parametrize("kilobytes", [40, 1000, 4000])
def test_an_archive_is_whole_or_not_there(tmp_path, kilobytes):
    options = ArchiveOptions(tiles=1, size=64)
    with tmpfs(tmp_path / "m", kilobytes) as disk:
        with pytest.raises(OutOfSpaceError):
            synthesize(disk / "archive", options)
        assert [path for path in disk.rglob("*") if path.is_file()] == []
        subprocess.run(["mount", "-o", "remount,size=64m", str(disk)], check=True)
        synthesize(disk / "archive", options)  # the folder that the first try left is no hindrance
        synthesize(tmp_path / "archive", options)
        assert tree(disk / "archive") == tree(tmp_path / "archive")


@pytest.mark.slow
def test_land_cover_is_whole_or_as_it_was(tmp_path):
    areas = [(32632, Box(-171200, 19400, 80, 80))]
    paths = land_cover(tmp_path / "expected", areas)
    sizes = sorted(path.stat().st_size for path in paths)
    for kilobytes in (8, sizes[-1] // 2048, sum(sizes) // 1024 * 9 // 10):
        with tmpfs(tmp_path / f"m{kilobytes}", max(8, kilobytes)) as disk:
            (disk / "corine.tif").write_bytes(b"as it was")
            with pytest.raises(OutOfSpaceError):
                land_cover(disk, areas)
            for path in disk.iterdir():
                assert path.suffix == ".tif"
                assert path.read_bytes() in (b"as it was", (tmp_path / "expected" / path.name).read_bytes())
