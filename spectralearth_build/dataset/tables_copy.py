"""Reading a dataset on an object store: its tables are copied here once, its pixels stay where they are."""

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
"""How often tables are fetched anew when a build changes them meanwhile."""
FETCHES = 8


def copied_tables(remote: Remote) -> Path:
    """Copy tables, index and statistics of a finished dataset into the user's cache.

    There is a folder for each manifest, so what is there never changes, and any number of processes may share it.

    Returns:
        The folder. It has no store.

    Raises:
        UsageError: there is no finished dataset.
        DamagedError: the tables are not those of the manifest.
        StorageError: the store refuses or does not answer.
    """
    from spectralearth_build.storage.client import Client

    client = Client(remote)
    if client.head(ROOT) is None:
        client.children("")  # says so if there is no such bucket
        raise UsageError(
            f"There is no finished dataset: {ROOT} is missing.", str(remote), "Run `build` (again)."
        )
    wrong: list[str] = []
    for _ in range(TRIES):
        try:
            manifest = client.read(MANIFEST)
        except FileNotFoundError:
            raise UsageError(f"{MANIFEST} is missing.", str(remote), "Run `build` (again).") from None
        folder = staging_folder() / f"{remote.key}-read" / str(entry(manifest)["sha256"])[:24]
        _copy(client, client.children("")[1], folder)
        wrong = _others(folder, manifest)
        if not wrong:
            return folder
    client.require_sense()
    raise DamagedError(f"{', '.join(wrong)} are not those of the manifest.", str(remote))


def zarr_store(remote: Remote) -> ObjectStore[Any]:
    """A prefix as zarr reads it."""
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
    """Files that are not as the manifest says."""
    try:
        files = Manifest.decode(manifest).files
    except ValueError:
        return [MANIFEST]
    return [
        name
        for name, expected in files.items()
        if "/" not in name and not ((folder / name).is_file() and entry_of_file(folder / name) == expected)
    ]
