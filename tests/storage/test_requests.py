"""How many requests a build makes for each further tile; docs/object-stores.md says the same."""

from collections import Counter

import pytest

from tests.support.cloud_archive import build, upload, write_tile


def requests_of(tiles, bucket, proxy, folder):
    """Requests of a build of so many tiles, one shard each: reads and writes, of the archive and of the dataset."""
    archive, dataset = bucket / f"archive-{tiles}", bucket / f"set-{tiles}"
    for number in range(2, 2 + tiles):
        write_tile(folder / archive.prefix, number)
    upload(folder / archive.prefix, archive)
    proxy.requests.clear()
    build(archive, dataset, folder / "staging")
    counts = Counter()
    for (method, path), count in proxy.requests.items():
        of_shard = any(part in path for part in ("/reflectance/c.", "/commits/", "/lock.json"))
        kind = "write" if method in ("PUT", "POST", "DELETE") else "read"
        counts["shard" if of_shard else "tile", kind] += count
    return counts


@pytest.mark.slow
def test_requests_of_a_further_tile_and_shard(bucket, through, tmp_path):
    proxy = through()
    few, many = (requests_of(tiles, bucket, proxy, tmp_path) for tiles in (2, 4))
    further = {key: (many[key] - few[key]) / 2 for key in many}
    print(f"each further tile and its shard: {further}")
    expected = {("tile", "read"): 20, ("tile", "write"): 2, ("shard", "read"): 1, ("shard", "write"): 2}
    assert further == expected
