"""The command `unlock`."""

from __future__ import annotations

from spectralearth_build.cli.options import BegunPlace


def unlock(dataset: BegunPlace) -> None:
    """Remove the lock that a dead run left on a dataset on an object store.

    This is rarely needed: locks expire five minutes after the last sign of life, and a run recognises its own lock.
    Make sure that the run is dead. A live run would stop at the next shard that it tries to commit.

    Example: [bold]spectralearth-build unlock s3://bucket/dataset[/bold]

    Next: run [bold]build[/bold] again.
    """
    from spectralearth_build.errors import UsageError
    from spectralearth_build.progress import say
    from spectralearth_build.storage.client import Client
    from spectralearth_build.storage.lease import break_lock
    from spectralearth_build.storage.url import Remote

    if not isinstance(dataset, Remote):
        raise UsageError(
            "Local folders need no unlocking: their locks end with the run.",
            dataset,
            "Nothing needs to be done.",
        )
    say(f"{dataset} is unlocked" if break_lock(Client(dataset)) else f"{dataset} was not locked")
