"""`pair` as users call it."""

from __future__ import annotations

import numpy as np
import pytest
import rasterio
from affine import Affine
from typer.testing import CliRunner

from spectralearth_build.cli.app import app
from spectralearth_build.labels.read import open_labels
from tests.support.files import tree
from tests.support.small_archive import write_noise_tile

INLINE = ["--scheduler", "inline", "--quiet"]


def call(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def ground(tmp_path_factory):
    """A dataset, and rasters of two years and of quantities."""
    folder = tmp_path_factory.mktemp("pair")
    write_noise_tile(folder / "archive", 1)
    space = ("--set", "run.check_space=false")
    for stage in (("scan", folder / "archive"), ("plan",), ("cut", folder / "archive")):
        assert call(*stage, folder / "d", *INLINE, *space).exit_code == 0
    dice = np.random.default_rng(0)
    for name, values in (
        ("cdl_2023.tif", dice.integers(1, 7, (200, 200)).astype(np.uint8)),
        ("cdl_2025.tif", dice.integers(1, 7, (200, 200)).astype(np.uint8)),
        ("trees.tif", dice.random((200, 200), np.float32)),
    ):
        place = Affine(30, 0, 467_505, 0, -30, 5_490_525)
        shape = {"width": 200, "height": 200, "count": 1, "dtype": values.dtype, "crs": "EPSG:32633"}
        with rasterio.open(folder / name, "w", "GTiff", transform=place, **shape) as file:
            file.write(values, 1)
    return folder


@pytest.mark.slow
def test_labels_are_made_said_refused_and_dropped(ground):
    dataset = ground / "d"
    before = tree(dataset, ("work", "report.html"))
    asked = ("--labels", f"cdl={ground}/cdl_2023.tif:2023", "--labels", f"cdl={ground}/cdl_2025.tif:2025",
             "--labels", f"trees={ground}/trees.tif", "--classes", "cdl=cdl14", "--rule", "cdl=nearest")  # fmt: skip
    done = call("pair", dataset, *asked, "--scheduler", "inline")
    assert done.exit_code == 0, done.output
    assert "pair: cdl: 1 shard made" in done.output
    assert "pair: cdl: 1 of 1 patch with a map: 1 of 2023" in done.output
    assert open_labels(dataset, "cdl").table["source"].tolist() == ["cdl_2023.tif"]
    assert open_labels(dataset, "trees").kind == "continuous"
    assert call("verify", dataset, *INLINE).exit_code == 0
    again = call("pair", dataset, *asked, "--scheduler", "inline")
    assert "pair: trees: 0 shards made, nothing to do" in again.output
    other = call("pair", dataset, *asked, *INLINE, "--threshold", "0.2")
    assert other.exit_code == 2
    assert "threshold: was 0.02, is 0.2" in other.output
    assert "--anew" in other.output
    assert call("pair", dataset, "--drop", "cdl", *INLINE).exit_code == 0
    (dataset / "report.html").touch()  # where there is a page, it is kept up to date
    assert call("pair", dataset, "--drop", "trees", *INLINE).exit_code == 0
    assert "<h2>Labels</h2>" not in (dataset / "report.html").read_text(encoding="utf-8")
    assert tree(dataset, ("work", "report.html")) == before


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ((), "Give either rasters or a label to drop"),
        (("--labels", "a=x.tif", "--drop", "a"), "Give either rasters or a label to drop"),
        (("--labels", "a=x.tif", "--classes", "b=nlcd"), "names a label that no --labels option defines"),
        (("--labels", "a=x.tif", "--classes", "nlcd"), "x.tif: The raster cannot be read"),
        (("--labels", "x.tif"), "is not a label and a raster"),
    ],
)
def test_wrong_calls_say_what_to_do(ground, options, what):
    done = call("pair", ground / "d", *options, *INLINE)
    assert done.exit_code == 2
    assert what in done.output
