"""Local folders that represent locations on an object store.

All stages work on folders. A dataset on an object store has a local folder that mirrors it. `files` calls `written` and
`removed` for every durable change. Code calls `present` before it reads a file that may not be local. Without
attachments, as in local builds, these do nothing.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from spectralearth_build.storage.url import Remote


@dataclass(frozen=True)
class Attachment:
    """What a folder stands for. This class does nothing; its subclasses say what is different on an object store.

    It is sent to workers with every task, so it is small and without secrets.
    """

    folder: Path
    """Return the folder, as an absolute path."""
    remote: Remote
    """The place on the object store."""

    def settle(self) -> None:
        """Make the folder usable in this process."""

    def release(self) -> None:
        """Release large files that `present` has fetched."""

    def catch_up(self) -> None:
        """Register changes that others have made, such as workers on other machines."""

    def written(self, path: Path) -> None:
        """Called after a file below the folder was durably replaced."""

    def removed(self, path: Path) -> None:
        """Called after a file below the folder was durably deleted."""

    def present(self, path: Path) -> None:
        """Make a file below the folder available locally, if it exists."""

    @contextmanager
    def product(self, path: str, scratch: Path | None, layers: Collection[str]) -> Iterator[Path]:
        """Yield a folder that has the files of a product where this folder has them.

        Args:
            path: path of the product below the folder, members of archives behind '!'.
            scratch: where files may be put; they are deleted on leaving.
            layers: those that are needed; of the others there may be empty files.
        """
        yield self.folder

    @contextmanager
    def archive(self, path: Path) -> Iterator[Path]:
        """Yield a file that has the table of contents of an archive below the folder."""
        yield path


@dataclass
class _Use:
    attachment: Attachment
    threads: list[int] = field(default_factory=list)
    """Ids of the threads inside `attached`. A worker may run several tasks at a time."""


_attached: dict[Path, _Use] = {}
_guard = threading.Lock()


@contextmanager
def attached(*attachments: Attachment) -> Iterator[None]:
    """Attach folders within this context. Folders that are attached already are left as they are."""
    with ExitStack() as stack:
        for each in attachments:
            _enter(each)
            stack.callback(_leave, each.folder)
        yield


def _enter(attachment: Attachment) -> None:
    with _guard:
        if attachment.folder not in _attached:
            attachment.settle()
            _attached[attachment.folder] = _Use(attachment)
        _attached[attachment.folder].threads.append(threading.get_ident())


def _leave(folder: Path) -> None:
    """Release fetched files, unless another thread may be reading them. The last thread to leave detaches."""
    with _guard:
        use = _attached[folder]
        use.threads.remove(threading.get_ident())
        if set(use.threads) <= {threading.get_ident()}:
            use.attachment.release()
        if not use.threads:
            del _attached[folder]


def current() -> tuple[Attachment, ...]:
    """Return the attachments of this process."""
    return tuple(use.attachment for use in list(_attached.values()))


def at(path: Path) -> Attachment | None:
    """Return the attachment of the folder that contains a path, if any."""
    for folder, use in list(_attached.items()):  # copied, because other threads attach and detach
        if path.is_relative_to(folder):
            return use.attachment
    return None


def shown(path: Path) -> str:
    """Return a path for messages: its URL on the object store if its folder is attached to one."""
    attachment = at(path)
    return (
        str(attachment.remote / path.relative_to(attachment.folder).as_posix()) if attachment else str(path)
    )


def written(path: Path) -> None:
    """Report that a file was replaced."""
    if attachment := at(path):
        attachment.written(path)


def removed(path: Path) -> None:
    """Report that a file was deleted."""
    if attachment := at(path):
        attachment.removed(path)


def present(path: Path) -> None:
    """Make a file available locally before it is read."""
    if attachment := at(path):
        attachment.present(path)
