"""From what users write to definitions."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
import rasterio

from spectralearth_build.errors import UsageError
from spectralearth_build.labels.classes import nomenclature
from spectralearth_build.labels.define import Given, Request, define, nomenclature_of, parse_rasters
from spectralearth_build.store.labels import decode_definition
from tests.support.pairing_site import CORINE, request, write_raster


def test_rasters_are_named_with_and_without_years(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("t_1.tif", "t_2.tif", "other.tif"):
        (tmp_path / name).touch()
    found = parse_rasters(
        ["a=/data/x.tif:2018", "b=y.tif", "a=s3://bucket/z.tif:2012", "c=https://h:8080/w.tif", "t=t_*.tif:2020",
         f"u={tmp_path}/**/*.tif"]
    )  # fmt: skip
    here = str(tmp_path)
    assert found == {
        "a": (Given("/data/x.tif", 2018), Given("s3://bucket/z.tif", 2012)),
        "b": (Given(f"{here}/y.tif"),),
        "c": (Given("https://h:8080/w.tif"),),
        "t": (Given(f"{here}/t_1.tif", 2020), Given(f"{here}/t_2.tif", 2020)),
        "u": tuple(Given(f"{here}/{name}") for name in ("other.tif", "t_1.tif", "t_2.tif")),
    }
    for wrong in ("x.tif", "=x.tif", "a="):
        with pytest.raises(UsageError, match="is not a label and a raster"):
            parse_rasters([wrong])
    with pytest.raises(UsageError, match="No file matches"):
        parse_rasters(["a=none_*.tif"])


@pytest.mark.parametrize(
    ("how", "what"),
    [
        ({"label": "../x"}, "cannot be the name of a label"),
        ({"label": "Corine"}, "cannot be the name of a label"),
        ({"rule": "cubic"}, "There is no rule 'cubic'"),
        ({"year_rule": "after"}, "There is no rule 'after'"),
        ({"threshold": 5}, "Shares must be between 0 and 1"),
        ({"rasters": (Given("a.tif", 2018), Given("b.tif"))}, "Some rasters of corine have a year"),
        ({"rasters": (Given("x/a.tif", 2018), Given("y/a.tif", 2018))}, r"have the name a\.tif"),
    ],
)
def test_what_makes_no_sense_is_refused(how, what):
    with pytest.raises(UsageError, match=what):
        Request(**{"label": "corine", "rasters": (Given("a.tif"),), **how})


def test_a_definition_says_all_and_names_no_place(tmp_path):
    old, new = (write_raster(tmp_path / f"clc_{y}.tif", 3035, 100, CORINE, seed=y) for y in (2012, 2018))
    made = define(request("corine", (new, 2018), (old, 2012), nomenclature="corine19"))
    assert made.id == define(request("corine", (old, 2012), (new, 2018), nomenclature="corine19")).id
    assert [(s.name, s.year) for s in made.sources] == [("clc_2012.tif", 2012), ("clc_2018.tif", 2018)]
    assert made.sources[0].sha256 == hashlib.sha256(old.read_bytes()).hexdigest()
    assert made.sources[0].bytes == old.stat().st_size
    assert (made.kind, made.dtype, made.nodata, made.rule) == ("categorical", "uint8", 48, "auto")
    assert str(tmp_path).encode() not in made.data
    assert decode_definition(made.data).data == made.data
    assert nomenclature_of(decode_definition(made.data)).classes == nomenclature("corine19").classes


def test_integers_may_be_quantities_and_codes_need_classes(tmp_path):
    raster = write_raster(tmp_path / "percent.tif", 3035, 20, np.arange(40, dtype=np.uint8), seed=1)
    made = define(request("trees", raster, nomenclature="", rule="mean"))
    assert (made.kind, made.dtype, made.nodata, made.classes) == ("continuous", "float32", None, ())
    with pytest.raises(UsageError, match=r"their classes were not given.*corine19.*--rule mean"):
        define(request("trees", raster, nomenclature=""))


def test_files_beside_a_raster_count_for_nothing(tmp_path):
    """Nobody hashes them, and workers do not see them: they must not change nodata or coordinate system."""
    raster = write_raster(tmp_path / "r.tif", 3035, 100, CORINE, seed=1, nodata=None)
    alone = define(request("corine", raster))
    assert alone.nodata == 255
    sidecar = tmp_path / "r.tif.aux.xml"
    sidecar.write_text(
        "<PAMDataset><SRS>EPSG:32633</SRS>"
        "<PAMRasterBand band='1'><NoDataValue>7</NoDataValue></PAMRasterBand></PAMDataset>"
    )
    with rasterio.open(raster) as file:
        assert file.nodata == 7  # GDAL by itself believes it
    assert define(request("corine", raster)).id == alone.id


def test_rules_must_fit_what_the_values_are(tmp_path):
    codes = write_raster(tmp_path / "codes.tif", 3035, 100, CORINE, seed=1)
    with pytest.raises(UsageError, match="mean does not apply to the categorical values"):
        define(request("corine", codes, rule="mean"))
    values = write_raster(tmp_path / "values.tif", 3035, 100, np.ones(4, np.float32), seed=1)
    with pytest.raises(UsageError, match="majority does not apply to the continuous values"):
        define(request("trees", values, nomenclature="", rule="majority"))


def test_rasters_must_fit_each_other(tmp_path):
    one = write_raster(tmp_path / "one.tif", 3035, 100, CORINE, seed=1)
    two = write_raster(tmp_path / "two.tif", 3035, 100, CORINE.astype(np.int16), seed=1)
    with pytest.raises(UsageError, match=r"one\.tif is categorical uint8, two\.tif is categorical int16"):
        define(request("corine", one, two))


def test_rasters_must_have_one_nodata(tmp_path):
    paths = [tmp_path / "one.tif", tmp_path / "two.tif"]
    for path, nodata in zip(paths, (255, 0), strict=True):
        write_raster(path, 3035, 100, CORINE, seed=1)
        with rasterio.open(path, "r+") as raster:
            raster.nodata = nodata
    with pytest.raises(UsageError, match=r"one\.tif is .* with nodata 255, two\.tif is .* with nodata 0"):
        define(request("corine", *paths))


def test_differences_name_what_changed_classes_last(tmp_path):
    raster = write_raster(tmp_path / "r.tif", 3035, 100, CORINE, seed=1)
    a = define(request("corine", raster))
    b = define(request("corine", raster, nomenclature="corine19", year_rule="same"))
    found = b.differences(a)
    assert found[:2] == [
        'nomenclature: was "corine44", is "corine19"',
        'year_rule: was "nearest", is "same"',
    ]
    assert all(each.startswith("classes.") for each in found[2:])
    assert a.differences(a) == []


def test_what_is_no_file_is_known_by_its_head(tmp_path):
    raster = write_raster(tmp_path / "r.tif", 3035, 100, CORINE, seed=1)
    import zipfile

    with zipfile.ZipFile(tmp_path / "r.zip", "w") as file:
        file.write(raster, "r.tif")
    inside = Request("corine", (Given(f"/vsizip/{tmp_path}/r.zip/r.tif"),), "corine44")
    (source,) = define(inside).sources
    assert (source.name, source.bytes) == ("r.tif", 0)
    assert source.sha256 != define(request("corine", raster)).sources[0].sha256
    assert Path(tmp_path / "r.tif").is_file()
