"""The plan that cut works on, and refusal of settings and tiles that differ from it."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from spectralearth_build.config import Config
from spectralearth_build.cutting.no_patches import refuse_no_patches
from spectralearth_build.errors import PlanChangedError
from spectralearth_build.plan.fingerprint import in_form_of, inputs_of, tile_changes
from spectralearth_build.store.planned import Planned, load_plan
from spectralearth_build.tables import TILES
from spectralearth_build.texts import changes, listed

_JUDGED = ["product_id", "tile_id", "status", "reason", "error_class", "eligible", "fingerprint"]
"""Columns of tiles.parquet that decide whether there is something to cut."""


def plan_to_cut(dataset: Path, config: Config) -> tuple[Planned, pd.DataFrame]:
    """Read the plan, and the columns of the tile table that decide whether there is something to cut.

    Raises:
        UsageError: There is no plan.
        PlanChangedError: Settings or tiles differ from those of the plan.
        NothingFoundError: No patch is planned.
    """
    planned = load_plan(dataset, waiting=True)
    _check_settings(planned, config)
    tiles = TILES.read(planned.folders[TILES.file], _JUDGED)
    _check_tiles(planned, tiles, config)
    refuse_no_patches(tiles, len(planned.live), config)
    return planned, tiles


def _check_settings(planned: Planned, config: Config) -> None:
    """Refuse settings that would give another plan."""
    sections = config.model_dump(mode="json")
    now = {f"{section}.{name}": value for section in sections for name, value in sections[section].items()}
    changed = changes(planned.settings, {key: now.get(key) for key in planned.settings})
    if changed:
        raise PlanChangedError(f"Settings differ from those of the plan:{listed(changed)}")


def _check_tiles(planned: Planned, tiles: pd.DataFrame, config: Config) -> None:
    """Refuse changes that scan has found since, except for tiles that the plan does not know yet."""
    before = planned.document.inputs
    change = tile_changes(before, in_form_of(before, inputs_of(config, tiles)))
    if other := [*change.gone, *change.changed, *change.replaced]:
        more = f" and {len(other) - 3} more" if len(other) > 3 else ""
        what = f"Tiles differ from those of the plan: {', '.join(other[:3])}{more}."
        raise PlanChangedError(what, remedy="Run `build ARCHIVE DATASET`, which says what to do.")
