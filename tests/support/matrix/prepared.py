"""What verbs are called on, made once a session by the product itself: archives of 140 pixels, datasets at each stage.

Nothing here is changed by a call: what a verb changes, or what a condition spoils, is copied first.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import rasterio
from affine import Affine

from spectralearth_build.overlap.lattice import ORIGIN, PIXEL
from tests.support.downstream_files import RIDGE
from tests.support.matrix.calling import How, Server
from tests.support.matrix.verbs import VERBS
from tests.support.small_archive import BASE, NOISE_SIZE, write_noise_tile

INLINE = ("--scheduler", "inline")
PLACES = {1: (0, 0), 2: (3, 5), 3: (0, 1000), 4: (1000, 0)}
"""Shift of each product in lines and columns: two dates of one place, and two places far from it."""
LATER = {5: (1000, 1000)}
"""Products that join later."""


class Prepared:
    """Inputs by name, each made when it is first asked for."""

    def __init__(self, folder: Path, server: Server) -> None:
        self.folder, self.server = folder, server
        self._made: dict[str, Path] = {}

    def __getitem__(self, name: str) -> Path:
        if name not in self._made:
            self._made[name] = _MAKERS[name](self)
        return self._made[name]

    def path(self, name: str) -> Path:
        return self.folder / name

    def call(self, *arguments: object) -> None:
        """A call that must succeed."""
        ended = self.server.call(list(map(str, arguments)), How(self.folder))
        assert ended.code == 0, f"{arguments}: {ended}"

    def copy(self, name: str, to: str) -> Path:
        return copied(self[name], self.path(to))


def copied(source: Path, target: Path) -> Path:
    """A copy with the times and modes of files."""
    if source.is_dir():
        shutil.copytree(source, target)
    else:
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, target)
    return target


def _archive(made: Prepared) -> Path:
    for number, shift in PLACES.items():
        write_noise_tile(made.path("archive"), number, shift)
    return made.path("archive")


def _one(made: Prepared) -> Path:
    """A dataset that knows of one product, for what takes long with several."""
    write_noise_tile(made.path("single"), 1)
    made.call("scan", made.path("single"), made.path("one"), *INLINE)
    return made.path("one")


def _more(made: Prepared) -> Path:
    shutil.copytree(made["archive"], made.path("more"), copy_function=os.link)
    for number, shift in LATER.items():
        write_noise_tile(made.path("more"), number, shift)
    return made.path("more")


def _called(name: str, start: str, *words: str) -> Callable[[Prepared], Path]:
    """A maker: a copy of ``start`` (nothing: a new folder) on which a verb was called."""

    def make(made: Prepared) -> Path:
        target = made.copy(start, name) if start else made.path(name)
        made.call(
            *(target if word == "{}" else made[word[1:-1]] if word[0] == "{" else word for word in words)
        )
        return target

    return make


def _labelled(made: Prepared) -> Path:
    target = made.copy("published", "labelled")
    made.call("split", target, "--fractions", "train=0.5,val=0.25,test=0.25")
    labels = ("--labels", f"corine={made['raster']}:2018", "--classes", "corine19")
    made.call("pair", target, *labels, *INLINE)
    return target


def _damaged(made: Prepared) -> Path:
    target = made.copy("published", "damaged")
    shard = next((target / "store.zarr" / "reflectance").glob("c.0*"))
    data = bytearray(shard.read_bytes())
    data[len(data) // 2] ^= 255
    shard.write_bytes(data)
    return target


def _raster(made: Prepared) -> Path:
    """Land cover under all products, on their own grid: fields in the north, forest in the south of each."""
    path, box, far = made.path("cover.tif"), BASE.box, 1000 + NOISE_SIZE
    place = Affine(PIXEL, 0, ORIGIN + PIXEL * box.col, 0, -PIXEL, ORIGIN - PIXEL * box.line)
    options = {"driver": "GTiff", "height": far, "width": far, "count": 1, "dtype": "uint8"}
    codes = np.where(np.arange(far) % 1000 < 60, 211, 255).astype(np.uint8)
    codes[codes == 255] = 231
    codes[np.arange(far) % 1000 > 90] = 111
    with rasterio.open(path, "w", crs="EPSG:32633", transform=place, nodata=0, **options) as file:
        file.write(np.repeat(codes[:, None], far, axis=1), 1)
    return path


def _encoder(made: Prepared) -> Path:
    made.call(*VERBS["pretrain"].arguments({"labelled": made["labelled"], "out": made.path("run")}))
    return made.path("run") / "encoder.safetensors"


def _weights(made: Prepared) -> Path:
    made.call("export-encoder", made["encoder"], made.path("weights.pth"), "--as", "timm")
    return made.path("weights.pth")


def _splits(made: Prepared) -> Path:
    made.call("split", made["labelled"], "--export", made.path("lists"))
    return next(made.path("lists").glob("*.csv"))


def _text(name: str, text: Callable[[Prepared], str]) -> Callable[[Prepared], Path]:
    def make(made: Prepared) -> Path:
        made.path(name).write_text(text(made), encoding="utf-8")
        return made.path(name)

    return make


_MAKERS: dict[str, Callable[[Prepared], Path]] = {
    "archive": _archive,
    "more": _more,
    "one": _one,
    "scanned": _called("scanned", "", "scan", "{archive}", "{}", *INLINE),
    "planned": _called("planned", "scanned", "plan", "{}", *INLINE),
    "published": _called(
        "published", "planned", "cut", "{archive}", "{}", *INLINE
    ),  # without a report, which is slow
    "rescanned": _called("rescanned", "published", "scan", "{more}", "{}", *INLINE),
    "replanned": _called("replanned", "rescanned", "plan", "{}", *INLINE),
    "damaged": _damaged,
    "labelled": _labelled,
    "raster": _raster,
    "encoder": _encoder,
    "weights": _weights,
    "splits": _splits,
    "list": _text("list.txt", lambda made: "32633_1_2/a.tif\n32633_9_9/b.tif\n"),
    "toml": _text("downstream.toml", lambda made: RIDGE.format(dataset=made["labelled"])),
    "settings": _text("settings.toml", lambda made: '[plan]\nvalue = "pairs"\n'),
}
