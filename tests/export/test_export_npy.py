import numpy as np
import pandas as pd


def test_memory_maps_hold_every_patch_bit_by_bit(exported, truth):
    folder = exported("numpy")
    table = pd.read_parquet(folder / "patches.parquet")
    assert set(table["patch_id"]) == set(truth)
    arrays = {name: np.load(folder / name, mmap_mode="r") for name in table["file"].unique()}
    assert len(arrays) > 1
    assert all(isinstance(array, np.memmap) and array.dtype == np.int16 for array in arrays.values())
    assert sum(len(array) for array in arrays.values()) == len(truth)
    for row in table.itertuples():
        assert np.array_equal(arrays[row.file][row.index], truth[row.patch_id])


def test_tables_say_where_and_when_and_which_wavelengths(exported, source):
    folder = exported("numpy")
    table, tiles = (pd.read_parquet(folder / f"{name}.parquet") for name in ("patches", "tiles"))
    planned = pd.read_parquet(source / "patches.parquet").set_index("patch_id").loc[table["patch_id"]]
    assert table["acquired"].tolist() == planned["acquired"].tolist()
    assert table["cloud_fraction"].tolist() == planned["cloud_fraction"].tolist()
    one = table.set_index("location_id").loc["32633_9000_174000"]
    assert (one["epsg"], one["west"], one["north"]) == (32633, 15 + 30 * 9000, 15 + 30 * 174000)
    whole = pd.read_parquet(source / "tiles.parquet").set_index("tile_id")["wavelength_nm"]
    assert set(tiles["tile_id"]) == set(table["tile_id"])
    for row in tiles.itertuples():
        assert np.array_equal(row.wavelength_nm, whole[row.tile_id])
