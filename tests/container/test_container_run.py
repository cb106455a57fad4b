"""The situation of a container: a user whom nobody knows, a read-only system, no home, two writable folders."""

import hashlib
import shutil

import pytest

from spectralearth_build import Loader
from tests.support.container_files import of_containerfile
from tests.support.container_root import make_root

NOBODY = 54321
"""A user that the image does not know."""
LOAD = """
import hashlib
from spectralearth_build import Loader
for batch in Loader("/output/demo", batch_size=8, seed=3, as_numpy=True):
    print(hashlib.sha256(batch["pixels"].tobytes()).hexdigest())
"""


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp("container") / "root"
    yield make_root(folder, of_containerfile())
    shutil.rmtree(folder)  # more than a gigabyte


@pytest.mark.slow
def test_an_unknown_user_without_a_home_builds_and_loads_on_a_read_only_system(root, tmp_path):
    mounts = {tmp_path / name: f"/{name}" for name in ("scratch", "output")}
    for place in mounts:
        place.mkdir()
        shutil.chown(place, NOBODY, NOBODY)

    def run(command):
        return root.run(command, user=NOBODY, mounts=mounts, more={"TMPDIR": "/scratch"})

    asked = run("id -u; id -un >/dev/null; echo home=$HOME; touch /new /tmp/new")
    assert asked.stdout.splitlines() == [str(NOBODY), "home="]
    assert "cannot find name" in asked.stderr
    assert asked.stderr.count("Read-only file system") == 2

    done = run(f"cd /output && exec {' '.join(of_containerfile().entry)} demo /output/demo")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "verify: everything is sound and equals its source pixels" in done.stdout
    assert done.stderr == ""
    assert sorted(path.name for path in (tmp_path / "output").iterdir()) == ["demo", "demo-archive"]
    assert not list(tmp_path.rglob("*.nbc")), "all loops were compiled when the image was made"

    loaded = run(f"exec python -c '{LOAD}'")
    assert loaded.returncode == 0, loaded.stderr
    here = Loader(tmp_path / "output/demo", batch_size=8, seed=3, as_numpy=True)
    expected = [hashlib.sha256(batch["pixels"].tobytes()).hexdigest() for batch in here]
    assert loaded.stdout.splitlines() == expected
    assert len(set(expected)) == len(expected) >= 4
