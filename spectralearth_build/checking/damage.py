"""The findings that verify reports."""

from __future__ import annotations

from dataclasses import dataclass

NOT_CHECKED = "NotChecked"
"""Kind of findings on files that this machine cannot read. Nothing is known about them."""
_NAMED = 3
SOURCE_MISSING = "SourceMissing"
"""Kind of findings on patches that `verify --archive` could not compare because a product is missing."""


@dataclass(frozen=True, order=True)
class Damage:
    """One finding of damage."""

    kind: str
    """Kind of the damage, such as ChunkDamaged."""
    path: str
    """The damaged file of the dataset."""
    message: str
    """What was found, and what was expected."""
    patches: tuple[str, ...] = ()
    """Patches whose pixels are affected; empty if none."""

    @property
    def source_missing(self) -> bool:
        """Return whether the only finding is that a product is missing in the archive and could not be compared."""
        return self.kind == SOURCE_MISSING

    def __str__(self) -> str:
        return f"{self.kind}: {self.path}: {self.message}{self._hit()}"

    def _hit(self) -> str:
        if not self.patches:
            return ""
        more = f" and {len(self.patches) - _NAMED} more" if len(self.patches) > _NAMED else ""
        return f" Affected patches: {', '.join(self.patches[:_NAMED])}{more}."
