"""The command line: verbs only. What they do is done elsewhere, and imported when a verb is called."""

from __future__ import annotations

from spectralearth_build.cli.app import app


def main() -> None:
    """Run the program; where installations of earlier versions look for it."""
    from spectralearth_build.__main__ import main as run

    run()


__all__ = ["app", "main"]
