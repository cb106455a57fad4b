"""What verify reports."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, order=True)
class Damage:
    """One thing that is not as it should be."""

    kind: str
    """Class of the damage, such as ChunkDamaged."""
    path: str
    """File of the dataset concerned."""
    message: str
    """What was found and what was expected."""

    def __str__(self) -> str:
        return f"{self.kind}: {self.path}: {self.message}"
