"""The folder of an export, which is built beside its final path and moved there once it is complete.

Until then it is called ``<target>.unfinished`` and contains a record of each durable part. So a stopped export can
continue, and nobody mistakes half an export for a complete one. Its manifest lists every file with size and hash.
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
_ELSEWHERE = "Give another folder, or delete this one."

Entries = dict[str, dict[str, Any]]
"""``bytes`` and ``sha256`` by path below the target."""


@dataclass(frozen=True)
class Target:
    """The target folder of an export, and the identity of the export."""

    path: Path
    """The folder, absolute."""
    identity: Mapping[str, Any]
    """Everything that determines its bytes."""

    @property
    def building(self) -> Path:
        """The folder in which it is built."""
        return self.path.with_name(self.path.name + UNFINISHED)

    def finished(self) -> bool:
        """Return whether this export is complete, with all files in their recorded size.

        Raises:
            UsageError: The folder contains something else.
            DamagedError: Files are missing or have another size.
        """
        if not self.path.exists() or (self.path.is_dir() and not any(self.path.iterdir())):
            return False
        manifest = _read(self.path / MANIFEST)
        if not isinstance(manifest, dict) or "export" not in manifest or not self.path.is_dir():
            raise UsageError("The folder is not empty and contains no export.", self.path, _ELSEWHERE)
        # an export that an earlier version finished stays finished
        layout = {"layout": self.identity["layout"]}
        self._compare(manifest["export"] | layout, self.path)
        _require(self.path, manifest["files"])
        return True

    def begin(self) -> None:
        """Create the unfinished folder, or continue with the existing one.

        Raises:
            UsageError: The unfinished folder belongs to another export.
        """
        found = _read(self.building / _IDENTITY)
        if self.complete():
            found = (_read(self.building / MANIFEST) or {}).get("export", {})
        if found is not None:
            self._compare(found, self.building)
        elif any(self.building.iterdir()):
            raise UsageError("The folder is not empty and contains no export.", self.building, _ELSEWHERE)
        else:
            write_bytes(self.building / _IDENTITY, readable(self.identity))
        delete_partials(self.building)

    @cached_property
    def done(self) -> dict[str, Entries]:
        """Return the files of durable parts, by part."""
        found = {}
        for path in (self.building / _RECORDS).glob("*.json"):
            entries = _read(path) or {}
            if entries and not _lacking(self.building, entries):
                found[path.stem] = entries
        return found

    def record(self, part: ExportPart, names: Iterable[str]) -> Entries:
        """Record that the files of a part are durable."""
        entries: Entries = {name: dict(entry_of_file(self.building / name)) for name in dict.fromkeys(names)}
        write_bytes(self.building / _RECORDS / f"{part.name}.json", readable(entries))
        return entries

    def require_space(self, more: int) -> None:
        """Check that there is enough free space.

        Raises:
            OutOfSpaceError: Fewer than ``more`` bytes are free.
        """
        free = shutil.disk_usage(self.building).free
        if free < more:
            raise OutOfSpaceError(
                f"{more / 1e9:,.1f} GB must still be written, but only {free / 1e9:,.1f} GB are free.",
                self.path,
            )

    def finish(
        self, entries: Mapping[str, Mapping[str, Any]], small: Mapping[str, bytes], more: Mapping[str, Any]
    ) -> None:
        """Write the small files, then the manifest, and move the folder to its final path.

        Args:
            entries: files of all parts.
            small: indices and tables.
            more: further entries of the manifest, besides the identity and the files.
        """
        for name, data in small.items():
            write_bytes(self.building / name, data)
        files = {**entries, **{name: entry(data) for name, data in small.items()}}
        manifest = {"export": self.identity, **more, "files": files}
        write_bytes(self.building / MANIFEST, readable(manifest))
        self.publish()

    def complete(self) -> bool:
        """Return whether only the move is missing."""
        return (self.building / MANIFEST).is_file()

    def publish(self) -> None:
        """Move the folder, which has its manifest, to its final path.

        Raises:
            DamagedError: Files are missing or have another size.
        """
        _require(self.building, (_read(self.building / MANIFEST) or {}).get("files", {}))
        shutil.rmtree(self.building / _RECORDS, ignore_errors=True)
        (self.building / _IDENTITY).unlink(missing_ok=True)
        move(self.building, self.path)

    def _compare(self, found: Mapping[str, Any], where: Path) -> None:
        if wrong := changes(found, self.identity):
            raise UsageError(f"The folder contains another export:{listed(wrong)}", where, _ELSEWHERE)


def _read(path: Path) -> Any:  # noqa: ANN401
    """Read a JSON file; None if it does not exist."""
    try:
        return json.loads(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return None
    except ValueError:
        return {}


def _lacking(folder: Path, entries: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return files that are missing or have another size."""
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
            f"Files are missing or changed: {shown}.", folder, "Delete the folder and export again."
        )
