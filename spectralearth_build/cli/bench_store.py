"""The verb that measures codecs: `bench store`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def store(
    image: Annotated[
        list[Path] | None,
        typer.Option(
            help="Also the pixels of this image, such as a product's SPECTRAL_IMAGE.TIF.", exists=True
        ),
    ] = None,
    patches: Annotated[int, typer.Option(min=1, help="Patches of each kind.")] = 4,
    threads: Annotated[int, typer.Option(min=1, help="Threads of the second figure of decoding.")] = 2,
    out: Annotated[
        Path, typer.Option(help="Folder for the table (Parquet) and the picture.", file_okay=False)
    ] = Path("bench-results"),
) -> None:
    """Compare codecs: how small, how fast to write, how fast to read, on the same patches in one process.

    Every preset of store.codec, alone and beside its blosc part; plain blosc, zstd, gzip; pcodec, JPEG XL and JPEG-LS
    where they are installed (in a checkout: pip install '.[bench]'); all proven lossless first. The pixels are
    synthetic land, once with the usual noise and once with half of it, and those of images.

    Example: [bold]spectralearth-build bench store --image tile/...-SPECTRAL_IMAGE.TIF[/bold]

    Next: [bold]export --codec[/bold] writes a dataset anew with another codec.
    """
    from spectralearth_build.bench.show import save
    from spectralearth_build.bench.storing import store as bench
    from spectralearth_build.bench.storing import store_report
    from spectralearth_build.bench.storing.coders import coders
    from spectralearth_build.bench.storing.pixels import image_patches, synthetic_land
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
    say(f"bench: written {', '.join(map(str, written))}")
