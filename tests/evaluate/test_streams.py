from dataclasses import replace

import pytest
import torch

from spectralearth_build.dataset.access import open_dataset
from spectralearth_build.evaluate.cache import features
from spectralearth_build.evaluate.crops import tiles
from spectralearth_build.evaluate.data import labelled
from spectralearth_build.evaluate.protocol import Model
from spectralearth_build.evaluate.stream import Kept, RandomCrops, Reading, WholeCrops
from spectralearth_build.evaluate.task_config import EvaluateConfig
from spectralearth_build.pretrain.weights import load_encoder

CPU = torch.device("cpu")
SIZE = 33
"""Nine whole crops of a patch."""


@pytest.fixture(scope="module")
def part(known):
    """Train, with crops that have no label: a third of the second patch."""
    found = labelled(known.folder, EvaluateConfig(labels="corine", task="segmentation", size=SIZE)).parts[
        "train"
    ]
    maps = found.maps.clone()
    maps[1, :49] = 255
    return replace(found, maps=maps)


@pytest.fixture(scope="module")
def reading(known):
    return Reading(open_dataset(known.folder), 18, CPU, 1, 5)


@pytest.fixture(scope="module")
def pixels(known, part):
    """Patches of the part as they stand in the store, int16 [patch, band, y, x]."""
    array = open_dataset(known.folder).store["reflectance"]
    return torch.from_numpy(array[:][part.patches["store_row"].to_numpy()])


def crop(image, corner):
    line, col = corner
    return image[..., line : line + SIZE, col : col + SIZE]


def test_whole_crops_are_those_with_labels_in_order(part, reading, pixels):
    got = [(counts.clone(), truth) for counts, truth in WholeCrops(part, reading).epoch(0)]
    assert [len(truth) for _, truth in got] == [15, 18]  # two patches a batch
    expected = [
        (crop(pixels[k], corner), crop(part.maps[k], corner))
        for k in range(4)
        for corner in tiles(SIZE).tolist()
        if not (k == 1 and corner[0] < 40)
    ]
    counts, truth = (torch.cat(each) for each in zip(*got, strict=True))
    assert torch.equal(counts, torch.stack([each for each, _ in expected]))
    assert torch.equal(truth, torch.stack([each for _, each in expected]))


def test_an_order_of_their_own_each_epoch_and_the_same_for_a_seed(part, reading):
    def run(number, seed):
        stream = WholeCrops(part, replace(reading, seed=seed), shuffle=True)
        return torch.cat([truth for _, truth in stream.epoch(number)])

    assert torch.equal(run(0, 5), run(0, 5))
    assert not torch.equal(run(0, 5), run(1, 5)) or not torch.equal(run(1, 5), run(2, 5))
    assert run(0, 5).sum() == run(1, 6).sum()


@pytest.mark.slow
def test_random_crops_keep_pixels_and_truth_together(part, reading, pixels):
    """Each is found in its patch, flipped or not, at the place where its map is."""
    stream = RandomCrops(part, reading)
    places = set()
    for number in range(3):
        for counts, truth in stream.epoch(number):
            for image, found in zip(counts, truth, strict=True):
                places.add(where(image, found, pixels, part.maps))
    assert len(places) > 8  # other crops each epoch
    assert {flips for _, _, _, flips in places} == {
        (False, False),
        (True, False),
        (False, True),
        (True, True),
    }
    again = [truth for _, truth in RandomCrops(part, reading).epoch(2)]
    assert all(torch.equal(a, b) for a, b in zip(again, [t for _, t in stream.epoch(2)], strict=True))


def where(image, found, pixels, maps):
    """Patch, line, column and flips of a crop."""
    for flips in ((a, b) for a in (False, True) for b in (False, True)):
        axes = [axis for axis, turned in zip((-2, -1), flips, strict=True) if turned]
        band = image[3].flip(axes)
        windows = pixels[:, 3].unfold(1, SIZE, 1).unfold(2, SIZE, 1)
        hits = (windows == band).all(-1).all(-1).nonzero().tolist()
        if hits:
            ((patch, line, col),) = hits
            assert torch.equal(image.flip(axes), crop(pixels[patch], (line, col)))
            assert torch.equal(found.flip(axes), crop(maps[patch], (line, col)))
            return patch, line, col, flips
    raise AssertionError("nowhere")


@pytest.fixture(scope="module")
def seer(weights):
    return Model(load_encoder(weights), None, "frozen", "features").eval()


@pytest.mark.slow
def test_kept_features_are_those_of_reading(part, reading, seer):
    maps = features(seer, part.patches, SIZE, reading, False, 1e9, None)
    kept = Kept(part, maps, reading.batch, 5)
    read = WholeCrops(part, reading, shuffle=True)
    assert len(kept) == len(read) == 2
    for number in (0, 1):
        for (seen, truth), (counts, same) in zip(kept.epoch(number), read.epoch(number), strict=True):
            assert torch.equal(truth, same)
            torch.testing.assert_close(seen[0], seer.see(counts)[0].detach(), rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_a_file_of_features_grows_and_is_used(part, reading, seer, tmp_path, monkeypatch):
    file = tmp_path / "features.safetensors"
    few, all_of_it = part.patches.iloc[[2, 0]], part.patches
    first = features(seer, few, SIZE, reading, False, 1e9, file)
    whole = features(seer, all_of_it, SIZE, reading, False, 1e9, file)
    assert torch.equal(whole[0][[2, 0]], first[0])
    fresh = features(seer, all_of_it, SIZE, reading, False, 1e9, None)
    torch.testing.assert_close(whole[0], fresh[0], rtol=1e-4, atol=1e-5)
    monkeypatch.setattr(Model, "see", lambda *_: pytest.fail("computed again"))
    again = features(seer, all_of_it.iloc[::-1], SIZE, reading, False, 1e9, file)
    assert torch.equal(again[0], whole[0].flip(0))


def test_a_damaged_file_of_features_is_made_again(part, reading, seer, tmp_path):
    file = tmp_path / "features.safetensors"
    file.write_bytes(b"nothing of the kind")
    one = part.patches.iloc[:1]
    assert len(features(seer, one, SIZE, reading, False, 1e9, file)[0]) == 1
    assert file.stat().st_size > 1000


def test_what_needs_too_much_memory_is_not_kept(part, reading, seer, tmp_path):
    one = part.patches.iloc[:1]
    (maps,) = features(seer, one, SIZE, reading, False, 1e9, tmp_path / "f")
    assert maps.shape == (1, 9, 512, 3, 3)
    for file in (None, tmp_path / "f"):
        assert features(seer, one, SIZE, reading, False, maps.nbytes, file) is not None
        assert features(seer, one, SIZE, reading, False, maps.nbytes - 1, file) is None


def test_half_precision_takes_half_the_room(part, reading, seer):
    (maps,) = features(seer, part.patches.iloc[:1], SIZE, reading, True, 1e9, None)
    assert maps.dtype == torch.bfloat16
