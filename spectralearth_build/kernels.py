"""Compiled loops: numba kernels, cached on disk, without the GIL, and with the types of the original function.

A kernel is compiled when it is first called, once per machine; numba itself is imported only then. Numba keeps compiled
code beside the package or in the user's cache. In a container, neither may be writable. Code that `warm-up` compiled
when the image was made is then read from beside the package; other code goes to a folder of this user below the
temporary folder. Without that, every process compiles anew.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import cached_property, partial, update_wrapper
from importlib import import_module
from typing import Any, Generic, ParamSpec, TypeVar, cast

from spectralearth_build.caches import own_folder, settle_home

P = ParamSpec("P")
R = TypeVar("R")
_elsewhere: list[bool] = []
"""Not empty once numba found no cache folder of its own for a kernel."""
_known: list[Kernel[..., Any]] = []
"""The kernels with one signature that were imported so far."""
_making = threading.RLock()


class Kernel(Generic[P, R]):
    """A function that numba compiles when it is first called, from Python or from another kernel."""

    def __init__(
        self, function: Callable[P, R], signature: str = "", writes: int = 0, **options: str
    ) -> None:
        """Wrap ``function``; see `kernel_of`. ``options`` are those of ``numba.njit``."""
        self.py_func = function
        self.signature, self.writes = signature, writes
        self.options = options
        update_wrapper(self, function)
        if signature:
            _known.append(self)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call the compiled function."""
        return cast(R, self.compiled(*args, **kwargs))

    @cached_property
    def compiled(self) -> Any:  # noqa: ANN401  # numba has no types
        """Numba's dispatcher."""
        with _making:
            return self.__dict__.get("compiled") or _compiled(self)

    @property
    def _numba_type_(self) -> object:
        """The type of this object, which numba reads if another kernel refers to it."""
        return cast(object, self.compiled._numba_type_)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401
        """Attributes of the dispatcher, which numba reads too."""
        if name.startswith("__") or name == "compiled":
            raise AttributeError(name)
        return getattr(self.compiled, name)


def kernel(function: Callable[P, R]) -> Callable[P, R]:
    """Compile ``function`` with numba, once per machine and argument types."""
    return Kernel(function)


def kernel_of(signature: str, writes: int = 0) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Compile a function for one signature only, so that arguments of nearly the same types do not compile it again.

    Args:
        signature: as numba writes it, such as ``int64(int32[:, ::1], int64)``.
        writes: how many of its last arrays the function writes to. The others may be read-only.
    """
    return lambda function: Kernel(function, signature, writes)


def inlined(function: Callable[P, R]) -> Callable[P, R]:
    """A function that numba inlines into each kernel that calls it."""
    return Kernel(function, inline="always")


def prepare(tell: Callable[[str], None]) -> None:
    """Compile the imported kernels that have a signature, so that not every worker has to compile them.

    Numba compiles one function at a time in a process. So a second process compiles the kernels from the last one on,
    until they meet; each reads what the other has written.

    Args:
        tell: prints a line. It is called if something must be compiled, because that takes a few seconds.
    """
    with ExitStack() as stack:

        def begin() -> None:
            tell("compiling loops for this machine; only the first run does this")
            stack.enter_context(_helped())

        with _when_compiling(begin):
            for known in _known:
                _ = known.compiled
    if error := not_kept():
        tell(f"compiled code cannot be kept ({error.strerror}), so the next run compiles again")


def compile_backwards(modules: list[str]) -> None:
    """Compile the kernels of some modules, from the last to the first that is compiled already.

    Args:
        modules: their names, in the order in which they were first imported.
    """
    for module in modules:
        import_module(module)
    for known in reversed(_known):
        if "compiled" in vars(known):  # for another kernel
            continue
        compiled: list[bool] = []
        with _when_compiling(partial(compiled.append, True)):
            _ = known.compiled
        if not compiled:
            return


@contextmanager
def _helped() -> Iterator[None]:
    """Have another process compile the kernels backwards meanwhile, if there is a core for it and a cache to share."""
    from spectralearth_build.threads import cores

    modules = list(dict.fromkeys(known.py_func.__module__ for known in _known))
    free = (
        cores() > 1 and os.getloadavg()[0] < 2 * cores()
    )  # else the helper would only take turns with this process
    if not free or len(_known) < 2 or not sys.executable or not cache_folder():
        yield
        return
    command = f"from spectralearth_build.kernels import compile_backwards; compile_backwards({modules})"
    quiet = subprocess.DEVNULL
    try:
        helper = subprocess.Popen(
            [sys.executable, "-P", "-c", command], stdin=quiet, stdout=quiet, stderr=quiet
        )
    except OSError:  # such as no memory: this process can compile all
        yield
        return
    try:
        yield
    finally:  # whatever it still compiles is there already
        helper.kill()
        helper.wait()


@contextmanager
def _when_compiling(call: Callable[[], None]) -> Iterator[None]:
    """Call a function once, when numba first compiles something."""
    from numba.core import event

    class Compiling(event.Listener):
        """Listens to numba."""

        def on_start(self, _: event.Event) -> None:
            if not self.called:
                self.called = True
                call()

        def on_end(self, _: event.Event) -> None:
            pass

        called = False

    with event.install_listener("numba:compile", Compiling()):
        yield


@kernel
def _any(number: int) -> int:
    """Represents all kernels: numba chooses the same cache folder for each."""
    return number


def _compiled(wanted: Kernel[..., Any]) -> Any:  # noqa: ANN401
    import numba  # takes as long as all the rest of a command that calls no kernel
    from numba import config

    from spectralearth_build.kernel_cache import keep

    settle_home()
    njit = cast(Callable[..., Any], numba.njit)
    compiled = njit(nogil=True, **wanted.options)(wanted.py_func)
    if compiled is wanted.py_func:  # NUMBA_DISABLE_JIT is set
        return compiled
    try:
        keep(compiled)
    except RuntimeError:  # numba found no writable folder
        _elsewhere.append(True)
        if folder := own_folder():
            setattr(config, "CACHE_DIR", folder)  # noqa: B010  # numba defines its settings at run time
            keep(compiled)
    if wanted.signature:
        compiled.compile(_typed(wanted.signature, wanted.writes))
        compiled.disable_compile()
    return compiled


def _typed(signature: str, writes: int) -> object:
    """Numba's signature, in which all arrays but the last ones may be read-only."""
    from numba import types
    from numba.core.sigutils import normalize_signature

    given, result = cast(Callable[..., Any], normalize_signature)(signature)
    arrays = [k for k, kind in enumerate(given) if isinstance(kind, types.Array)]
    read = arrays[: len(arrays) - writes]
    return cast(
        object, result(*(kind.copy(readonly=True) if k in read else kind for k, kind in enumerate(given)))
    )


def cache_folder() -> str:
    """Where numba keeps compiled code; empty if nowhere."""
    stats = getattr(cast(Kernel[..., int], _any).compiled, "stats", None)  # none with NUMBA_DISABLE_JIT
    return str((stats and stats.cache_path) or "")


def not_kept() -> OSError | None:
    """Why compiled code could not be written to its folder, such as a full disk; None if all could."""
    from spectralearth_build.kernel_cache import unwritten

    return unwritten[0] if unwritten else None


def cache_note() -> str:
    """A note on where this process keeps code that it compiled; empty if numba keeps it in its usual place."""
    _ = cast(Kernel[..., int], _any).compiled
    if not _elsewhere:
        return ""
    remedy = "to keep it, type `export NUMBA_CACHE_DIR=/path/to/a/writable/folder`"
    if folder := own_folder():
        from spectralearth_build.kernel_cache import written

        if not written:  # all that was needed was there
            return ""
        return f"compiled code is kept in {folder}, which may be emptied, so later runs may compile again; {remedy}"
    return (
        f"compiled code cannot be kept anywhere, so every process compiles again for some seconds; {remedy}"
    )
