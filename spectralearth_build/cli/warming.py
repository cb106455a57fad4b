"""The command `warm-up`."""

from __future__ import annotations


def warm_up() -> None:
    """Compile everything now that the first build would compile, for container images and shared installations.

    Builds a dataset of a small product in a temporary folder, in this process, and deletes it. Compiled code stays:
    next to the package if its folder is writable, else in the user's cache, or in NUMBA_CACHE_DIR if it is set. It
    serves the same user, the same kind of processor and the same versions of Python and Numba.

    Example: [bold]spectralearth-build warm-up[/bold]

    Next: [bold]build ARCHIVE DATASET[/bold].
    """
    from pathlib import Path
    from tempfile import TemporaryDirectory

    from spectralearth_build import pipeline
    from spectralearth_build.cluster import connect
    from spectralearth_build.config import load
    from spectralearth_build.kernels import cache_folder
    from spectralearth_build.progress import say
    from spectralearth_build.synthetic.archive import ArchiveOptions, synthesize

    config = load(None, {"run.scheduler": "inline"})
    with TemporaryDirectory(prefix="spectralearth-build-") as folder:
        archive, dataset = Path(folder, "archive"), Path(folder, "dataset")
        with connect(config.run) as executor:
            synthesize(archive, ArchiveOptions("random", 1, size=300, clouds=False), executor)
        pipeline.build(archive, dataset, config)
    say(f"warm-up: compiled code is in {cache_folder()}")
