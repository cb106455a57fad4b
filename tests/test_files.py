import errno
import os
import stat

import pytest

from spectralearth_build import files
from spectralearth_build.cli.codes import code_of, message_of
from spectralearth_build.errors import OutOfSpaceError, UsageError
from spectralearth_build.files import (
    PARTIAL,
    delete_partials,
    remove,
    replacing,
    require_writable,
    write_bytes,
)


def test_a_file_appears_whole_in_folders_made_for_it(tmp_path):
    path = tmp_path / "a" / "b" / "c.json"
    write_bytes(path, b"old")
    write_bytes(path, b"new")
    assert path.read_bytes() == b"new"
    assert list(path.parent.iterdir()) == [path]


def test_the_old_file_stays_until_the_new_one_is_complete(tmp_path):
    path = tmp_path / "x"
    path.write_bytes(b"old")
    with replacing(path) as temporary:
        temporary.write_bytes(b"new")
        assert path.read_bytes() == b"old"
        assert temporary.name.endswith(PARTIAL)
        assert temporary.parent == path.parent  # the same file system, or the move were a copy
    assert path.read_bytes() == b"new"


def test_after_an_exception_all_is_as_before(tmp_path):
    path = tmp_path / "x"
    path.write_bytes(b"old")

    def fail():
        with replacing(path) as temporary:
            temporary.write_bytes(b"half")
            raise ValueError

    with pytest.raises(ValueError):  # noqa: PT011
        fail()
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_data_and_then_the_folder_are_synced(tmp_path, monkeypatch):
    events = []
    sync, move = os.fsync, files.Path.replace

    def fsync(descriptor):
        events.append("folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "data")
        sync(descriptor)

    def replace(source, target):
        events.append("move")
        return move(source, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(files.Path, "replace", replace)
    write_bytes(tmp_path / "x", b"data")
    assert events == ["data", "move", "folder"]
    remove(tmp_path / "x")
    assert events == ["data", "move", "folder", "folder"]
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_no_space_is_said_and_leaves_nothing(tmp_path, monkeypatch, number):
    def refuse(_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(OutOfSpaceError, match="run the same command again"):
        write_bytes(tmp_path / "x", b"data")
    assert list(tmp_path.iterdir()) == []


def test_other_system_errors_are_not_taken_for_a_full_disk(tmp_path):
    (tmp_path / "x").mkdir()
    with pytest.raises(IsADirectoryError):
        write_bytes(tmp_path / "x", b"data")


def test_partial_files_are_deleted_wherever_they_lie(tmp_path):
    for name in ("a.1.partial", ".hidden/b.2.partial", "deep/er/c.partial", "kept"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert delete_partials(tmp_path) == 3
    assert [p.name for p in tmp_path.rglob("*") if p.is_file()] == ["kept"]
    assert delete_partials(tmp_path / "absent") == 0


def test_what_cannot_be_written_to_is_refused_with_its_name_and_a_remedy(tmp_path):
    require_writable(tmp_path / "new" / "file.txt")
    (tmp_path / "file").write_bytes(b"kept")
    require_writable(tmp_path / "file")  # it would be replaced, as a whole
    with pytest.raises(UsageError, match=r"file: Not a directory. Give a folder."):
        require_writable(tmp_path / "file" / "inside")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize(
    ("number", "code", "remedy"),
    [(errno.EACCES, 2, "permissions"), (errno.ENOENT, 2, "mounted"), (errno.EISDIR, 2, "Give a file."),
     (errno.EROFS, 28, "writable"), (errno.ENOSPC, 28, "Free some space"), (errno.EIO, 69, "disk"),
     (errno.EINVAL, 70, "")],
)  # fmt: skip
def test_what_the_system_refuses_has_a_code_and_a_remedy(number, code, remedy):
    error = OSError(number, os.strerror(number), "/data/splits.parquet.0123456789ab.partial")
    assert code_of(error) == code
    assert remedy in message_of(error)
    assert "/data/splits.parquet" in message_of(error)
    assert code != 2 or PARTIAL not in message_of(error)
    told = OSError(number, f"Failed to open local file '/data/tiles.parquet'. Detail: [errno {number}]")
    assert code_of(told) == code  # as Arrow says it
    if code == 2:
        assert message_of(told).startswith("/data/tiles.parquet: ")
