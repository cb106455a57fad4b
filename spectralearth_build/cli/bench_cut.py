"""The command `bench cut`, which measures cutting."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Edge = Annotated[
    int,
    typer.Option(
        min=0,
        help="Edge of the synthetic tile in pixels. Real tiles have about 1240. 0: use only --image.",
    ),
]


def cut(
    edge: Edge = 1240,
    image: Annotated[
        list[Path] | None,
        typer.Option(
            help="Also measure this image, such as the SPECTRAL_IMAGE.TIF of a product. Repeatable.",
            exists=True,
        ),
    ] = None,
    codec: Annotated[
        str, typer.Option(help="Codec of the patches; see the setting store.codec.")
    ] = "spectral",
    threads: Annotated[
        int, typer.Option(min=0, help="Number of threads for every step; 0: one per core.")
    ] = 0,
    rounds: Annotated[int, typer.Option(min=1, help="Number of runs of each step; the fastest counts.")] = 3,
    seed: Annotated[int, typer.Option(min=0, help="Random seed. The same seed gives the same tile.")] = 0,
    out: Annotated[
        Path, typer.Option(help="Folder for the table (Parquet) and the plot.", file_okay=False)
    ] = Path("bench-results"),
) -> None:
    """Cut a full-size tile in several file layouts, and compare with the time of its steps alone.

    The limit is decoding the tile and encoding the patches, with nothing else. The baseline reads window by window with
    rasterio and a cache of 64 MB. Also reports bytes read and decoded, cold files (not in the page cache), memory, and
    the cost of two checks: checksums of patches, and the hash by which cut recognises the scanned image.

    Example: [bold]spectralearth-build bench cut --image tile/...-SPECTRAL_IMAGE.TIF[/bold]

    Next: [bold]bench store[/bold] and [bold]bench load[/bold]; docs/benchmarks.md shows typical results.
    """
    from spectralearth_build.bench.cutting import cut as bench
    from spectralearth_build.bench.cutting import cut_report
    from spectralearth_build.bench.cutting.cut_cases import synthetic_tile
    from spectralearth_build.bench.show import save
    from spectralearth_build.errors import UsageError
    from spectralearth_build.files import require_writable
    from spectralearth_build.progress import say
    from spectralearth_build.store.codec import PRESETS
    from spectralearth_build.threads import cores

    if codec not in PRESETS:
        raise UsageError(f"--codec must be one of {', '.join(PRESETS)}, got '{codec}'.")
    if not edge and not image:
        raise UsageError("There is nothing to cut.", None, "Give --edge or --image.")
    require_writable(out)
    tile = synthetic_tile(edge, seed) if edge else None
    measured = bench.measure(tile, image or [], codec, threads or cores(), rounds)
    machine: dict[str, object] = {"cores": cores(), "seed": seed, "rounds": rounds, "codec": codec}
    for line in cut_report.lines(measured, machine):
        say(line)
    written = [
        save(cut_report.rates(measured).assign(**machine), out / "bench-cut.parquet"),
        cut_report.draw(measured, out / "bench-cut.png", machine),
    ]
    say(f"bench: wrote {', '.join(map(str, written))}")
