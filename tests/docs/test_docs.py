import ast
import re
import runpy
from pathlib import Path

import networkx as nx
import pytest

from spectralearth_build import errors, tables
from spectralearth_build.config import Config
from spectralearth_build.settings.reading import section_of

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PACKAGE = ROOT / "spectralearth_build"
PAGES = [*sorted(DOCS.rglob("*.md")), *sorted(ROOT.glob("*.md"))]
generate = runpy.run_path(str(DOCS / "generate.py"))


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_pages_are_up_to_date(page):
    text = page.read_text(encoding="utf-8")
    assert text == generate["filled"](text), "run python docs/generate.py"


def test_the_picture_is_up_to_date():
    draw = runpy.run_path(str(DOCS / "draw_data_flow.py"))["draw"]
    assert (DOCS / "data-flow.svg").read_text(encoding="utf-8") == draw()


def test_each_generated_part_is_on_a_page():
    marked = {
        name for page in DOCS.glob("*.md") for name in re.findall(r"generated: (\w+)", page.read_text())
    }
    assert marked == set(generate["PARTS"])


def sections(kind, prefix=""):
    """(dotted name, type) of each section below a section."""
    for name, field in kind.model_fields.items():
        if section := section_of(field):
            yield f"{prefix}{name}", section
            yield from sections(section, f"{prefix}{name}.")


def test_every_column_setting_and_error_is_documented():
    dataset, configuration, wrong = (
        (DOCS / f"{name}.md").read_text() for name in ("dataset-format", "configuration", "errors")
    )
    for table in tables.ALL:
        section = dataset.split(f"### {table.file}\n")[1].split("###")[0]
        assert re.findall(r"^\| `(\w+)`", section, re.MULTILINE)[: len(table.columns)] == [
            c.name for c in table.columns
        ]
    for name, kind in sections(Config):
        section = configuration.split(f"## [{name}]\n")[1].split("## [")[0]
        keys = [key for key, field in kind.model_fields.items() if section_of(field) is None]
        assert re.findall(r"^\| `(\w+)`", section, re.MULTILINE) == keys
    kinds = [
        kind
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, errors.BuildError)
    ]
    for kind in set(kinds) - {errors.BuildError, errors.ProductError}:
        (line,) = re.findall(rf"^\| `{kind.__name__}` .*$", wrong, re.MULTILINE)
        assert kind.remedy in line


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_links_lead_somewhere(page):
    text = page.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", text):
        if not target.startswith(("https:", "http:")):
            assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_source_files_that_a_page_names_exist(page):
    for name in re.findall(r"\b[\w/]+/\w+\.py\b", page.read_text(encoding="utf-8")):
        assert (ROOT / name).is_file() or (PACKAGE / name).is_file(), name


def layers():
    """Rank of each module, as the architecture page says."""
    section = (DOCS / "architecture.md").read_text().split("## Layers")[1]
    rows = [line.split("|")[2] for line in section.splitlines() if line.startswith("| ") and "`" in line]
    return {name: rank for rank, cell in enumerate(rows) for name in re.findall(r"`(\w+)`", cell)}


def imports(path):
    """Names of this package's modules that a file imports, wherever in the file."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module == "spectralearth_build":
            yield from (alias.name for alias in node.names if not alias.name.startswith("__"))
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("spectralearth_build."):
            yield node.module.split(".")[1]
        elif isinstance(node, ast.Import):
            yield from (a.name.split(".")[1] for a in node.names if a.name.startswith("spectralearth_build."))


def modules():
    return [path for path in PACKAGE.rglob("*.py") if path.name != "__init__.py" or path.parent != PACKAGE]


def package_of(path):
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


@pytest.mark.slow
def test_imports_follow_the_layers():
    rank = layers()
    assert {package_of(path) for path in modules()} == set(rank)
    wrong = [
        f"{path.relative_to(PACKAGE)} imports {name}"
        for path in modules()
        for name in imports(path)
        if rank[name] > rank[package_of(path)]
    ]
    assert not wrong


@pytest.mark.slow
def test_no_packages_import_each_other():
    graph = nx.DiGraph((package_of(path), name) for path in modules() for name in imports(path))
    graph.remove_edges_from(nx.selfloop_edges(graph))
    assert [sorted(group) for group in nx.strongly_connected_components(graph) if len(group) > 1] == []
