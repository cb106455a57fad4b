"""Every option of every verb: of another type, out of bounds, unknown: exit 2 and its name, and nothing is written."""

import inspect
import math
import re
import tarfile
import types
import typing
from pathlib import Path

import pytest
import typer.main
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from spectralearth_build.cli.app import app
from spectralearth_build.config import Config
from tests.support.settings_leaves import ALL

RUNNER = CliRunner()
BEFORE = Path(__file__).parents[1] / "data" / "before" / "restructuring.tar.xz"
PATHS = {
    "archive": "{full}", "dataset": "{dataset}", "encoder": "{file}", "first": "{file}", "run": "{new}",
    "target": "{new}", "file": "{file}", "folder": "{new}", "out": "{new}",
}  # fmt: skip
"""What arguments stand for; options that must be given stand in NEEDED."""
NEEDED = {
    "evaluate": "--labels corine --task single", "repair": "--archive {full}", "pair": "--labels corine=a.tif:2018",
    "export": "--to numpy", "bench objects": "--dataset {full}",
}  # fmt: skip
RIVALS = {"--to": "--codec"}
"""Options of which only one is given."""
FIRST = {"synthesize": "archive", "demo": "dataset"}
"""Verbs whose first argument is what they make."""
TEXTS = {
    "cut --share": ["3", "0/4", "5/4", "a/b"],
    "split --fractions": [
        "train=2",
        "train",
        "train=0.5,val=x",
        "train=1",
        "train=nan,test=0.5",
        "none=0.5,test=0.5",
    ],
    "split --stratify": ["x", "season,nosuch"],
    "pair --labels": ["corine", "=a.tif", "corine="],
    "pair --classes": ["nosuch.csv", "nosuch"],
    "pair --rule": ["nosuch"],
    "pair --year": ["soon"],
    "export --to": ["nosuch"],
    "export --codec": ["nosuch"],
    "export --start": ["soon", "2023-02-30"],
    "export --end": ["soon", "2023-02-30"],
    "export --bands": ["x", "650-", "nan", "680-650"],
    "export --compress": ["nosuch"],
    "evaluate --task": ["nosuch", ""],
    "evaluate --protocol": ["nosuch"],
    "evaluate --head": ["nosuch"],
    "evaluate --labels": [""],
    "export-encoder --as": ["nosuch"],
    "synthesize --preset": ["nosuch"],
    "synthesize --layouts": ["nosuch"],
    "synthesize --dirty": ["nosuch"],
    "synthesize --corrections": ["nosuch"],
    "bench plan --sizes": ["x", "0", "-1", "10,nan"],
    "bench build --workers": ["x", "0", "1,-2"],
    "bench cut --codec": ["nosuch"],
    "bench objects --delays": ["x", "-1", "nan", ""],
    "bench pretrain --recompute": ["nosuch"],
    "bench pretrain --cases": ["nosuch", "mae", "mae nosuch/4", "mae vit_s/x"],
}
"""Wrong values of texts that have a form; NEEDED may not be said twice, so these replace it."""
BESIDE = {"bench plan --sizes": ["--scale"], "pair --labels": ["--scheduler", "inline"]}
"""What must be said for such a text to count."""
FREE = {
    "split --train", "split --val", "split --test", "split --import", "split --export", "tuples --map",
    "status --timeline",
    *(f"import-encoder --{name}" for name in ("mean", "std", "statistics", "wavelengths", "network")),
    "embed --output", "embed --split", "embed --device", "export --split", "pair --drop",
    *(f"evaluate --{name}" for name in ("encoder", "classes", "device", "output", "cache")),
    "verify --archive", "repair --archive", "build --manifest", "scan --manifest", "bench pretrain --device",
    *(f"bench {verb} --{name}"
      for verb in ("plan", "build", "cut", "store", "load", "pretrain", "learn", "start", "query", "objects")
      for name in ("out", "work", "dataset", "image", "archive")),
}  # fmt: skip
"""Paths and names: only the file, the dataset or torch knows whether they are right."""
SHARED = {
    "config",
    "setting",
    "scheduler",
    "cluster",
    "workers",
    "performance_report",
    "quiet",
    "debug",
    "log_file",
}


def verbs():
    """(words, callback) of every verb."""

    def walk(group, words):
        for command in group.registered_commands:
            name = command.name or command.callback.__name__.replace("_", "-")
            if not command.hidden:
                yield " ".join((*words, name)), command.callback
        for inner in group.registered_groups:
            yield from walk(inner.typer_instance, (*words, inner.name))

    return dict(walk(app, ()))


def parameters(callback):
    """(name on the command line, Python type, typer's description) of what a verb takes."""
    for parameter in inspect.signature(callback).parameters.values():
        kind, *rest = typing.get_args(parameter.annotation) if hasattr(parameter.annotation, "__metadata__") else (
            parameter.annotation, parameter.default)  # fmt: skip
        info = next(each for each in rest if isinstance(each, typer.models.ParameterInfo))
        # In an annotation, typer keeps the first of these as the default.
        said = [text for text in (info.default, *(info.param_decls or ())) if isinstance(text, str)]
        flags = [text for text in said if text.startswith("--")]
        yield (
            (flags or ["--" + parameter.name.strip("_").replace("_", "-")])[0],
            parameter.name,
            bare(kind),
            info,
        )


def bare(kind):
    """A type without None, and that of what a list or tuple holds."""
    inner = [each for each in typing.get_args(kind) if each is not types.NoneType]
    if typing.get_origin(kind) in (typing.Union, types.UnionType):
        return bare(inner[0])
    return bare(inner[0]) if typing.get_origin(kind) in (list, tuple) else kind


VERBS = verbs()
OPTIONS = {
    f"{verb} {option}": (kind, info)
    for verb, callback in VERBS.items()
    for option, _, kind, info in parameters(callback)
    if isinstance(info, typer.models.OptionInfo)
}
NUMBERS = {key: each for key, each in OPTIONS.items() if each[0] in (int, float)}


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    root = tmp_path_factory.mktemp("options")
    (root / "full").mkdir()
    (root / "full" / "notes.txt").write_text("x")
    (root / "file").write_text("x")
    with tarfile.open(BEFORE) as file:
        file.extractall(root, filter="data")
    (root / "restructuring").rename(root / "dataset")
    return root


def refused(places, verb, words, *names):
    """Call a verb with what it needs and more words: exit 2, one of the names in what it says, nothing written."""
    before = state(places)
    line = []
    for option, parameter, _, info in parameters(VERBS[verb]):
        if isinstance(info, typer.models.ArgumentInfo):
            line.append("{new}" if FIRST.get(verb) == parameter else PATHS[parameter])
        elif f" {option} " in f" {NEEDED.get(verb, '')} " and not {option, RIVALS.get(option)} & {*words}:
            line += [option, dict(zip(*[iter(NEEDED[verb].split())] * 2, strict=True))[option]]
    known = {name: str(places / name) for name in ("full", "dataset", "file", "new")}
    done = RUNNER.invoke(app, [*verb.split(), *(word.format(**known) for word in line), *words])
    assert done.exit_code == 2, f"{words}: {done.exit_code} {done.output} {done.exception!r}"
    said = re.sub(r"[│╭╮╰╯─\s]+", " ", done.output)
    assert any(word in said for word in names), said
    assert state(places) == before


def state(folder):
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*")}


def wrong_numbers(kind, info):
    """Texts that an option does not take."""
    wrong = [st.sampled_from(["many", "nan", "inf", "-inf", "1,5", "", "1 2", "[1]"])]
    if kind is int:
        wrong.append(st.sampled_from(["1.5", "1e3"]))
    if info.min is not None:
        wrong.append(st.integers(max_value=math.ceil(info.min) - 1).map(str))
    if info.max is not None:
        wrong.append(st.floats(min_value=info.max, exclude_min=True, allow_infinity=False).map(str))
    return st.one_of(wrong)


@pytest.mark.slow
@pytest.mark.parametrize("key", NUMBERS)
@settings(max_examples=4)
@given(data=st.data())
def test_a_number_that_cannot_be_is_refused_by_its_name(places, key, data):
    verb, _, option = key.rpartition(" ")
    kind, info = NUMBERS[key]
    if option == "--bbox":
        words = [option, data.draw(st.sampled_from(["x", "nan", "inf", ""])), "1", "2", "3"]
        refused(places, verb, words, option.strip("-"))
        return
    refused(places, verb, [option, data.draw(wrong_numbers(kind, info))], option.strip("-"))


def test_every_number_has_a_lower_bound():
    loose = {key for key, (_, info) in NUMBERS.items() if info.min is None}
    asked = {f"evaluate --{name}" for name in ("fraction", "epochs", "batch", "rate", "size")}
    shared = {key for key in loose if key.endswith(" --workers")}
    assert loose - shared == {*asked, "export --bbox"}


@pytest.mark.parametrize(
    "key", [f"evaluate --{name}" for name in ("fraction", "epochs", "batch", "rate", "size")]
)
@pytest.mark.parametrize("value", ["0", "-1", "-1e9"])
def test_numbers_whose_bounds_the_settings_know(places, key, value):
    verb, _, option = key.rpartition(" ")
    refused(places, verb, [option, value], option.strip("-"))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("key", "value"), [(key, value) for key, values in TEXTS.items() for value in values]
)
def test_a_text_of_another_form_is_refused(places, key, value):
    verb, _, option = key.rpartition(" ")
    words = [option, value, *BESIDE.get(key, [])]
    refused(
        places, verb, words, value or option, value.split("=")[0].split(",")[-1] or option, option.strip("-")
    )


def test_every_option_is_tried_or_free():
    flags = {key for key, (kind, info) in OPTIONS.items() if kind is bool}
    shared = {key for key in OPTIONS if key.rpartition("--")[2].replace("-", "_") in {*SHARED, "set"}}
    assert OPTIONS.keys() - NUMBERS.keys() - TEXTS.keys() - FREE - flags - shared == set()
    assert TEXTS.keys() <= OPTIONS.keys()


@pytest.mark.parametrize("verb", VERBS)
def test_an_unknown_option_is_refused(places, verb):
    refused(places, verb, ["--nosuch", "1"], "--nosuch")


WITH_SETTINGS = [
    verb for verb, callback in VERBS.items() if "setting" in inspect.signature(callback).parameters
]
OWN = {"pretrain": "PretrainConfig", "evaluate": "EvaluateConfig"}


@pytest.mark.parametrize("verb", WITH_SETTINGS)
@settings(max_examples=6)
@given(data=st.data())
def test_a_setting_that_cannot_be_is_refused_by_every_verb(places, verb, data):
    kind = OWN.get(verb, Config.__name__)
    keys = [
        (key, schema)
        for owner, key, schema in ALL
        if owner.__name__ == kind and key not in ("labels", "task")
    ]
    key, schema = data.draw(st.sampled_from(keys))
    low = schema.get("minimum", schema.get("exclusiveMinimum"))
    values = ["{a = 1}"] if schema.get("type") == "string" and "enum" not in schema else ["[{}]"]
    if low is not None:
        values.append(str(math.floor(low) - 1))
    refused(places, verb, ["--set", f"{key}={data.draw(st.sampled_from(values))}"], key)


@pytest.mark.parametrize("verb", WITH_SETTINGS)
@pytest.mark.parametrize("text", ["plan.nosuch=1", "nosuch=1", "nosuch.key=1", "nonsense", "=1"])
def test_an_unknown_setting_is_refused_by_every_verb(places, verb, text):
    key = text.partition("=")[0]
    refused(places, verb, ["--set", text], f"'{key}'", f"'{key.partition('.')[0]}'", f"'{text}'")


@pytest.mark.parametrize(
    "verb", [verb for verb in WITH_SETTINGS if "config" in inspect.signature(VERBS[verb]).parameters]
)
@pytest.mark.parametrize("text", ["nosuch = 1", "[nosuch]\na = 1", "not toml"])
def test_a_file_of_other_settings_is_refused_by_every_verb(places, verb, text, tmp_path):
    path = tmp_path / "settings.toml"
    path.write_text(text)
    refused(places, verb, ["--config", str(path)], "nosuch" if "nosuch" in text else "settings.toml")


@pytest.mark.parametrize("verb", WITH_SETTINGS)
@pytest.mark.parametrize("value", ["-1", "1.5", "x"])
def test_workers_are_counted(places, verb, value):
    if "workers" not in inspect.signature(VERBS[verb]).parameters:
        pytest.skip("it has no workers")
    refused(places, verb, ["--workers", value], "workers")
