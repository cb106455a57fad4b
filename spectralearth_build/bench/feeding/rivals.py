"""The other ways to feed patches to a training loop, which `bench load` compares with. Needs torch."""

from __future__ import annotations

from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import torch
import zarr
from torch.utils.data import DataLoader, Dataset

from spectralearth_build.loader.patches import PatchDataset

BATCH = 64
TENSOR = torch.Tensor


class GeoTiffs(Dataset[TENSOR]):
    """One file per patch, read with rasterio, as in SpectralEarth's code and torchgeo."""

    def __init__(self, folder: Path) -> None:
        self.files = sorted(folder.rglob("*.tif"))

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, number: int) -> TENSOR:
        with rasterio.open(self.files[number]) as image:
            return torch.from_numpy(image.read())


class ZarrPatches(Dataset[TENSOR]):
    """Rows of a Zarr array, read with zarr-python."""

    def __init__(self, array: Path, rows: tuple[int, ...]) -> None:
        self.array, self.rows = array, rows

    @cached_property
    def _opened(self) -> Any:  # noqa: ANN401
        import spectralearth_build.store.codec  # noqa: F401  makes zarr know our codecs

        return zarr.open_array(self.array, mode="r")

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, number: int) -> TENSOR:
        return torch.from_numpy(np.asarray(self._opened[self.rows[number]]))


class TensorStorePatches(ZarrPatches):
    """Rows of a Zarr array, read with tensorstore."""

    @cached_property
    def _opened(self) -> Any:  # noqa: ANN401
        return opened_with_tensorstore(self.array)

    def __getitem__(self, number: int) -> TENSOR:
        return torch.from_numpy(self._opened[self.rows[number]].read().result())


class OurPatches(Dataset[TENSOR]):
    """Our `PatchDataset`, pixels only."""

    def __init__(self, dataset: Path) -> None:
        self.patches = PatchDataset(dataset)

    def __len__(self) -> int:
        return len(self.patches)

    def __getitem__(self, number: int) -> TENSOR:
        pixels: TENSOR = self.patches[number]["pixels"]
        return pixels


def opened_with_tensorstore(array: Path) -> Any:  # noqa: ANN401
    """Open a Zarr array with tensorstore, without a cache."""
    tensorstore = import_module("tensorstore")
    spec = {"driver": "zarr3", "kvstore": {"driver": "file", "path": f"{array}/"}}
    context = tensorstore.Context({"cache_pool": {"total_bytes_limit": 0}})
    return tensorstore.open(spec, read=True, context=context).result()


def in_workers(dataset: Dataset[TENSOR], workers: int) -> DataLoader[TENSOR]:
    """Return a DataLoader in random order with persistent workers."""
    return DataLoader(
        dataset,
        BATCH,
        shuffle=True,
        num_workers=workers,
        multiprocessing_context="spawn",
        persistent_workers=True,
    )


def webdataset(folder: Path, workers: int) -> Any:  # noqa: ANN401
    """Read tar files in sequence and decode their samples, in the order of the files."""
    wds = import_module("webdataset")
    files = sorted(map(str, folder.rglob("*.tar")))
    samples = wds.WebDataset(files, shardshuffle=False, nodesplitter=wds.split_by_node)
    return DataLoader(
        samples.decode().to_tuple("npy").map(_first), BATCH, num_workers=workers, persistent_workers=True,
        multiprocessing_context="spawn",
    )  # fmt: skip


def litdata(folder: Path, workers: int) -> Any:  # noqa: ANN401
    """Return LitData's own loader of its chunks, with its own shuffling."""
    streaming = import_module("litdata")
    (index,) = folder.rglob("index.json")
    dataset = streaming.StreamingDataset(str(index.parent), shuffle=True)
    return streaming.StreamingDataLoader(
        dataset, batch_size=BATCH, num_workers=workers, persistent_workers=True, multiprocessing_context="spawn",
        collate_fn=_images,
    )  # fmt: skip


def _first(sample: tuple[Any, ...]) -> TENSOR:
    return torch.from_numpy(sample[0])


def _images(samples: list[dict[str, Any]]) -> TENSOR:
    return torch.stack([torch.as_tensor(sample["image"]) for sample in samples])
