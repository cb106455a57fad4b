"""The command `split`, which assigns patches to train, val and test."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from spectralearth_build.cli.codes import DAMAGED, DONE
from spectralearth_build.cli.options import Settings, existing_place
from spectralearth_build.texts import counted

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from spectralearth_build.split.check import Leaks
    from spectralearth_build.split.recipe import Recipe

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


def split(
    settings: Settings,
    dataset: Optional = None,
    fractions: Fractions = "",
    buffer_km: BufferKm = None,
    seed: Seed = None,
    stratify: Stratify = None,
    whole: Whole = False,
    anew: Annotated[
        bool, typer.Option("--anew", help="Discard earlier assignments and split from scratch.")
    ] = False,
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
    from spectralearth_build.errors import UsageError

    lists = {"train": train, "val": val, "test": test}
    given = {part: file for part, file in lists.items() if file is not None}
    if sum((check, export is not None, import_ is not None)) > 1 or (given and not check):
        raise UsageError(
            "Give only one of --check, --export and --import. --train, --val and --test need --check."
        )
    if (dataset is None) == (not given):
        raise UsageError("Give either a dataset or lists.", remedy="See `split --help` for examples.")
    if given:
        return _check_lists(given, buffer_km)
    from spectralearth_build.places import at_work

    staging = settings.load().run.staging
    with at_work(dataset, staging, write=not (check or export)) as folder:
        if check:
            return _check(folder, buffer_km, whole)
        if export is not None:
            return _export(folder, export)
        recipe = _recipe(folder, fractions, buffer_km=buffer_km, seed=seed, stratify=stratify, anew=anew)
        return _split(folder, recipe, whole, anew) if import_ is None else _import(folder, import_, recipe)


def _recipe(
    folder: Path, fractions: str, buffer_km: float | None, seed: int | None, stratify: str | None, anew: bool
) -> Recipe:
    """Return the recipe for the options. Options that were not given keep their value of the existing split."""
    from spectralearth_build.split.recipe import FRACTIONS, Recipe, parse_fractions, read_recipe

    before = (None if anew else read_recipe(folder)) or Recipe(FRACTIONS)
    by = [item.strip() for item in (stratify or "").split(",") if item.strip()]
    return Recipe(
        parse_fractions(fractions) if fractions else before.fractions,
        before.buffer_km if buffer_km is None else buffer_km,
        before.seed if seed is None else seed,
        before.stratify if stratify is None else tuple(by),
    )


def _split(folder: Path, recipe: Recipe, whole: bool, anew: bool) -> int:
    from spectralearth_build.progress import say
    from spectralearth_build.split import overview as summary
    from spectralearth_build.split.steps import split_dataset

    say(f"split: looking for links between patches, including ground within {recipe.buffer_km:g} km")
    done = split_dataset(folder, recipe, anew, whole)
    _show("Parts", *summary.sizes(done.links, done.part, done.parts))
    if recipe.stratify:
        _show("Strata", *summary.shares(done.strata, done.part, done.parts))
    say(f"split: {done.path}; checked, nothing in common")
    return DONE


def _check(folder: Path, buffer_km: float | None, whole: bool) -> int:
    from spectralearth_build.progress import say
    from spectralearth_build.split.steps import check_dataset

    done = check_dataset(folder, buffer_km, whole)
    if done.unassigned:
        say(
            f"{counted(done.unassigned, 'patch has', 'patches have')} not been assigned yet: run `split` "
            "again"
        )
    return _verdict(done.leaks, {})


def _check_lists(files: Mapping[str, Path], buffer_km: float | None) -> int:
    from spectralearth_build.progress import say
    from spectralearth_build.split.check import leaks
    from spectralearth_build.split.links import BUFFER, COMPONENT, DATATAKE
    from spectralearth_build.split.lists import read_lists
    from spectralearth_build.split.recipe import BUFFER_KM

    asked = BUFFER_KM if buffer_km is None else buffer_km
    named = read_lists(files, asked)
    why = {
        COMPONENT: "names hold no footprints",
        DATATAKE: "no name holds a datatake",
        BUFFER: "only locations named epsg_col_row give their position",
    }
    if named.unread:
        say(
            f"{counted(named.unread, 'name holds', 'names hold')} no datatake; each whole name counts as a "
            "tile"
        )
    return _verdict(
        leaks(named.ties, named.part, named.parts),
        {kind: text for kind, text in why.items() if kind not in named.ties},
    )


def _export(folder: Path, target: Path) -> int:
    from spectralearth_build.progress import say
    from spectralearth_build.split.steps import export_split

    for path in export_split(folder, target):
        say(f"split: {path}")
    return DONE


def _import(folder: Path, file: Path, recipe: Recipe) -> int:
    from spectralearth_build.progress import say
    from spectralearth_build.split import overview as summary
    from spectralearth_build.split.steps import import_split

    done = import_split(folder, file, recipe)
    if done.strange:
        say(f"{counted(done.strange, 'patch', 'patches')} of {file} not in the dataset")
    if done.path is None:
        code = _verdict(done.leaks, {})
        say("split: wrote nothing")
        return code
    _show("Parts", *summary.sizes(done.links, done.part, done.parts))
    say(f"split: {done.path}; checked, nothing in common")
    return DONE


def _verdict(found: Leaks, untold: Mapping[str, str]) -> int:
    """Print the leaks by kind, and return the exit code."""
    from spectralearth_build.progress import say
    from spectralearth_build.split import overview as summary

    _show("Leaking patches, and their share of the part", *summary.leaking(found))
    for kind, why in untold.items():
        say(f"not checked: {kind}, because {why}")
    if found:
        say("split: these parts leak")
        return DAMAGED
    say("split: nothing in common" + (", as far as names show" if untold else ""))
    return DONE


def _show(title: str, head: list[str], rows: Iterable[tuple[object, ...]]) -> None:
    from spectralearth_build.bench.show import table
    from spectralearth_build.progress import say

    say(table(title, head, rows))
