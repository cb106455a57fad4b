"""Makes the fixtures of this folder with an earlier version: see README.md for the commits and the commands.

    PYTHONPATH=CHECKOUT python make.py NAME FOLDER [dataset]

CHECKOUT is a checkout of the version that writes, NAME the name of its fixture, FOLDER a folder outside of the
project. With ``dataset`` neither exports nor encoders are made. Where ``archive.tar.xz`` is missing it is made first;
all fixtures here come from the same one.
"""

from __future__ import annotations

import csv
import hashlib
import json
import lzma
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import timedelta
from importlib.metadata import version
from pathlib import Path

import numpy as np
import rasterio
from affine import Affine

from spectralearth_build.overlap.lattice import Box
from spectralearth_build.synthetic.product import write_product
from spectralearth_build.synthetic.spec import Layers, Layout, ProductSpec

Caller = Callable[..., object]
"""Calls the command line with some words."""
HERE = Path(__file__).parent
ARCHIVE = HERE / "archive.tar.xz"
SIZE = 132
PLACES = {1: (0, 0), 2: (3, 2), 3: (1000, 0), 4: (1001, 2), 5: (0, 1000)}
"""Shift of each product in lines and columns. 4 joins later; 5 is for the tests."""
GENERATIONS = {"first": (1, 2, 3), "more": (1, 2, 3, 4)}
"""The products of the archive that a dataset is built from, and of the one that it grows by."""
BASE = ProductSpec(box=Box(-183000, 15600, SIZE, SIZE))
FORMATS = {
    "webdataset": ("--to", "webdataset"),
    "litdata": ("--to", "litdata"),
    "geotiff": ("--to", "geotiff"),
    "numpy": ("--to", "numpy"),
    "hf": ("--to", "hf"),
    "portable": ("--codec", "portable"),
    "fast": ("--codec", "fast"),
    "dense": ("--codec", "dense"),
}
LIBRARIES = ("matplotlib", "numcodecs", "numpy", "pyarrow", "rasterio", "torch", "zarr")
"""What decides about bytes, beside this package."""
INLINE = ("--scheduler", "inline")
SET = ("--set", "store.shard_rows=1")
SPLIT = ("--fractions", "train=0.5,test=0.5", "--seed", "7")


def product(archive: Path, number: int) -> Path:
    """Write a product of few different values; returns its folder."""
    line, col = PLACES[number]
    box = Box(BASE.box.line + line, BASE.box.col + col, SIZE, SIZE)
    started = BASE.started + timedelta(days=number)
    spec = replace(BASE, datatake=f"DT{number:010}", started=started, box=box)
    line, col = np.ogrid[:SIZE, :SIZE]
    ground = (line // 8 * 3 + col // 8 * 5) % 23 * 20
    cube = (1000 + 100 * number + 4 * np.arange(224)[:, None, None] + ground).astype(np.int16)
    return write_product(
        archive, spec, cube, Layers.clear((SIZE, SIZE)), Layout(compress="deflate", block=64)
    )


def raster(path: Path) -> None:
    """Land cover under all products: built-up land in the north of each, forest in the south."""
    edge = 1000 + SIZE
    place = Affine(30, 0, 15 + 30 * BASE.box.col, 0, -30, 15 - 30 * BASE.box.line)
    options = {
        "driver": "GTiff",
        "height": edge,
        "width": edge,
        "count": 1,
        "dtype": "uint8",
        "compress": "deflate",
    }
    codes = np.where(np.arange(edge) % 1000 < 60, 112, 231).astype(np.uint8)
    with rasterio.open(path, "w", crs="EPSG:32633", transform=place, nodata=0, **options) as file:
        file.write(np.repeat(codes[:, None], edge, axis=1), 1)


def call(*words: object) -> None:
    """Call the command line of the version on the path."""
    subprocess.run([sys.executable, "-m", "spectralearth_build", *map(str, words)], check=True, cwd=HERE)


def hashes(folder: Path) -> dict[str, str]:
    """SHA-256 of every file below a folder by path, scratch apart."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.relative_to(folder).parts[0] != "work"
    }


def libraries() -> dict[str, str]:
    """Versions of the libraries that are installed."""
    return {name: version(name) for name in LIBRARIES}


def stages(archive: Path, more: Path, dataset: Path, cover: Path, call: Caller) -> dict[str, dict[str, str]]:
    """Build, split, label and grow a dataset; the hashes of its files after each."""
    found = {}
    calls = {
        "built": ("build", archive, dataset, *INLINE, *SET),
        "split": ("split", dataset, *SPLIT),
        "paired": ("pair", dataset, "--labels", f"corine={cover}:2018", "--classes", "corine19", *INLINE),
        "grown": ("build", more, dataset, *INLINE, *SET),
    }  # fmt: skip
    for name, words in calls.items():
        call(*words)
        found[name] = hashes(dataset)
    return found


def exports(dataset: Path, folder: Path, call: Caller) -> dict[str, dict[str, str]]:
    """Export a dataset in every format; the hashes of the files of each."""
    for name, words in FORMATS.items():
        call("export", dataset, folder / name, *words, *(INLINE if "--codec" in words else ()))
    return {name: hashes(folder / name) for name in FORMATS}


def archive_of(archive: Path, target: Path, numbers: Iterable[int]) -> Path:
    """An archive of some products, each a copy."""
    for number in numbers:
        (one,) = archive.glob(f"*DT{number:010}*")
        shutil.copytree(one, target / one.name)
    return target


def unpack(path: Path, folder: Path) -> None:
    """Unpack an archive of `packed`."""
    with tarfile.open(path) as file:
        file.extractall(folder, filter="data")


def packed(folder: Path, target: Path) -> None:
    """Pack a folder, all of whose files get one time."""

    def plain(entry: tarfile.TarInfo) -> tarfile.TarInfo:
        entry.mtime, entry.uid, entry.gid, entry.uname, entry.gname = 1_700_000_000, 0, 0, "", ""
        return entry

    with tarfile.open(target, "w:xz", preset=9) as file:
        file.add(folder, folder.name, filter=plain)


def encoders(dataset: Path, folder: Path) -> dict[str, object]:
    """Train two tiny encoders; their losses and hashes, and what files with plain weights answer."""
    import torch

    from spectralearth_build.pretrain.encoders.vit import SIZES
    from spectralearth_build.pretrain.weights import load_encoder

    SIZES["s"] = (24, 2, 3)
    torch.set_num_threads(1)
    found: dict[str, object] = {}
    for name in ("mae", "dino"):
        trained(dataset, folder / name, name)
        path = folder / name / "encoder.safetensors"
        plain = with_plain_weights(path, folder / f"{name}.safetensors")
        encoder = load_encoder(plain)
        with torch.no_grad():
            vectors, maps = encoder(counts()), encoder.features(counts())
        found[name] = {
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
            "losses": losses(folder / name),
            "vectors": vectors.numpy().round(6).tolist(),
            "maps": [float(maps.mean()), float(maps.std())],
        }
    return found


def counts():
    """Two images as they are stored, int16 [2, 202, 16, 16]."""
    import torch

    values = np.arange(2 * 202 * 16 * 16) * 37 % 4001
    return torch.from_numpy(values.reshape(2, 202, 16, 16).astype(np.int16))


def with_plain_weights(path: Path, target: Path) -> Path:
    """A copy of an encoder whose weights are few different numbers, so that it can be packed well."""
    import torch
    from safetensors import safe_open
    from safetensors.torch import save_file

    with safe_open(path, "pt") as file:
        metadata, tensors = file.metadata(), {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and "running" not in name:
            values = (torch.arange(tensor.numel()) * 37 % 97 - 48) / 480
            tensors[name] = values.reshape(tensor.shape).to(tensor.dtype)
    save_file(tensors, target, metadata)
    return target


def losses(run: Path) -> list[float]:
    """The loss after each step of a run."""
    with (run / "log.csv").open(encoding="utf-8") as file:
        return [float(row["loss"]) for row in csv.DictReader(file) if row["loss"]]


def trained(dataset: Path, run: Path, objective: str, more: Sequence[str] = ()) -> None:
    """A run of two steps. ``more`` are settings that this version did not have."""
    from typer.testing import CliRunner

    from spectralearth_build.cli.app import app

    small = ["train.batch=2", "train.steps=2", "train.log_steps=1", "train.precision=fp32", "train.device=cpu",
             "encoder.name=vit_s", "encoder.patch=8", "data.threads=1", f"objective={objective}",
             f"{objective}.views.size=16", "mae.dim=32", "mae.heads=4",
             "dino.hidden=32", "dino.bottleneck=16", "dino.prototypes=24", "dino.local_crops=1",
             "dino.local.size=8", *more]  # fmt: skip
    words = [word for each in small if each.split(".")[0] in (objective, "train", "encoder", "data")
             or each.startswith("objective") for word in ("--set", each)]  # fmt: skip
    done = CliRunner().invoke(app, ["pretrain", str(dataset), str(run), *words])
    if done.exit_code:
        raise SystemExit(f"{done.output}")


def main(name: str, folder: Path, dataset_only: bool) -> None:
    """Write the fixture of one version."""
    archive, work = folder / "archive", folder / name
    if not ARCHIVE.exists():
        for number in PLACES:
            product(archive, number)
        raster(archive / "cover.tif")
        packed(archive, ARCHIVE)
    unpack(ARCHIVE, folder)
    first, more = (archive_of(archive, work / name, numbers) for name, numbers in GENERATIONS.items())
    dataset = work / name
    document: dict[str, object] = {"libraries": libraries()}
    document["stages"] = stages(first, more, dataset, archive / "cover.tif", call)
    if not dataset_only:
        document["exports"] = exports(dataset, work / "exports", call)
        document["encoders"] = encoders(dataset, work)
        for each in ("mae", "dino"):
            with lzma.open(HERE / f"{name}-{each}.safetensors.xz", "wb", preset=9) as file:
                file.write((work / f"{each}.safetensors").read_bytes())
    packed(dataset, HERE / f"{name}.tar.xz")
    (HERE / f"{name}.json").write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), sys.argv[3:] == ["dataset"])
