"""Label the patches of a dataset, and remove labels."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from spectralearth_build.api.entry import config_of, place, public
from spectralearth_build.errors import UsageError
from spectralearth_build.layout import PatchStatus
from spectralearth_build.texts import counted

if TYPE_CHECKING:
    from pathlib import Path

    from spectralearth_build.api.entry import Settings
    from spectralearth_build.cluster import Executor
    from spectralearth_build.config import Config
    from spectralearth_build.labels.define import Request
    from spectralearth_build.labels.pair import Paired


@public
def pair_labels(
    dataset: str | Path,
    labels: Mapping[str, str | Path | Sequence[str | Path]],
    *,
    classes: str | Mapping[str, str] = "",
    rule: str | Mapping[str, str] = "auto",
    year: str = "nearest",
    threshold: float = 0.02,
    least_labelled: float = 0.5,
    anew: bool = False,
    config: Config | Settings | str | Path | None = None,
) -> Paired:
    """Label each patch with a map of classes or quantities on its own pixel grid.

    The same as ``spectralearth-build pair``. The function makes only what is missing. Call it again after a stop, or
    when the dataset has grown.

    Args:
        dataset: folder or URL of the dataset.
        labels: raster of each label, or several rasters: the tiles of a mosaic, or one per year, such as
            ``"cdl_2022.tif:2022"``. A name may contain ``*`` as a wildcard.
        classes: class table of the codes, for all labels or by label: corine44, corine19, cdl, cdl14, nlcd, or a CSV
            file with the columns codes, name and colour.
        rule: resampling, for all labels or by label: nearest, majority, mean (for quantities), or auto: mean for
            floating-point rasters; for codes, majority if pixels are below 20 m, else nearest.
        year: the year that a patch gets: nearest (nearest year), before (latest year up to its own), or same.
        threshold: a class belongs to a patch if it covers at least this share of its labelled area, 0 to 1.
        least_labelled: patches of which less than this share is labelled are left out, 0 to 1.
        anew: whether to replace existing labels of these names.
        config: settings, as for `build_dataset`; only the section ``run`` is used.

    Returns:
        The number of shards made for each label, and the table of all labels.

    Raises:
        BuildError: The rasters or options cannot be used. The message says what to do.

    Examples:
        ```python
        pair_labels("dataset", {"cdl": ["cdl_2022.tif:2022", "cdl_2023.tif:2023"]}, classes="cdl14")
        maps = open_labels("dataset", "cdl")
        ```
    """
    if not labels:
        raise UsageError("There are no labels to pair.", remedy="Give a label and its raster.")
    rasters = [
        f"{name}={raster}"
        for name, given in labels.items()
        for raster in (given if isinstance(given, list | tuple) else [given])
    ]
    asked = requests(rasters, _texts(classes), _texts(rule), year, threshold, least_labelled)
    return paired(dataset, asked, anew, config_of(config))


@public
def drop_labels(
    dataset: str | Path, label: str, config: Config | Settings | str | Path | None = None
) -> None:
    """Remove a label from a dataset. The same as ``spectralearth-build pair --drop``.

    Args:
        dataset: folder or URL of the dataset.
        label: name of the label.
        config: settings, as for `build_dataset`; only ``run.staging`` is used.

    Raises:
        BuildError: There is no label of that name, or the dataset is not finished.

    Examples:
        ```python
        drop_labels("dataset", "cdl")
        ```
    """
    from spectralearth_build.labels.pair import drop
    from spectralearth_build.layout import REPORT
    from spectralearth_build.pipeline import report
    from spectralearth_build.places import at_work
    from spectralearth_build.progress import say

    with at_work(place(dataset), config_of(config).run.staging) as folder:
        drop(folder, label)
        if (folder / REPORT).is_file():
            report(folder)
    say(f"pair: removed {label}")


def requests(
    labels: Sequence[str],
    classes: Sequence[str],
    rules: Sequence[str],
    year: str = "nearest",
    threshold: float = 0.02,
    least_labelled: float = 0.5,
) -> list[Request]:
    """Return one request per label, from arguments in the form of the command line.

    Args:
        labels: NAME=RASTER or NAME=RASTER:YEAR.
        classes: CLASSES for all labels, or NAME=CLASSES.
        rules: RULE for all labels, or NAME=RULE.
        year: as for `pair_labels`.
        threshold: as for `pair_labels`.
        least_labelled: as for `pair_labels`.

    Raises:
        UsageError: An argument is invalid.
    """
    from spectralearth_build.labels.define import AUTO, Request, parse_rasters

    rasters = parse_rasters(labels)
    named = _by_label(classes, rasters, "", "--classes")
    ruled = _by_label(rules, rasters, AUTO, "--rule")
    return [
        Request(
            name,
            given,
            nomenclature=named[name],
            rule=ruled[name],
            year_rule=year,
            threshold=threshold,
            least_labelled=least_labelled,
        )
        for name, given in rasters.items()
    ]


@public
def paired(dataset: str | Path, asked: Sequence[Request], anew: bool, config: Config) -> Paired:
    """Make the requested labels; see `pair_labels`."""
    from spectralearth_build.cluster import connect
    from spectralearth_build.places import at_work

    target = place(dataset)
    with at_work(target, config.run.staging, verb="pair") as folder, connect(config.run) as executor:
        return _pair(folder, asked, executor, anew)


def _texts(given: str | Mapping[str, str]) -> list[str]:
    if isinstance(given, Mapping):
        return [f"{name}={value}" for name, value in given.items()]
    return [given] if given else []


def _by_label(texts: Sequence[str], labels: Iterable[str], default: str, option: str) -> dict[str, str]:
    """Return the value of an option for each label. A value without a name applies to all labels."""
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


def _pair(folder: Path, asked: Sequence[Request], executor: Executor, anew: bool) -> Paired:
    from spectralearth_build.labels.pair import pair as run
    from spectralearth_build.layout import REPORT
    from spectralearth_build.pipeline import report
    from spectralearth_build.progress import say

    done = run(folder, asked, executor, anew)
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
    return done
