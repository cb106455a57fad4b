import pytest

from spectralearth_build.cluster.task import Failure, attempt, attempt_packed, packed
from spectralearth_build.errors import OutOfSpaceError, UsageError
from tests.support import worker_tasks as tasks


def test_a_result_is_passed_on():
    assert attempt("k", tasks.square, (7,)) == 49


def test_a_task_that_the_scheduler_cannot_look_into_gives_the_same():
    task = packed(tasks.square, (7,))
    assert isinstance(task, bytes)
    assert attempt_packed("k", task) == 49
    assert attempt_packed("k", packed(tasks.broken_product, ("a",))).error_class == "EmptyFileError"


def test_a_bad_product_is_a_failure_of_its_class_with_its_message():
    expected = "a/b.tif: The file is empty. Download the product again."
    assert attempt("k", tasks.broken_product, ("a/b.tif",)) == Failure("k", "EmptyFileError", expected)


def test_an_unexpected_exception_is_a_failure_that_says_where():
    failure = attempt("k", tasks.bug, ())
    assert isinstance(failure, Failure)
    assert failure.error_class == "KeyError"
    assert failure.message.startswith("'absent' (worker_tasks.py:")
    assert failure.message.endswith("in bug)")


@pytest.mark.parametrize(
    ("function", "arguments", "error"),
    [
        (tasks.full, ("x",), OutOfSpaceError),
        (tasks.full_below, (), OutOfSpaceError),
        (tasks.wrong_use, (), UsageError),
    ],
)
def test_what_concerns_all_tasks_is_raised(function, arguments, error):
    with pytest.raises(error):
        attempt("k", function, arguments)


def test_only_what_happens_twice_convicts(tmp_path):
    assert attempt("k", tasks.raise_once, (str(tmp_path),)) == "done"
    assert len(list(tmp_path.iterdir())) == 3


def test_lack_of_memory_is_no_verdict_where_others_work_too(tmp_path):
    with pytest.raises(MemoryError):
        attempt("k", tasks.no_memory, ())
    assert attempt("k", tasks.no_memory, (), last=True).error_class == "MemoryError"
