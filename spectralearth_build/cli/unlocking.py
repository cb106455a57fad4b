"""The command `unlock`."""

from __future__ import annotations

from spectralearth_build.cli.options import BegunPlace


def unlock(dataset: BegunPlace) -> None:
    """Remove the lock that a dead run left on a dataset on an object store or on a network file system.

    This is rarely needed: a lock expires five minutes after its run last renewed it. On Linux, the next run on the same
    machine takes it over at once. Make sure that the run is dead. A live run that loses its lock stops before it
    commits another shard (in a folder: within half a minute).

    Example: [bold]spectralearth-build unlock s3://bucket/dataset[/bold]

    Next: run [bold]build[/bold] again.
    """
    from spectralearth_build.errors import UsageError
    from spectralearth_build.layout import LOCK
    from spectralearth_build.progress import say
    from spectralearth_build.storage.lease import Lease, break_lock
    from spectralearth_build.storage.url import Remote

    lease: Lease
    if isinstance(dataset, Remote):
        from spectralearth_build.storage.client import Client
        from spectralearth_build.storage.lease_object import ObjectLease

        lease = ObjectLease(Client(dataset))
    elif (dataset / LOCK).is_file():
        from spectralearth_build.storage.lease_file import FileLease

        lease = FileLease(dataset / LOCK, say)
    else:
        raise UsageError(
            "This folder does not need to be unlocked: its lock ends with the run.",
            dataset,
            "You do not need to do anything.",
        )
    say(f"{dataset} is unlocked" if break_lock(lease) else f"{dataset} was not locked")
