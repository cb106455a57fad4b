"""What an error on reading a file tells of it."""

from __future__ import annotations

import errno
import os

import pytest

from spectralearth_build.checking.damage import NOT_CHECKED
from spectralearth_build.checking.findings import examined, finding, of_failure
from spectralearth_build.cluster import Failure
from spectralearth_build.errors import DamagedError, MachineError, OutOfSpaceError, StorageError


def system(number):
    return OSError(number, os.strerror(number), "/d/x")


def wrapped(cause, outer):
    """An error as a library would raise it from another."""
    try:
        try:
            raise cause
        except Exception as error:
            raise outer from error
    except Exception as error:
        return error


@pytest.mark.parametrize("error", [RecursionError("deep"), KeyError("x"), ValueError("y"), RuntimeError("z")])
def test_whatever_a_library_raises_is_a_damage(error):
    found = finding("TableWrong", "x", error)
    assert (found.kind, found.path) == ("TableWrong", "x")
    assert type(error).__name__ in found.message


@pytest.mark.parametrize("number", [errno.EIO, errno.ESTALE, errno.EACCES])
@pytest.mark.parametrize("outer", [None, DamagedError("The shard cannot be read.", "/d/x")])
def test_what_cannot_be_read_here_is_not_called_damaged(number, outer):
    error = wrapped(system(number), outer) if outer else system(number)
    found = finding("ShardDamaged", "x", error, patches=("a",))
    assert (found.kind, found.path, found.patches) == (NOT_CHECKED, "x", ())
    assert os.strerror(number) in found.message


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE, errno.ENOMEM])
@pytest.mark.parametrize(
    "outer", [None, DamagedError("The shard cannot be read.", "/d/x"), ValueError("some library")]
)
def test_what_the_machine_lacks_ends_the_check(number, outer):
    error = wrapped(system(number), outer) if outer else system(number)
    with pytest.raises(MachineError, match=os.strerror(number)):
        finding("ShardDamaged", "x", error)


def test_the_words_of_a_library_without_a_number():
    with pytest.raises(MachineError, match="ulimit -n"):
        finding("TableWrong", "x", RuntimeError("IO error: x.tif: Too many open files (os error 24)"))
    with pytest.raises(OutOfSpaceError):
        finding("IndexWrong", "x", RuntimeError("write failed: No space left on device"))


def test_memory_that_a_damaged_file_asks_for_is_a_damage():
    assert finding("TableWrong", "x", MemoryError(), known=True).kind == "TableWrong"
    with pytest.raises(MachineError):
        finding("TableWrong", "x", MemoryError())


def test_an_object_store_is_not_judged_here():
    with pytest.raises(StorageError):
        finding("TableWrong", "x", StorageError("It refuses."))


def test_findings_before_an_error_stay():
    def check():
        yield finding("TableWrong", "x", ValueError("first"))
        raise KeyError("second")

    found = list(examined("TableWrong", "x", check))
    assert ["first" in found[0].message, "second" in found[1].message] == [True, True]


@pytest.mark.parametrize("kind", ["WorkerLostError", "TimeLimitError", "MemoryLimitError", "MemoryError"])
def test_a_check_that_did_not_end_says_nothing_of_the_file(kind):
    assert of_failure("shard-1", Failure("shard-1", kind, "x")).kind == NOT_CHECKED
    assert of_failure("shard-1", Failure("shard-1", "ValueError", "x")).kind == "CheckFailed"
