"""Kernels where neither the package nor the home can be written to: a container, a cluster's shared installation."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import spectralearth_build

PROBE = """
from spectralearth_build.kernels import cache_note, kernel

@kernel
def twice(number: int) -> int:
    return 2 * number

assert twice(21) == 42
print(cache_note())
"""


HOMELESS = """
import os
import sys

os.chdir(sys.argv[1])
del os.environ["HOME"]
with_home = os.path.expanduser
os.path.expanduser = lambda path: with_home(path) if "HOME" in os.environ else path  # no entry in /etc/passwd
"""

FULL = """
import errno
from spectralearth_build import kernels
from numba.core.caching import IndexDataCacheFile

def refuse(self, key, data):
    raise OSError(errno.ENOSPC, "No space left on device")

IndexDataCacheFile.save = refuse

@kernels.kernel_of("int64(int64)")
def twice(number: int) -> int:
    return 2 * number

kernels.prepare(print)
assert twice(21) == 42
"""


LOOPS = """
from spectralearth_build.kernels import kernel_of

@kernel_of("int64(int64)")
def first(number: int) -> int:
    return number + 1

@kernel_of("int64(int64)")
def second(number: int) -> int:
    return number + 2

@kernel_of("int64(int64)")
def third(number: int) -> int:
    return first(number) + 2
"""
TELL = """
from numba.core import event

class Tell(event.Listener):
    def on_start(self, each):
        print(each.data["dispatcher"].py_func.__name__)

    def on_end(self, each):
        pass

event.register("numba:compile", Tell())
"""
BACKWARDS = f"""{TELL}
from spectralearth_build.kernels import compile_backwards
compile_backwards(["spectralearth_build.loops"])
"""


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    """A copy of what kernels need, that nobody may write to."""
    top = tmp_path_factory.mktemp("installed")
    folder = top / "spectralearth_build"
    folder.mkdir()
    source = Path(spectralearth_build.__file__).parent
    for name in ("__init__.py", "version.py", "caches.py", "kernels.py", "kernel_cache.py", "threads.py"):
        shutil.copy(source / name, folder)
    (folder / "probe.py").write_text(PROBE)
    (folder / "full.py").write_text(FULL)
    (folder / "homeless.py").write_text(HOMELESS + PROBE)
    (folder / "loops.py").write_text(LOOPS)
    for place in (*folder.iterdir(), folder):
        place.chmod(0o555 if place.is_dir() else 0o444)
    yield top
    folder.chmod(0o755)


def probe(package, *words, **variables):
    """Run the probe as one whom permissions bind; skips where this cannot be had."""
    bound = []
    if os.geteuid() == 0:
        bound = ["setpriv", "--bounding-set=-dac_override,-dac_read_search,-fowner", "--inh-caps=-all"]
        if shutil.which("setpriv") is None:
            pytest.skip("root writes everywhere, and there is no setpriv to bind it")
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": "/proc/nonexistent",
        "LANG": "C",
        "PYTHONPATH": str(package),
    }
    command = [*bound, sys.executable, "-B", *(words or ("-m", "spectralearth_build.probe"))]
    done = subprocess.run(
        command,
        env=environment | variables,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        cwd="/",
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.slow
def test_nothing_is_writable_but_the_folder_for_temporary_files(package, tmp_path):
    said = probe(package, TMPDIR=str(tmp_path))
    (folder,) = tmp_path.iterdir()
    assert folder.name == f"spectralearth-build-{os.geteuid()}"
    assert folder.stat().st_mode & 0o777 == 0o700
    assert list(folder.rglob("*.nbi")), "the next process need not compile"
    assert f"kept in {folder}, which may be emptied, so later runs may compile again; " in said
    assert "to keep it, type `export NUMBA_CACHE_DIR" in said


@pytest.mark.slow
def test_code_compiled_at_installation_is_read_where_the_package_is_read_only(package, tmp_path):
    """As in a container image: made by root, with times in whole seconds, on a file system that is read-only since."""
    image = tmp_path / "image"
    shutil.copytree(package, image)
    folder = image / "spectralearth_build"
    folder.chmod(0o755)
    assert probe(image) == ""
    made = list(folder.rglob("*.nbi"))
    assert made
    for place in [*folder.rglob("*"), folder]:
        os.utime(place, (1_700_000_000, 1_700_000_000))
        place.chmod(0o555 if place.is_dir() else 0o444)
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    assert probe(image, TMPDIR=str(temporary)) == ""
    assert not list(temporary.rglob("*.nb?")), "nothing was compiled"
    folder.chmod(0o755)


@pytest.mark.slow
def test_without_a_home_nothing_is_written_where_the_command_runs(package, tmp_path):
    """An unknown user without HOME, as in a container: numba takes ~ for the name of a folder."""
    here, temporary = tmp_path / "here", tmp_path / "tmp"
    for each in (here, temporary):
        each.mkdir()
    said = probe(package, "-m", "spectralearth_build.homeless", str(here), TMPDIR=str(temporary))
    assert "kept in" in said
    assert list(here.iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize("poison", ["open to all", "a link"])
def test_a_folder_that_others_may_have_filled_is_not_trusted(package, tmp_path, poison):
    folder = tmp_path / f"spectralearth-build-{os.geteuid()}"
    target = tmp_path / "target"
    target.mkdir()
    if poison == "a link":
        folder.symlink_to(target)
    else:
        folder.mkdir()
        folder.chmod(0o777)
    assert "every process compiles" in probe(package, TMPDIR=str(tmp_path))
    assert not list(tmp_path.rglob("*.nbi"))


@pytest.mark.slow
def test_a_cache_that_the_user_names_is_taken(package, tmp_path):
    for name in ("NUMBA_CACHE_DIR", "XDG_CACHE_HOME"):
        folder = tmp_path / name
        folder.mkdir()
        assert probe(package, **{name: str(folder)}) == ""
        assert list(folder.rglob("*.nbi"))


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["nbi", "nbc"])
@pytest.mark.parametrize("left", [0, 40])
def test_compiled_code_that_is_cut_off_is_made_again(package, tmp_path, kind, left):
    probe(package, NUMBA_CACHE_DIR=str(tmp_path))
    (file,) = (path for path in tmp_path.rglob(f"*.{kind}") if "twice" in path.name)
    whole = len(file.read_bytes())
    file.write_bytes(file.read_bytes()[:left])
    assert probe(package, NUMBA_CACHE_DIR=str(tmp_path)) == ""
    assert len(file.read_bytes()) == whole


@pytest.mark.slow
def test_a_full_disk_keeps_nothing_and_stops_nothing(package, tmp_path):
    said = probe(package, "-m", "spectralearth_build.full", NUMBA_CACHE_DIR=str(tmp_path))
    assert said.endswith(
        "compiled code cannot be kept (No space left on device), so the next run compiles again"
    )


def test_without_compilation_there_is_no_folder_for_compiled_code(package):
    ask = "from spectralearth_build.kernels import cache_folder; print([cache_folder()])"
    assert probe(package, "-c", ask, NUMBA_DISABLE_JIT="1") == "['']"


def test_matplotlib_gets_a_folder_where_the_home_has_none(package, tmp_path):
    ask = "import os; from spectralearth_build.caches import settle_caches as s; s(); print(os.getenv('MPLCONFIGDIR'))"
    own = tmp_path / f"spectralearth-build-{os.geteuid()}"
    assert probe(package, "-c", ask, TMPDIR=str(tmp_path)) == str(own / "matplotlib")
    assert own.stat().st_mode & 0o777 == 0o700
    assert probe(package, "-c", ask, TMPDIR=str(tmp_path), XDG_CONFIG_HOME=str(tmp_path / "new")) == "None"


def test_copies_of_object_stores_ask_for_a_folder_where_the_home_has_none(tmp_path):
    ask = "from spectralearth_build.storage.staging import staging_folder as s; print(s())"
    here = Path(spectralearth_build.__file__).parents[1]
    assert probe(here, "-c", ask, XDG_CACHE_HOME=str(tmp_path)) == f"{tmp_path}/spectralearth-build"
    refused = f"""
from spectralearth_build.errors import MachineError
try:
    {ask.replace("; ", chr(10) + "    ")}
except MachineError as error:
    print(error.remedy)
"""
    assert "run.staging=" in probe(here, "-c", refused)


@pytest.mark.slow
def test_a_helper_compiles_from_the_last_kernel_to_the_first_that_is_there(package, tmp_path):
    some, every = (str(tmp_path / name) for name in ("some", "every"))
    compiled = probe(package, "-c", BACKWARDS, NUMBA_CACHE_DIR=every)
    assert compiled.split() == ["third", "first", "second"]
    probe(package, "-c", "from spectralearth_build.loops import second; second(1)", NUMBA_CACHE_DIR=some)
    assert probe(package, "-c", BACKWARDS, NUMBA_CACHE_DIR=some).split() == ["third", "first"]
    assert probe(package, "-c", BACKWARDS, NUMBA_CACHE_DIR=every) == ""
