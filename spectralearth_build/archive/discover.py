"""Find products below a folder: in folders, in zips and in tar.gz of zips. Nothing outside the folder is read."""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal

from spectralearth_build.archive.below import below
from spectralearth_build.archive.container import Listing, is_tar, is_zip
from spectralearth_build.archive.disk import unreadable
from spectralearth_build.archive.foreign import foreign, unfinished
from spectralearth_build.archive.group import group_files
from spectralearth_build.archive.names import ProductName, layer_of, parse_name
from spectralearth_build.archive.on_object_store import INSIDE, list_members
from spectralearth_build.archive.presence import away
from spectralearth_build.archive.product import hostile, leads_out, require_safe, still_downloading
from spectralearth_build.errors import HostileNameError, MissingFileError, ProductError
from spectralearth_build.files import write_bytes
from spectralearth_build.texts import as_text

Kind = Literal["folder", "zip", "tar"]


@dataclass(frozen=True)
class Found:
    """A product, or something that looks like one."""

    path: str
    """Path below the root, with '/', and members of an archive after '!'. `open_product` takes it."""
    kind: Kind
    """What contains it."""
    name: ProductName | None
    """The product's name, if it can be told from file or folder names."""
    stamp: str
    """Hash of sizes and times of its files. While this is unchanged, the product need not be read again."""
    problem: ProductError | None = None
    """Why it cannot be opened, if that is already known."""


def find_products(
    root: Path, listings: Path | None = None, skipped: Counter[str] | None = None
) -> list[Found]:
    """Find everything below a folder that is a product, or is named like one, sorted by path.

    Links are followed if they stay inside; a link that leads out is returned with a problem. Hidden and foreign files
    (`foreign.foreign`) are skipped; hidden and foreign folders are not opened.

    Args:
        root: the archive.
        listings: folder that caches the contents of tar archives, since listing one means decompressing all of it.
        skipped: receives the number of skipped files and folders, by kind.

    Raises:
        ArchiveError: the folder itself cannot be listed.
    """
    skipped = Counter() if skipped is None else skipped
    found = [
        item
        for folder, folders, files in _walk(root, skipped)
        for item in _look(root, folder, folders=folders, everything=files, listings=listings, skipped=skipped)
    ]
    return sorted(found, key=lambda item: item.path)


def _walk(root: Path, skipped: Counter[str]) -> Iterator[tuple[str, list[str] | ProductError, list[str]]]:
    """Yield the path of each folder ('' for the root), its folders or why it cannot be read, and its files."""
    waiting = [""]
    while waiting:
        folder = waiting.pop()
        try:
            with os.scandir(below(root, folder)) as entries:
                kinds = {as_text(entry.name): entry.is_dir(follow_symlinks=False) for entry in entries}
        except OSError as error:
            if not folder:
                raise away(root, error.strerror or str(error)) from error
            yield folder, unreadable(error, below(root, folder)), []
            continue
        files = sorted(name for name, is_folder in kinds.items() if not is_folder)
        folders = _own((name for name in sorted(kinds.keys() - files)), skipped, folders=True)
        yield folder, folders, files
        waiting += [_join(folder, name) for name in folders]


def _own(paths: Iterable[str], skipped: Counter[str], folders: bool = False) -> list[str]:
    """The paths that are not foreign; the others are counted in ``skipped``."""
    own = []
    for path in paths:
        if kind := foreign(path, folders):
            skipped[kind] += 1
        else:
            own.append(path)
    return own


def _look(
    root: Path,
    folder: str,
    folders: list[str] | ProductError,
    everything: list[str],
    listings: Path | None,
    skipped: Counter[str],
) -> Iterator[Found]:
    """Products directly in a folder."""
    if isinstance(folders, ProductError):
        yield Found(folder, "folder", parse_name(folder), "", folders)
        return
    files = _own(everything, skipped)
    for file in files:
        path = _join(folder, file)
        if layer_of(file):
            continue
        place = below(root, path)
        if place.is_symlink() and leads_out(root, place):
            if parse_name(file) or is_zip(file) or is_tar(file) or place.is_dir():
                yield Found(path, "folder", parse_name(path), "", _link(path))
        elif (is_zip(file) or is_tar(file)) and not place.is_dir():
            yield from _in_archive(root, path, listings, skipped)
    groups = group_files(everything, folder)
    for group in groups:
        path = folder if len(groups) == 1 and folder else _join(folder, group.first)
        own = [_join(folder, file) for file in (*group.files.values(), *group.foreign.values())]
        out = [file for file in own if below(root, file).is_symlink() and leads_out(root, below(root, file))]
        yield Found(
            path, "folder", group.name, _stamp(root, own), _link(out[0]) if out else _hostile_path(path)
        )
    archives = any(is_zip(file) or is_tar(file) for file in files)
    if not groups and not archives and not folders and parse_name(PurePosixPath(folder).name):
        waiting = next(filter(unfinished, everything), "")
        nothing = MissingFileError("The folder has no file of the product.", folder)
        problem = still_downloading(waiting, folder) if waiting else nothing
        yield Found(folder, "folder", parse_name(folder), "", problem)


def _link(path: str) -> HostileNameError:
    return HostileNameError("It is a link out of the archive.", path, "Put its target here instead.")


def _in_archive(root: Path, path: str, listings: Path | None, skipped: Counter[str]) -> Iterator[Found]:
    """Products in a zip or tar."""
    kind: Kind = "zip" if is_zip(path) else "tar"
    name, stamp = parse_name(path), _stamp(root, [path])
    listing = _listing(root, path, stamp, listings if kind == "tar" else None)
    try:
        require_safe((*listing.members, listing.cut), path)
    except HostileNameError as problem:
        yield Found(path, kind, name, stamp, problem)
        return
    members = _own(listing.members, skipped)
    zips = [member for member in members if kind == "tar" and is_zip(member)]
    groups = group_files(listing.members, path)
    if len(groups) == 1 and not zips:
        yield Found(path, kind, groups[0].name, stamp, listing.problem or _hostile_path(path))
        return
    for member in zips:
        yield _checked(f"{path}{INSIDE}{member}", kind, parse_name(member), stamp)
    for group in groups:
        yield _checked(f"{path}{INSIDE}{group.first}", kind, group.name, stamp)
    if listing.problem is not None:
        cut = "" if foreign(listing.cut) else listing.cut
        place = f"{path}{INSIDE}{cut}" if is_zip(cut) else path
        yield Found(place, kind, parse_name(place), stamp, listing.problem)
    elif name is not None and not zips and not groups:
        yield Found(path, kind, name, stamp, MissingFileError("The archive holds no product.", path))


def _listing(root: Path, path: str, stamp: str, listings: Path | None) -> Listing:
    """The contents of an archive, from the cache if the archive has not changed."""
    place = below(root, path)
    if listings is None:
        return list_members(place)
    memory = listings / f"{hashlib.sha1(os.fsencode(path), usedforsecurity=False).hexdigest()}.json"
    try:
        known = json.loads(memory.read_bytes())
        if known["stamp"] == stamp:
            return Listing(tuple(known["members"]))
    except (OSError, ValueError, TypeError, LookupError):
        pass  # never listed, or a damaged cache
    listing = list_members(place)
    if listing.problem is None:
        write_bytes(memory, json.dumps({"stamp": stamp, "members": listing.members}).encode())
    return listing


def _checked(path: str, kind: Kind, name: ProductName | None, stamp: str) -> Found:
    return Found(path, kind, name, stamp, _hostile_path(path))


def _hostile_path(path: str) -> HostileNameError | None:
    return HostileNameError("The path has line breaks or markup.", path) if hostile(path) else None


def _stamp(root: Path, paths: list[str]) -> str:
    """A hash of names, sizes and times of files; random if one of them cannot be accessed."""
    digest = hashlib.sha256()
    for path in sorted(paths):
        try:
            state = below(root, path).stat()
            digest.update(f"{state.st_size} {state.st_mtime_ns} ".encode() + os.fsencode(path) + b"\0")
        except OSError:
            digest.update(b"unknown" + os.urandom(8))
    return digest.hexdigest()


def _join(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder else name
