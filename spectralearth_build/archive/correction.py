"""What the values of a product are. METADATA.XML says it in processing/correctionType, file names do not.

Land mode gives surface reflectance. Water mode gives another quantity under the same file names, the normalised
water-leaving reflectance. Combined gives that of water where QUALITY_CLASSES says water, and that of land elsewhere.
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
"""By the text of the element, in small letters and without spaces, lines and dashes."""
OPPOSITE: dict[Quantity, Quantity] = {"land": "water", "water": "land"}
SILENT = ("", "na", "n/a", "999")
"""The element is absent or empty, or says that it does not apply (NA) or was not computed (-999)."""
QUANTITY: dict[str, str] = {
    "land": "surface reflectance",
    "water": "normalised water-leaving reflectance",
}


def correction_of(text: str, path: Path, tile_id: str, waived: bool = False) -> tuple[Correction, bool]:
    """How a product was corrected.

    Args:
        text: processing/correctionType; empty where it is absent.
        path: the metadata, for messages.
        tile_id: the tile, for messages.
        waived: an unknown word is ignored.

    Returns:
        The correction, and whether it is assumed: a product that does not say it counts as land.

    Raises:
        UnknownCorrectionError: the word is unknown.
    """
    word = re.sub(r"[\s_-]", "", text.lower())
    if word in SILENT or (waived and word not in KINDS):
        return "land", True
    if word not in KINDS:
        raise UnknownCorrectionError(
            f"processing/correctionType is '{text[:40]}', not Land_Mode, Water_Mode, Combined or NA.",
            path,
            f"Order it in land mode. If its values are land mode, accept it with {how(tile_id, 'correction')}.",
        )
    return KINDS[word], False


def check_correction(correction: Correction, wanted: Quantity, path: str) -> None:
    """Refuse values that are all of the other quantity.

    Raises:
        OtherCorrectionError: it is so.
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
    """The valid pixels that hold the quantity asked for: those of a Combined product only on its side of the shore.

    Args:
        valid: pixels with data [line, col].
        water: pixels that QUALITY_CLASSES calls water [line, col].
        correction: how the product was corrected.
        wanted: the quantity asked for.
        path: the layer of classes, for messages.

    Raises:
        OtherCorrectionError: no pixel does.
    """
    if correction != "combined":
        return valid
    found = valid & (water if wanted == "water" else ~water)
    if not found.any():
        raise OtherCorrectionError(f"This is a Combined product without {wanted}.", path, "Leave it out.")
    return found


def of_other_quantity(tiles: pd.DataFrame, names: Collection[str]) -> str:
    """Says which changed tiles of a dataset hold another quantity than it was taken for; empty if none do.

    Args:
        tiles: the tile table.
        names: the tiles that have changed, are gone or of another version.
    """
    other = tiles["error_class"].eq(OtherCorrectionError.__name__) | tiles["correction"].eq("combined")
    found = sorted(set(names) & set(tiles.loc[other, "tile_id"].dropna()))
    if not found:
        return ""
    more = f" and {len(found) - 3} more" if len(found) > 3 else ""
    return (
        f" The dataset still has patches of another quantity, from {', '.join(found[:3])}{more}: an earlier version, "
        "which did not read the correction, cut them from water-mode products or from the water of Combined ones."
    )


def remarks(tiles: pd.DataFrame, wanted: Quantity) -> list[str]:
    """What to tell users about the values of the products found, one line each.

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
        lines.append(f"Combined products, of which only {wanted} pixels count: {combined}")
    return lines
