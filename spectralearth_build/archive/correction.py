"""The quantity of a product's values. METADATA.XML gives it in processing/correctionType; file names do not.

Land mode gives surface reflectance. Water mode gives another quantity under the same file names: normalised
water-leaving reflectance. Combined gives the quantity of water where QUALITY_CLASSES is water, and of land elsewhere.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from spectralearth_build.errors import OtherCorrectionError, UnknownCorrectionError
from spectralearth_build.waive import how

Correction = Literal["land", "water", "combined"]
Quantity = Literal["land", "water"]
KINDS: dict[str, Correction] = {"landmode": "land", "watermode": "water", "combined": "combined"}
"""Correction by the text of the element, in lower case and without spaces, underscores and hyphens."""
OPPOSITE: dict[Quantity, Quantity] = {"land": "water", "water": "land"}
SILENT = ("", "na", "n/a", "999")
"""Texts that mean no correction: the element is absent or empty, not applicable (NA) or not computed (-999)."""
QUANTITY: dict[str, str] = {
    "land": "surface reflectance",
    "water": "normalised water-leaving reflectance",
}


def correction_of(text: str, path: Path, tile_id: str, waived: bool = False) -> tuple[Correction, bool]:
    """The correction of a product.

    Args:
        text: text of processing/correctionType; empty if absent.
        path: the metadata file, for messages.
        tile_id: the tile, for messages.
        waived: whether an unknown text counts as land mode.

    Returns:
        The correction, and whether it is assumed: a product that names none counts as land.

    Raises:
        UnknownCorrectionError: the text is unknown.
    """
    word = re.sub(r"[\s_-]", "", text.lower())
    if word in SILENT or (waived and word not in KINDS):
        return "land", True
    if word not in KINDS:
        raise UnknownCorrectionError(
            f"processing/correctionType is '{text[:40]}', not Land_Mode, Water_Mode, Combined or NA.",
            path,
            f"Order it in land mode. If its values are land mode, accept it: type {how(tile_id, 'correction')}.",
        )
    return KINDS[word], False


def check_correction(correction: Correction, wanted: Quantity, path: str) -> None:
    """Refuse a product whose values are all of the other quantity.

    Raises:
        OtherCorrectionError: they are.
    """
    if correction not in (wanted, "combined"):
        raise OtherCorrectionError(
            f"This is a {correction}-mode product: {QUANTITY[correction]}, not {QUANTITY[wanted]}.",
            path,
            f"To use such products, type --set scan.correction={correction} with a new dataset folder.",
        )


def of_quantity(
    valid: npt.NDArray[np.bool_],
    water: npt.NDArray[np.bool_],
    correction: Correction,
    wanted: Quantity,
    path: Path,
) -> npt.NDArray[np.bool_]:
    """The valid pixels of the quantity asked for; of a Combined product, only those on its side of the shore.

    Args:
        valid: pixels with data [line, col].
        water: pixels that are water in QUALITY_CLASSES [line, col].
        correction: the correction of the product.
        wanted: the quantity asked for.
        path: the file of QUALITY_CLASSES, for messages.

    Raises:
        OtherCorrectionError: there is no such pixel.
    """
    if correction != "combined":
        return valid
    found = valid & (water if wanted == "water" else ~water)
    if not found.any():
        raise OtherCorrectionError(f"This is a Combined product without {wanted}.", path, "Leave it out.")
    return found


def of_other_quantity(tiles: pd.DataFrame, names: Collection[str]) -> str:
    """A message naming the changed tiles of a dataset whose patches are of another quantity; empty if there are none.

    Args:
        tiles: the tile table.
        names: the tiles that have changed, are missing or have another version.
    """
    other = tiles["error_class"].eq(OtherCorrectionError.__name__) | tiles["correction"].eq("combined")
    found = sorted(set(names) & set(tiles.loc[other, "tile_id"].dropna()))
    if not found:
        return ""
    more = f" and {len(found) - 3} more" if len(found) > 3 else ""
    return (
        f" The dataset still has patches of another quantity, from {', '.join(found[:3])}{more}: an earlier version, "
        "which did not read the correction, cut them from water-mode products or the water of Combined products."
    )


def remarks(tiles: pd.DataFrame, wanted: Quantity) -> list[str]:
    """Notes for users on the quantities of the products found, one per line.

    Args:
        tiles: the tile table.
        wanted: the quantity asked for.
    """
    lines = []
    other = int((tiles["error_class"] == OtherCorrectionError.__name__).sum())
    if other:
        opposite = OPPOSITE[wanted]
        lines.append(
            f'products of another quantity, not used: {other} (scan.correction = "{wanted}" means '
            f'{QUANTITY[wanted]}; a dataset of {QUANTITY[opposite]} needs "{opposite}")'
        )
    sound = tiles[tiles["eligible"].astype(bool)]
    assumed = int(sound["correction_assumed"].eq(True).sum())
    if assumed:
        lines.append(f"products that do not name their correction, used as land mode: {assumed}")
    combined = int(sound["correction"].eq("combined").sum())
    if combined:
        lines.append(f"Combined products, used only for their {wanted} pixels: {combined}")
    return lines
