"""Split a dataset into parts without leaks; check, export and import splits."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from spectralearth_build.api.entry import config_of, new, place, public
from spectralearth_build.texts import counted

if TYPE_CHECKING:
    from spectralearth_build.api.entry import Settings
    from spectralearth_build.config import Config
    from spectralearth_build.split.check import Leaks
    from spectralearth_build.split.recipe import Recipe
    from spectralearth_build.split.steps import Outcome


@public
def split_dataset(
    dataset: str | Path,
    *,
    fractions: Mapping[str, float] | None = None,
    buffer_km: float | None = None,
    seed: int | None = None,
    stratify: Sequence[str] | None = None,
    whole: bool = False,
    anew: bool = False,
    config: Config | Settings | str | Path | None = None,
) -> Outcome:
    """Split patches into parts that share no ground, tile, datatake or component.

    The same as ``spectralearth-build split``. Writes ``splits.parquet``. Earlier assignments are kept, so call the
    function again after a dataset has grown. Arguments that you leave out keep the values of the existing split.

    Args:
        dataset: folder or URL of the dataset.
        fractions: parts and their shares, which add up to 1. Default: train 0.8, val 0.1, test 0.1.
        buffer_km: minimum distance between two parts in km. Default: 5.
        seed: seed of the random choices. Default: 0.
        stratify: criteria whose shares should be equal in all parts: ``season``, ``region``, ``NAME=FILE``.
        whole: whether to raise an error instead of dividing a component.
        anew: whether to discard earlier assignments and split from scratch.
        config: settings, as for `build_dataset`; only ``run.staging`` is used.

    Returns:
        The parts, as written.

    Raises:
        BuildError: The dataset cannot be split. The message says what to do.

    Examples:
        ```python
        split_dataset("dataset", fractions={"train": 0.7, "val": 0.15, "test": 0.15}, stratify=["season"])
        train = open_dataset("dataset").query(split="train")
        ```
    """
    from spectralearth_build.places import at_work
    from spectralearth_build.progress import say
    from spectralearth_build.split import overview
    from spectralearth_build.split.steps import split_dataset as split

    with at_work(place(dataset), config_of(config).run.staging) as folder:
        recipe = _recipe(folder, fractions, buffer_km, seed, stratify, anew)
        say(f"split: looking for links between patches, including ground within {recipe.buffer_km:g} km")
        done = split(folder, recipe, anew, whole)
    _show("Parts", *overview.sizes(done.links, done.part, done.parts))
    if recipe.stratify:
        _show("Strata", *overview.shares(done.strata, done.part, done.parts))
    say(f"split: {done.path}; checked, nothing in common")
    return done


@public
def check_split(
    dataset: str | Path,
    *,
    buffer_km: float | None = None,
    whole: bool = False,
    config: Config | Settings | str | Path | None = None,
) -> Leaks:
    """Look for leaks between the parts of a dataset. The same as ``spectralearth-build split --check``.

    Args:
        dataset: folder or URL of the dataset.
        buffer_km: minimum distance between two parts in km; None: that of the split.
        whole: whether a component of the tables that is divided between parts counts as a leak.
        config: settings, as for `build_dataset`; only ``run.staging`` is used.

    Returns:
        The leaks; false if there are none.

    Raises:
        BuildError: The dataset has no split.

    Examples:
        ```python
        leaks = check_split("dataset", buffer_km=10)
        if leaks:
            print(leaks.share("train"))
        ```
    """
    from spectralearth_build.places import at_work
    from spectralearth_build.progress import say
    from spectralearth_build.split.steps import check_dataset

    with at_work(place(dataset), config_of(config).run.staging, write=False) as folder:
        done = check_dataset(folder, buffer_km, whole)
    if done.unassigned:
        say(
            f"{counted(done.unassigned, 'patch has', 'patches have')} not been assigned yet: run `split` again"
        )
    return told(done.leaks, {})


@public
def export_split(
    dataset: str | Path, target: str | Path, config: Config | Settings | str | Path | None = None
) -> list[Path]:
    """Write the split of a dataset as lists to share. The same as ``spectralearth-build split --export``.

    Args:
        dataset: folder or URL of the dataset.
        target: folder for the lists, created if missing.
        config: settings, as for `build_dataset`; only ``run.staging`` is used.

    Returns:
        The files that were written.

    Raises:
        BuildError: The dataset has no split.

    Examples:
        ```python
        export_split("dataset", "shared")
        ```
    """
    from spectralearth_build.places import at_work
    from spectralearth_build.progress import say
    from spectralearth_build.split.steps import export_split as export

    with at_work(place(dataset), config_of(config).run.staging, write=False) as folder:
        files = export(folder, new(target))
    for path in files:
        say(f"split: {path}")
    return files


@public
def import_split(
    dataset: str | Path,
    file: str | Path,
    *,
    buffer_km: float | None = None,
    config: Config | Settings | str | Path | None = None,
) -> Outcome:
    """Read the split of a dataset from a CSV file, unless it leaks. The same as ``spectralearth-build split --import``.

    Args:
        dataset: folder or URL of the dataset.
        file: CSV file with the columns patch_id and split.
        buffer_km: minimum distance between two parts in km; None: that of the existing split, or 5.
        config: settings, as for `build_dataset`; only ``run.staging`` is used.

    Returns:
        The parts. If they leak, ``leaks`` lists the leaks, ``path`` is None, and nothing was written.

    Raises:
        BuildError: The file cannot be read or does not match the dataset. The message says what to do.

    Examples:
        ```python
        outcome = import_split("dataset", "shared/splits.csv")
        assert not outcome.leaks
        ```
    """
    return taken(dataset, file, config, buffer_km=buffer_km)


def taken(
    dataset: str | Path,
    file: str | Path,
    config: Config | Settings | str | Path | None = None,
    fractions: Mapping[str, float] | None = None,
    buffer_km: float | None = None,
    seed: int | None = None,
    stratify: Sequence[str] | None = None,
    anew: bool = False,
) -> Outcome:
    """Import a split, and record the other arguments with it; see `import_split` and `split_dataset`."""
    from spectralearth_build.places import at_work
    from spectralearth_build.progress import say
    from spectralearth_build.split import overview
    from spectralearth_build.split.steps import import_split as take

    with at_work(place(dataset), config_of(config).run.staging) as folder:
        done = take(folder, Path(file), _recipe(folder, fractions, buffer_km, seed, stratify, anew))
    if done.strange:
        say(f"{counted(done.strange, 'patch', 'patches')} of {file} not in the dataset")
    if done.path is None:
        told(done.leaks, {})
        say("split: wrote nothing")
        return done
    _show("Parts", *overview.sizes(done.links, done.part, done.parts))
    say(f"split: {done.path}; checked, nothing in common")
    return done


def told(found: Leaks, untold: Mapping[str, str]) -> Leaks:
    """Print the leaks by kind, and what was not checked, with the reason."""
    from spectralearth_build.progress import say
    from spectralearth_build.split import overview

    _show("Leaking patches, and their share of the part", *overview.leaking(found))
    for kind, why in untold.items():
        say(f"not checked: {kind}, because {why}")
    if found:
        say("split: these parts leak")
    else:
        say("split: nothing in common" + (", as far as names show" if untold else ""))
    return found


def _recipe(
    folder: Path,
    fractions: Mapping[str, float] | None,
    buffer_km: float | None,
    seed: int | None,
    stratify: Sequence[str] | None,
    anew: bool,
) -> Recipe:
    """Return the recipe for the arguments. Those that are None keep the values of the existing split."""
    from spectralearth_build.split.recipe import FRACTIONS, Recipe, read_recipe

    before = (None if anew else read_recipe(folder)) or Recipe(FRACTIONS)
    return Recipe(
        before.fractions if fractions is None else fractions,
        before.buffer_km if buffer_km is None else buffer_km,
        before.seed if seed is None else seed,
        before.stratify if stratify is None else tuple(stratify),
    )


def _show(title: str, head: list[str], rows: Iterable[tuple[object, ...]]) -> None:
    from spectralearth_build.bench.show import table
    from spectralearth_build.progress import say

    say(table(title, head, rows))
