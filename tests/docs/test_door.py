"""What meets a contributor: recipes that run, forms that parse, a citation that is true."""

import re
from pathlib import Path

import pytest
import yaml

from spectralearth_build import Built, build_dataset, open_dataset
from spectralearth_build.version import __version__

ROOT = Path(__file__).parents[2]
FORMS = sorted(path for path in (ROOT / ".github/ISSUE_TEMPLATE").glob("*.yml") if path.stem != "config")


@pytest.mark.slow
def test_the_recipe_for_a_sensor_gives_a_dataset(tmp_path, monkeypatch):
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    (recipe,) = re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    monkeypatch.chdir(tmp_path)
    exec(compile(recipe, "CONTRIBUTING.md", "exec"), {})
    assert build_dataset("archive", "dataset", {"run.scheduler": "inline"}, compare=True) == Built(False)
    (row,) = open_dataset("dataset").query().itertuples()
    pixels = open_dataset("dataset").patch(row.location_id, row.datatake)
    assert row.datatake == "DT0900000001"
    assert (
        500 <= int(pixels.min()) < int(pixels.max()) <= 4000
    )  # reflectance 0.05 to 0.4, as the recipe draws it


def test_recipes_name_what_is_there():
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    code = "\n".join(
        path.read_text(encoding="utf-8") for path in (ROOT / "spectralearth_build").rglob("*.py")
    )
    for path in re.findall(r"`((?:\w+/)+[\w.]*|\w+\.py)`", text):
        places = (ROOT / path, ROOT / "spectralearth_build" / path)
        assert any(place.exists() for place in places) or path.startswith("build/"), path
    for name in (
        "strategy_of",
        "StrategyName",
        "PRESETS",
        "CodecName",
        "STORED_SHARE",
        "OBJECTIVES",
        "RECIPES",
    ):
        assert f"`{name}`" in text
        assert re.search(rf"\b{name}\b", code), name


@pytest.mark.parametrize("form", FORMS, ids=lambda path: path.name)
def test_issue_forms_have_what_a_forge_needs(form):
    document = yaml.safe_load(form.read_text(encoding="utf-8"))
    assert {"name", "description", "body"} <= set(document)
    ids = [item["id"] for item in document["body"]]
    assert len(ids) == len(set(ids))
    for item in document["body"]:
        assert item["type"] in {"textarea", "input", "dropdown", "checkboxes"}
        assert item["attributes"]["label"]


def test_the_citation_is_of_this_version():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["cff-version"] == "1.2.0"
    assert citation["version"] == __version__
    assert f'license = "{citation["license"]}"' in (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert citation["authors"]
    assert citation["title"] == "spectralearth-build"
