"""Check that an archive is the one that a dataset was cut from, before patches are compared."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from spectralearth_build.archive.below import below
from spectralearth_build.archive.on_object_store import INSIDE
from spectralearth_build.archive.presence import require_archive
from spectralearth_build.checking.damage import SOURCE_MISSING
from spectralearth_build.errors import MissingFileError, UsageError
from spectralearth_build.layout import TileStatus
from spectralearth_build.tables import TILES
from spectralearth_build.texts import counted

_REMEDY = (
    "Give the archive that the dataset was built from. If its products were moved, run `build ARCHIVE "
    "DATASET` first."
)


def require_sources(dataset: Path, archive: Path) -> None:
    """Refuse an archive that contains none of the products of a dataset.

    Raises:
        ArchiveError: The archive cannot be listed, or is empty.
        UsageError: The archive contains none of the products.
    """
    require_archive(archive)
    tiles = TILES.read(dataset, ["path", "status"])
    paths = tiles.loc[tiles["status"] == TileStatus.USED, "path"].tolist()
    if paths and not any(_held(archive, path) for path in paths):
        what = f"The archive contains none of the {counted(len(paths), 'product')} of the dataset, such as {paths[0]}."
        raise UsageError(what, archive, _REMEDY)


def not_compared(tiles: Collection[str]) -> UsageError:
    """Return the error for a dataset that is intact as far as it could be compared.

    Args:
        tiles: tiles that could not be compared.
    """
    names = sorted(tiles)
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    what = f"Some patches could not be compared, because products are not in the archive: {', '.join(names[:3])}{more}."
    return UsageError(what, remedy=_REMEDY)


def kind_of(error_class: str, otherwise: str) -> str:
    """Return the kind of a finding that is due to an error in reading a product.

    Args:
        error_class: class name of the error.
        otherwise: the kind to return, unless the product is missing.
    """
    return SOURCE_MISSING if error_class == MissingFileError.__name__ else otherwise


def _held(archive: Path, path: str) -> bool:
    return below(archive, path.split(INSIDE)[0]).exists()
