import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from spectralearth_build.dataset.access import open_dataset
from spectralearth_build.errors import DamagedError, OutOfSpaceError, StoppedError, UsageError
from spectralearth_build.export import driver
from spectralearth_build.export.driver import FORMATS, export
from spectralearth_build.export.format import Options
from spectralearth_build.export.patch_reader import PatchReader
from spectralearth_build.export.selection import Filters, select_patches
from spectralearth_build.lock import alone
from tests.support.files import tree

SMALL = Options(bands="500-600", per_file=2)
ROOT = Path(driver.__file__).parents[2]


class CrashError(Exception):
    pass


def crash_after(monkeypatch, patches, error=CrashError):
    """Let reading fail after so many patches; returns the rows that were read."""
    read, rows, lock = PatchReader.read, [], threading.Lock()

    def limited(self, row):
        with lock:
            if len(rows) >= patches:
                raise error("crash")
            rows.append(row)
        return read(self, row)

    monkeypatch.setattr(PatchReader, "read", limited)
    return rows


def parts_of(source):
    """The parts of an export with `SMALL`."""
    return select_patches(open_dataset(source), Filters(), np.arange(202)).parts(SMALL.per_file)


@pytest.mark.slow
@pytest.mark.parametrize("to", FORMATS)
def test_what_crashed_goes_on_and_gives_the_same_bytes(source, tmp_path, monkeypatch, to):
    assert export(source, tmp_path / "whole", to, options=SMALL, workers=2)
    for patches in (0, 5):
        with monkeypatch.context() as context:
            crash_after(context, patches)
            with pytest.raises(CrashError):
                export(source, tmp_path / "t", to, options=SMALL, workers=1)
        assert not (tmp_path / "t").exists()
        records = list((tmp_path / "t.unfinished" / ".parts").glob("*.json"))
        assert bool(records) == (patches > 0)
    durable = sum(map(len, (part for part in parts_of(source) if any(r.stem == part.name for r in records))))
    with monkeypatch.context() as context:
        rows = crash_after(context, 100)
        assert export(source, tmp_path / "t", to, options=SMALL, workers=1)
    assert 0 < durable < 9
    assert len(rows) == 9 - durable
    assert tree(tmp_path / "t", ()) == tree(tmp_path / "whole", ())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["t", "whole"]


@pytest.mark.slow
def test_a_killed_process_leaves_no_target_and_is_taken_up_again(source, tmp_path):
    export(source, tmp_path / "whole", "numpy", options=Options(per_file=1))
    command = [sys.executable, "-m", "spectralearth_build", "export", str(source), str(tmp_path / "t")]
    command += ["--to", "numpy", "--per-file", "1", "--workers", "1"]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)
    records = tmp_path / "t.unfinished" / ".parts"
    deadline = time.monotonic() + 60
    while not list(records.glob("*.json")) and time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    if not (tmp_path / "t").exists():  # it may have been quicker
        assert 0 < len(list(records.glob("*.json"))) <= 9
    export(source, tmp_path / "t", "numpy", options=Options(per_file=1))
    assert tree(tmp_path / "t", ()) == tree(tmp_path / "whole", ())


@pytest.mark.slow
@pytest.mark.parametrize("to", FORMATS)
def test_the_manifest_names_every_file(exported, to):
    folder = exported(to)
    manifest = json.loads((folder / "manifest.json").read_bytes())
    hashes = tree(folder, ())
    del hashes["manifest.json"]
    assert {name: known["sha256"] for name, known in manifest["files"].items()} == hashes
    assert all(known["bytes"] == (folder / name).stat().st_size for name, known in manifest["files"].items())
    assert manifest["counts"]["patches"] == 9
    assert manifest["counts"]["locations"] == 5
    assert manifest["counts"]["splits"] == {"train": 9}
    table = pd.read_parquet(folder / "patches.parquet")
    assert set(table["file"]) <= set(hashes)


def test_a_finished_export_is_left_alone(source, tmp_path, capsys):
    assert export(source, tmp_path / "t", "numpy", options=SMALL)
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "t").rglob("*")}
    assert not export(source, tmp_path / "t", "numpy", options=SMALL)
    assert before == {path: path.stat().st_mtime_ns for path in (tmp_path / "t").rglob("*")}
    assert "already complete" in capsys.readouterr().out
    (tmp_path / "t" / "train-00000.npy").write_bytes(b"")
    with pytest.raises(DamagedError, match=r"train-00000\.npy"):
        export(source, tmp_path / "t", "numpy", options=SMALL)


@pytest.mark.parametrize(
    ("to", "filters", "options", "named"),
    [
        ("webdataset", Filters(), SMALL, 'to: was "numpy", is "webdataset"'),
        ("numpy", Filters(max_cloud=0.02), SMALL, "filters"),
        ("numpy", Filters(), Options(bands="500-600", per_file=3), "per_file: was 2, is 3"),
        ("numpy", Filters(), Options(per_file=2), "bands"),
    ],
)
@pytest.mark.parametrize("state", ["finished", "unfinished"])
def test_another_export_is_refused_by_name(source, tmp_path, monkeypatch, to, filters, options, named, state):
    with monkeypatch.context() as context:
        if state == "unfinished":
            crash_after(context, 3)
        try:
            export(source, tmp_path / "t", "numpy", options=SMALL, workers=1)
        except CrashError:
            assert state == "unfinished"
    before = tree(tmp_path, ())
    with pytest.raises(UsageError, match=named):
        export(source, tmp_path / "t", to, filters, options)
    assert tree(tmp_path, ()) == before


def test_foreign_folders_and_files_are_refused(source, tmp_path):
    for name in ("t", "u.unfinished"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "precious").write_text("mine")
    (tmp_path / "file").write_text("mine")
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "manifest.json").write_text("{")
    for target in ("t", "u", "file", "broken"):
        with pytest.raises(UsageError, match="contains no export"):
            export(source, tmp_path / target, "numpy", options=SMALL)
    assert (tmp_path / "t" / "precious").read_text() == (tmp_path / "file").read_text() == "mine"
    with pytest.raises(UsageError, match="is inside the dataset"):
        export(source, source / "t", "numpy", options=SMALL)
    with pytest.raises(UsageError, match="mount point"):
        export(source, Path("/proc"), "numpy", options=SMALL)


def test_two_runs_do_not_meet(source, tmp_path, monkeypatch):
    with alone(tmp_path / "t.unfinished"), pytest.raises(UsageError, match="Another run"):
        export(source, tmp_path / "t", "numpy", options=SMALL)

    def late(folder, lease):
        """The lock of a run that looked before another one ended."""
        monkeypatch.undo()
        export(source, tmp_path / "t", "numpy", options=SMALL)
        return alone(folder, lease=lease)

    monkeypatch.setattr(driver, "alone", late)
    export(source, tmp_path / "t", "numpy", options=SMALL)
    assert [path.name for path in tmp_path.iterdir()] == ["t"]


def test_an_empty_folder_is_taken(source, tmp_path):
    (tmp_path / "t").mkdir()
    assert export(source, tmp_path / "t", "numpy", options=SMALL)
    assert (tmp_path / "t" / "manifest.json").is_file()


def test_a_crash_before_the_move_is_mended(source, tmp_path, monkeypatch):
    export(source, tmp_path / "whole", "numpy", options=SMALL)

    def refuse(*_):
        raise CrashError

    with monkeypatch.context() as context:
        context.setattr("spectralearth_build.export.target.move", refuse)
        with pytest.raises(CrashError):
            export(source, tmp_path / "t", "numpy", options=SMALL)
    assert not (tmp_path / "t").exists()
    with monkeypatch.context() as context:
        rows = crash_after(context, 0)
        assert export(source, tmp_path / "t", "numpy", options=SMALL)
    assert rows == []
    assert tree(tmp_path / "t", ()) == tree(tmp_path / "whole", ())


@pytest.mark.slow
def test_a_lost_file_of_a_durable_part_is_written_again(source, tmp_path, monkeypatch):
    export(source, tmp_path / "whole", "geotiff", options=SMALL)
    with monkeypatch.context() as context:
        crash_after(context, 7)
        with pytest.raises(CrashError):
            export(source, tmp_path / "t", "geotiff", options=SMALL, workers=1)
    next((tmp_path / "t.unfinished").rglob("*.tif")).unlink()
    export(source, tmp_path / "t", "geotiff", options=SMALL)
    assert tree(tmp_path / "t", ()) == tree(tmp_path / "whole", ())


def test_too_little_space_is_told_before_anything_is_written(source, tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=1000))
    with pytest.raises(OutOfSpaceError, match="must still be written"):
        export(source, tmp_path / "t", "webdataset", options=SMALL)
    assert not list(tmp_path.rglob("*.tar"))


def test_a_full_disk_is_told_and_the_export_goes_on_later(source, tmp_path, monkeypatch):
    export(source, tmp_path / "whole", "webdataset", options=SMALL)
    with monkeypatch.context() as context:
        fsync, count = os.fsync, []

        def full(descriptor):
            count.append(descriptor)
            if len(count) > 12:
                raise OSError(28, "No space left on device")
            fsync(descriptor)

        context.setattr(os, "fsync", full)
        with pytest.raises(OutOfSpaceError, match="Nothing that was written is lost"):
            export(source, tmp_path / "t", "webdataset", options=SMALL)
    assert not (tmp_path / "t").exists()
    assert export(source, tmp_path / "t", "webdataset", options=SMALL)
    assert tree(tmp_path / "t", ()) == tree(tmp_path / "whole", ())


def test_a_signal_stops_between_patches(source, tmp_path, monkeypatch):
    crash_after(monkeypatch, 3, StoppedError)
    with pytest.raises(StoppedError):
        export(source, tmp_path / "t", "hf", options=SMALL)
    assert not (tmp_path / "t").exists()


def test_a_damaged_patch_is_an_error_that_names_its_shard(source, tmp_path):
    broken = tmp_path / "broken"
    shutil.copytree(source, broken)
    shard = broken / "store.zarr" / "reflectance" / "c.0.0.0.0"
    data = bytearray(shard.read_bytes())
    data[1000] ^= 1
    shard.write_bytes(data)
    with pytest.raises(DamagedError, match=r"c\.0\.0\.0\.0"):
        export(broken, tmp_path / "t", "numpy", options=SMALL)
    shard.unlink()
    with pytest.raises(DamagedError, match=r"c\.0\.0\.0\.0"):
        export(broken, tmp_path / "t", "numpy", options=SMALL)
    assert not (tmp_path / "t").exists()


@pytest.mark.parametrize(
    ("to", "options", "named"),
    [
        ("csv", Options(), "Unknown format 'csv'"),
        ("numpy", Options(compress="zstd"), "for GeoTIFF"),
        ("litdata", Options(per_file=513), "at most 512 patches"),
        ("numpy", Options(per_file=-1), "got -1"),
    ],
)
def test_wrong_options_are_refused(source, tmp_path, to, options, named):
    with pytest.raises(UsageError, match=named):
        export(source, tmp_path / "t", to, options=options)
    assert list(tmp_path.iterdir()) == []
