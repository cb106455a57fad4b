"""The figures and lists of the report, computed from the tables only."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from spectralearth_build import errors
from spectralearth_build.layout import PatchStatus, TileStatus, shard_files
from spectralearth_build.tables import STATUSES

SHOWN = 12
"""Number of names listed per group of left-out products. The rest is counted."""


@dataclass(frozen=True)
class ProblemGroup:
    """Products left out for the same reason."""

    status: str
    title: str
    """Class of the problem, or the status if there is no class."""
    meaning: str
    remedy: str
    count: int
    examples: list[tuple[str, str]]
    """Path and reason of the first products."""


@dataclass(frozen=True)
class WavelengthGroup:
    """Tiles with the same 202 wavelengths (to 0.01 nm)."""

    wavelength_nm: npt.NDArray[np.float64]
    tiles: int
    first: pd.Timestamp
    last: pd.Timestamp
    largest_nm: float
    """Largest deviation from the nominal wavelengths."""
    mean_nm: float


_STATUS_MEANING: dict[str, str] = {
    TileStatus.SUPERSEDED: "A newer processing version of the same tile was used.",
    TileStatus.DUPLICATE: "The same product was found more than once; one copy was used.",
    TileStatus.UNUSED: "Valid, but no chosen window uses its pixels.",
    TileStatus.REJECTED: "Valid, but outside the requested selection.",
    TileStatus.QUARANTINED: "Damaged or incomplete.",
}


def statuses(tiles: pd.DataFrame) -> list[tuple[str, int]]:
    """How many products have each status; the counts add up to all products found."""
    counts = tiles["status"].value_counts()
    return [(status, int(counts.get(status, 0))) for status in STATUSES]


def left_out(tiles: pd.DataFrame) -> list[ProblemGroup]:
    """Products that were not used, grouped by status and class of problem, worst status first."""
    rest = tiles[tiles["status"] != TileStatus.USED].fillna({"error_class": "", "reason": "", "path": ""})
    order = {status: k for k, status in enumerate(reversed(STATUSES))}
    groups = [
        _group(str(status), str(name), rows)
        for (status, name), rows in rest.groupby(["status", "error_class"])
    ]
    return sorted(groups, key=lambda group: (order[group.status], -group.count, group.title))


def skipped(patches: pd.DataFrame) -> list[tuple[str, int]]:
    """Count the reasons why planned patches were not written."""
    counts = patches.loc[patches["status"] == PatchStatus.SKIPPED, "reason"].fillna("").value_counts()
    return [(str(reason) or "no reason recorded", int(count)) for reason, count in counts.items()]


def tuples_by_size(tuples: pd.DataFrame, locations: pd.DataFrame) -> list[dict[str, Any]]:
    """Return one row per n: maximal n-tuples, their anchors and area, and the chosen locations with n dates."""
    chosen = locations["n"].value_counts()
    by_n = tuples.groupby("n").agg(tuples=("n", "size"), windows=("windows", "sum"), area=("area_km2", "sum"))
    sizes = sorted(set(by_n.index) | set(chosen.index))
    empty = pd.Series({"tuples": 0, "windows": 0, "area": 0.0})
    return [
        {"n": int(n), **(by_n.loc[n] if n in by_n.index else empty), "locations": int(chosen.get(n, 0))}
        for n in sizes
    ]


def band_sets(tiles: pd.DataFrame, nominal: npt.NDArray[np.float64]) -> list[WavelengthGroup]:
    """Return the distinct wavelength sets of tiles, the most frequent first.

    Args:
        tiles: rows of `tables.TILES`.
        nominal: nominal wavelengths [band], nm.
    """
    if tiles.empty:
        return []
    stacked = np.stack(list(tiles["wavelength_nm"])).astype(np.float64)
    _, first, member = np.unique(stacked.round(2), axis=0, return_index=True, return_inverse=True)
    sets = []
    for k, wavelength in enumerate(stacked[first]):
        times = tiles.loc[member.reshape(-1) == k, "acquired"]
        off = np.abs(wavelength - nominal)
        sets.append(
            WavelengthGroup(
                wavelength,
                len(times),
                first=times.min(),
                last=times.max(),
                largest_nm=float(off.max()),
                mean_nm=float(off.mean()),
            )
        )
    return sorted(sets, key=lambda one: (-one.tiles, one.first))


def samples(locations: pd.DataFrame, patches: pd.DataFrame, count: int) -> list[tuple[str, str]]:
    """Return sample locations and datatakes, spread over components, each at its least cloudy date."""
    written = patches[patches["status"] == PatchStatus.WRITTEN].sort_values(
        ["cloud_fraction", "acquired", "patch_id"]
    )
    best = written.groupby("location_id")["datatake"].first()
    known = locations[locations["location_id"].isin(best.index)]
    known = known.sort_values(["n", "location_id"], ascending=[False, True])
    turn = known.groupby("component").cumcount()
    chosen = (
        known.assign(turn=turn).sort_values(["turn", "component"], kind="stable")["location_id"].head(count)
    )
    return [(location, best[location]) for location in chosen]


def deepest(patches: pd.DataFrame) -> str:
    """Return the location with most written patches. Among equals, the one with least cloud."""
    written = patches[patches["status"] == PatchStatus.WRITTEN]
    ranked = (
        written.groupby("location_id")
        .agg(n=("patch_id", "size"), cloud=("cloud_fraction", "sum"))
        .reset_index()
    )
    return str(
        ranked.sort_values(["n", "cloud", "location_id"], ascending=[False, True, True])["location_id"].iloc[
            0
        ]
    )


def stored_bytes(store: Path) -> tuple[int, int]:
    """Return the stored size of the pixels in bytes, and the number of shard files."""
    sizes = [path.stat().st_size for path in shard_files(store.parent)]
    return sum(sizes), len(sizes)


def flat(tree: Any, prefix: str = "") -> list[tuple[str, str]]:  # noqa: ANN401
    """Flatten a JSON tree to dotted names and values. Long lists are only counted."""
    if isinstance(tree, dict):
        return [
            row
            for key, value in tree.items()
            for row in flat(value, f"{prefix}.{key}" if prefix else str(key))
        ]
    if isinstance(tree, list):
        tree = ", ".join(map(str, tree)) if len(tree) <= 8 else f"{len(tree):,} entries"
    return [(prefix, errors.printable(str(tree)))]


def _group(status: str, name: str, rows: pd.DataFrame) -> ProblemGroup:
    kind = getattr(errors, name, None)
    known = inspect.isclass(kind) and issubclass(kind, errors.BuildError)
    meaning = (inspect.getdoc(kind) or "").split("\n")[0] if known else _STATUS_MEANING.get(status, "")
    examples = [
        (errors.printable(row.path), errors.printable(row.reason, 600))
        for row in rows.head(SHOWN).itertuples(index=False)
    ]
    return ProblemGroup(
        status,
        name or status,
        meaning=meaning,
        remedy=kind.remedy if known and kind else "",
        count=len(rows),
        examples=examples,
    )
