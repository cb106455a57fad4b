"""Ways in which the files and archives of a product are damaged. Each function spoils a product folder.

Functions that rename or pack the folder return its new path.
"""

from __future__ import annotations

import gzip
import io
import os
import shutil
import struct
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
    """Remove a file."""
    find(product, part).unlink()


def empty(product: Path, part: str) -> None:
    """Make a file empty."""
    find(product, part).write_bytes(b"")


def lock(product: Path) -> None:
    """Make the image readable to the superuser only."""
    find(product, IMAGE).chmod(0)


def pipe(product: Path) -> None:
    """Replace the image by a named pipe; opening it waits for ever."""
    path = find(product, IMAGE)
    path.unlink()
    os.mkfifo(path)


def link_out(product: Path) -> None:
    """Replace the image by a link to a file of the machine."""
    path = find(product, IMAGE)
    path.unlink()
    path.symlink_to("/etc/hostname")


def disguise(product: Path) -> None:
    """Replace the image by a VRT, which would make a trusting reader open another file."""
    find(product, IMAGE).write_text(_VRT)


def sidecars(product: Path) -> None:
    """Add files beside every raster that override its projection, transform and nodata in a trusting reader."""
    for path in sorted(product.glob("*.TIF")):
        path.with_name(f"{path.name}.aux.xml").write_text(_PAM)


def relabel(product: Path, level: str) -> Path:
    """Turn it into a product of another level, by name and metadata."""
    set_text(product, "base/level", lambda _: level)
    for path in list(product.iterdir()):
        path.rename(path.with_name(path.name.replace("L2A-", f"{level}-")))
    return product.rename(product.with_name(product.name.replace("L2A-", f"{level}-")))


def rename(product: Path, suffix: str) -> Path:
    """Append a text to the folder's name that no name should have."""
    return product.rename(product.with_name(product.name + suffix))


def zip_member(product: Path, name: str) -> Path:
    """Pack a zip with an extra member that has a hostile name."""
    target = pack(product)
    with zipfile.ZipFile(target, "a") as archive:
        add_member(archive, name, b"II*\0")
    return target


def tar_member(product: Path, name: str) -> Path:
    """Pack a tar.gz with the product's zip under a hostile name."""
    packed = pack(product)
    target = packed.with_suffix(".tar.gz")
    data = packed.read_bytes()
    packed.unlink()
    with tarfile.open(target, "w:gz", compresslevel=1) as archive:
        member = tarfile.TarInfo(name)
        member.size = len(data)
        archive.addfile(member, io.BytesIO(data))
    return target


def tar_special(product: Path, kind: bytes) -> Path:
    """Replace the product by a tar.gz whose member is a link or a device instead of a file.

    Args:
        product: the folder.
        kind: type of the member, a constant of `tarfile`.
    """
    target = product.with_name(f"{product.name}.tar.gz")
    shutil.rmtree(product)
    member = tarfile.TarInfo(f"{product.name}.zip")
    member.type, member.linkname, member.devmajor, member.devminor = kind, "/etc/hostname", 1, 5
    with tarfile.open(target, "w:gz") as archive:
        archive.addfile(member)
    return target


def tar_bomb(product: Path) -> Path:
    """Replace the product by a tar.gz of 300 kB whose zip unpacks to 256 MiB of zeros."""
    target = product.with_name(f"{product.name}.tar.gz")
    shutil.rmtree(product)
    member = tarfile.TarInfo(f"{product.name}.zip")
    member.size = _BOMB
    piece = gzip.compress(bytes(2**24), mtime=0)
    target.write_bytes(
        gzip.compress(member.tobuf(), mtime=0) + piece * (_BOMB // 2**24) + gzip.compress(bytes(1024))
    )
    return target


def understate(product: Path) -> Path:
    """Pack a zip whose image is larger than its central directory says."""
    size = find(product, IMAGE).stat().st_size
    target = pack(product)
    with zipfile.ZipFile(target) as archive:
        table = archive.start_dir
    data = target.read_bytes()
    true, lie = struct.pack("<II", size, size), struct.pack("<II", size, size // 2)
    target.write_bytes(data[:table] + data[table:].replace(true, lie))
    return target


def bomb(product: Path) -> Path:
    """Pack a zip of 300 kB whose image unpacks to 256 MiB of zeros."""
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
    """Pack a zip without its end, where its central directory is."""
    target = pack(product)
    data = target.read_bytes()
    target.write_bytes(data[: len(data) // 2])
    return target


def cut_order(product: Path) -> Path:
    """Pack a tar.gz without its end."""
    packed = pack(product)
    target = pack_order([packed], packed.with_suffix(".tar.gz"))
    data = target.read_bytes()
    target.write_bytes(data[: len(data) // 2])
    return target
