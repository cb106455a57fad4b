"""The command `split`, which assigns patches to train, val and test."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from spectralearth_build.cli.codes import DAMAGED, DONE
from spectralearth_build.cli.options import Settings, existing_place
from spectralearth_build.texts import counted

if TYPE_CHECKING:
    from collections.abc import Mapping

LISTS = "Lists of other datasets"
List = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Text file with one location/tile.tif per line.",
        dir_okay=False,
        rich_help_panel=LISTS,
    ),
]
Optional = Annotated[
    Any,
    typer.Argument(
        metavar="[DATASET]",
        help="Folder of the dataset, or a URL such as s3://bucket/prefix (also gs://, az://).",
        parser=existing_place,
        show_default=False,
    ),
]


Stratify = Annotated[
    str | None,
    typer.Option(
        metavar="BY",
        help="Balance the parts by season, region or NAME=FILE; separate several with commas.",
    ),
]


Fractions = Annotated[str, typer.Option(help="Parts and their shares. Default: train=0.8,val=0.1,test=0.1.")]


BufferKm = Annotated[
    float | None, typer.Option(min=0, help="Minimum distance between two parts in km. Default: 5.")
]


Seed = Annotated[
    int | None, typer.Option(min=0, help="Random seed; another seed gives another split. Default: 0.")
]


Whole = Annotated[bool, typer.Option("--whole", help="Never divide a component; fail if one is too large.")]

Anew = Annotated[bool, typer.Option("--anew", help="Discard earlier assignments and split from scratch.")]


def split(
    settings: Settings,
    dataset: Optional = None,
    fractions: Fractions = "",
    buffer_km: BufferKm = None,
    seed: Seed = None,
    stratify: Stratify = None,
    whole: Whole = False,
    anew: Anew = False,
    check: Annotated[
        bool, typer.Option("--check", help="Only look for leaks. Exits with 1 if there are any.")
    ] = False,
    train: List = None,
    val: List = None,
    test: List = None,
    export: Annotated[
        Path | None, typer.Option(help="Write the split as lists into this folder.", file_okay=False)
    ] = None,
    import_: Annotated[
        Path | None, typer.Option("--import", help="Read the split from this CSV.", dir_okay=False)
    ] = None,
) -> int:
    """Split patches into parts that share no ground, tile, datatake or component, or check an existing split.

    Earlier assignments are kept, so run it again after a dataset has grown. Patches that would connect two parts are
    left out, never moved. A split that leaks is not written.

    Examples: [bold]spectralearth-build split dataset/ --stratify season,region[/bold];
    [bold]split --check dataset/[/bold];
    [bold]split --check --train train.txt --val val.txt --test test.txt[/bold];
    [bold]split dataset/ --export shared/[/bold]

    Next: open_dataset(...).query(split="train"), or the loader's split="train".
    """
    lists = {"train": train, "val": val, "test": test}
    given = {part: file for part, file in lists.items() if file is not None}
    _refuse_mixed(dataset, given, check, export, import_)
    if given:
        return _check_lists(given, buffer_km)
    from spectralearth_build.api import splitting
    from spectralearth_build.split.recipe import parse_fractions

    config = settings.load()
    if check:
        found = splitting.check_split(dataset, buffer_km=buffer_km, whole=whole, config=config)
        return DAMAGED if found else DONE
    if export is not None:
        splitting.export_split(dataset, export, config)
        return DONE
    recipe: dict[str, Any] = {
        "fractions": parse_fractions(fractions) if fractions else None,
        "buffer_km": buffer_km,
        "seed": seed,
        "stratify": None if stratify is None else [by.strip() for by in stratify.split(",") if by.strip()],
        "anew": anew,
    }
    if import_ is not None:
        return DAMAGED if splitting.taken(dataset, import_, config, **recipe).leaks else DONE
    splitting.split_dataset(dataset, whole=whole, config=config, **recipe)
    return DONE


def _refuse_mixed(
    dataset: Any,  # noqa: ANN401
    lists: Mapping[str, Path],
    check: bool,
    export: Path | None,
    import_: Path | None,
) -> None:
    from spectralearth_build.errors import UsageError

    if sum((check, export is not None, import_ is not None)) > 1 or (lists and not check):
        raise UsageError(
            "Give only one of --check, --export and --import. --train, --val and --test need --check."
        )
    if (dataset is None) == (not lists):
        raise UsageError("Give either a dataset or lists.", remedy="See `split --help` for examples.")


def _check_lists(files: Mapping[str, Path], buffer_km: float | None) -> int:
    from spectralearth_build.api.splitting import told
    from spectralearth_build.progress import say
    from spectralearth_build.split.check import leaks
    from spectralearth_build.split.links import BUFFER, COMPONENT, DATATAKE
    from spectralearth_build.split.lists import read_lists
    from spectralearth_build.split.recipe import BUFFER_KM

    asked = BUFFER_KM if buffer_km is None else buffer_km
    named = read_lists(files, asked)
    why = {
        COMPONENT: "file names do not contain footprints",
        DATATAKE: "no file name contains a datatake",
        BUFFER: "only locations named epsg_col_row give their position",
    }
    if named.unread:
        say(
            f"{counted(named.unread, 'file name contains', 'file names contain')} no datatake; each of them counts as "
            "a tile of its own"
        )
    found = told(
        leaks(named.ties, named.part, named.parts),
        {kind: text for kind, text in why.items() if kind not in named.ties},
    )
    return DAMAGED if found else DONE
