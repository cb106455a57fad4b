"""An archive on an object store, and the local folder that stands in for it.

For each object, the folder has a sparse file of the same name, size and version; zips have their central directory. So
products are found with the folder alone. `fetched` downloads the files of a product when it is opened.
"""

from __future__ import annotations

import os
import shutil
import zipfile
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from spectralearth_build.archive import container
from spectralearth_build.archive.container import Listing, is_tar, is_zip
from spectralearth_build.archive.group import group_files
from spectralearth_build.errors import OutOfSpaceError, ProductError, StorageError, UnreadableFileError
from spectralearth_build.progress import say
from spectralearth_build.storage import attach
from spectralearth_build.storage.attach import Attachment

if TYPE_CHECKING:
    from spectralearth_build.storage.client import Client, Meta

TAILS = (2**16 + 2**10, 2**22)
"""Bytes at the end of a zip in which to look for its central directory; products have about 20 members."""
FETCHES = 32
"""Number of central directories to fetch at a time."""
INSIDE = "!"
"""Separates an archive from its member in a path."""


@dataclass(frozen=True)
class StandIn(Attachment):
    """An archive: products are fetched when they are opened, and nothing is ever written."""

    @property
    def client(self) -> Client:
        """The client of the store."""
        from spectralearth_build.storage.client import Client

        return Client(self.remote)

    def settle(self) -> None:
        """Create the folder if need be; nothing else is needed to open products."""
        self.folder.mkdir(parents=True, exist_ok=True)

    def written(self, path: Path) -> None:
        """Refuse: archives are not written to."""
        raise PermissionError(f"Archives are not written to: {path}")

    def removed(self, path: Path) -> None:
        """Refuse: archives are not written to."""
        raise PermissionError(f"Archives are not written to: {path}")

    @contextmanager
    def product(self, path: str, scratch: Path | None, layers: Collection[str]) -> Iterator[Path]:
        """Fetch a product; see `fetched`."""
        if scratch is not None:
            scratch.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(prefix="fetched-", dir=scratch) as name:
            folder = Path(name)
            try:
                _fetch(self.client, path.split(INSIDE), folder, layers)
                yield folder
            except ProductError as error:
                here, there = str(folder), str(self.folder)
                where = error.path and error.path.replace(here, there)
                raise type(error)(error.what.replace(here, there), where, error.remedy) from error

    @contextmanager
    def archive(self, path: Path) -> Iterator[Path]:
        """List the members of an archive: a zip's central directory is local, a tar is downloaded."""
        if is_zip(path.name):
            yield path
            return
        meta = self.client.head(path.relative_to(self.folder).as_posix())
        with TemporaryDirectory(prefix="listing-", dir=self.folder.parent) as name:
            copy = Path(name) / path.name
            if meta is not None:
                _download(self.client, meta, copy)
            yield copy

    def refresh(self) -> None:
        """Bring the folder up to date with the store."""
        from spectralearth_build.storage.mirror import is_version

        listing = {meta.name: meta for meta in self.client.listing() if not meta.name.endswith("/")}
        folders = {parent.as_posix() for name in listing for parent in PurePosixPath(name).parents}
        for name in [name for name in listing if name in folders or not _possible(name)]:
            say(f"scan: skipped, since no file can have this name: {name!a}")
            del listing[name]
        _delete_others(self.folder, set(listing))
        changed = [meta for meta in listing.values() if not is_version(self.folder / meta.name, meta)]
        with ThreadPoolExecutor(FETCHES) as pool:
            for _ in pool.map(self._stand_in, changed):
                pass

    def _stand_in(self, meta: Meta) -> None:
        """Write the stand-in file of an object; a zip gets its end, which has the central directory."""
        from obstore.exceptions import PreconditionError

        try:
            self._write_stub(meta)
        except (PreconditionError, FileNotFoundError):
            where = str(self.remote / meta.name)
            raise StorageError(
                "It changed while the archive was listed.", where, "Run the command again."
            ) from None

    def _write_stub(self, meta: Meta) -> None:
        from spectralearth_build.storage.mirror import stub

        with stub(self.folder / meta.name, meta) as temporary:
            for length in TAILS if is_zip(meta.name) else ():
                start = max(0, meta.size - length)
                with temporary.open("r+b") as file:
                    file.seek(start)
                    file.write(self.client.read(meta.name, start, meta.size, meta.etag))
                if zipfile.is_zipfile(temporary) and _opens(temporary):
                    break


@contextmanager
def fetched(root: Path, path: str, scratch: Path | None, layers: Collection[str]) -> Iterator[Path]:
    """Yield a folder with the files of a product at the same paths as below ``root``: ``root`` itself if it is local.

    Args:
        root: the archive.
        path: path of the product below ``root``, with members of archives after '!'.
        scratch: folder for downloaded files, which are deleted on exit.
        layers: layers to download; the others become empty files.

    Raises:
        OutOfSpaceError: the disk is full.
        UnreadableFileError: the product changed while it was downloaded.
        StorageError: the store refuses a request or does not answer.
    """
    attachment = attach.at(root)
    if attachment is None:
        yield root
        return
    with attachment.product(path, scratch, layers) as folder:
        yield folder


def list_members(place: Path) -> Listing:
    """List the members of an archive; see `container.list_members`. A tar on an object store is downloaded for this."""
    attachment = attach.at(place)
    if attachment is None:
        return container.list_members(place)
    with attachment.archive(place) as copy:
        listing = container.list_members(copy)
    problem = listing.problem
    if problem is None or copy == place:
        return listing
    return replace(listing, problem=type(problem)(problem.what, place, problem.remedy))


def _fetch(client: Client, parts: Sequence[str], folder: Path, layers: Collection[str]) -> None:
    """Download the archive that a path names, or the wanted files of the product whose folder or file it names."""
    for end in range(1, len(parts) + 1):
        whole = INSIDE.join(parts[:end])
        meta = client.head(whole) if whole else None
        if meta is not None and (is_zip(whole) or is_tar(whole)):
            _download(client, meta, folder / whole)
            return
        parent = whole if meta is None else "/".join(PurePosixPath(whole).parts[:-1])
        folders, objects = client.children(parent)
        if folders or objects:
            (folder / parent).mkdir(parents=True, exist_ok=True)
            _fetch_product(
                client, {o.name: o for o in objects}, parent=parent, folder=folder, whole=whole, layers=layers
            )
            return


def _fetch_product(
    client: Client, objects: dict[str, Meta], parent: str, folder: Path, whole: str, layers: Collection[str]
) -> None:
    names = {PurePosixPath(name).name: name for name in objects}
    groups = group_files(list(names), parent)
    if whole in objects:
        own = PurePosixPath(whole).name
        groups = [group for group in groups if own in (*group.files.values(), *group.foreign.values())]
    wanted = {group.files[layer] for group in groups for layer in layers if layer in group.files}
    everything = [
        (*group.files.values(), *group.foreign.values(), *group.pending.values()) for group in groups
    ]
    for file in set(chain.from_iterable(everything)):
        target = folder / names[file]
        target.parent.mkdir(parents=True, exist_ok=True)
        target.touch()
        if len(groups) == 1 and file in wanted:
            _download(client, objects[names[file]], target)


def _download(client: Client, meta: Meta, target: Path) -> None:
    from obstore.exceptions import PreconditionError

    target.parent.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(target.parent).free
    if meta.size > free:
        raise OutOfSpaceError(f"{meta.name} needs {meta.size} bytes, {free} are free.", target.parent)
    try:
        client.download(meta, target)
    except (PreconditionError, FileNotFoundError):
        raise UnreadableFileError("It changed while it was read.", target, "Run the command again.") from None


def _delete_others(folder: Path, known: set[str]) -> None:
    """Delete files that no longer stand for an object, then empty folders."""
    for place, folders, files in os.walk(folder, topdown=False):
        for path in [Path(place) / file for file in files]:
            if path.relative_to(folder).as_posix() not in known:
                path.unlink()
        for path in [Path(place) / name for name in folders]:
            if not any(path.iterdir()):
                path.rmdir()


def _possible(name: str) -> bool:
    """Whether a file can have the name of an object."""
    parts = name.split("/")
    return "\0" not in name and all(
        part not in ("", ".", "..") and len(os.fsencode(part)) < 240 for part in parts
    )


def _opens(path: Path) -> bool:
    try:
        with zipfile.ZipFile(path):
            return True
    except (zipfile.BadZipFile, OSError, ValueError):
        return False
