"""Run by tests: the cut of a simulated dataset on a Dask cluster, with the messages and exit codes of a command.

Arguments: archive, dataset, address of the scheduler, seconds a task.
"""

from __future__ import annotations

import sys
from pathlib import Path

from spectralearth_build.bench.driving.pretended import pretend_cut
from spectralearth_build.cli.codes import code_of, message_of
from spectralearth_build.cluster import connect, stop_on_signals
from spectralearth_build.config import RunConfig
from spectralearth_build.places import at_work


def main(archive: str, dataset: str, scheduler: str, seconds: str) -> int:
    run = RunConfig(scheduler=scheduler, dashboard="")
    try:
        with stop_on_signals(), at_work(Path(dataset), verb="cut") as folder, connect(run) as executor:
            pretend_cut(Path(archive), folder, executor, float(seconds), run)
    except Exception as error:
        print(message_of(error), flush=True)
        return code_of(error)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
