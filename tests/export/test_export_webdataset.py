import gc
import itertools
import json
import tarfile
import warnings

import numpy as np
import pytest
import webdataset


@pytest.mark.slow
def test_webdataset_reads_every_patch_bit_by_bit(exported, truth):
    folder = exported("webdataset")
    tars = sorted(map(str, folder.glob("*.tar")))
    assert len(tars) > 1
    read = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # it leaves its files to the garbage collector
        for sample in webdataset.WebDataset(tars, shardshuffle=False).decode():
            read[sample["__key__"]] = sample["npy"]
            assert sample["json"]["patch_id"] == sample["__key__"]
            assert sample["json"]["acquired"].endswith("Z")
            assert len(sample["json"]["wavelength_nm"]) == 202
        gc.collect()
    assert read.keys() == truth.keys()
    assert all(cube.dtype == np.int16 for cube in read.values())
    assert all(np.array_equal(read[name], truth[name]) for name in truth)


def test_dates_of_a_location_follow_one_another_in_time(exported):
    metadata = []
    for path in sorted(exported("webdataset").glob("*.tar")):
        with tarfile.open(path) as tar:
            names = tar.getnames()
            assert all(entry.mtime == entry.uid == 0 and entry.uname == "" for entry in tar)
            assert [name.rpartition(".")[2] for name in names] == ["npy", "json"] * (len(names) // 2)
            metadata += [json.load(tar.extractfile(name)) for name in names if name.endswith("json")]
    runs = [
        (name, list(group)) for name, group in itertools.groupby(metadata, lambda row: row["location_id"])
    ]
    assert len(runs) == len({name for name, _ in runs}) == 5
    assert all(dates == sorted(dates) for _, rows in runs for dates in [[row["acquired"] for row in rows]])


def test_the_index_lists_tars_and_samples(exported):
    folder = exported("webdataset")
    index = json.loads((folder / "index.json").read_bytes())
    assert index["shape"] == [202, 128, 128]
    shards = index["splits"]["train"]
    assert [shard["file"] for shard in shards] == sorted(path.name for path in folder.glob("*.tar"))
    for shard in shards:
        with tarfile.open(folder / shard["file"]) as tar:
            assert len(tar.getnames()) == 2 * shard["samples"]
