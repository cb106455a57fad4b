import pytest

from spectralearth_build.tables import LOCATIONS, TILES, TUPLES

INLINE = ("--scheduler", "inline")


@pytest.fixture(scope="module")
def planned(tmp_path_factory):
    """A dataset planned by the command line alone, from footprints."""
    from typer.testing import CliRunner

    from spectralearth_build.cli.app import app

    folder = tmp_path_factory.mktemp("planned") / "d"
    for arguments in (["synthesize", "--footprints-only", "--tiles", "14", "--seed", "2"], ["plan", *INLINE]):
        done = CliRunner().invoke(app, [*arguments, str(folder)])
        assert done.exit_code == 0, done.output
    return folder


def test_footprints_are_exactly_as_many_and_can_be_planned(planned):
    assert len(TILES.read(planned)) == 14
    assert len(LOCATIONS.read(planned)) > 100
    assert sorted(path.name for path in planned.glob("*.p*")) == [
        "locations.parquet",
        "overlaps.parquet",
        "patches.parquet",
        "plan.png",
        "tiles.parquet",
        "tuples.parquet",
    ]


@pytest.mark.slow
def test_tuples_are_printed(call, planned, tmp_path):
    done = call("tuples", planned, "--map", tmp_path / "depth.png", "--top", 3)
    assert done.exit_code == 0, done.output
    table = TUPLES.read(planned)
    lines = [line.split() for line in done.output.splitlines()]
    for n, group in table.groupby("n"):
        assert [
            str(n),
            str(len(group)),
            f"{group['windows'].sum():,}",
            f"{group['area_km2'].sum():,.1f}",
        ] in [line[:4] for line in lines]
    deepest = table.sort_values(["n", "area_km2"], ascending=False).iloc[0]
    assert any(line[:2] == [str(deepest["n"]), f"{deepest['windows']:,}"] and len(line) > 8 for line in lines)
    assert "tuples.parquet" in done.output
    assert "QGIS" in done.output
    assert (tmp_path / "depth.png").stat().st_size > 10_000


def test_without_a_plan_it_says_what_to_do(call, tmp_path):
    done = call("tuples", tmp_path)
    assert done.exit_code == 2
    assert "There is no tuples.parquet" in done.stderr


def test_the_table_is_geoparquet_that_gdal_reads(planned):
    import json

    import pyarrow.parquet as pq

    geo = json.loads(pq.read_schema(planned / "tuples.parquet").metadata[b"geo"])
    assert geo["primary_column"] == "geometry"
    assert set(geo["columns"]["geometry"]["geometry_types"]) <= {"Polygon", "MultiPolygon"}
