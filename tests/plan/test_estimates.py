"""Estimates with closed forms."""

import pandas as pd
import pytest

from spectralearth_build.plan.estimates import PATCH_BYTES, estimate, projected_memory, readable


def test_a_patch_has_6_62_megabytes():
    assert PATCH_BYTES == 202 * 128 * 128 * 2 == 6_619_136


def test_memory_follows_the_tile():
    small, large = projected_memory(300, 300), projected_memory(1379, 1517)
    assert large - small >= 2 * 202 * (1379 * 1517 - 300 * 300)
    assert small > 300 * 300 * 2 * 202


def test_only_tiles_that_give_patches_cost_anything():
    tiles = pd.DataFrame(
        {"tile_id": list("abc"), "eligible": [True, True, False], "height": 1000, "width": [1000, 5000, 9000]}
    )
    found = estimate(3, {"a", "c"}, tiles, "spectral")
    assert found.raw_bytes == 3 * PATCH_BYTES
    assert found.worker_bytes == projected_memory(1000, 1000)
    assert found.core_seconds > estimate(1, {"a"}, tiles, "spectral").core_seconds


def test_no_patches_cost_nothing():
    nothing = pd.DataFrame({"tile_id": [], "eligible": [], "height": [], "width": []})
    found = estimate(0, (), nothing, "fast")
    assert (found.raw_bytes, found.stored_bytes, found.worker_bytes, found.core_seconds) == (0, 0, 0, 0)


@pytest.mark.parametrize(
    ("size", "text"), [(999, "999 B"), (1500, "2 kB"), (6_619_136, "6.6 MB"), (3.3e12, "3.3 TB")]
)
def test_bytes_for_people(size, text):
    assert readable(size) == text
