"""Group files by product, in a folder or inside an archive."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from spectralearth_build.archive.foreign import foreign, unfinished
from spectralearth_build.archive.names import METADATA, ProductName, layer_of, parse_name


@dataclass(frozen=True)
class Group:
    """The files of one product."""

    name: ProductName | None
    """The product's name, from the files or else from the folder; None if neither has it."""
    files: dict[str, str] = field(default_factory=dict)
    """Path of each layer (names.layer_of) in a supported format."""
    foreign: dict[str, str] = field(default_factory=dict)
    """Path of each layer in an unsupported format, such as BSQ."""
    pending: dict[str, str] = field(default_factory=dict)
    """Path of each layer that exists only as an incomplete download."""

    @property
    def first(self) -> str:
        """The file that represents the group: its metadata, or else the first in order."""
        return self.files.get(METADATA) or min([*self.files.values(), *self.foreign.values()])


def group_files(paths: Iterable[str], context: str = "") -> list[Group]:
    """Group files of one product: files in the same folder with the same product name.

    Args:
        paths: paths with '/'. Files of no product, and hidden and foreign files (`foreign.foreign`), are skipped.
        context: path or name of the folder or archive that contains them, which may have the product's name.

    Returns:
        Groups in order of their first files. If a layer occurs twice, a file name that begins with the product's name
        takes precedence over others ("Copy of ..."), then the first path.
    """
    groups: dict[tuple[str, str], Group] = {}
    downloads: dict[tuple[str, str], dict[str, str]] = {}
    for path in sorted(paths, key=lambda path: (_is_copy(path), path)):
        folder, file = str(PurePosixPath(path).parent), PurePosixPath(path).name
        skipped = bool(foreign(path))
        layer = unfinished(file) if skipped else layer_of(file)
        if layer is None:
            continue
        name = parse_name(file) or parse_name(f"{context}/{folder}")
        key = (folder, name.product_id if name else "")
        if skipped:
            downloads.setdefault(key, {}).setdefault(layer[0], path)
        else:
            group = groups.setdefault(key, Group(name))
            (group.files if layer[1] else group.foreign).setdefault(layer[0], path)
    for key, group in groups.items():
        group.pending.update(downloads.get(key, {}))
    return sorted(groups.values(), key=lambda group: group.first)


def _is_copy(path: str) -> bool:
    """Whether a file name has something before the product's name, such as 'Copy of ...'."""
    file = PurePosixPath(path).name
    name = parse_name(file)
    return name is not None and not file.upper().startswith(name.product_id)
