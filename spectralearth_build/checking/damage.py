"""What verify reports."""

from __future__ import annotations

from dataclasses import dataclass

NOT_CHECKED = "NotChecked"
"""Kind of what this machine does not let us read: nothing is known of it."""
_NAMED = 3
SOURCE_MISSING = "SourceMissing"
"""Kind of what `verify --archive` could not compare because a product is not in the archive."""


@dataclass(frozen=True, order=True)
class Damage:
    """One thing that is not as it should be."""

    kind: str
    """Class of the damage, such as ChunkDamaged."""
    path: str
    """File of the dataset concerned."""
    message: str
    """What was found and what was expected."""
    patches: tuple[str, ...] = ()
    """Patches whose pixels are hit; empty where none are."""

    @property
    def source_missing(self) -> bool:
        """Whether this only says that a product is not in the archive, so that nothing could be compared with it."""
        return self.kind == SOURCE_MISSING

    def __str__(self) -> str:
        return f"{self.kind}: {self.path}: {self.message}{self._hit()}"

    def _hit(self) -> str:
        if not self.patches:
            return ""
        more = f" and {len(self.patches) - _NAMED} more" if len(self.patches) > _NAMED else ""
        return f" Patches hit: {', '.join(self.patches[:_NAMED])}{more}."
