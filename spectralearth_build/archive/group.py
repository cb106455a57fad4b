"""Which files belong to one product, in a folder or inside an archive."""

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
    """From the files' names or, where they bear none, from the folder's; None if neither says it."""
    files: dict[str, str] = field(default_factory=dict)
    """Path of each layer (names.layer_of) that is read here."""
    foreign: dict[str, str] = field(default_factory=dict)
    """Path of each layer in a format that is not read here, such as BSQ."""
    pending: dict[str, str] = field(default_factory=dict)
    """Path of each layer that is only there as a download that is not complete."""

    @property
    def first(self) -> str:
        """The file that stands for the group: its metadata, or the first in order."""
        return self.files.get(METADATA) or min([*self.files.values(), *self.foreign.values()])


def group_files(paths: Iterable[str], context: str = "") -> list[Group]:
    """Put files together that belong to one product: same folder, same product name.

    Args:
        paths: paths with '/'; what is no product file, or hidden or foreign (`foreign.foreign`), is passed over.
        context: path or name of what they lie in, which may say the product's name.

    Returns:
        Groups in order of their first files. If a layer is there twice, a name that begins with the product's counts
        more than others ("Copy of ..."), and then the first path.
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
    """Whether a file's name has something before the product's, as 'Copy of ...' has."""
    file = PurePosixPath(path).name
    name = parse_name(file)
    return name is not None and not file.upper().startswith(name.product_id)
