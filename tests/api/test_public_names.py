"""What the package exports: found, lazy, typed and documented."""

import ast
import inspect
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

import spectralearth_build as se

ROOT = Path(__file__).parents[2]
PAGES = sorted((ROOT / "docs" / "reference").glob("*.md"))
FUNCTIONS = [name for name in se.__all__ if inspect.isfunction(getattr(se, name))]


def seen_after(program):
    """Names of the modules that a program has imported."""
    run = [sys.executable, "-c", f"{program}\nimport sys, json; print(json.dumps(sorted(sys.modules)))"]
    done = subprocess.run(run, capture_output=True, text=True, check=True, timeout=120)
    return set(json.loads(done.stdout))


def test_dir_lists_the_public_names_and_nothing_else():
    assert sorted(dir(se)) == sorted(se.__all__)
    assert len(FUNCTIONS) > 20


def test_an_unknown_name_is_refused_as_by_any_module():
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = se.nothing


def test_importing_the_package_imports_no_library():
    own = seen_after("import spectralearth_build")
    assert not own & {"numpy", "pandas", "pydantic", "zarr", "rasterio", "torch"}
    assert "spectralearth_build.api.building" not in own


@pytest.mark.slow
def test_all_names_are_imported_without_torch():
    seen = seen_after("from spectralearth_build import *\nassert build_dataset and Loader and load_encoder")
    assert "torch" not in seen
    assert "spectralearth_build.loader.loader" in seen


def test_type_checkers_see_the_same_names():
    tree = ast.parse(Path(se.__file__).read_text(encoding="utf-8"))
    (guarded,) = (node for node in tree.body if isinstance(node, ast.If))
    typed = {alias.name: node.module for node in guarded.body for alias in node.names}
    assert set(typed) | {"__version__"} == set(se.__all__)
    for name, module in typed.items():
        assert getattr(sys.modules[module], name) is getattr(se, name)


def test_the_reference_has_every_public_name_once():
    named = [
        name
        for page in PAGES
        for name in re.findall(r"^::: spectralearth_build\.([\w.]+)$", page.read_text(), re.MULTILINE)
    ]
    assert len(named) == len(set(named))
    assert {name for name in named if "." not in name} == set(se.__all__) - {"__version__"}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_function_is_explained_with_an_example(name):
    function, text = getattr(se, name), inspect.getdoc(getattr(se, name))
    signature = inspect.signature(function)
    described = re.findall(r"^    (\w+): ", text.split("Args:")[1], re.MULTILINE)
    assert [each for each in described if each in signature.parameters] == list(signature.parameters)
    assert all(p.annotation is not p.empty for p in signature.parameters.values())
    example = inspect.cleandoc(text.split("Examples:\n")[1])
    code = example.removeprefix("```python\n").removesuffix("```")
    code = "\n".join(line[4:] for line in code.split("\n")) if ">>>" in code else code
    assert f"{name}(" in code
    if example.startswith("```"):
        ast.parse(code)
