"""Settings of all commands: typed, bounded and described once; read from TOML and overrides, written as templates."""

from spectralearth_build.settings.reading import layered, read
from spectralearth_build.settings.section import Section
from spectralearth_build.settings.writing import template, to_toml

__all__ = ["Section", "layered", "read", "template", "to_toml"]
