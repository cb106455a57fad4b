"""The command line: verbs only. What they do is done elsewhere, and imported when a verb is called."""

from spectralearth_build.cli.program import main  # where installations of earlier versions look for it

__all__ = ["main"]
