"""The classes of the synthetic ground."""

import numpy as np
import pytest

from spectralearth_build.labels.classes import IGNORE, nomenclature
from spectralearth_build.synthetic.archive import ArchiveOptions, plan_archive
from spectralearth_build.synthetic.cover import Cover, cdl, corine, cover_at, nlcd, tree_cover
from spectralearth_build.synthetic.render import lonlat
from spectralearth_build.synthetic.scene import Scene


@pytest.fixture(scope="module")
def ground():
    """The cover of every tenth pixel of a random archive of 20 tiles."""
    parts = []
    for task in plan_archive(ArchiveOptions(tiles=20, seed=3)):
        lon, lat = lonlat(task.spec.box, task.spec.epsg)
        parts.append(cover_at(Scene(3), lon[::10, ::10], lat[::10, ::10]))
    return Cover(*(np.concatenate([part[k].ravel() for part in parts]) for k in range(6)))


@pytest.mark.parametrize(
    ("name", "codes"),
    [
        ("corine44", corine), ("corine19", corine), ("cdl", lambda cover: cdl(cover, 2022)),
        ("cdl14", lambda cover: cdl(cover, 2023)), ("nlcd", lambda cover: nlcd(cover, 2021)),
    ],
)  # fmt: skip
def test_each_nomenclature_has_many_classes_and_none_that_rules(name, codes, ground):
    table = nomenclature(name)
    indices = table.indices(codes(ground))
    part = np.bincount(indices, minlength=256)[: len(table.classes)] / len(indices)
    assert (part > 0.01).sum() >= 9
    assert part.max() < 0.3
    assert part.sum() > 0.4
    if name in ("corine44", "cdl", "nlcd"):
        assert (indices != IGNORE).all()


def test_no_class_is_one_endmember(ground):
    """Most classes hold a mixture, and most surfaces are in several classes."""
    codes = corine(ground)
    pure = np.array([np.stack(ground[:4])[:, codes == code].max(axis=0).mean() for code in np.unique(codes)])
    assert (pure < 0.9).sum() >= 6


def test_years_differ_a_little(ground):
    fields = (cdl(ground, 2022) != cdl(ground, 2023)).mean()
    assert 0.02 < fields < 0.12
    np.testing.assert_array_equal(cdl(ground, 2022), cdl(ground, 2024))
    assert 0 < (nlcd(ground, 2021) != nlcd(ground, 2023)).mean() < 0.03


def test_tree_cover_is_percent_in_eighths(ground):
    trees = tree_cover(ground)
    assert trees.dtype == np.float32
    assert 0 <= trees.min() < 1
    assert 90 < trees.max() <= 100
    assert (trees * 8 == np.rint(trees * 8)).all()


def test_rules_hold_in_their_order():
    def place(**fields):
        return Cover(*(np.float32([fields.get(name, 0)]) for name in Cover._fields))

    assert corine(place(water=0.95)) == 44
    assert corine(place(water=0.6, built=0.3)) == 41
    assert corine(place(plants=1, crop=-0.9)) == 24
    assert cdl(place(plants=0.5, soil=0.5, crop=-0.1), 2023) == 1
    assert cdl(place(plants=0.4, soil=0.6, crop=-0.1), 2023) == 4
    assert cdl(place(plants=1, crop=-0.01), 2022) == 3
    assert cdl(place(plants=1, crop=-0.01), 2023) == 75
    assert nlcd(place(built=0.39), 2021) == 21
    assert nlcd(place(built=0.39), 2023) == 22
    assert tree_cover(place(plants=0.5, crop=1)) == 50
