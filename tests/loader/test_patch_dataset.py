import doctest
import pickle

import numpy as np
import pytest

from spectralearth_build import loader as package
from spectralearth_build.errors import DamagedError
from spectralearth_build.store.shard import ShardReader
from tests.support.files import flip_bit
from tests.support.loader_data import pixels_of

torch = pytest.importorskip("torch")
PatchDataset = package.PatchDataset


def check(known, batch):
    for k, row in enumerate(batch["row"].tolist()):
        assert np.array_equal(batch["pixels"][k].numpy(), pixels_of(row))
    table = known.patches.set_index("store_row")
    assert batch["location"] == table.loc[batch["row"].tolist(), "location_id"].tolist()


def test_samples(known):
    dataset = PatchDataset(known.folder)
    assert isinstance(dataset, torch.utils.data.Dataset)
    assert len(dataset) == len(known.written)
    for k in (0, 7, -1):
        sample = dataset[k]
        assert sample["pixels"].dtype == torch.int16
        assert int(sample["row"]) == known.written["store_row"].iloc[k]
        assert np.array_equal(sample["pixels"].numpy(), pixels_of(int(sample["row"])))
    for wrong in (15, -16):
        with pytest.raises(IndexError):
            dataset[wrong]
    assert len(list(dataset)) == 15  # old-style iteration ends


@pytest.mark.slow
@pytest.mark.parametrize("start", ["none", "spawn", "fork"])
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_in_a_dataloader(known, start):
    dataset = PatchDataset(known.folder, max_cloud=0.035)
    dataset[0]  # read before workers start
    workers = {} if start == "none" else {"num_workers": 1, "multiprocessing_context": start}
    rows = []
    for batch in torch.utils.data.DataLoader(dataset, batch_size=5, shuffle=True, **workers):
        check(known, batch)
        rows += batch["row"].tolist()
    assert sorted(rows) == sorted(known.written.query("cloud_fraction <= 0.035")["store_row"])


def test_series_vary_by_epoch_and_survive_pickling(known):
    dataset = PatchDataset(known.folder, dates=2, bands=[1, 5])
    assert dataset[0]["pixels"].shape == (2, 2, 128, 128)

    def chosen():
        return [tuple(dataset[k]["row"].tolist()) for k in range(len(dataset))]

    epochs = []
    for epoch in range(4):
        dataset.set_epoch(epoch)
        epochs.append(chosen())
    assert len({tuple(e) for e in epochs}) > 1
    again = pickle.loads(pickle.dumps(dataset))
    assert [tuple(again[k]["row"].tolist()) for k in range(len(again))] == epochs[-1]
    assert len(pickle.dumps(dataset)) < 1500


def test_damage_names_the_patch(own):
    row = int(own.written["store_row"].iloc[4])
    start, _ = ShardReader(own.shard(row), 4).index[row % 4].tolist()
    flip_bit(own.shard(row), 8 * (start + 9))
    dataset = PatchDataset(own.folder)
    with pytest.raises(DamagedError, match=f"Patch {own.written['patch_id'].iloc[4]}: Row {row}"):
        dataset[4]


def test_names_of_the_package():
    assert {name for name in package.__all__ if getattr(package, name)} == set(package.__all__)
    with pytest.raises(AttributeError, match="nothing"):
        _ = package.nothing


def test_examples(known):
    from spectralearth_build.loader import patches

    result = doctest.testmod(patches, extraglobs={"folder": known.folder})
    assert result.attempted > 2
    assert result.failed == 0
