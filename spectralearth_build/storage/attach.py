"""Folders of this machine that stand for places on an object store.

All stages work on folders. A dataset on an object store has one here that mirrors it: `files` tells `written` and
`removed` of every change that it makes durable, and whoever is about to read a file that may be elsewhere calls
`present`. Without attachments, which is how local builds run, these do nothing.
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
    """The folder, absolute."""
    remote: Remote
    """The place on the object store."""

    def settle(self) -> None:
        """Make the folder usable in this process."""

    def release(self) -> None:
        """Give up what `present` has fetched, where it takes much room."""

    def catch_up(self) -> None:
        """Take note of what others, such as workers on other machines, have done."""

    def written(self, path: Path) -> None:
        """A file below the folder has been replaced, durably."""

    def removed(self, path: Path) -> None:
        """A file below the folder has been deleted, durably."""

    def present(self, path: Path) -> None:
        """Make sure that a file below the folder is here, if it exists at all."""

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
    """Those inside `attached`, by identity: a worker may run several tasks at a time."""


_attached: dict[Path, _Use] = {}
_guard = threading.Lock()


@contextmanager
def attached(*attachments: Attachment) -> Iterator[None]:
    """Inside, folders stand for what is attached to them; those that do already are left as they are."""
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
    """Give up what was fetched, unless another thread may be reading it; the last one to leave detaches."""
    with _guard:
        use = _attached[folder]
        use.threads.remove(threading.get_ident())
        if set(use.threads) <= {threading.get_ident()}:
            use.attachment.release()
        if not use.threads:
            del _attached[folder]


def current() -> tuple[Attachment, ...]:
    """What is attached in this process."""
    return tuple(use.attachment for use in list(_attached.values()))


def at(path: Path) -> Attachment | None:
    """What the folder of a path stands for, if anything."""
    for folder, use in list(_attached.items()):  # other threads attach and detach meanwhile
        if path.is_relative_to(folder):
            return use.attachment
    return None


def shown(path: Path) -> str:
    """A path for users: where it lies on the object store, if that is what its folder stands for."""
    attachment = at(path)
    return (
        str(attachment.remote / path.relative_to(attachment.folder).as_posix()) if attachment else str(path)
    )


def written(path: Path) -> None:
    """Tell that a file has been replaced."""
    if attachment := at(path):
        attachment.written(path)


def removed(path: Path) -> None:
    """Tell that a file has been deleted."""
    if attachment := at(path):
        attachment.removed(path)


def present(path: Path) -> None:
    """Ask for a file before reading it."""
    if attachment := at(path):
        attachment.present(path)
