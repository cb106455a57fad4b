"""Lists of numbers as options of benchmarks."""

from __future__ import annotations

from spectralearth_build.errors import UsageError


def numbers(option: str, text: str) -> list[int]:
    """Return the numbers in a text, sorted, each once.

    Args:
        option: name of the option, for the message.
        text: positive numbers, separated by commas.

    Raises:
        UsageError: It has anything else.
    """
    try:
        found = sorted({int(part) for part in text.split(",")})
    except ValueError:
        found = []
    if not found or found[0] < 1:
        what = "numbers of tiles, such as 1000,11636" if option == "--sizes" else "numbers, such as 1,2"
        raise UsageError(f"{option} must be {what}, got '{text}'.")
    return found
