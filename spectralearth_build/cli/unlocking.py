"""The verb `unlock`."""

from __future__ import annotations

from spectralearth_build.cli.options import BegunPlace


def unlock(dataset: BegunPlace) -> None:
    """Take away the lock that a dead run on another machine left on a dataset of an object store.

    Locks expire five minutes after the last sign of life, and a run knows its own again, so this is rarely needed. Be
    sure that the run is dead: one that is not will stop at the next shard that it wants to commit.

    Example: [bold]spectralearth-build unlock s3://bucket/dataset[/bold]

    Next: [bold]build[/bold] again.
    """
    from spectralearth_build.errors import UsageError
    from spectralearth_build.progress import say
    from spectralearth_build.storage.client import Client
    from spectralearth_build.storage.lease import break_lock
    from spectralearth_build.storage.url import Remote

    if not isinstance(dataset, Remote):
        raise UsageError("The locks of folders end with their runs.", dataset, "Nothing needs to be done.")
    say(f"{dataset} is unlocked" if break_lock(Client(dataset)) else f"{dataset} was not locked")
