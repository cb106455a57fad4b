"""Numba's cache of compiled code, on a disk that may be full or may have lost the end of a file.

Numba reads what it finds there unchecked, and raises if it cannot be read or written. Here, code that cannot be read is
compiled and written again, and code that cannot be written serves this process only.

Numba also reads only folders that it can write to. Here, code beside the package is read in any case: a container image
or a shared installation may have compiled it when it was made, and is read-only since.
"""

from __future__ import annotations

from typing import Any

from numba.core.caching import CompileResultCacheImpl, FunctionCache

_InTree: Any = next(
    each for each in CompileResultCacheImpl._locator_classes if each.__name__.endswith("InTreeCacheLocator")
)
"""Numba's class, which had another name in earlier versions."""

unwritten: list[OSError] = []
"""Why code could not be written."""
written: list[str] = []
"""Folders to which code was written."""


class _BesidePackage(_InTree):  # type: ignore[misc]
    """The folder beside the package, whether it is writable or not."""

    def ensure_cache_path(self) -> None:
        """Create nothing."""


class _Shipped(CompileResultCacheImpl):
    _locator_classes = [_BesidePackage]  # noqa: RUF012  # numba's


class _ShippedCache(FunctionCache):
    _impl_class = _Shipped


class KernelCache(FunctionCache):
    """The cached code of one function."""

    def __init__(self, function: Any) -> None:  # noqa: ANN401
        super().__init__(function)  # type: ignore[no-untyped-call]
        self._shipped = _ShippedCache(function)  # type: ignore[no-untyped-call]

    def load_overload(self, sig: Any, target_context: Any) -> Any:  # noqa: ANN401
        """Return the code for a signature; None if there is none that can be read."""
        for load in (super().load_overload, self._shipped.load_overload):
            try:
                found = load(sig, target_context)  # type: ignore[no-untyped-call]
            except Exception:  # pickle raises anything on a file that is cut off
                continue
            if found is not None:
                return found
        return None

    def save_overload(self, sig: Any, data: Any) -> None:  # noqa: ANN401
        """Write the code for a signature, and a new index if the old one cannot be read."""
        try:
            try:
                super().save_overload(sig, data)  # type: ignore[no-untyped-call]
            except OSError:
                raise
            except Exception:
                self.flush()  # type: ignore[no-untyped-call]
                super().save_overload(sig, data)  # type: ignore[no-untyped-call]
            written.append(str(self.cache_path))
        except OSError as error:
            unwritten.append(error)


def keep(dispatcher: Any) -> None:  # noqa: ANN401
    """Make a function of numba keep its compiled code.

    Args:
        dispatcher: what ``numba.njit`` returned.

    Raises:
        RuntimeError: There is no folder for it.
    """
    dispatcher._cache = KernelCache(dispatcher.py_func)
