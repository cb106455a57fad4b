import subprocess
import sys

import pytest

from spectralearth_build.errors import UsageError
from spectralearth_build.lock import alone

HOLD = """
import sys
from pathlib import Path
from spectralearth_build.lock import alone
with alone(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_another_run_is_kept_off_until_the_first_is_gone_even_if_killed(tmp_path):
    folder = tmp_path / "new" / "dataset"
    command = [sys.executable, "-c", HOLD, str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout.readline() == b"held\n"
        with pytest.raises(UsageError, match="Another run is using the folder"), alone(folder):
            pass
        other.kill()
    with alone(folder), pytest.raises(UsageError), alone(folder):
        pass
    with alone(folder):
        assert list(folder.iterdir()) == []


def test_readers_keep_only_writers_out(tmp_path):
    reading = (alone(tmp_path, write=False), alone(tmp_path, write=False))
    with reading[0], reading[1], pytest.raises(UsageError, match="Another run is using"), alone(tmp_path):
        pass
    with alone(tmp_path), pytest.raises(UsageError), alone(tmp_path, write=False):
        pass
