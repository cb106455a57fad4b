"""Numba's cache of compiled code, on a disk that may be full or may have lost the end of a file.

Numba reads what it finds there unchecked, and raises if it cannot be read or written. Here, code that cannot be read is
compiled and written again, and code that cannot be written serves this process only.
"""

from __future__ import annotations

from typing import Any

from numba.core.caching import FunctionCache

unwritten: list[OSError] = []
"""Why code could not be written."""


class KernelCache(FunctionCache):
    """The cached code of one function."""

    def load_overload(self, sig: Any, target_context: Any) -> Any:  # noqa: ANN401  # numba has no types
        """Return the code for a signature; None if there is none that can be read."""
        try:
            return super().load_overload(sig, target_context)  # type: ignore[no-untyped-call]
        except Exception:  # pickle raises anything on a file that is cut off
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
        except OSError as error:
            unwritten.append(error)


def keep(dispatcher: Any) -> None:  # noqa: ANN401
    """Make a function of numba keep its compiled code.

    Args:
        dispatcher: what ``numba.njit`` returned.

    Raises:
        RuntimeError: There is no folder for it.
    """
    dispatcher._cache = KernelCache(dispatcher.py_func)  # type: ignore[no-untyped-call]
