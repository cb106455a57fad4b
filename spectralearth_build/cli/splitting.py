"""The verb that deals patches out to train, val and test: `split`."""

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
    typer.Option(metavar="FILE", help="One location/tile.tif a line.", dir_okay=False, rich_help_panel=LISTS),
]
Optional = Annotated[
    Any,
    typer.Argument(
        metavar="[DATASET]",
        help="Folder of the dataset, or s3://, gs://, az:// with bucket and prefix.",
        parser=existing_place,
        show_default=False,
    ),
]


def split(
    settings: Settings,
    dataset: Optional = None,
    fractions: Annotated[str, typer.Option(help="Parts and their shares; train=0.8,val=0.1,test=0.1.")] = "",
    buffer_km: Annotated[
        float | None, typer.Option(min=0, help="Least distance between two parts; 5 km.")
    ] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Another seed, another split; 0.")] = None,
    stratify: Annotated[
        str | None, typer.Option(metavar="BY", help="season,region,NAME=FILE: as many of each in all parts.")
    ] = None,
    whole: Annotated[
        bool, typer.Option("--whole", help="Divide no component, whatever its size; refuse instead.")
    ] = False,
    anew: Annotated[bool, typer.Option("--anew", help="Forget earlier assignments.")] = False,
    check: Annotated[bool, typer.Option("--check", help="Look for leaks only; exit code 1 if any.")] = False,
    train: List = None,
    val: List = None,
    test: List = None,
    export: Annotated[
        Path | None, typer.Option(help="Write lists into this folder.", file_okay=False)
    ] = None,
    import_: Annotated[
        Path | None, typer.Option("--import", help="Take parts from this CSV.", dir_okay=False)
    ] = None,
) -> int:
    """Deal patches out to parts that have no ground, tile, datatake or component in common; or check that.

    Earlier assignments are kept: run it again when a dataset has grown. What would tie two parts together is left out,
    never moved. Nothing is written that leaks.

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
        raise UsageError("Give one of --check, --export, --import; lists only with --check.")
    if (dataset is None) == (not given):
        raise UsageError("Either a dataset or lists are needed.", remedy="See --help for examples.")
    if given:
        return _check_lists(given, buffer_km)
    from spectralearth_build.places import at_work

    staging = settings.load().run.staging
    with at_work(dataset, staging, write=not (check or export)) as folder:
        if check:
            return _check(folder, buffer_km, whole)
        if export is not None:
            return _export(folder, export)
        recipe = _recipe(folder, fractions, buffer_km, seed, stratify, anew)
        return _split(folder, recipe, whole, anew) if import_ is None else _import(folder, import_, recipe)


def _recipe(
    folder: Path, fractions: str, buffer_km: float | None, seed: int | None, stratify: str | None, anew: bool
) -> Recipe:
    """What is asked for; where nothing is said, as it was before."""
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

    say(f"split: looking for what ties patches together, ground within {recipe.buffer_km:g} km included")
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
            f"{counted(done.unassigned, 'patch has', 'patches have')} not been assigned yet: run `split` again"
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
        COMPONENT: "names do not tell footprints",
        DATATAKE: "no name tells a datatake",
        BUFFER: "only locations named epsg_col_row tell their ground",
    }
    if named.unread:
        say(
            f"{counted(named.unread, 'name tells', 'names tell')} no datatake; each counts as the name of a tile"
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
        say("split: nothing was written")
        return code
    _show("Parts", *summary.sizes(done.links, done.part, done.parts))
    say(f"split: {done.path}; checked, nothing in common")
    return DONE


def _verdict(found: Leaks, untold: Mapping[str, str]) -> int:
    """Print what leaks, by kind; the exit code."""
    from spectralearth_build.progress import say
    from spectralearth_build.split import overview as summary

    _show("Patches that leak, and their share of the part", *summary.leaking(found))
    for kind, why in untold.items():
        say(f"not looked for: {kind}, because {why}")
    if found:
        say("split: these parts leak")
        return DAMAGED
    say("split: nothing in common" + (", as far as names tell" if untold else ""))
    return DONE


def _show(title: str, head: list[str], rows: Iterable[tuple[object, ...]]) -> None:
    from spectralearth_build.bench.show import table
    from spectralearth_build.progress import say

    say(table(title, head, rows))
