"""Ways in which the files and archives of a product go bad. Each function spoils a product folder.

Functions that rename or pack it return where it is now.
"""

from __future__ import annotations

import io
import shutil
import tarfile
import zipfile
from pathlib import Path

from spectralearth_build.synthetic.pack import add_member, pack, pack_order
from spectralearth_build.synthetic.spoil_metadata import set_text
from spectralearth_build.synthetic.spoil_raster import IMAGE, find

_BOMB = 256 * 2**20
_VRT = """<VRTDataset rasterXSize="8" rasterYSize="8"><VRTRasterBand dataType="Int16" band="1">
<SimpleSource><SourceFilename relativeToVRT="0">/etc/hostname</SourceFilename></SimpleSource>
</VRTRasterBand></VRTDataset>
"""
_PAM = """<PAMDataset><SRS>EPSG:32601</SRS><GeoTransform>0, 1, 0, 0, 0, -1</GeoTransform>
<PAMRasterBand band="1"><NoDataValue>100</NoDataValue></PAMRasterBand></PAMDataset>
"""


def lose(product: Path, part: str) -> None:
    """A file is missing."""
    find(product, part).unlink()


def empty(product: Path, part: str) -> None:
    """A file of zero bytes."""
    find(product, part).write_bytes(b"")


def lock(product: Path) -> None:
    """An image that only the superuser may read."""
    find(product, IMAGE).chmod(0)


def disguise(product: Path) -> None:
    """A VRT under the image's name, which would make a trusting reader open another file."""
    find(product, IMAGE).write_text(_VRT)


def sidecars(product: Path) -> None:
    """Files beside every raster that override its projection, transform and nodata in a trusting reader."""
    for path in sorted(product.glob("*.TIF")):
        path.with_name(f"{path.name}.aux.xml").write_text(_PAM)


def relabel(product: Path, level: str) -> Path:
    """Make it a product of another level, by name and metadata."""
    set_text(product, "base/level", lambda _: level)
    for path in list(product.iterdir()):
        path.rename(path.with_name(path.name.replace("L2A-", f"{level}-")))
    return product.rename(product.with_name(product.name.replace("L2A-", f"{level}-")))


def rename(product: Path, suffix: str) -> Path:
    """A folder with more in its name than a name should have."""
    return product.rename(product.with_name(product.name + suffix))


def zip_member(product: Path, name: str) -> Path:
    """A zip with one more member, of a hostile name."""
    target = pack(product)
    with zipfile.ZipFile(target, "a") as archive:
        add_member(archive, name, b"II*\0")
    return target


def tar_member(product: Path, name: str) -> Path:
    """A tar.gz of the product's zip under a hostile name."""
    packed = pack(product)
    target = packed.with_suffix(".tar.gz")
    data = packed.read_bytes()
    packed.unlink()
    with tarfile.open(target, "w:gz", compresslevel=1) as archive:
        member = tarfile.TarInfo(name)
        member.size = len(data)
        archive.addfile(member, io.BytesIO(data))
    return target


def bomb(product: Path) -> Path:
    """A zip of 300 kB whose image unpacks to 256 MiB of zeros."""
    image = find(product, IMAGE)
    with image.open("wb") as file:
        file.truncate(_BOMB)
    target = product.with_name(f"{product.name}.zip")
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for path in sorted(product.iterdir()):
            archive.write(path, f"{product.name}/{path.name}")
    shutil.rmtree(product)
    return target


def cut_zip(product: Path) -> Path:
    """A zip without its end, where its table of contents is."""
    target = pack(product)
    data = target.read_bytes()
    target.write_bytes(data[: len(data) // 2])
    return target


def cut_order(product: Path) -> Path:
    """A tar.gz without its end."""
    packed = pack(product)
    target = pack_order([packed], packed.with_suffix(".tar.gz"))
    data = target.read_bytes()
    target.write_bytes(data[: len(data) // 2])
    return target
