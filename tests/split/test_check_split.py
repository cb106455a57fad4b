import numpy as np
import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from spectralearth_build.split.check import ANY, leaks
from spectralearth_build.split.links import KINDS, links_of
from spectralearth_build.split.make import codes, split
from spectralearth_build.split.recipe import Recipe
from spectralearth_build.split.strata import strata
from tests.support.split_archives import archives, chain, leaking

PARTS = ("train", "val", "test")
PROPERTY = settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.too_slow])


def counted(found, part):
    """Brute-force leaks [part, kind] from names of patches."""
    return np.array([[sum(part[name] == p for name in names) for names in found.values()] for p in PARTS])


@pytest.mark.slow
@PROPERTY
@given(archives(), st.data(), st.sampled_from([0.0, 2.0, 5.0, 20.0]))
def test_every_leak_is_found_and_counted(archive, data, buffer_km):
    links = links_of(archive.patches, archive.locations, archive.tiles, buffer_km)
    names = links.patches["patch_id"].tolist()
    part = {name: data.draw(st.sampled_from([*PARTS, ""])) for name in names}
    found = leaks(links.ties, codes(links.patches["patch_id"].map(part), PARTS), PARTS)
    assert found.kinds == (*KINDS, ANY)
    least = counted(leaking(archive, part, buffer_km), part)
    most = counted(leaking(archive, part, buffer_km + 0.002, gap_m=250), part)  # we grow footprints by 100 m
    assert (least <= found.counts[:, :-1]).all()
    assert (found.counts[:, :-1] <= most).all()
    assert bool(found) == found.counts[:, -1].any()


@pytest.mark.slow
@PROPERTY
@given(archives(), st.data(), st.sampled_from(KINDS))
def test_a_planted_leak_of_each_kind_is_found(archive, data, kind):
    """In our own split, which has none, one patch is moved to another part than what it is tied to."""
    links = links_of(archive.patches, archive.locations, archive.tiles, 5.0)
    recipe = Recipe({"train": 0.4, "val": 0.3, "test": 0.3})
    made = split(links, recipe, strata(links, ()))
    part = codes(made["split"], PARTS)
    clean = leaks(links.ties, part, PARTS)
    assert not clean
    alone = {name: name for name in made["patch_id"]}
    tied = sorted(leaking(archive, alone, 5.0)[kind])  # each patch a part of its own: all ties there are
    candidates = [k for k, name in enumerate(made["patch_id"]) if name in tied and part[k] >= 0]
    if candidates:
        one = data.draw(st.sampled_from(candidates))
        moved = part.copy()
        moved[one] = (moved[one] + 1) % 3
        names = dict(zip(made["patch_id"], np.array([*PARTS, ""])[moved], strict=True))
        planted = leaking(archive, names, 5.0)[kind]  # none, if what it was tied to had been left out
        found = leaks(links.ties, moved, PARTS)
        assert found.counts[:, KINDS.index(kind)].sum() >= len(planted)
        event(f"planted: {bool(planted)}")


def test_whole_components_are_those_of_the_tables():
    archive = chain(6)
    links = links_of(archive.patches, archive.locations, archive.tiles, 0.0)
    takes = links.patches["datatake"]
    part = np.where(takes <= "DT0000000002", 0, np.where(takes >= "DT0000000005", 2, -1))
    assert not leaks(links.ties, part, PARTS)
    strict = leaks(links.ties, part, PARTS, whole=True)
    assert strict.share("train", "component") == strict.share("test", "component") == 1
    assert strict.share("val") == 0
