"""A small archive in every form in which products come, builds of it, and what they leave."""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np

from spectralearth_build import config as settings
from spectralearth_build.checking.damage import Damage
from spectralearth_build.checking.verify import verify
from spectralearth_build.cluster import Executor, connect
from spectralearth_build.overlap.lattice import Box
from spectralearth_build.pipeline import Run
from spectralearth_build.places import Place, both
from spectralearth_build.progress import set_quiet
from spectralearth_build.storage.client import Client
from spectralearth_build.storage.url import Remote
from spectralearth_build.synthetic.pack import pack, pack_order
from spectralearth_build.synthetic.product import write_product
from spectralearth_build.synthetic.spec import Layers, Layout, ProductSpec

SIZE = 132
BASE = ProductSpec(box=Box(-183000, 15600, SIZE, SIZE))
CONFIG = settings.load(None, {"store.shard_rows": 1, "run.scheduler": "inline"})


def write_tile(archive: Path, number: int) -> Path:
    """Write the product of a datatake, each shifted a little; returns its folder."""
    line, col = number % 3, number % 4
    box = Box(BASE.box.line + line, BASE.box.col + col, SIZE, 2 * SIZE if number == 1 else SIZE)
    spec = replace(BASE, datatake=f"DT{number:010}", started=BASE.started + timedelta(days=number), box=box)
    lines, cols = np.ogrid[: box.height, : box.width]
    band = np.arange(224)[:, None, None]
    cube = (number * 500 + 3 * band + (lines * 5 + cols * 2) % 97).astype(np.int16)
    return write_product(
        archive, spec, cube, Layers.clear((box.height, box.width)), Layout(compress="deflate")
    )


def write_archive(archive: Path) -> None:
    """Products in folders, in a folder for two, in a zip, in a tar.gz of zips, and damaged ones."""
    write_tile(archive, 1)
    pack(write_tile(archive / "zips", 2))
    pack_order([pack(write_tile(archive, 3))], archive / "order.tar.gz")
    for number in (4, 5):
        folder = write_tile(archive, number)
        (archive / "flat").mkdir(exist_ok=True)
        for file in folder.iterdir():
            file.rename(archive / "flat" / file.name)
        folder.rmdir()
    cut = next(write_tile(archive, 6).glob("*SPECTRAL_IMAGE.TIF"))
    cut.write_bytes(cut.read_bytes()[: cut.stat().st_size // 2])
    broken = pack(write_tile(archive / "zips", 7))
    broken.write_bytes(broken.read_bytes()[:5000])
    (archive / "notes.txt").write_text("Nothing of interest.")


def upload(folder: Path, remote: Remote) -> None:
    """Put all files of a folder to an object store."""
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        Client(remote).put(path.relative_to(folder).as_posix(), path)


def build(
    archive: Place, dataset: Place, staging: Path, executor: Executor | None = None, compare: bool = False
) -> list[Damage]:
    """Scan, plan, cut and publish; then verify, if asked to."""
    set_quiet(True)
    with both(archive, dataset, str(staging)) as (products, folder), connect(CONFIG.run) as inline:
        run = Run(folder, CONFIG, executor or inline)
        run.scan(products)
        run.plan()
        run.cut(products)
        return verify(folder, products, inline) if compare else []


def tree(dataset: Place, work: bool = False) -> dict[str, str]:
    """SHA-256 of every file of a dataset by name, the work folder apart unless asked for."""
    if isinstance(dataset, Path):
        files = {p.relative_to(dataset).as_posix(): p.read_bytes() for p in dataset.rglob("*") if p.is_file()}
    else:
        client = Client(dataset)
        names = [meta.name for meta in client.listing()]
        files = {name: client.read(name) for name in names if work or not name.startswith("work/")}
    return {
        name: hashlib.sha256(data).hexdigest()
        for name, data in files.items()
        if work or not name.startswith("work/")
    }


def empty(folder: Path) -> Path:
    """An empty folder of this name."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder
