"""A product as files that can be opened, whether it lies in a folder, a zip or a tar.gz of zips."""

from __future__ import annotations

import tempfile
from collections.abc import Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path, PurePosixPath

from spectralearth_build.archive.below import below
from spectralearth_build.archive.container import is_tar, is_zip, list_members, unpack
from spectralearth_build.archive.disk import unreadable
from spectralearth_build.archive.foreign import foreign
from spectralearth_build.archive.group import Group, group_files
from spectralearth_build.archive.names import IMAGE, METADATA, QUALITY, ProductName
from spectralearth_build.archive.on_object_store import INSIDE, fetched
from spectralearth_build.archive.unpack_cache import UnpackCache
from spectralearth_build.errors import HostileNameError, MissingFileError, ProductError
from spectralearth_build.texts import as_text, is_utf8

_FORMAT = "Order the product as GeoTIFF; output of ENVI, EnPT, ACOLITE and other software is not supported."
WANTED = (METADATA, IMAGE, *QUALITY)
"""What is unpacked of a product."""


@dataclass(frozen=True)
class Product:
    """The files of one product, on disk for as long as `open_product` is open."""

    path: str
    """As tables say it: below the archive, members behind '!'."""
    name: ProductName | None
    """What the names of its files, folder or archive say."""
    files: Mapping[str, Path] = field(default_factory=dict)
    """Absolute path of each layer."""
    foreign: Mapping[str, str] = field(default_factory=dict)
    """Layers in a format that is not read, such as BSQ."""
    pending: Mapping[str, str] = field(default_factory=dict)
    """Layers that are only there as a download that is not complete."""

    @property
    def metadata_path(self) -> Path:
        """METADATA.XML; raises MissingFileError."""
        return self.layer(METADATA)

    @property
    def image_path(self) -> Path:
        """The spectral image; raises MissingFileError."""
        return self.layer(IMAGE)

    def layer(self, name: str) -> Path:
        """The file of a layer.

        Args:
            name: METADATA, SPECTRAL_IMAGE, CLASSES, CLOUD, CLOUDSHADOW, HAZE, CIRRUS, SNOW, TESTFLAGS, PIXELMASK.

        Raises:
            MissingFileError: there is none that can be read here.
        """
        if name in self.files:
            return self.files[name]
        if name in self.pending:
            raise still_downloading(self.pending[name], self.path)
        if name in self.foreign:
            file = PurePosixPath(self.foreign[name]).name
            raise MissingFileError(f"{file} is not a GeoTIFF.", self.path, _FORMAT)
        raise MissingFileError(f"The product has no {name}.", self.path)


def still_downloading(file: str, path: str) -> MissingFileError:
    """The error of a product of which a file is not complete yet.

    Args:
        file: name of the partial download.
        path: the product.
    """
    name = PurePosixPath(file).name
    return MissingFileError(
        f"It is still being downloaded: {name}.", path, "Finish the download, then run again."
    )


@contextmanager
def open_product(
    root: Path,
    path: str,
    scratch: Path | None = None,
    layers: Collection[str] = WANTED,
    unpack_cache: UnpackCache | None = None,
) -> Iterator[Product]:
    """Make the files of a product available.

    Args:
        root: the archive.
        path: path below it, as `find_products` and the tile table give it: a folder with one product, any file of
            a product in a folder with several, or an archive, with members behind '!'.
        scratch: where to unpack archives to; None for the system's temporary folder. It is cleaned on leaving.
        layers: what to unpack; files in folders are all there.
        unpack_cache: what is unpacked for other tasks too.

    Raises:
        MissingFileError: there is no product.
        HostileNameError: the path, or a link on it, leads out of the archive.
        BrokenArchiveError: it cannot be unpacked.
        OutOfSpaceError: there is no room to unpack it.
    """
    with ExitStack() as stack:
        root = stack.enter_context(fetched(root, path, scratch, layers))
        place, members = _split(root, path)
        if (is_zip(place.name) or is_tar(place.name)) and not place.is_dir():
            if scratch is not None:
                scratch.mkdir(parents=True, exist_ok=True)
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="product-", dir=scratch)))
            stack.enter_context(_named_as_known(folder, path))
            yield _unpacked(
                path, place, members=members, folder=folder, layers=layers, unpack_cache=unpack_cache
            )
        else:
            with _openable(_in_folder(root, path, place), scratch) as product:
                yield product


def is_packed(root: Path, path: str) -> bool:
    """Whether a product's path leads into an archive, which must be unpacked."""
    names = path.split(INSIDE)
    return any(
        (is_zip(name) or is_tar(name)) and not below(root, INSIDE.join(names[: end + 1])).is_dir()
        for end, name in enumerate(names)
    )


@contextmanager
def _named_as_known(folder: Path, path: str) -> Iterator[None]:
    """Make errors name what the user knows, not what it was unpacked to."""
    try:
        yield
    except ProductError as error:
        where = Path(error.path or "")
        if not where.is_relative_to(folder):
            raise
        shown = path if where.suffix else f"{path}: {where.name}"  # layers are unpacked without suffix
        raise type(error)(error.what, shown, error.remedy) from error


def _split(root: Path, path: str) -> tuple[Path, list[str]]:
    """The file or folder that a path names, and the members behind it."""
    whole, *members = path.split(INSIDE)
    while members and not _exists(below(root, whole)):
        whole = f"{whole}{INSIDE}{members.pop(0)}"  # a folder may have '!' in its name
    place = below(root, whole)
    require_inside(root, place)
    if not _exists(place):
        raise MissingFileError("There is no such product.", path)
    return place, members


def require_inside(root: Path, place: Path) -> None:
    """Make sure that a path, links resolved, lies in a folder.

    Raises:
        HostileNameError: it does not.
    """
    if leads_out(root, place):
        raise HostileNameError("It leads out of the archive.", place)


def leads_out(root: Path, place: Path) -> bool:
    """Whether a path, links resolved, lies outside a folder, or goes round in circles."""
    try:
        return not place.resolve().is_relative_to(root.resolve())
    except (OSError, RuntimeError):  # RuntimeError: a loop, before Python 3.13
        return True


@contextmanager
def _openable(product: Product, scratch: Path | None) -> Iterator[Product]:
    """A product that GDAL can open, which takes UTF-8 only: files of other names get links of ours, until the end."""
    if all(map(is_utf8, product.files.values())):
        yield product
        return
    if scratch is not None:
        scratch.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="links-", dir=scratch) as name:
        folder = Path(name)
        with _named_as_known(folder, product.path):
            yield replace(
                product, files={layer: _link(folder / layer, to) for layer, to in product.files.items()}
            )


def _link(link: Path, target: Path) -> Path:
    try:
        link.symlink_to(target.absolute())
    except OSError as error:
        what = f"Its name is not UTF-8, and no link can be made to it ({error.strerror})."
        raise HostileNameError(what, target, "Rename it.") from error
    return link


def _exists(place: Path) -> bool:
    try:
        return place.exists()
    except OSError as error:
        raise unreadable(error, place) from error


def _in_folder(root: Path, path: str, place: Path) -> Product:
    folder = place if place.is_dir() else place.parent
    try:
        names = [as_text(entry.name) for entry in folder.iterdir()]
    except OSError as error:
        raise unreadable(error, folder) from error
    groups = group_files(names, folder.relative_to(root).as_posix())
    group = _chosen(groups, "" if place == folder else as_text(place.name), path)
    files = {layer: below(folder, file) for layer, file in group.files.items()}
    for file in files.values():
        require_inside(root, file)
    return Product(path, group.name, files, group.foreign, group.pending)


def _unpacked(
    path: str,
    place: Path,
    members: list[str],
    folder: Path,
    layers: Collection[str],
    unpack_cache: UnpackCache | None,
) -> Product:
    context = place.name
    if is_tar(place.name) and members and is_zip(members[0]):
        context = members.pop(0)
        if unpack_cache is None:
            inner = folder / "product.zip"
            unpack(place, {context: inner})
        else:
            inner = unpack_cache.inner(place, path.partition(f"{INSIDE}{context}")[0], context)
        place = inner
    listing = list_members(place)
    if listing.problem is not None and not listing.members:
        raise listing.problem
    require_safe(listing.members, place)
    group = _chosen(group_files(listing.members, context), members[0] if members else "", path)
    # Names of our own: nothing of what an archive says about places is followed.
    files = {layer: folder / layer for layer in layers if layer in group.files}
    if unpack_cache is not None and unpack_cache.shared(path):
        for layer in files:
            files[layer] = unpack_cache.layer(path, layer, partial(_unpack_one, place, group.files[layer]))
    else:
        unpack(place, {group.files[layer]: target for layer, target in files.items()})
    return Product(path, group.name, files, group.foreign, group.pending)


def _unpack_one(place: Path, member: str, target: Path) -> None:
    unpack(place, {member: target})


def require_safe(members: Collection[str], place: Path | str) -> None:
    """Refuse an archive with names that no honest one has.

    Raises:
        HostileNameError: one is absolute, leads upwards, or has line breaks or markup. Foreign ones, which are never
            unpacked, may have any name.
    """
    for member in members:
        if hostile(member) and not foreign(member):
            raise HostileNameError(f"It holds a member of the name {member!a}.", place)


def hostile(path: str) -> bool:
    """Whether a relative path is one that no product has."""
    parts = PurePosixPath(path.replace("\\", "/")).parts
    return (
        path.startswith(("/", "\\"))
        or ".." in parts
        or not path.isprintable()
        or any(c in "<>" for c in path)
    )


def _chosen(groups: list[Group], member: str, path: str) -> Group:
    if member:
        groups = [g for g in groups if member in (*g.files.values(), *g.foreign.values())]
    if len(groups) != 1:
        what = f"There are {len(groups)} products" if groups else "There is no product"
        raise MissingFileError(f"{what} here.", path)
    return groups[0]
