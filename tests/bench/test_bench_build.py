"""`bench build`: all ways write the same patches, and the table follows from what was measured."""

import numpy as np
import pytest
import zarr

from spectralearth_build.bench.cutting import build as bench
from spectralearth_build.bench.cutting import script
from spectralearth_build.dataset.access import open_dataset


@pytest.mark.slow
def test_the_script_writes_the_patches_of_the_dataset(tmp_path):
    archive = bench.synthetic(tmp_path / "archive", tiles=1, edge=300, seed=0)
    bench._build(archive, tmp_path / "d", "at-cut", 1)
    dataset, tiles = open_dataset(tmp_path / "d"), list(bench._tiles(archive, tmp_path / "d"))
    written = script.run({t.image: t.corners for t in tiles}, tiles[0].bands, tmp_path / "z", shard_rows=3)
    stored = {
        dataset.patch(patch.location_id, patch.datatake).to_numpy().tobytes()
        for patch in dataset.patches.itertuples()
    }
    array = zarr.open_array(tmp_path / "z", mode="r")
    rows = [np.asarray(array[row]) for row in range(array.shape[0])]
    assert {row.tobytes() for row in rows if (row != -32768).any()} == stored
    assert written == len(stored) > 0


@pytest.mark.slow
def test_every_way_is_measured_and_compared_with_decoding_and_encoding(tmp_path):
    archive = bench.synthetic(tmp_path / "archive", tiles=1, edge=300, seed=0)
    measured = bench.measure(archive, (1,), rounds=1)
    builds = [f"{what}, {validity}" for validity in bench.VALIDITIES for what in ("build", "scan")]
    assert measured["what"].tolist() == ["decode", "encode", "script", *builds]
    assert (measured["cpu_seconds"] > 0).all()
    assert (measured["patches"] == measured["patches"][0]).all()
    fixed = measured.assign(cpu_seconds=[1.0, 1.0, 4.0, 2.5, 0.5, 4.2, 2.0], seconds=1.0, tiles=1, patches=4)
    (text,) = bench.lines(fixed)
    line = next(line for line in text.splitlines() if "build, at-cut" in line)
    assert [float(cell.replace(",", "")) for cell in line.split()[3:]] == pytest.approx(
        [1, 2.5, 2.5, 625, 1.25, 1.6, 2.5 * 11_636 / 3600, 2.5 * 240_000 / 3600], rel=0.01
    )
