"""The command `pair`, which labels patches from land-cover rasters."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from spectralearth_build.cli.codes import DONE
from spectralearth_build.cli.options import BegunPlace, Settings
from spectralearth_build.layout import PatchStatus
from spectralearth_build.texts import counted

if TYPE_CHECKING:
    from spectralearth_build.cluster import Executor
    from spectralearth_build.labels.define import Request


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
        help="Resampling: nearest, majority, mean (for quantities), or auto: majority for pixels below 20 "
        "m, else nearest.",
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
        float, typer.Option(min=0, max=1, help="Leave out patches of which less than this share is labelled.")
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
    from spectralearth_build.errors import UsageError
    from spectralearth_build.places import at_work

    if bool(labels) == bool(drop):
        raise UsageError(
            "Give either rasters or a label to drop.", remedy="Use --labels NAME=RASTER or --drop NAME."
        )
    config = settings.load()
    if drop:
        with at_work(dataset, config.run.staging) as folder:
            return _drop(folder, drop)
    from spectralearth_build.cluster import connect

    requests = [
        replace(request, year_rule=year, threshold=threshold, least_labelled=least_labelled)
        for request in _requests(labels or [], classes or [], rule or [])
    ]
    with at_work(dataset, config.run.staging) as folder, connect(config.run) as executor:
        return _pair(folder, requests, executor, anew)


def _requests(labels: list[str], classes: list[str], rules: list[str]) -> list[Request]:
    """Return one request per label."""
    from spectralearth_build.labels.define import AUTO, Request, parse_rasters

    rasters = parse_rasters(labels)
    named = _by_label(classes, rasters, "", "--classes")
    ruled = _by_label(rules, rasters, AUTO, "--rule")
    return [
        Request(name, given, nomenclature=named[name], rule=ruled[name]) for name, given in rasters.items()
    ]


def _by_label(texts: list[str], labels: Iterable[str], default: str, option: str) -> dict[str, str]:
    """Return the value of an option for each label. A value without a name applies to all labels."""
    from spectralearth_build.errors import UsageError

    found = dict.fromkeys(labels, default)
    for text in sorted(texts, key=lambda each: "=" in each):
        name, equals, value = text.partition("=")
        if equals and name not in found:
            raise UsageError(
                f"{option} {text} names a label that no --labels option defines.",
                remedy="Correct the name, or add --labels for it.",
            )
        found |= {name: value} if equals else dict.fromkeys(found, text)
    return found


def _pair(folder: Path, requests: list[Request], executor: Executor, anew: bool) -> int:
    from spectralearth_build.labels.pair import pair as run
    from spectralearth_build.layout import REPORT
    from spectralearth_build.pipeline import report
    from spectralearth_build.progress import say

    done = run(folder, requests, executor, anew)
    if any(done.shards.values()) and (folder / REPORT).is_file():
        report(folder)
    for name, shards in done.shards.items():
        mine = done.table[done.table["label"] == name]
        written = mine[mine["status"] == PatchStatus.WRITTEN]
        years = ", ".join(
            f"{n:,} of {y}" for y, n in written["year"].value_counts().sort_index().items() if y
        )
        say(f"pair: {name}: {counted(shards, 'shard')} made{'' if shards else ', nothing to do'}")
        say(
            f"pair: {name}: {len(written):,} of {counted(len(mine), 'patch', 'patches')} with a map"
            f"{f': {years}' if years else ''}"
        )
        left = mine.loc[mine["status"] == PatchStatus.SKIPPED, "reason"].str.replace(
            r"^[\d.]+%", "too little", regex=True
        )
        for reason, count in left.value_counts().items():
            say(f"pair: {name}: {count:,} left out: {reason}")
    return DONE


def _drop(folder: Path, label: str) -> int:
    from spectralearth_build.labels.pair import drop
    from spectralearth_build.layout import REPORT
    from spectralearth_build.pipeline import report
    from spectralearth_build.progress import say

    drop(folder, label)
    if (folder / REPORT).is_file():
        report(folder)
    say(f"pair: removed {label}")
    return DONE
