"""The command `pair`, which labels patches from land-cover rasters."""

from __future__ import annotations

from typing import Annotated

import typer

from spectralearth_build.cli.codes import DONE
from spectralearth_build.cli.options import BegunPlace, Settings

Rasters = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME=RASTER[:YEAR]",
        help="A label and a raster to make it from. Repeat with the same NAME for more years or tiles. The "
        "raster may contain * as a wildcard.",
    ),
]
Classes = Annotated[
    list[str] | None,
    typer.Option(
        metavar="[NAME=]CLASSES",
        help="Class table of the codes: corine44, corine19, cdl, cdl14, nlcd, or a CSV with columns "
        "codes,name,colour.",
    ),
]
Rules = Annotated[
    list[str] | None,
    typer.Option(
        metavar="[NAME=]RULE",
        help="Resampling: nearest, majority, mean (for quantities), or auto. auto is mean for floating-point "
        "rasters; for codes, it is majority if pixels are below 20 m, else nearest.",
    ),
]


def pair(
    dataset: BegunPlace,
    settings: Settings,
    labels: Rasters = None,
    classes: Classes = None,
    rule: Rules = None,
    year: Annotated[
        str,
        typer.Option(
            metavar="RULE",
            help="Which year a patch gets: nearest (nearest year), before (latest year up to its own), or "
            "same.",
        ),
    ] = "nearest",
    threshold: Annotated[
        float,
        typer.Option(
            min=0,
            max=1,
            help="A class belongs to a patch if it covers at least this share of its labelled area.",
        ),
    ] = 0.02,
    least_labelled: Annotated[
        float,
        typer.Option(min=0, max=1, help="Leave out patches if a smaller share of their pixels is labelled."),
    ] = 0.5,
    anew: Annotated[bool, typer.Option("--anew", help="Make these labels again from scratch.")] = False,
    drop: Annotated[str, typer.Option(metavar="NAME", help="Remove this label, and do nothing else.")] = "",
) -> int:
    """Label each patch with a map of classes or quantities on its own pixel grid, from rasters in any projection.

    Maps go into store.zarr as label_NAME, and a summary of each into labels.parquet. The codes of the raster are stored
    unchanged, so you can choose another class table when reading. The same command continues after a stop, labels the
    new patches of a grown dataset, and replaces damaged labels. If there is nothing to do, it changes nothing.

    Examples: [bold]spectralearth-build pair dataset/ --labels corine=U2018_CLC2018.tif:2018 --classes corine19[/bold];
    [bold]pair dataset/ --labels cdl=cdl_2022.tif:2022 --labels cdl=cdl_2023.tif:2023 --classes cdl14[/bold];
    [bold]pair dataset/ --labels trees=tree_cover.tif --rule mean[/bold]

    Next: spectralearth_build.open_labels("dataset", "corine") in Python, or [bold]evaluate[/bold].
    """
    from spectralearth_build.api.labelling import drop_labels, paired, requests
    from spectralearth_build.errors import UsageError

    if bool(labels) == bool(drop):
        raise UsageError(
            "Give either rasters or a label to drop.", remedy="Use --labels NAME=RASTER or --drop NAME."
        )
    config = settings.load()
    if drop:
        drop_labels(dataset, drop, config)
    else:
        asked = requests(labels or [], classes or [], rule or [], year, threshold, least_labelled)
        paired(dataset, asked, anew, config)
    return DONE
