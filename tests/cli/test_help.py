import re
import subprocess
import sys

import pytest
import typer
from typer.testing import CliRunner

import spectralearth_build
from spectralearth_build.cli.app import app
from spectralearth_build.cli.codes import MEANING
from tests.support.processes import environment

VERBS = ["demo", "synthesize", "build", "scan", "plan", "cut", "verify", "report", "tuples"]


def test_help_loads_nothing_heavy():
    program = (
        "import sys\n"
        "from spectralearth_build.cli.app import app\n"
        "try:\n"
        "    app(['--help'])\n"
        "except SystemExit:\n"
        "    heavy = {'torch', 'numpy', 'pandas', 'distributed', 'rasterio', 'zarr', 'numba', 'matplotlib'}\n"
        "    print(sorted(heavy & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment())
    assert done.stdout.splitlines()[-1] == "[]", done.stderr


def test_help_names_every_verb_and_every_exit_code(call):
    text = " ".join(call("--help").output.split())
    for verb in [*VERBS, "config", "bench"]:
        assert f" {verb} " in text
    for code, meaning in MEANING.items():
        assert f"{code} {meaning}" in text


@pytest.mark.parametrize("verb", [*VERBS, "config show", "config template", "bench plan"])
def test_help_of_each_verb_teaches(call, verb):
    done = call(*verb.split(), "--help")
    assert done.exit_code == 0
    text = " ".join(done.output.split())
    assert f"Example: spectralearth-build {verb}" in text
    if verb != "config show":
        assert "Next: " in text
    if not verb.startswith(("config", "bench")):
        assert "75 stopped by a signal (the same command continues)" in text
    for option in ("--quiet", "--debug"):
        assert option in text


@pytest.mark.parametrize(
    "verb", ["demo", "synthesize", "build", "scan", "plan", "cut", "verify", "config show"]
)
def test_shared_options_are_there(call, verb):
    text = call(*verb.split(), "--help").output
    for option in ("--config", "--set", "--scheduler", "--workers", "--performance-report"):
        assert option in text
    assert ("--manifest" in text) == (verb in ("build", "scan"))


def _verbs(command, path=()):
    yield path, command
    for name, inner in getattr(command, "commands", {}).items():
        yield from _verbs(inner, (*path, name))


@pytest.mark.slow
def test_no_help_loses_a_word(call):
    """Rich takes what stands in brackets for markup: what is rendered is compared with what is written."""
    verbs = list(_verbs(typer.main.get_command(app)))
    assert len(verbs) > 30
    for path, command in verbs:
        sources = [
            command.help,
            command.short_help,
            command.epilog,
            *(getattr(p, "help", "") for p in command.params),
        ]
        wide = CliRunner().invoke(app, [*path, "--help"], env={"COLUMNS": "500", "TERM": "dumb"})
        assert wide.exit_code == 0
        shown = " ".join(wide.output.split())
        for text in filter(None, sources):
            for line in filter(None, re.sub(r"\[/?bold\]", "", text.replace("\\[", "[")).split("\n")):
                assert " ".join(line.split()) in shown, (path, line)


def test_version(call):
    assert call("--version").output == f"spectralearth-build {spectralearth_build.__version__}\n"
