"""Reading of datasets on object stores: tables are copied to this machine once, pixels stay on the store."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spectralearth_build.errors import DamagedError, UsageError
from spectralearth_build.layout import MANIFEST, ROOT
from spectralearth_build.storage.staging import staging_folder
from spectralearth_build.storage.url import Remote
from spectralearth_build.store.manifest import Manifest, entry, entry_of_file

if TYPE_CHECKING:
    from zarr.storage import ObjectStore

    from spectralearth_build.storage.client import Client, Meta

TRIES = 3
"""Maximum number of times to fetch tables if a build changes them meanwhile."""
FETCHES = 8


def copied_tables(remote: Remote) -> Path:
    """Copy tables, index and statistics of a finished dataset into the user's cache.

    There is one folder per manifest. So its content never changes, and any number of processes may share it.

    Returns:
        The folder, which has no store.

    Raises:
        UsageError: There is no finished dataset.
        DamagedError: The tables differ from the manifest.
        StorageError: The object store refuses access or does not respond.
    """
    from spectralearth_build.storage.client import Client

    client = Client(remote)
    if client.head(ROOT) is None:
        client.children("")  # raises if the bucket does not exist
        raise UsageError(
            f"There is no finished dataset: {ROOT} is missing.",
            str(remote),
            "Run `build ARCHIVE DATASET` to complete it.",
        )
    wrong: list[str] = []
    for _ in range(TRIES):
        try:
            manifest = client.read(MANIFEST)
        except FileNotFoundError:
            raise UsageError(
                f"{MANIFEST} is missing.", str(remote), "Run `build ARCHIVE DATASET` to complete it."
            ) from None
        folder = staging_folder() / f"{remote.key}-read" / str(entry(manifest)["sha256"])[:24]
        _copy(client, client.children("")[1], folder)
        wrong = _others(folder, manifest)
        if not wrong:
            return folder
    client.require_sense()
    raise DamagedError(f"These files differ from the manifest: {', '.join(wrong)}.", str(remote))


def zarr_store(remote: Remote) -> ObjectStore[Any]:
    """Return a prefix as a store for zarr."""
    from zarr.storage import ObjectStore

    from spectralearth_build.storage.client import store_of

    return ObjectStore(store_of(remote), read_only=True)


def _copy(client: Client, objects: list[Meta], folder: Path) -> None:
    from spectralearth_build.storage.mirror import download, is_version, replaced

    def fetch(meta: Meta) -> None:
        with replaced(folder / meta.name, meta) as temporary:
            download(client, meta, temporary)

    with ThreadPoolExecutor(FETCHES) as pool:
        for _ in pool.map(fetch, [meta for meta in objects if not is_version(folder / meta.name, meta)]):
            pass


def _others(folder: Path, manifest: bytes) -> list[str]:
    """Return files that differ from the manifest."""
    try:
        files = Manifest.decode(manifest).files
    except ValueError:
        return [MANIFEST]
    return [
        name
        for name, expected in files.items()
        if "/" not in name and not ((folder / name).is_file() and entry_of_file(folder / name) == expected)
    ]
