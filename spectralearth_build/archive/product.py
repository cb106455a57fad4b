"""Open the files of a product, whether it is in a folder, a zip or a tar.gz of zips."""

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

_FORMAT = "Order the product as GeoTIFF. Output of ENVI, EnPT, ACOLITE and other software is not supported."
WANTED = (METADATA, IMAGE, *QUALITY)
"""Layers to unpack of a product."""


@dataclass(frozen=True)
class Product:
    """The files of one product, on disk while `open_product` is open."""

    path: str
    """Path as in the tables: below the archive, with members after '!'."""
    name: ProductName | None
    """The product's name, from the names of its files, folder or archive."""
    files: Mapping[str, Path] = field(default_factory=dict)
    """Absolute path of each layer."""
    foreign: Mapping[str, str] = field(default_factory=dict)
    """Layers in an unsupported format, such as BSQ."""
    pending: Mapping[str, str] = field(default_factory=dict)
    """Layers that exist only as an incomplete download."""

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
            MissingFileError: there is none in a supported format.
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
    """The error for a product with an incomplete download.

    Args:
        file: name of the partial download.
        path: the product.
    """
    name = PurePosixPath(file).name
    return MissingFileError(
        f"It is still being downloaded: {name}.",
        path,
        "Finish the download, then run the same command again.",
    )


@contextmanager
def open_product(
    root: Path,
    path: str,
    scratch: Path | None = None,
    layers: Collection[str] = WANTED,
    unpack_cache: UnpackCache | None = None,
) -> Iterator[Product]:
    """Make the files of a product available on disk.

    Args:
        root: the archive.
        path: path below it, as `find_products` and the tile table give it: a folder with one product, any file of
            a product in a folder with several, or an archive, with members after '!'.
        scratch: folder to unpack archives to; None for the system's temporary folder. It is cleaned on exit.
        layers: layers to unpack; of a product in a folder, all files are available.
        unpack_cache: cache of unpacked files that tasks share; None for none.

    Raises:
        MissingFileError: there is no product.
        HostileNameError: the path, or a link in it, leads out of the archive.
        BrokenArchiveError: the archive cannot be unpacked.
        OutOfSpaceError: there is no space to unpack it.
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
    """Whether a product is in an archive, which must be unpacked."""
    names = path.split(INSIDE)
    return any(
        (is_zip(name) or is_tar(name)) and not below(root, INSIDE.join(names[: end + 1])).is_dir()
        for end, name in enumerate(names)
    )


@contextmanager
def _named_as_known(folder: Path, path: str) -> Iterator[None]:
    """Make errors name the product's path instead of the unpacked file."""
    try:
        yield
    except ProductError as error:
        where = Path(error.path or "")
        if not where.is_relative_to(folder):
            raise
        shown = path if where.suffix else f"{path}: {where.name}"  # layers are unpacked without a suffix
        raise type(error)(error.what, shown, error.remedy) from error


def _split(root: Path, path: str) -> tuple[Path, list[str]]:
    """The file or folder that a path names, and the members after it."""
    whole, *members = path.split(INSIDE)
    while members and not _exists(below(root, whole)):
        whole = f"{whole}{INSIDE}{members.pop(0)}"  # a folder may have '!' in its name
    place = below(root, whole)
    require_inside(root, place)
    if not _exists(place):
        raise MissingFileError("There is no such product.", path)
    return place, members


def require_inside(root: Path, place: Path) -> None:
    """Check that a path, with links resolved, is inside a folder.

    Raises:
        HostileNameError: it is not.
    """
    if leads_out(root, place):
        raise HostileNameError("It leads out of the archive.", place)


def leads_out(root: Path, place: Path) -> bool:
    """Whether a path, with links resolved, is outside a folder, or has a loop of links."""
    try:
        return not place.resolve().is_relative_to(root.resolve())
    except (OSError, RuntimeError):  # RuntimeError: a loop, before Python 3.13
        return True


@contextmanager
def _openable(product: Product, scratch: Path | None) -> Iterator[Product]:
    """Yield a product that GDAL can open. GDAL takes only UTF-8, so files with other names get temporary links."""
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
        what = f"Its name is not UTF-8, and a link to it cannot be created ({error.strerror})."
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
    # The names are chosen here; paths inside an archive are never used.
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
    """Refuse an archive with member names that no product has.

    Raises:
        HostileNameError: one is absolute, leads upwards, or has line breaks or markup. Foreign members, which are never
            unpacked, may have any name.
    """
    for member in members:
        if hostile(member) and not foreign(member):
            raise HostileNameError(f"It has a member named {member!a}.", place)


def hostile(path: str) -> bool:
    """Whether no product can have a relative path."""
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
