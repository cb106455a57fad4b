"""Pack product folders like orders and downloads: .zip, .ZIP, and tar.gz of zips."""

from __future__ import annotations

import gzip
import shutil
import tarfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

from spectralearth_build.files import replacing

_EPOCH = (2024, 1, 1, 0, 0, 0)


def pack(product: Path, suffix: str = ".zip", keep: bool = False) -> Path:
    """Pack a product's folder into a zip beside it. The same files give the same bytes.

    Args:
        product: the folder.
        suffix: .zip or .ZIP.
        keep: whether to keep the folder.
    """
    target = product.with_name(f"{product.name}{suffix}")
    with replacing(target) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED) as archive:
        for path in sorted(p for p in product.rglob("*") if p.is_file()):
            add_member(archive, f"{product.name}/{path.relative_to(product).as_posix()}", path.read_bytes())
    if not keep:
        shutil.rmtree(product)
    return target


def add_member(archive: zipfile.ZipFile, name: str, data: bytes, method: int = zipfile.ZIP_STORED) -> None:
    """Add a member with a fixed date, so that archives are reproducible."""
    information = zipfile.ZipInfo(name, _EPOCH)
    information.external_attr = 0o644 << 16
    archive.writestr(information, data, compress_type=method)


def pack_order(zips: Sequence[Path], target: Path, keep: bool = False) -> Path:
    """Pack zips into one tar.gz, like an order. The same zips give the same bytes.

    Args:
        zips: the zips.
        target: the .tar.gz to write.
        keep: whether to keep the zips.
    """
    with (
        replacing(target) as temporary,
        temporary.open("wb") as raw,
        gzip.GzipFile(filename="", mode="wb", fileobj=raw, compresslevel=1, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive,
    ):
        for path in zips:
            member = tarfile.TarInfo(path.name)
            member.size = path.stat().st_size
            with path.open("rb") as data:
                archive.addfile(member, data)
    if not keep:
        for path in zips:
            path.unlink()
    return target
