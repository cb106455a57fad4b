"""A small archive in every form in which products come, builds of it, and what they leave."""

from __future__ import annotations

import hashlib
import shutil
from functools import partial
from pathlib import Path

from spectralearth_build import config as settings
from spectralearth_build.checking.damage import Damage
from spectralearth_build.checking.verify import verify
from spectralearth_build.cluster import Executor, connect
from spectralearth_build.pipeline import Run
from spectralearth_build.places import Place, both
from spectralearth_build.storage.client import Client
from spectralearth_build.storage.url import Remote
from spectralearth_build.synthetic.pack import pack, pack_order
from tests.support import files, small_archive

CONFIG = settings.load(None, {"store.shard_rows": 1, "run.scheduler": "inline"})
write_tile = partial(small_archive.write_tile, compress="deflate")


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
    with (
        small_archive.quiet(),
        both(archive, dataset, str(staging)) as (products, folder),
        connect(CONFIG.run) as inline,
    ):
        run = Run(folder, CONFIG, executor or inline)
        run.scan(products)
        run.plan()
        run.cut(products)
        return verify(folder, products, inline) if compare else []


def tree(dataset: Place, work: bool = False) -> dict[str, str]:
    """SHA-256 of every file of a dataset by name, the work folder apart unless asked for."""
    if isinstance(dataset, Path):
        return files.tree(dataset, () if work else ("work",))
    client = Client(dataset)
    names = [meta.name for meta in client.listing()]
    wanted = [name for name in names if work or not name.startswith("work/")]
    return {name: hashlib.sha256(client.read(name)).hexdigest() for name in wanted}


def empty(folder: Path) -> Path:
    """An empty folder of this name."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder
