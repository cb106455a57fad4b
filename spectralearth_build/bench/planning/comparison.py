"""Summary of a comparison: totals, ratios on the same components, and components where ours is worse."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from spectralearth_build.bench.measure import COUNTS, FIRST
from spectralearth_build.bench.planning.contest import OURS, Contest
from spectralearth_build.overlap.lattice import WINDOW

RESAMPLED = 200
"""Number of bootstrap samples, for the uncertainty of estimates."""


def totals(result: Contest) -> pd.DataFrame:
    """Return one row per strategy, over the components that it finished.

    Columns: strategy, components, tiles, unfinished, the counts, mean_dates (patches per location), used_share (share
    of the valid pixels of all datatakes that are in a patch), bound_share_<preset> of each preset (value over upper
    bound), seconds, and shared_seconds (time for those components before any strategy starts).
    """
    runs = _with_common(result)
    rows = []
    for strategy, group in runs.groupby("strategy", sort=False):
        done = group[group["finished"]]
        total = done[[*COUNTS]].sum()
        rows.append(
            {
                "strategy": strategy,
                "components": len(done),
                "tiles": int(done["tiles"].sum()),
                "unfinished": len(group) - len(done),
                **total.astype(int).to_dict(),
                "mean_dates": _over(total["patches"], total["locations"]),
                "used_share": _over(total["patches"] * WINDOW**2, done["valid_pixels"].sum()),
                **{
                    f"bound_share_{value}": _over(done[f"value_{value}"].sum(), done[f"bound_{value}"].sum())
                    for value in FIRST
                },
                "seconds": done["seconds"].sum(),
                "shared_seconds": done["shared_seconds"].sum(),
            }
        )
    return pd.DataFrame(rows)


def ratios(result: Contest) -> pd.DataFrame:
    """Compare ours with each other strategy: one row per strategy and preset of ours, on components that both finished.

    Columns: strategy, preset, components, worse (components where ours is worth less under its own preset), the counts
    (ours over theirs), seconds (theirs over ours: how many times faster), seconds_in_all (the same with what both
    share), and for the counts that presets put first and for seconds archive_<name>: the same over the whole archive.
    Where only a sample ran, that is estimated class by class (see `estimated`), and between archive_<name>_low and
    archive_<name>_high lie 90 % of what samples drawn again from the sample give.
    """
    runs = _with_common(result)
    runs["seconds_in_all"] = runs["seconds"] + runs["shared_seconds"]
    rows = []
    for strategy in runs["strategy"].unique():
        if strategy in OURS.values():
            continue
        for value, ours in OURS.items():
            mine, theirs = runs[runs["strategy"] == ours], runs[runs["strategy"] == strategy]
            theirs = theirs[theirs["finished"]]
            same = mine[mine["component"].isin(theirs["component"])]
            worse = same[f"value_{value}"].to_numpy() < theirs[f"value_{value}"].to_numpy()
            whole = _over_the_archive(mine, theirs)
            rows.append(
                {
                    "strategy": strategy,
                    "preset": value,
                    "components": len(same),
                    "worse": int(worse.sum()),
                    **{name: _over(same[name].sum(), theirs[name].sum()) for name in COUNTS},
                    **{
                        name: _over(theirs[name].sum(), same[name].sum())
                        for name in ("seconds", "seconds_in_all")
                    },
                    **whole,
                }
            )
    return pd.DataFrame(rows)


def _over_the_archive(mine: pd.DataFrame, theirs: pd.DataFrame) -> dict[str, float]:
    """Return ours over theirs (for seconds, theirs over ours) over the whole archive, with the bootstrap interval."""
    found = {}
    for name in (*FIRST.values(), "seconds"):
        ours = mine[name].sum()
        totals = _estimates(mine, theirs, name, RESAMPLED)
        shares = [_over(total, ours) if name == "seconds" else _over(ours, total) for total in totals]
        found[f"archive_{name}"] = shares[0]
        found[f"archive_{name}_low"], found[f"archive_{name}_high"] = np.percentile(
            shares[1:], (5, 95)
        ).tolist()
    return found


def estimated(mine: pd.DataFrame, theirs: pd.DataFrame, name: str) -> float:
    """Estimate the total of ``name`` over the whole archive for a strategy that ran on a sample of components.

    The ratio of theirs to ours in each class of components (see `contest.classed`) is assumed to be that of the sample.
    NaN if they finished no component of some class. Exact if they finished all.

    Args:
        mine: runs of our strategy on all components.
        theirs: finished runs of the other strategy.
        name: a count, or seconds.
    """
    return float(_estimates(mine, theirs, name, 0)[0])


def _estimates(mine: pd.DataFrame, theirs: pd.DataFrame, name: str, times: int) -> npt.NDArray[np.float64]:
    """Return `estimated` for the sample, and for ``times`` samples drawn with replacement from each of its classes."""
    random = np.random.default_rng(0)
    same = mine.set_index("component").loc[theirs["component"]]
    totals = np.zeros(times + 1)
    for number in mine["class"].unique():
        whole = mine.loc[mine["class"] == number, name].to_numpy(np.float64)
        here = (theirs["class"] == number).to_numpy()
        ours, other = same[name].to_numpy(np.float64)[here], theirs[name].to_numpy(np.float64)[here]
        if len(other) == 0:
            return np.full(times + 1, np.nan)
        drawn = np.tile(np.arange(len(other)), (times + 1, 1))
        if len(other) < len(whole):
            drawn[1:] = random.integers(len(other), size=(times, len(other)))
        reached = ours[drawn].sum(axis=1)
        scale = np.full(times + 1, len(whole) / len(other))
        np.divide(whole.sum(), reached, out=scale, where=reached > 0)
        totals += other[drawn].sum(axis=1) * scale
    return totals


def lost(result: Contest) -> pd.DataFrame:
    """Return every component where another strategy has a higher value than ours, under the preset that ours optimises.

    Columns: component, tiles, strategy, preset, ours, theirs (both the value under that preset), largest loss first.
    """
    found = []
    for value, ours in OURS.items():
        mine = result.runs[result.runs["strategy"] == ours].set_index("component")[f"value_{value}"]
        others = result.runs[result.runs["finished"] & ~result.runs["strategy"].isin(OURS.values())]
        pairs = others.assign(
            preset=value, ours=mine.loc[others["component"]].to_numpy(), theirs=others[f"value_{value}"]
        )
        found.append(pairs[pairs["theirs"] > pairs["ours"]])
    every = pd.concat(found)[["component", "tiles", "strategy", "preset", "ours", "theirs"]]
    loss = (every["theirs"] - every["ours"]) / every["theirs"]
    return every.iloc[np.argsort(-loss.to_numpy(), kind="stable")].reset_index(drop=True)


def _with_common(result: Contest) -> pd.DataFrame:
    """Return runs joined with the data of their components."""
    common = result.components.rename(columns={"seconds": "shared_seconds"}).drop(columns=["tiles", "class"])
    return result.runs.merge(common, on="component", validate="many_to_one")


def _over(a: Any, b: Any, otherwise: float = float("nan")) -> float:  # noqa: ANN401
    return float(a / b) if b else otherwise
