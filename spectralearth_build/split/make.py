"""Make a split that keeps groups whole if possible, and earlier assignments always. Pure functions of tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from spectralearth_build.errors import UsageError
from spectralearth_build.split import balance
from spectralearth_build.split.check import leaks
from spectralearth_build.split.groups import FREE, bonds, datatakes, divided, groups, spread
from spectralearth_build.split.links import Codes, Counts, Links, Matrix
from spectralearth_build.split.recipe import Recipe
from spectralearth_build.split.settle import Flags, settled
from spectralearth_build.tables import SPLITS

SCARCE = 0.5
"""A group is divided if the other groups have less than this share of the patches that the smaller parts should get."""


@dataclass(frozen=True)
class _Graph:
    """Datatakes with their sizes, bonds and groups."""

    names: list[str]
    sizes: Codes
    """Number of patches of each datatake."""
    bond: Matrix
    group: Codes

    def members(self, group: int) -> Codes:
        """The datatakes of a group."""
        return np.flatnonzero(self.group == group)


def split(
    links: Links,
    recipe: Recipe,
    strata: tuple[Sequence[str], Counts],
    before: pd.DataFrame | None = None,
    whole: bool = False,
) -> pd.DataFrame:
    """Assign every patch to a part, or leave it out with a reason.

    Args:
        links: the patches and all ties between them.
        recipe: the settings of the split.
        strata: names, and membership [patch, stratum]; the first stratum has all patches.
        before: earlier assignments, with the columns of `tables.SPLITS`; they are kept, including left-out patches.
        whole: refuse to divide a group that is so large that too little is left for other parts.

    Returns:
        The columns of `tables.SPLITS`, sorted by patch_id.

    Raises:
        UsageError: a group is too large and may not be divided, or earlier assignments leak or have other parts.
    """
    parts = list(recipe.fractions)
    old = _before(links, parts, before)
    known = old["known"].to_numpy(bool)
    node_of = datatakes(links)
    bond = bonds(links)
    names = np.unique(links.patches["datatake"].to_numpy(str)).tolist()
    graph = _Graph(names, np.bincount(node_of, minlength=len(names)), bond, groups(links, bond))
    label = _labelled(graph, node_of, old["part"].to_numpy())
    fractions = np.array(list(recipe.fractions.values()))
    rank = sorted(range(len(parts)), key=lambda p: (fractions[p], parts[p]))
    label = _too_large_divided(links, graph, label=label, recipe=recipe, rank=rank, whole=whole)
    part = np.where(known, old["part"].to_numpy(), label[node_of])
    part, reason = settled(links, part, known & (part != FREE), rank, parts)
    free = label[node_of] == FREE
    part[free & ~known] = _dealt(graph, node_of, part=part, free=free & ~known, strata=strata, recipe=recipe)
    reasons = np.where(known, old["reason"].to_numpy(object), np.array(reason, object))
    _prove(links, part, parts)
    return SPLITS.frame(
        pd.DataFrame(
            {
                "patch_id": links.patches["patch_id"],
                "location_id": links.patches["location_id"],
                "split": np.array([*parts, ""], object)[part],
                "reason": reasons,
            }
        )
    )


def codes(splits: pd.Series, parts: Sequence[str]) -> Codes:
    """Numbers of named parts; `FREE` for no part."""
    numbers = splits.map({name: k for k, name in enumerate(parts)}).fillna(FREE)
    return np.asarray(numbers, np.int64)


def _before(links: Links, parts: Sequence[str], before: pd.DataFrame | None) -> pd.DataFrame:
    """Earlier assignments in the order of the links: part, reason, and whether there is an assignment."""
    if before is None:
        before = SPLITS.frame([])
    other = sorted(set(before["split"]) - {"", *parts})
    if other:
        raise UsageError(
            f"Earlier assignments have a part '{other[0]}', which the fractions do not name.",
            remedy="Add it to --fractions, or use --anew to replace all assignments.",
        )
    found = before.drop_duplicates("patch_id").set_index("patch_id").reindex(links.patches["patch_id"])
    return pd.DataFrame(
        {
            "part": codes(found["split"], parts),
            "reason": found["reason"].fillna("").to_numpy(object),
            "known": found["split"].notna().to_numpy(),
        }
    )


def _labelled(graph: _Graph, node_of: Codes, part: Codes) -> Codes:
    """The part of each datatake in a group with earlier assignments; `FREE` in all other groups."""
    label = np.full(len(graph.sizes), FREE)
    has = part != FREE
    label[node_of[has]] = part[has]
    for group in np.unique(graph.group[label != FREE]).tolist():
        nodes = graph.members(group)
        found = np.unique(label[nodes][label[nodes] != FREE])
        if len(found) > 1:
            label[nodes] = spread(graph.bond[nodes][:, nodes], label[nodes])
        label[nodes] = np.where(label[nodes] == FREE, found[0], label[nodes])
    return label


def _too_large_divided(
    links: Links, graph: _Graph, label: Codes, recipe: Recipe, rank: Sequence[int], whole: bool
) -> Codes:
    """Divide free groups that leave too little for other parts, in the proportions of the recipe.

    A group is divided if this costs fewer patches than the other parts would lack, or if they would lack most of their
    share.
    """
    label, fractions = label.copy(), np.array(list(recipe.fractions.values()))
    largest, sizes = int(fractions.argmax()), np.bincount(graph.group, graph.sizes)
    due = (1 - fractions[largest]) * sizes.sum()
    lacking = due - (sizes.sum() - sizes)
    for group in np.flatnonzero(lacking > 0).tolist():
        nodes = graph.members(group)
        if (label[nodes] != FREE).any() or len(nodes) == 1:
            continue
        scarce = lacking[group] > (1 - SCARCE) * due
        if whole and scarce:
            raise UsageError(
                f"{int(sizes[group]):,} of {int(sizes.sum()):,} patches are tied together: too little is left for "
                "other parts.",
                remedy="Without --whole, patches between the parts are left out; a smaller buffer may also help.",
            )
        if not whole:
            pieces = np.full(len(label), FREE)
            pieces[nodes] = _pieces(graph, nodes, fractions, recipe.seed)
            if scarce or _cost(links, pieces, rank) < lacking[group]:
                label[nodes] = pieces[nodes]
    return label


def _pieces(graph: _Graph, nodes: Codes, fractions: balance.Floats, seed: int) -> Codes:
    """Parts of the datatakes of a group, in proportion to the fractions."""
    largest, size = int(fractions.argmax()), graph.sizes[nodes].sum()
    wanted = {p: float(share * size) for p, share in enumerate(fractions) if p != largest}
    order = sorted(range(len(nodes)), key=lambda k: balance.chance(seed, graph.names[nodes[k]]))
    return divided(graph.bond[nodes][:, nodes], graph.sizes[nodes], wanted, order, largest)


def _cost(links: Links, label: Codes, rank: Sequence[int]) -> int:
    """Number of patches that are left out if datatakes are in these parts."""
    part = label[datatakes(links)]
    names = [""] * len(rank)
    after, _ = settled(links, part, np.zeros(len(part), bool), rank, names)
    return int((part != after).sum())


def _dealt(
    graph: _Graph,
    node_of: Codes,
    part: Codes,
    free: Flags,
    strata: tuple[Sequence[str], Counts],
    recipe: Recipe,
) -> Codes:
    """Parts of the patches in free groups, balanced with the patches that parts already have."""
    names, member = strata
    fractions = np.array(list(recipe.fractions.values()))
    held = np.stack([member[part == p].sum(axis=0) for p in range(len(fractions))])
    rows = np.flatnonzero(free)
    chosen, of_row = np.unique(graph.group[node_of[rows]], return_inverse=True)
    counts = np.zeros((len(chosen), member.shape[1]), np.int64)
    np.add.at(counts, of_row, member[rows])
    group_names = [graph.names[graph.members(group)[0]] for group in chosen.tolist()]
    weights = balance.weights_of(names)
    return balance.dealt(
        counts, held, fractions=fractions, weights=weights, names=group_names, seed=recipe.seed
    )[of_row]


def _prove(links: Links, part: Codes, parts: Sequence[str]) -> None:
    """Refuse a result that leaks."""
    found = leaks(links.ties, part, parts)
    if found:
        raise UsageError(
            f"The split would leak: {int(found.counts[:, -1].sum()):,} patches have a tie to another part.",
            remedy="If earlier assignments leak, use --anew to replace them; otherwise please report this.",
        )
