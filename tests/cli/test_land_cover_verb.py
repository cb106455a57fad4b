import numpy as np
import pytest

from spectralearth_build.dataset.access import open_dataset
from spectralearth_build.labels.label_raster import open_label_raster
from spectralearth_build.labels.resample import on_patch


@pytest.mark.slow
def test_the_rasters_cover_every_location_of_a_dataset(call, built, tmp_path):
    folder = tmp_path / "cover"
    done = call("land-cover", built, folder, "--seed", 3)
    assert done.exit_code == 0, done.output
    names = ["corine", "cdl_2022", "cdl_2023", "cdl_2024", "nlcd_2021", "nlcd_2023", "tree_cover"]
    assert f"{', '.join(f'{name}.tif' for name in names)} in {folder}" in done.output
    assert sorted(path.stem for path in folder.iterdir()) == sorted(names)
    locations = open_dataset(built).locations
    assert len(locations)
    for name, rule in (("corine", "nearest"), ("cdl_2023", "nearest"), ("tree_cover", "mean")):
        with open_label_raster(folder / f"{name}.tif") as source:
            for place in locations.itertuples():
                west, north = 15 + 30 * place.lattice_col, 15 + 30 * place.lattice_row
                found = on_patch(source, int(place.epsg), west, north, rule)
                assert not np.isnan(found).any() if rule == "mean" else (found != source.nodata).all()


def test_a_folder_without_tiles_is_refused(call, tmp_path):
    done = call("land-cover", tmp_path, tmp_path / "cover")
    assert done.exit_code == 2
    assert "tiles.parquet" in done.output
