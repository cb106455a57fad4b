"""The command `warm-up`."""

from __future__ import annotations


def warm_up() -> None:
    """Compile the code that the first build would compile, for container images and shared installations.

    Builds a dataset of one small product in a temporary folder and deletes it. The compiled code is kept: in
    NUMBA_CACHE_DIR if it is set, else next to the package if its folder is writable, else in the user's cache. It is
    reused on the same type of processor, with the same versions of Python and Numba. Every user reuses what is next to
    the package, even if the folder is read-only by then.

    Example: [bold]spectralearth-build warm-up[/bold]

    Next: [bold]build ARCHIVE DATASET[/bold].
    """
    from pathlib import Path
    from tempfile import TemporaryDirectory

    from spectralearth_build import pipeline
    from spectralearth_build.cluster import connect
    from spectralearth_build.config import load
    from spectralearth_build.errors import UsageError
    from spectralearth_build.faults import fault_of
    from spectralearth_build.kernels import cache_folder, not_kept
    from spectralearth_build.progress import say
    from spectralearth_build.synthetic.archive import ArchiveOptions, synthesize

    kept = cache_folder()
    if not kept:
        raise UsageError(
            "Compiled code cannot be kept in any folder, so there is nothing to prepare.",
            remedy="Type `unset NUMBA_DISABLE_JIT` and `export NUMBA_CACHE_DIR=/path/to/a/writable/folder`.",
        )
    config = load(None, {"run.scheduler": "inline"})
    with TemporaryDirectory(prefix="spectralearth-build-") as folder:
        archive, dataset = Path(folder, "archive"), Path(folder, "dataset")
        with connect(config.run) as executor:
            synthesize(archive, ArchiveOptions("random", 1, size=300, clouds=False), executor)
        pipeline.build(archive, dataset, config)
    _resample_once()
    if error := not_kept():
        raise fault_of(error, Path(kept)) or error
    say(f"warm-up: compiled code is in {kept}")


def _resample_once() -> None:
    """Compile what only tiles at a border of zones need."""
    import numpy as np

    from spectralearth_build.overlap.lattice import Box
    from spectralearth_build.overlap.resample import bilinear_valid, nearest, source_grid, support

    lines, cols = source_grid(Box(-177600, 24000, 4, 4), 32632, 32633)
    box = support(lines, cols)
    bilinear_valid(np.ones((box.height, box.width), np.bool_), box, lines, cols)
    nearest(np.ones((box.height, box.width), np.uint8), box, lines, cols)
