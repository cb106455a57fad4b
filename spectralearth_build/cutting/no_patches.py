"""Refusal of plans without patches, and of runs that cut none, before anything is published."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from spectralearth_build.config import Config
from spectralearth_build.errors import NothingFoundError
from spectralearth_build.store.commit import records
from spectralearth_build.store.failed_tiles import read_failed
from spectralearth_build.store.planned import Planned
from spectralearth_build.texts import counted

_EXAMPLES = 3
_SECTIONS = ("quality", "plan")


def refuse_no_patches(tiles: pd.DataFrame, patches: int, config: Config) -> None:
    """Refuse a plan without a patch.

    Args:
        tiles: the tile table after planning.
        patches: number of planned patches.
        config: the settings.

    Raises:
        NothingFoundError: There are none. The message says why tiles were left out, and which settings are not
            defaults.
    """
    if patches:
        return
    sound = tiles[tiles["eligible"].astype(bool)]
    kinds = sound["error_class"].where(sound["error_class"] != "", sound["reason"])
    often = kinds.value_counts().head(_EXAMPLES)
    first = sound["reason"].groupby(kinds).first()
    why = "; ".join(f"{count} of them: {str(first[kind]).rstrip('.')}" for kind, count in often.items())
    raise NothingFoundError(
        f"No patch can be cut from {counted(len(sound), 'sound tile')}. {why}. "
        f"Settings that differ from the defaults: {_settings(config)}.",
        remedy="Relax the settings (`config template` explains each), or add products; nothing was "
        "published.",
    )


def any_written(planned: Planned, dataset: Path) -> bool:
    """Return whether any shard has a patch."""
    return any(commit.rows for commit, _ in records(dataset, planned.plan_of))


def refuse_nothing_cut(planned: Planned, dataset: Path) -> None:
    """Refuse to publish a dataset if every patch failed.

    Raises:
        NothingFoundError: Always. The message gives counts and the first reasons.
    """
    commits = [commit for commit, _ in records(dataset, planned.plan_of)]
    notes = read_failed(dataset, planned.first_id).values()
    kinds = pd.Series([note.error_class for note in notes], dtype=object).value_counts()
    counts = ", ".join(f"{count} {kind}" for kind, count in kinds.items())
    reasons = [f"{note.tile_id}: {note.message}" for note in notes]
    reasons += [f"{skip.patch_id}: {skip.reason}" for commit in commits for skip in commit.skipped]
    raise NothingFoundError(
        f"None of {counted(len(planned.live), 'planned patch', 'planned patches')} could be cut; "
        f"{counted(len(notes), 'tile')} failed"
        f"{': ' + counts if counts else ''}. {' '.join(reasons[:_EXAMPLES])}",
        dataset,
        "Fix the cause and run `build --retry-quarantined`; nothing was published.",
    )


def _settings(config: Config) -> str:
    """Describe the settings that select tiles and windows and are not at their default, or else the most important."""
    plain = Config()
    changed = [
        f"{section}.{name} = {value}"
        for section in _SECTIONS
        for name, value in getattr(config, section).model_dump(mode="json").items()
        if value != getattr(plain, section).model_dump(mode="json")[name]
    ]
    return ", ".join(changed) or f"none (quality.max_cloud = {config.quality.max_cloud})"
