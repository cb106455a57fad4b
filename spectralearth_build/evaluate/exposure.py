"""Whether an encoder was trained on the ground on which it is judged."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from spectralearth_build.dataset.access import Dataset
from spectralearth_build.dataset.seen import SeenPatches
from spectralearth_build.errors import UsageError
from spectralearth_build.pretrain.weights import seen_by
from spectralearth_build.texts import counted

JUDGED = ("val", "test")
"""Parts that an encoder should not have been trained on."""
REMEDY = (
    "Pretrain on the split train, which is the default, or add --allow-seen to evaluate this encoder anyway."
)


@dataclass(frozen=True)
class Exposure:
    """Patches of val and test whose ground an encoder was trained on."""

    seen: dict[str, int] | None
    """Number of these patches, by part; None if the file does not say what the encoder was trained on."""
    sizes: dict[str, int]
    """Number of all patches, by part."""

    def __bool__(self) -> bool:
        """Return whether any patch was seen."""
        return any((self.seen or {}).values())

    def note(self) -> str:
        """Return what a reader of the figures should know, as a sentence; empty if nothing."""
        if self.seen is None:
            return "The encoder's file does not say on which patches it was trained: val and test may be among them."
        return f"{self._told()} share ground with patches that the encoder was trained on." if self else ""

    def refuse(self, encoder: Path) -> None:
        """Refuse an encoder that was trained on ground of val or test.

        Raises:
            UsageError: It was.
        """
        if self:
            raise UsageError(
                f"{self._told()} share ground with patches that it was trained on, so figures could be too good.",
                encoder,
                REMEDY,
            )

    def _told(self) -> str:
        assert self.seen is not None
        parts = [
            f"{count} of {counted(self.sizes[name], f'{name} patch', f'{name} patches')}"
            for name, count in self.seen.items()
            if count
        ]
        return " and ".join(parts)


def exposure_of(encoder: Path, places: dict[str, pd.Series]) -> Exposure:
    """Compare what an encoder was trained on with patches to judge it on.

    Args:
        encoder: file of the encoder.
        places: the location_id of each patch, by part.

    Raises:
        UsageError: The file is no encoder of this package.
    """
    document, sizes = seen_by(encoder), {name: len(part) for name, part in places.items()}
    if document is None:
        return Exposure(None, sizes)
    seen = SeenPatches.from_document(document)
    return Exposure({name: int(seen.share_ground(part).sum()) for name, part in places.items()}, sizes)


def judged_places(dataset: Dataset) -> dict[str, pd.Series]:
    """Return the location_id of each patch of val and test of a dataset."""
    return {name: dataset.query(split=name, columns=["location_id"])["location_id"] for name in JUDGED}
