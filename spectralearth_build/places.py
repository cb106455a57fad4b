"""Turn the paths and URLs that users give into the folders that stages work on."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from pathlib import Path

from spectralearth_build.errors import UsageError, require_utf8
from spectralearth_build.lock import alone
from spectralearth_build.progress import say
from spectralearth_build.runlog.writing import recorded
from spectralearth_build.storage.attach import attached
from spectralearth_build.storage.staging import staging_folder
from spectralearth_build.storage.url import Remote

Place = Path | Remote
"""A local path, or a location on an object store."""


@contextmanager
def at_work(dataset: Place, staging: str = "", write: bool = True, verb: str = "") -> Iterator[Path]:
    """Yield the folder of a dataset, locked against other runs.

    Args:
        dataset: where the dataset is.
        staging: folder of the local mirrors of object stores; empty: the user's cache.
        write: whether the run will change anything.
        verb: name of the run in its event log; empty: it has none.

    Raises:
        UsageError: another run is using the dataset, or its path is not valid UTF-8.
        StorageError: the object store refuses a request or does not answer.
    """
    if isinstance(dataset, Path):
        dataset = dataset.resolve()
        require_utf8(dataset)
        with alone(dataset, write), _logged(dataset, verb):
            yield dataset
        return
    from spectralearth_build.publishing.to_object_store import mirrored

    with mirrored(dataset, staging_folder(staging), write) as folder, _logged(folder, verb):
        say(f"{dataset} is mirrored in {folder}")
        yield folder


@contextmanager
def at_hand(archive: Place, dataset: Path, staging: str = "") -> Iterator[Path]:
    """Yield the folder of an archive: its own, or a local stand-in for an archive on an object store.

    Args:
        archive: where the archive is.
        dataset: folder of the dataset; each dataset has its own stand-in.
        staging: see `at_work`.

    Raises:
        StorageError: the object store refuses a request or does not answer.
    """
    if isinstance(archive, Path):
        yield archive.resolve()
        return
    from spectralearth_build.archive.on_object_store import StandIn

    of_dataset = hashlib.sha256(os.fsencode(dataset)).hexdigest()[:12]
    folder = staging_folder(staging) / f"{archive.key}-{of_dataset}" / "archive"
    stand_in = StandIn(folder, archive)
    with attached(stand_in):
        stand_in.refresh()
        yield folder


@contextmanager
def both(
    archive: Place, dataset: Place, staging: str = "", verb: str = "", write: bool = True
) -> Iterator[tuple[Path, Path]]:
    """Yield the folders of an archive and a dataset, as `at_hand` and `at_work` do."""
    check_apart(archive, dataset)
    with ExitStack() as stack:
        folder = stack.enter_context(at_work(dataset, staging, write, verb))
        yield stack.enter_context(at_hand(archive, folder, staging)), folder


def _logged(dataset: Path, verb: str) -> AbstractContextManager[None]:
    return recorded(dataset, verb) if verb else nullcontext()


def check_apart(archive: Place, dataset: Place) -> None:
    """Refuse a dataset inside its archive, or an archive inside the dataset.

    Raises:
        UsageError: they overlap.
    """
    if isinstance(archive, Path) and isinstance(dataset, Path):
        one, two = archive.resolve(), dataset.resolve()
        overlap = one.is_relative_to(two) or two.is_relative_to(one)
    else:
        overlap = isinstance(archive, Remote) and isinstance(dataset, Remote) and archive.overlaps(dataset)
    if overlap:
        raise UsageError(
            "One of archive and dataset is inside the other.", str(dataset), "Choose another folder."
        )
