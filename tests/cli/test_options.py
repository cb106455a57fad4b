import errno
import os
import signal

import pytest
import typer
from typer.testing import CliRunner

from spectralearth_build.cli.codes import FAILED, MEANING, code_of
from spectralearth_build.cli.options import Settings, verb
from spectralearth_build.cluster import raise_if_stopped
from spectralearth_build.errors import (
    BuildError,
    ConfigError,
    DamagedError,
    EmptyFileError,
    OutOfSpaceError,
    PlanChangedError,
    StoppedError,
    UsageError,
)


def run(function, *arguments):
    app = typer.Typer()
    app.command()(verb(function))
    return CliRunner().invoke(app, list(arguments))


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConfigError("x"), 2),
        (UsageError("x"), 2),
        (PlanChangedError("x"), 2),
        (DamagedError("x"), 1),
        (OutOfSpaceError("x"), 28),
        (StoppedError("x"), 75),
        (EmptyFileError("x"), FAILED),
        (BuildError("x"), FAILED),
        (OSError(errno.ENOSPC, "full"), 28),
        (OSError(errno.EROFS, "read-only"), 28),
        (PermissionError(errno.EACCES, "no", "/a/b"), 2),
        (KeyError("x"), FAILED),
    ],
)
def test_an_error_is_one_line_and_a_code(error, code):
    def fail() -> None:
        raise error

    done = run(fail)
    assert done.exit_code == code
    assert code in MEANING
    assert done.stderr.startswith("Error: ")
    assert len(done.stderr.splitlines()) == 1
    if isinstance(error, BuildError):
        assert code_of(error) == code
    shown = run(fail, "--debug")
    assert shown.exit_code == code
    assert "Traceback" in shown.stderr
    assert "in fail" in shown.stderr


def test_what_a_verb_returns_is_the_exit_code():
    assert run(lambda: None).exit_code == 0
    assert run(lambda: 4).exit_code == 4


def test_a_signal_is_75_at_the_next_safe_point():
    def stopped() -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        raise_if_stopped()

    done = run(stopped)
    assert done.exit_code == 75
    assert "SIGTERM. Run the same command again to continue." in done.stderr


def test_short_forms_win_over_set():
    seen = []

    def show(settings: Settings) -> None:
        seen.append(settings.load(scan_manifest="list.csv"))

    options = ["--set", "run.scheduler=tcp://a:1", "--set", "scan.manifest=b.csv", "--scheduler", "inline"]
    assert run(show, *options).exit_code == 0
    assert seen[0].run.scheduler == "inline"
    assert seen[0].scan.manifest == "list.csv"
