"""The folder of an export: made beside its final place, and moved there as a whole when nothing is missing.

While it grows it is called ``<target>.unfinished`` and holds a record for each part that is durable; so whatever was
stopped goes on, and nobody takes half an export for a whole one. Its manifest names every file with size and hash.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from spectralearth_build.errors import DamagedError, OutOfSpaceError, UsageError
from spectralearth_build.export.format import readable
from spectralearth_build.export.selection import ExportPart
from spectralearth_build.files import delete_partials, move, write_bytes
from spectralearth_build.layout import MANIFEST
from spectralearth_build.store.manifest import entry, entry_of_file
from spectralearth_build.texts import changes, listed

UNFINISHED = ".unfinished"
_IDENTITY = ".export.json"
_RECORDS = ".parts"
_ELSEWHERE = "Choose another folder, or delete this one."

Entries = dict[str, dict[str, Any]]
"""``bytes`` and ``sha256`` by path below the target."""


@dataclass(frozen=True)
class Target:
    """Where an export goes, and what it is to be."""

    path: Path
    """The folder, absolute."""
    identity: Mapping[str, Any]
    """Everything that decides about its bytes."""

    @property
    def building(self) -> Path:
        """Where it grows."""
        return self.path.with_name(self.path.name + UNFINISHED)

    def finished(self) -> bool:
        """Whether this very export is there, all files in their size.

        Raises:
            UsageError: the folder holds something else.
            DamagedError: files are missing or of another size.
        """
        if not self.path.exists() or (self.path.is_dir() and not any(self.path.iterdir())):
            return False
        manifest = _read(self.path / MANIFEST)
        if not isinstance(manifest, dict) or "export" not in manifest or not self.path.is_dir():
            raise UsageError("It is not empty, and holds no export.", self.path, _ELSEWHERE)
        layout = {"layout": self.identity["layout"]}  # what an earlier version finished stays finished
        self._compare(manifest["export"] | layout, self.path)
        _require(self.path, manifest["files"])
        return True

    def begin(self) -> None:
        """Make the growing folder, or go on with the one that is there.

        Raises:
            UsageError: what grows there is another export.
        """
        found = _read(self.building / _IDENTITY)
        if self.complete():
            found = (_read(self.building / MANIFEST) or {}).get("export", {})
        if found is not None:
            self._compare(found, self.building)
        elif any(self.building.iterdir()):
            raise UsageError("It is not empty, and holds no export.", self.building, _ELSEWHERE)
        else:
            write_bytes(self.building / _IDENTITY, readable(self.identity))
        delete_partials(self.building)

    @cached_property
    def done(self) -> dict[str, Entries]:
        """Files of the parts that are durable, by part."""
        found = {}
        for path in (self.building / _RECORDS).glob("*.json"):
            entries = _read(path) or {}
            if entries and not _lacking(self.building, entries):
                found[path.stem] = entries
        return found

    def record(self, part: ExportPart, names: Iterable[str]) -> Entries:
        """Note that the files of a part are durable."""
        entries: Entries = {name: dict(entry_of_file(self.building / name)) for name in dict.fromkeys(names)}
        write_bytes(self.building / _RECORDS / f"{part.name}.json", readable(entries))
        return entries

    def require_space(self, more: int) -> None:
        """Refuse to begin what cannot end.

        Raises:
            OutOfSpaceError: less than ``more`` bytes are free.
        """
        free = shutil.disk_usage(self.building).free
        if free < more:
            raise OutOfSpaceError(
                f"{more / 1e9:,.1f} GB are still to be written, {free / 1e9:,.1f} GB are free.", self.path
            )

    def finish(
        self, entries: Mapping[str, Mapping[str, Any]], small: Mapping[str, bytes], more: Mapping[str, Any]
    ) -> None:
        """Write the small files, then the manifest, and move the folder to its place.

        Args:
            entries: files of all parts.
            small: indices and tables.
            more: what the manifest says beside the identity and the files.
        """
        for name, data in small.items():
            write_bytes(self.building / name, data)
        files = {**entries, **{name: entry(data) for name, data in small.items()}}
        manifest = {"export": self.identity, **more, "files": files}
        write_bytes(self.building / MANIFEST, readable(manifest))
        self.publish()

    def complete(self) -> bool:
        """Whether nothing but the move is missing."""
        return (self.building / MANIFEST).is_file()

    def publish(self) -> None:
        """Move the folder, which has its manifest, to its place.

        Raises:
            DamagedError: files are missing or of another size.
        """
        _require(self.building, (_read(self.building / MANIFEST) or {}).get("files", {}))
        shutil.rmtree(self.building / _RECORDS, ignore_errors=True)
        (self.building / _IDENTITY).unlink(missing_ok=True)
        move(self.building, self.path)

    def _compare(self, found: Mapping[str, Any], where: Path) -> None:
        if wrong := changes(found, self.identity):
            raise UsageError(f"It holds another export:{listed(wrong)}", where, _ELSEWHERE)


def _read(path: Path) -> Any:  # noqa: ANN401
    """A JSON file; None if there is none."""
    try:
        return json.loads(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return None
    except ValueError:
        return {}


def _lacking(folder: Path, entries: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Files that are not there in their size."""
    return [
        name
        for name, known in entries.items()
        if not (folder / name).is_file() or (folder / name).stat().st_size != known["bytes"]
    ]


def _require(folder: Path, entries: Mapping[str, Mapping[str, Any]]) -> None:
    lacking = _lacking(folder, entries)
    if lacking or not entries:
        shown = ", ".join(lacking[:5]) or MANIFEST
        raise DamagedError(
            f"Files are gone or changed: {shown}.", folder, "Delete the folder and export again."
        )
