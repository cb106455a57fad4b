"""The recipes of the image: the same for both kinds of container, and complete."""

import re
import tomllib

import yaml

from tests.support.container_files import FOLDER, of_containerfile, of_definition
from tests.support.container_root import CHECKOUT

CLUSTER = CHECKOUT / "workflows/kubernetes/dask_cluster.yaml"


def test_both_files_make_the_same_image():
    recipe, other = of_containerfile(), of_definition()
    assert len(recipe.steps) >= 3
    assert [[source, target] for source, target in recipe.copied]
    assert recipe == other


def test_the_image_gets_all_that_the_package_is_made_of():
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))
    made_of = {
        "pyproject.toml",
        "requirements.lock",
        project["project"]["readme"],
        *project["project"]["license-files"],
    }
    wheel = project["tool"]["hatch"]["build"]["targets"]["wheel"]
    made_of |= {*wheel["packages"], *wheel["force-include"]}
    copied = {source for source, _ in of_containerfile().copied}
    assert made_of <= copied
    assert all((CHECKOUT / source).exists() for source in copied)


def test_extras_are_those_of_the_project():
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))
    texts = [
        (FOLDER / name).read_text(encoding="utf-8") for name in ("Containerfile", "spectralearth-build.def")
    ]
    named = {
        extra
        for text in texts
        for given in re.findall(r"EXTRAS=([\w,]+)", text)
        for extra in given.split(",")
    }
    assert named == {"metrics", "train"}
    assert named <= project["project"]["optional-dependencies"].keys()


def test_nobody_runs_it_as_root_and_kubernetes_takes_this_image():
    text = (FOLDER / "Containerfile").read_text(encoding="utf-8")
    (user,) = re.findall(r"^USER (\d+):\d+$", text, re.MULTILINE)
    pod = yaml.safe_load(CLUSTER.read_text(encoding="utf-8"))["spec"]["worker"]["spec"]
    assert int(user) == pod["securityContext"]["runAsUser"] > 0
    assert f"-t {pod['containers'][0]['image']} ." in text
