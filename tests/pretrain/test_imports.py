"""What training needs at run time, and what must never need training."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

import spectralearth_build

PACKAGE = Path(spectralearth_build.__file__).parent
MODULES = sorted((PACKAGE / "pretrain").rglob("*.py"))
LIGHT = ("torch", "numpy", "safetensors", "pydantic")
SEEN = "import sys, json; {}; print(json.dumps(sorted(sys.modules)))"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_training_imports_only_torch_numpy_safetensors_pydantic_and_our_own(path):
    tree = ast.parse(path.read_text())
    roots = set()
    for node in tree.body:  # what a function imports for itself is for extras: Parquet, ONNX, TensorBoard
        if isinstance(node, ast.Import):
            roots |= {name.name.split(".")[0] for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            roots.add(node.module.split(".")[0])
    assert roots - set(sys.stdlib_module_names) <= {*LIGHT, "spectralearth_build"}


@pytest.mark.parametrize(
    "statement", ["import spectralearth_build", "from spectralearth_build.cli import main"]
)
def test_the_package_and_the_command_line_do_not_import_torch(statement):
    run = [sys.executable, "-c", SEEN.format(statement)]
    out = subprocess.run(run, capture_output=True, text=True, check=True, timeout=120)
    assert "torch" not in json.loads(out.stdout)
