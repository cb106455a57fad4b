"""Documents, configurations and tables that come with the program: docs/, workflows/ and data_manifests/."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).parent
FOLDER = _PACKAGE / "resources" if (_PACKAGE / "resources").is_dir() else _PACKAGE.parent
"""Where they are: in the package as the wheel installs it, or in the checkout that the package is part of."""


def shipped(name: str) -> Path:
    """The path on this machine of a file that messages name, such as ``docs/loading.md``."""
    return FOLDER / name
