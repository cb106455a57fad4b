"""The entry point, before any command runs.

It sets up signals and streams before slow imports, because users press Ctrl-C during imports too.
"""

from __future__ import annotations

import os
import signal
from types import FrameType

NOTHING_BEGUN = b"\nStopped before anything began. Run the same command again.\n"
STOPPED = 75
"""Equal to `cli.codes.STOPPED`, which is not imported yet."""


def main() -> None:
    """Run the command line with the arguments of the process. Does not return."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _leave)
    from spectralearth_build.caches import settle_caches
    from spectralearth_build.streams import open_streams

    open_streams()
    settle_caches()
    from spectralearth_build.cli.app import app

    try:
        app(prog_name="spectralearth-build")
    finally:  # the command has succeeded or failed; its exit code must reach the caller
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)


def _leave(number: int, frame: FrameType | None) -> None:
    """Exit at once: no command has begun, so there is nothing to clean up, and imports could catch an exception."""
    try:
        os.write(2, NOTHING_BEGUN)
    finally:
        os._exit(STOPPED)
