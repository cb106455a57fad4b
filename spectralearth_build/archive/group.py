"""Which files belong to one product, in a folder or inside an archive."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import PurePosixPath

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

    @property
    def first(self) -> str:
        """The file that stands for the group: its metadata, or the first in order."""
        return self.files.get(METADATA) or min([*self.files.values(), *self.foreign.values()])


def group_files(paths: Iterable[str], context: str = "") -> list[Group]:
    """Put files together that belong to one product: same folder, same product name.

    Args:
        paths: paths with '/'; what is no product file is passed over.
        context: path or name of what they lie in, which may say the product's name.

    Returns:
        Groups in order of their first files. If a layer is there twice, the first path counts.
    """
    groups: dict[tuple[str, str], Group] = {}
    for path in sorted(paths):
        folder, file = str(PurePosixPath(path).parent), PurePosixPath(path).name
        layer = layer_of(file)
        if layer is None:
            continue
        name = parse_name(file) or parse_name(f"{context}/{folder}")
        group = groups.setdefault((folder, name.product_id if name else ""), Group(name))
        (group.files if layer[1] else group.foreign).setdefault(layer[0], path)
    return sorted(groups.values(), key=lambda group: group.first)
