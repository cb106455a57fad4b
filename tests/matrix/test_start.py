"""The first second of a process, which the matrix does not see: imports, and streams that are not there."""

import os
import signal
import subprocess
import sys

import pytest

COMMAND = [sys.executable, "-m", "spectralearth_build"]


@pytest.mark.parametrize("module", ["spectralearth_build.streams", "typer", "spectralearth_build.cli.app"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_during_imports_ends_with_75_and_without_a_trace(tmp_path, module, number):
    words = ["build", tmp_path, tmp_path / "d"]
    command = [sys.executable, "-X", "importtime", "-m", "spectralearth_build", *map(str, words)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        said = next((line for line in process.stderr if line.rstrip().endswith(module)), "")
        assert said, "the program did not import it"
        process.send_signal(number)
        out, err = process.communicate(timeout=60)
    told = [line for line in err.splitlines() if line and not line.startswith("import time:")]
    assert process.returncode == 75, err
    assert told == ["Stopped before anything began. Run the same command again."]
    assert not out
    assert not (tmp_path / "d").exists()


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-", ">/dev/full", "2>/dev/full"])
def test_streams_that_are_not_there(tmp_path, closed):
    words = f"'{sys.executable}' -m spectralearth_build synthesize '{tmp_path}/d' --footprints-only --tiles 2"
    done = subprocess.run(["sh", "-c", f"{words} {closed}"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert not done.stderr
    assert (tmp_path / "d" / "tiles.parquet").read_bytes().endswith(b"PAR1")


@pytest.mark.parametrize(
    ("where", "code", "said"),
    [("| head -c 9", 0, ""), (">/dev/full", 28, "could not be written"), (">&-", 0, "")],
)
def test_what_is_printed_as_a_result_must_be_taken(where, code, said):
    call = f"{{ '{sys.executable}' -m spectralearth_build config template; echo $? >&3; }} {where}"
    done = subprocess.run(
        ["bash", "-c", f"exec 3>&2; {call}"], capture_output=True, text=True, check=False, env=os.environ
    )
    told = done.stderr.splitlines()
    assert told[-1] == str(code), done.stderr
    assert said in done.stderr
    assert len(told) == 1 + bool(said)
