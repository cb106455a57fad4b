"""Foreign files that other programs leave in an archive: hidden files, partial downloads, sidecars, trash, snapshots.

None of them is a product or part of one, whether in a folder, a zip, a tar or an object store. Only names below the
archive count, since the archive itself may be in a hidden folder.
"""

from __future__ import annotations

import re
from collections import Counter
from pathlib import PurePosixPath

from spectralearth_build.archive.names import layer_of
from spectralearth_build.texts import counted

UNFINISHED = (
    ".part", ".partial", ".filepart", ".crdownload", ".opdownload", ".download", ".aria2", ".icloud", ".tmp", ".temp",
)  # fmt: skip
"""Suffixes that browsers, download managers, SFTP and sync clients give to incomplete files."""
_SIDECARS = (".aux.xml", ".ovr", ".msk", "~")
"""Suffixes of files that GDAL, QGIS and editors write next to a file."""
_NAMES = {
    "thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r", "__macosx", "lost+found", "@eadir", "@recycle",
    "@recently-snapshot", "#recycle", "#snapshot", "~snapshot", "$recycle.bin", "recycler", "system volume information",
    "network trash folder", "temporary items",
}  # fmt: skip
"""Names of files and folders of Windows, macOS, file systems and network storage, in lower case."""
_BUNDLE = ".download"
"""Suffix of the folder in which Safari keeps an incomplete download."""
_RSYNC = re.compile(r"\.(?P<stem>.+)\.[A-Za-z0-9]{6}", re.ASCII)
"""Name that rsync gives a file while copying it."""


def foreign(path: str, folder: bool = False) -> str:
    """Why a path below an archive is foreign.

    Args:
        path: the path, with '/'; a hidden or foreign folder anywhere in it counts.
        folder: whether it is the path of a folder.

    Returns:
        The kind, for counting, such as '._' or '.part'; '' if the path is not foreign. A path that is absolute or
        leads upwards is never foreign: it is hostile and must be reported.
    """
    parts = PurePosixPath(path.replace("\\", "/")).parts
    if ".." in parts or path.startswith(("/", "\\")):
        return ""
    kinds = [_kind_of_folder(part) for part in (parts if folder else parts[:-1])]
    if parts and not folder:
        kinds.append(_kind_of_file(parts[-1]))
    return next(filter(None, kinds), "")


def unfinished(file: str) -> tuple[str, bool] | None:
    """What `names.layer_of` returns for a file once its download is complete; None if it is not a partial download."""
    rsync = _RSYNC.fullmatch(file)
    if rsync is not None and (layer := layer_of(rsync["stem"])):
        return layer
    return layer_of(file.rpartition(".")[0].removeprefix(".")) if file.lower().endswith(UNFINISHED) else None


def told(skipped: Counter[str]) -> str:
    """The skipped files and their kinds, in one line."""
    kinds = ", ".join(
        f"{kind} {count}" for kind, count in sorted(skipped.items(), key=lambda i: (-i[1], i[0]))
    )
    return f"{counted(skipped.total(), 'hidden or foreign file')} skipped ({kinds})"


def _kind_of_folder(name: str) -> str:
    if name.lower().endswith(_BUNDLE) and re.search(r"\.(zip|tgz|gz|tar|tiff?|xml)\.", name, re.IGNORECASE):
        return _BUNDLE
    return _kind(name)


def _kind_of_file(name: str) -> str:
    lower = name.lower()
    suffix = next((suffix for suffix in (*UNFINISHED, *_SIDECARS) if lower.endswith(suffix)), "")
    return _kind(name) or suffix


def _kind(name: str) -> str:
    if name.startswith("."):
        return "._" if name.startswith("._") else "hidden"
    return name.strip() if name.lower() in _NAMES else ""
