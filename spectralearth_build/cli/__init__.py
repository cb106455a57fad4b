"""The command line. It only defines commands; the code that does the work is imported when a command runs."""

from spectralearth_build.cli.program import main  # console scripts of earlier versions import it from here

__all__ = ["main"]
