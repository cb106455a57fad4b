"""What is imported before it is needed, which is what a user waits for. Counted in modules, never in seconds."""

import json
import subprocess
import sys

import pytest

from tests.support.processes import environment

SLOW = ("boto3", "dask", "distributed", "matplotlib", "numba", "rasterio", "torch", "xarray", "zarr")
"""Libraries that take long to import, and that reading the tables of a dataset does not need."""
TABLES = ("geopandas", "numpy", "pandas", "pyarrow")


def imported(program):
    """The top-level packages in a process after a program."""
    show = "import json, sys\nprint(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))"
    run = [sys.executable, "-c", f"{program}\n{show}"]
    done = subprocess.run(run, capture_output=True, text=True, env=environment(), check=False)
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_opening_a_dataset_imports_only_what_reads_tables(handmade):
    program = f"import spectralearth_build as se\ndataset = se.open_dataset({str(handmade.folder)!r})"
    found = imported(program)
    assert not found & set(SLOW)
    assert found >= {"pandas", "geopandas"}
    assert "numba" not in imported(f"{program}\ndataset.patches, dataset.locations")


@pytest.mark.parametrize("stage", ["build_dataset", "scan_archive", "cut_patches"])
def test_a_typo_in_a_call_is_refused_before_slow_imports(tmp_path, stage):
    program = f"""
import spectralearth_build as se
try:
    se.{stage}({str(tmp_path)!r}, {str(tmp_path)!r}, {{"scan.validty": "classes"}})
except se.errors.ConfigError as error:
    assert "validty" in str(error)
else:
    raise SystemExit("it was accepted")
"""
    assert not imported(program) & {*SLOW, *TABLES}


@pytest.mark.parametrize(
    "words", [["--set", "scan.validty=classes"], ["--config", "bad.toml"], ["--no-such-option"]]
)
def test_a_typo_in_a_command_is_refused_before_slow_imports(tmp_path, words):
    (tmp_path / "bad.toml").write_text("[plan]\nstrategie = 'shelves'\n")
    words = [str(tmp_path / word) if word.endswith("toml") else word for word in words]
    program = f"""
import sys
sys.argv = ["spectralearth-build", "build", {str(tmp_path)!r}, {str(tmp_path / "d")!r}, *{words!r}]
from spectralearth_build.cli.program import main
try:
    main()
except SystemExit as end:
    assert end.code == 2, end.code
"""
    assert not imported(program) & {*SLOW, *TABLES}
