"""Folders of this machine that stand for places on an object store.

All stages work on folders. A dataset on an object store has one here that mirrors it: `files` tells `written` and
`removed` of every change that it makes durable, and whoever is about to read a file that may be elsewhere calls
`present`. Without attachments, which is how local builds run, these do nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Protocol

from spectralearth_build.storage.url import Remote


class Attachment(Protocol):
    """Something that a folder stands for. Sent to workers with every task, so small and without secrets."""

    @property
    def folder(self) -> Path:
        """The folder, absolute."""
        ...

    @property
    def remote(self) -> Remote:
        """What it stands for."""
        ...

    def settle(self) -> None:
        """Make the folder usable in this process."""
        ...

    def release(self) -> None:
        """Give up what `present` has fetched, where it takes much room."""
        ...

    def catch_up(self) -> None:
        """Take note of what others, such as workers on other machines, have done."""
        ...

    def written(self, path: Path) -> None:
        """A file below the folder has been replaced, durably."""
        ...

    def removed(self, path: Path) -> None:
        """A file below the folder has been deleted, durably."""
        ...

    def present(self, path: Path) -> None:
        """Make sure that a file below the folder is here, if it exists at all."""
        ...


_attached: dict[Path, Attachment] = {}


@contextmanager
def attached(*attachments: Attachment) -> Iterator[None]:
    """Inside, folders stand for what is attached to them; those that do already are left as they are."""
    with ExitStack() as stack:
        for each in attachments:
            if each.folder not in _attached:
                each.settle()
                _attached[each.folder] = each
                stack.callback(_attached.pop, each.folder)
            stack.callback(_attached[each.folder].release)
        yield


def current() -> tuple[Attachment, ...]:
    """What is attached in this process."""
    return tuple(_attached.values())


def at(path: Path) -> Attachment | None:
    """What the folder of a path stands for, if anything."""
    for folder, attachment in _attached.items():
        if path.is_relative_to(folder):
            return attachment
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
