import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from spectralearth_build.export import litdata

MADE_BY_LITDATA = Path(__file__).parent / "litdata_0_2_76"


def chunk(images, texts):
    """A chunk as `LitData.write` composes it."""
    leaves = [litdata.leaf_bytes(image.shape) + len(text) for image, text in zip(images, texts, strict=True)]
    return litdata.header(leaves) + b"".join(map(litdata.sample, images, texts))


def test_chunks_and_index_are_those_that_litdata_writes():
    images = [np.arange(24, dtype=np.int16).reshape(2, 3, 4) + number for number in range(3)]
    texts = [json.dumps({"patch_id": f"p{number}"}).encode() for number in range(3)]
    chunks = [chunk(images[:2], texts[:2]), chunk(images[2:], texts[2:])]
    assert chunks == [(MADE_BY_LITDATA / f"chunk-0-{number}.bin").read_bytes() for number in range(2)]
    theirs = json.loads((MADE_BY_LITDATA / "index.json").read_bytes())
    ours = json.loads(
        litdata.index(
            [
                ({"bytes": len(data), "sha256": "x"}, f"chunk-0-{k}.bin", 2 - k)
                for k, data in enumerate(chunks)
            ]
        )
    )
    assert ours["chunks"] == theirs["chunks"]
    assert json.loads(ours["config"].pop("data_spec")) == json.loads(theirs["config"].pop("data_spec"))
    known = {name: theirs["config"][name] for name in ours["config"]}
    assert ours["config"] == known
    assert theirs["updated_at"]
    assert ours["updated_at"]


def decoded(folder):
    """Images and metadata, read by following the offsets."""
    for entry in json.loads((folder / "index.json").read_bytes())["chunks"]:
        data = (folder / entry["filename"]).read_bytes()
        assert len(data) == entry["chunk_bytes"]
        count = int(np.frombuffer(data, "<u4", 1)[0])
        offsets = np.frombuffer(data, "<u4", count + 1, 4)
        assert count == entry["chunk_size"]
        assert offsets[-1] == len(data)
        for start, stop in pairwise(offsets):
            image, text = np.frombuffer(data, "<u4", 2, start)
            assert start + 8 + image + text == stop
            kind, dims, *shape = np.frombuffer(data, "<u4", 5, start + 8)
            assert (kind, dims) == (1, 3)
            cube = np.frombuffer(data, "<i2", (image - 20) // 2, start + 28).reshape(shape)
            yield cube, json.loads(data[start + 8 + image : stop])


def test_every_patch_is_there_bit_by_bit(exported, truth):
    read = {row["patch_id"]: cube for cube, row in decoded(exported("litdata") / "train")}
    assert read.keys() == truth.keys()
    assert all(np.array_equal(read[name], truth[name]) for name in truth)


def test_litdata_reads_them_where_it_is_installed(exported, truth):
    streaming = pytest.importorskip("litdata", reason="litdata brings torch and torchvision")
    dataset = streaming.StreamingDataset(str(exported("litdata") / "train"))
    assert len(dataset) == len(truth)
    for number in range(len(dataset)):
        sample = dataset[number]
        assert np.array_equal(sample["image"], truth[json.loads(sample["metadata"])["patch_id"]])
