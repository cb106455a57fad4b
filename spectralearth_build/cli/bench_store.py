"""The command `bench store`, which compares codecs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def store(
    image: Annotated[
        list[Path] | None,
        typer.Option(
            help="Also measure the pixels of this image, such as the SPECTRAL_IMAGE.TIF of a product. "
            "Repeatable.",
            exists=True,
        ),
    ] = None,
    patches: Annotated[int, typer.Option(min=1, help="Number of patches of each kind.")] = 4,
    threads: Annotated[
        int, typer.Option(min=1, help="Number of threads for the multi-threaded decoding speed.")
    ] = 2,
    out: Annotated[
        Path, typer.Option(help="Folder for the table (Parquet) and the plot.", file_okay=False)
    ] = Path("bench-results"),
) -> None:
    """Compare the compression, encoding speed and decoding speed of codecs, on the same patches, in one process.

    Measures every preset of store.codec, and its blosc part alone; plain blosc, zstd and gzip; and pcodec, JPEG XL and
    JPEG-LS if installed (in a checkout: pip install '.[bench]'). Each codec is first checked to be lossless. The pixels
    are synthetic land, with the default noise and with half of it, and the images given with --image.

    Example: [bold]spectralearth-build bench store --image tile/...-SPECTRAL_IMAGE.TIF[/bold]

    Next: [bold]export --codec[/bold] rewrites a dataset with another codec.
    """
    from spectralearth_build.bench.show import save
    from spectralearth_build.bench.storing import store as bench
    from spectralearth_build.bench.storing import store_report
    from spectralearth_build.bench.storing.coders import coders
    from spectralearth_build.bench.storing.sample_patches import image_patches, synthetic_land
    from spectralearth_build.files import require_writable
    from spectralearth_build.progress import say
    from spectralearth_build.threads import cores

    require_writable(out)
    sets = {
        "synthetic land": synthetic_land(patches),
        "synthetic land, half the noise": synthetic_land(patches, 0.5),
    }
    real = [patch for path in image or [] for patch in image_patches(path, patches)]
    if real:
        sets["images"] = real
    rows = bench.measure(sets, list(coders()), threads)
    references = {name: bench.reference(found) for name, found in sets.items()}
    machine = {"cores": cores(), "threads": threads, "memory": bench.memory_speed()}
    for line in store_report.lines(rows, references, machine):
        say(line)
    rows = rows.assign(reference=rows["pixels"].map(references), **machine)
    written = [
        save(rows, out / "bench-store.parquet"),
        store_report.draw(rows, out / "bench-store.png"),
    ]
    say(f"bench: wrote {', '.join(map(str, written))}")
