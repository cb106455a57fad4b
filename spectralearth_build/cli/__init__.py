"""The command line: verbs only. What they do is done elsewhere, and imported when a verb is called."""

from __future__ import annotations

from spectralearth_build.cli.app import app


def main() -> None:
    """Run ``spectralearth-build`` with the arguments of the process; does not return."""
    app(prog_name="spectralearth-build")


__all__ = ["app", "main"]
