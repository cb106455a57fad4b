"""Paths that are not UTF-8, and output that cannot show what is said, at the command line."""

import os
import subprocess
import sys

import pytest
from distributed.protocol import pickle

from spectralearth_build import open_dataset
from spectralearth_build.archive.discover import Found
from spectralearth_build.archive.scan import scan_product
from spectralearth_build.config import ScanConfig
from spectralearth_build.errors import UsageError
from tests.support.files import tree
from tests.support.small_archive import write_noise_tile

LATIN = os.fsdecode("Bänder".encode("latin-1"))
SHOWN = r"B\xe4nder"


def run(*arguments, encoding="ascii"):
    command = [sys.executable, "-m", "spectralearth_build", *map(str, arguments)]
    environment = os.environ | {"PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"}
    return subprocess.run(command, capture_output=True, env=environment, timeout=120, check=False)


@pytest.mark.slow
def test_an_archive_and_products_of_such_names_are_built(tmp_path):
    """Products are linked, and everything is said in ASCII."""
    archive, dataset = tmp_path / LATIN, tmp_path / "dataset"
    for number in (1, 2):
        product = write_noise_tile(tmp_path / "plain", number)
        product.rename(product.with_name(f"{LATIN} {number}"))
    (tmp_path / "plain").rename(archive)
    done = run("build", archive, dataset, "--compare", "--scheduler", "inline")
    assert done.returncode == 0, (done.stdout, done.stderr)
    assert b"verify: everything is sound and equals its source pixels" in done.stdout
    with open_dataset(dataset).path.joinpath("report.html").open(encoding="utf-8") as page:
        assert page.read()
    assert open_dataset(dataset).tiles["path"].tolist() == [f"{SHOWN} 1", f"{SHOWN} 2"]


def test_tasks_carry_such_paths_to_workers(tmp_path):
    found = Found(SHOWN, "folder", None, "")
    task = (scan_product, tmp_path / LATIN, tmp_path, found, ScanConfig())
    assert pickle.loads(pickle.dumps(task)) == task


@pytest.mark.slow
@pytest.mark.parametrize("encoding", ["ascii", "utf-8"])
def test_a_dataset_of_such_a_path_is_refused_before_anything_is_written(tmp_path, encoding):
    write_noise_tile(tmp_path / "archive", 1)
    place = tmp_path / LATIN
    place.mkdir()
    before = tree(tmp_path)
    for arguments in (
        ["build", tmp_path / "archive", place / "dataset"],
        ["export", place, tmp_path / "tars", "--to", "webdataset"],
        ["export", tmp_path / "archive", place / "tars", "--to", "webdataset"],
    )[: 3 if encoding == "utf-8" else 1]:
        done = run(*arguments, encoding=encoding)
        assert done.returncode == 2
        assert done.stdout == b""
        assert SHOWN.encode() in done.stderr
        assert b"is not UTF-8. Rename that folder, or choose another." in done.stderr
    assert tree(tmp_path) == before
    assert list(place.iterdir()) == []


def test_opening_a_dataset_of_such_a_path_says_what_to_do(tmp_path):
    (tmp_path / LATIN).mkdir()
    with pytest.raises(UsageError, match="not UTF-8"):
        open_dataset(tmp_path / LATIN)
