"""The program itself, before any verb.

Imports nothing of weight before signals and streams are in order, because users press Ctrl-C during imports too.
"""

from __future__ import annotations

import os
import signal
from types import FrameType

NOTHING_BEGUN = b"\nStopped before anything began. Run the same command again.\n"
STOPPED = 75
"""As `cli.codes.STOPPED`, which is not imported yet."""


def main() -> None:
    """Run the command line with the arguments of the process; does not return."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _leave)
    from spectralearth_build.caches import settle_caches
    from spectralearth_build.streams import open_streams

    open_streams()
    settle_caches()
    from spectralearth_build.cli.app import app

    try:
        app(prog_name="spectralearth-build")
    finally:  # what was asked for is done or refused; the code that tells so must get out
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)


def _leave(number: int, frame: FrameType | None) -> None:
    """Until a verb has begun there is nothing to clean up, and an exception from here could be caught by an import."""
    try:
        os.write(2, NOTHING_BEGUN)
    finally:
        os._exit(STOPPED)
