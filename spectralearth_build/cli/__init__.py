"""The command line: verbs only. What they do is done elsewhere, and imported when a verb is called."""

from __future__ import annotations

import io
import sys

from spectralearth_build.cli.app import app


def main() -> None:
    """Run ``spectralearth-build`` with the arguments of the process; does not return."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(
                errors="backslashreplace"
            )  # whatever a terminal cannot show, nothing fails on it
    app(prog_name="spectralearth-build")


__all__ = ["app", "main"]
