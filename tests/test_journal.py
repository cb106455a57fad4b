"""Files replaced as one: all or none, whatever interrupts."""

import pytest

from spectralearth_build import journal
from spectralearth_build.journal import recover, replaced_together
from spectralearth_build.layout import PENDING


@pytest.fixture
def dataset(tmp_path):
    for name in "ab":
        (tmp_path / name).write_text("old")
    return tmp_path


def contents(dataset):
    return {path.name: path.read_text() for path in dataset.iterdir() if path.is_file()}


def write(folder, names="abc"):
    for name in names:
        (folder / name).write_text("new")


def test_all_are_replaced_and_nothing_is_left(dataset):
    with replaced_together(dataset) as folder:
        write(folder)
        assert contents(dataset) == dict.fromkeys("ab", "old")
    assert contents(dataset) == dict.fromkeys("abc", "new")
    assert not (dataset / PENDING).exists()


def test_an_exception_replaces_nothing(dataset):
    with pytest.raises(FileNotFoundError), replaced_together(dataset) as folder:
        write(folder, ["c", "missing/d"])
    recover(dataset)
    assert contents(dataset) == dict.fromkeys("ab", "old")
    assert not (dataset / PENDING).exists()


@pytest.mark.parametrize("moved", range(3))
def test_a_stop_among_the_moves_is_finished_later(dataset, monkeypatch, moved):
    real, count = journal.move, 0

    def stopping(*paths):
        nonlocal count
        count += 1
        if count > moved:
            raise KeyboardInterrupt
        real(*paths)

    with monkeypatch.context() as patch:
        patch.setattr(journal, "move", stopping)
        with pytest.raises(KeyboardInterrupt), replaced_together(dataset) as folder:
            write(folder)
    assert list(contents(dataset).values()).count("new") == moved
    recover(dataset)
    assert contents(dataset) == dict.fromkeys("abc", "new")
    assert not (dataset / PENDING).exists()


def test_what_is_finished_is_not_done_again(dataset):
    with replaced_together(dataset) as folder:
        write(folder)
    (dataset / "a").write_text("newer")
    recover(dataset)
    assert contents(dataset)["a"] == "newer"


def test_what_an_earlier_trial_left_is_not_taken(dataset):
    (dataset / PENDING).mkdir(parents=True)
    (dataset / PENDING / "stale").write_text("stale")
    with replaced_together(dataset) as folder:
        write(folder)
    assert "stale" not in contents(dataset)
