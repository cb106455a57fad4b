"""Whole archives, small ones: what they hold, and that they are reproducible."""

import tarfile
import zipfile

import pytest

from spectralearth_build.archive.names import parse_name
from spectralearth_build.cluster.task import Failure
from spectralearth_build.errors import BuildError, ConfigError, UsageError
from spectralearth_build.progress import set_quiet
from spectralearth_build.synthetic.archive import MIXED, ArchiveOptions, plan_archive, synthesize
from spectralearth_build.synthetic.dirty import CASES
from spectralearth_build.synthetic.spec import PLAIN
from tests.support.files import tree

SMALL = ArchiveOptions(tiles=4, size=80, seed=3, dirty=("night", "cut_zip"))


@pytest.fixture(autouse=True)
def _quiet():
    set_quiet(True)
    yield
    set_quiet(False)


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    folder = tmp_path_factory.mktemp("archive")
    return folder, synthesize(folder, SMALL)


class Backwards:
    """An executor that takes the tasks in reverse order."""

    workers, memory_limit = 1, None

    def run(self, stage, function, tasks):
        assert stage == "synthesize"
        for key in reversed(tasks):
            yield key, function(*tasks[key])


class Failing(Backwards):
    def run(self, stage, function, tasks):
        for key in tasks:
            yield key, Failure(key, "OSError", "no luck")


@pytest.mark.slow
def test_same_options_same_bytes_in_any_order(archive, tmp_path):
    folder, made = archive
    assert synthesize(tmp_path, SMALL, Backwards()) == made
    assert tree(tmp_path) == tree(folder)
    assert len(tree(folder)) > 20


def test_everything_is_where_it_says(archive):
    folder, made = archive
    assert len(made) == 4 + 1 + 2
    assert len({product.product_id for product in made}) == len(made)
    for product in made:
        assert (folder / product.path).exists()
        assert parse_name(product.product_id).tile_id == product.tile_id
    assert {product.case for product in made} == {"", "night", "cut_zip"}
    assert [p.error_class for p in made if p.case == "cut_zip"] == ["BrokenArchiveError"]


def test_a_tile_has_two_versions(archive):
    _, made = archive
    (old,) = [product for product in made if product.status == "superseded"]
    (new,) = [product for product in made if product.tile_id == old.tile_id and product is not old]
    assert new.status == "used"
    assert parse_name(old.product_id).version < parse_name(new.product_id).version
    assert parse_name(old.product_id).processed < parse_name(new.product_id).processed


def test_a_product_is_there_twice(archive):
    folder, _ = archive
    (zipped,) = [p for p in folder.rglob("*.zip") if p.with_suffix("").is_dir()]
    with zipfile.ZipFile(zipped) as content:
        for path in zipped.with_suffix("").iterdir():
            assert content.read(f"{zipped.stem}/{path.name}") == path.read_bytes()


def test_demo_plan():
    options = ArchiveOptions("demo", dirty=("night", "truncated_image"))
    tasks = plan_archive(options)
    assert 10 <= len(tasks) <= 14
    assert [task.spec.started for task in tasks] == sorted(task.spec.started for task in tasks)
    assert sum(task.packing == "order" for task in tasks) == 3
    assert {task.packing for task in tasks} >= {"folder", "zip", "order", "twice"}
    assert sum(task.superseded for task in tasks) == 1
    assert {task.spec.epsg for task in tasks} >= {32632, 32633, 32750, 32601}
    assert all(task.spec.sun_elevation > 15 for task in tasks)
    assert (
        len({task.spec.started.date() for task in tasks if abs(task.spec.footprint()[0][0] - 11.35) < 0.3})
        >= 7
    )


@pytest.mark.slow
def test_demo_order_holds_the_strip(tmp_path):
    made = synthesize(tmp_path, ArchiveOptions("demo", size=70))
    (order,) = tmp_path.glob("*.tar.gz")
    with tarfile.open(order) as content:
        names = content.getnames()
    assert len(names) == 3
    assert {parse_name(name).tile for name in names} == {1, 2, 3}
    assert sum(product.path == order.name for product in made) == 3


def test_layouts_are_taken_in_turn():
    tasks = plan_archive(ArchiveOptions(tiles=12, layouts=MIXED, dirty=("all",)))
    assert {task.layout for task in tasks if not task.case} == set(MIXED)
    assert {task.layout for task in tasks if task.case} == {PLAIN}


def test_dirty_products_leave_the_others_alone(archive):
    def names(dirty):
        return {
            task.spec.product_id
            for task in plan_archive(ArchiveOptions(tiles=8, dirty=dirty))
            if not task.case
        }

    assert names(()) == names(("all",))
    cases = [task.case for task in plan_archive(ArchiveOptions(tiles=8, dirty=("all",))) if task.case]
    assert sorted(cases) == sorted(CASES)


def test_full_folders_and_unknown_cases_are_refused(archive, tmp_path):
    with pytest.raises(UsageError, match="not empty"):
        synthesize(archive[0], SMALL)
    with pytest.raises(ConfigError, match="moonlight"):
        synthesize(tmp_path, ArchiveOptions(dirty=("moonlight",)))


def test_failures_are_told(tmp_path):
    with pytest.raises(BuildError, match="no luck"):
        synthesize(tmp_path / "new", SMALL, Failing())
