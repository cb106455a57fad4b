"""A process that has the whole package imported and forks itself for each call of the command line.

A fork is a real process that runs the real program, 60 ms after it was asked for instead of two seconds. What a user's
shell would set is set there: user, working directory, environment, standard streams. Moments of a run are counted by
what it does below a folder (files opened, renamed, deleted, folders made); at one of them it can tell, and wait.

Started by `calling.Server` with the number of a socket; imports nothing of the tests.
"""

from __future__ import annotations

import array
import atexit
import ctypes
import faulthandler
import gc
import importlib
import json
import os
import pkgutil
import signal
import socket
import struct
import sys
import tempfile
import threading
import traceback
from contextlib import redirect_stdout, suppress
from os import fdopen
from pathlib import Path

EVENTS = ("open", "os.rename", "os.mkdir", "os.remove", "os.rmdir")
"""Audit events of Python that count as moments."""
HUNG = 150
"""Seconds after which a call says where it is: less than what the tests wait."""
COUNT, PAUSE = b"n", b"p"


def main() -> None:
    """Serve until the socket is closed."""
    server = socket.socket(fileno=int(sys.argv[1]))
    _import_all()
    gc.collect()
    gc.freeze()  # what was imported is shared by the forks, as long as nobody touches it
    server.send(b"ready")
    while True:
        message, fds = _receive(server)
        if not message:
            return
        request = json.loads(message)
        if not fds:
            _warm(request)
            server.send(b"warm")
            continue
        pid = os.fork()
        if not pid:
            server.close()
            _child(request, dict(zip(request["fds"], fds, strict=True)))
        for each in fds:
            os.close(each)
        server.send(json.dumps(pid).encode())
        _, status = os.waitpid(pid, 0)
        server.send(json.dumps(os.waitstatus_to_exitcode(status)).encode())


def _import_all() -> None:
    import spectralearth_build

    for module in pkgutil.walk_packages(spectralearth_build.__path__, "spectralearth_build."):
        if not module.name.endswith("__main__"):
            with suppress(ImportError):  # an optional dependency; the verb will say so
                importlib.import_module(module.name)


def _warm(calls: list[list[str]]) -> None:
    """Do calls in this process, so that kernels, fonts and tables are loaded in every fork."""
    from spectralearth_build.cli.app import app

    with Path(os.devnull).open("w") as nowhere, redirect_stdout(nowhere):
        for arguments in calls:
            app(arguments, standalone_mode=False)
    gc.collect()
    gc.freeze()


def _receive(server: socket.socket) -> tuple[bytes, list[int]]:
    size = array.array("i").itemsize
    message, extra, _, _ = server.recvmsg(1 << 20, socket.CMSG_SPACE(8 * size))
    fds = array.array("i")
    for _, _, data in extra:
        fds.frombytes(data[: len(data) - len(data) % size])
    return message, fds.tolist()


def _child(request: dict, fds: dict[str, int]) -> None:
    """Be the program, and end as it ends."""
    control = socket.socket(fileno=fds["control"])
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if name in fds:
            os.dup2(fds[name], number)
            os.close(fds[name])
        else:
            os.close(number)
    _drop_capabilities()
    os.umask(0o022)
    os.chdir(request["cwd"])
    os.environ.update(request["environment"])
    tempfile.tempdir = None
    _streams(fds)
    faulthandler.dump_traceback_later(HUNG, file=2)
    moments = Moments(request["watched"], request["moment"], control)
    sys.argv = ["spectralearth-build", *request["arguments"]]
    code = 1
    try:
        from spectralearth_build.__main__ import main

        moments.on = True
        main()
        code = 0
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else int(error.code is not None)
    except KeyboardInterrupt:
        code = 130
        traceback.print_exc()
    except BaseException:
        traceback.print_exc()
    finally:
        moments.on = False
        with suppress(OSError):
            control.send(COUNT + str(moments.count).encode())
        os._exit(_finalised(code))


def _drop_capabilities() -> None:
    """Make root a user like any other, for whom the modes of files count; others have no capabilities to drop."""
    if os.geteuid() == 0:
        header = struct.pack("Ii", 0x20080522, 0)  # _LINUX_CAPABILITY_VERSION_3, this process
        if ctypes.CDLL(None, use_errno=True).capset(header, bytes(24)):
            raise OSError(ctypes.get_errno(), "capset")


def _streams(fds: dict[str, int]) -> None:
    """Text streams as Python makes them when it starts."""
    told = fdopen(1, "w", encoding="utf-8", closefd=False) if "stdout" in fds else None
    sys.stdout = sys.__stdout__ = told
    errors = fdopen(2, "w", 1, encoding="utf-8", errors="backslashreplace", closefd=False)
    sys.stderr = sys.__stderr__ = errors


def _finalised(code: int) -> int:
    """What Python does before a process ends, as far as it can be seen from outside; the exit status."""
    with suppress(Exception):
        threading._shutdown()
    atexit._run_exitfuncs()
    for stream, worst in ((sys.stdout, 120), (sys.stderr, code)):
        try:
            if stream is not None:
                stream.flush()
        except Exception as error:
            code = worst
            with suppress(Exception):
                print(f"Exception ignored in: {stream!r}\n{error!r}", file=sys.stderr, flush=True)
    return code


class Moments:
    """Counts what a run does to files below a folder; at a given count it says so and waits for an answer."""

    def __init__(self, watched: str, moment: int, control: socket.socket) -> None:
        self.watched, self.moment, self.control = watched, moment, control
        self.count, self.on = 0, False
        if moment >= 0:
            sys.addaudithook(self)

    def __call__(self, event: str, arguments: tuple) -> None:
        """Called by Python on everything of note."""
        if not self.on or event not in EVENTS or not isinstance(arguments[0], str | bytes | os.PathLike):
            return
        if not os.fsdecode(arguments[0]).startswith(self.watched):
            return
        self.count += 1
        if self.count == self.moment:
            self.control.send(PAUSE)
            self.control.recv(1)


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)
    main()
