"""Build the wheel, install it in an empty environment and use it there, far from the checkout.

The environment gets the versions of requirements.lock and no torch: nothing but training may need it. What help texts
and messages point to must be in the wheel, and an archive must become a sound dataset.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).parents[1]


def run(*words: object, cwd: Path | None = None) -> str:
    """Standard output of a command that must succeed."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [str(word) for word in words],
        cwd=cwd,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.exit(f"{' '.join(map(str, words))} ended with {done.returncode}:\n{done.stdout}")
    return done.stdout


def main() -> None:
    """Try it; says what was tried."""
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        run(sys.executable, "-m", "pip", "wheel", "--no-deps", "-w", work / "dist", ROOT)
        (wheel,) = (work / "dist").glob("*.whl")
        venv.create(work / "env", with_pip=True)
        program, python = work / "env/bin/spectralearth-build", work / "env/bin/python"
        run(python, "-m", "pip", "install", "-c", ROOT / "requirements.lock", wheel)
        assert "none" in run(
            python, "-c", "import importlib.util as u; print(u.find_spec('torch') or 'none')"
        )
        elsewhere = work / "elsewhere"
        elsewhere.mkdir()
        assert "demo" in run(program, "--help", cwd=elsewhere)
        (elsewhere / "settings.toml").write_text(run(program, "config", "template", cwd=elsewhere))
        run(program, "config", "show", "--config", elsewhere / "settings.toml", cwd=elsewhere)
        check_what_texts_point_to(python, elsewhere)
        how = ("--scheduler", "inline", "--quiet")
        run(program, "synthesize", "archive", "--tiles", 2, "--size", 300, "--no-clouds", *how, cwd=elsewhere)
        run(program, "build", "archive", "dataset", *how, cwd=elsewhere)
        run(program, "verify", "dataset", "--archive", "archive", *how, cwd=elsewhere)
        assert (elsewhere / "dataset/report.html").is_file()
        print(f"{wheel.name}: installed without torch; help, settings, documents and a build work")


def check_what_texts_point_to(python: Path, cwd: Path) -> None:
    """Every docs/x.md, workflows/x.toml and data_manifests/x that the package names is a file of the wheel."""
    named = set()
    for source in (ROOT / "spectralearth_build").rglob("*.py"):
        named |= set(re.findall(r"\b(?:docs|workflows|data_manifests)/[\w-]+\.\w+", source.read_text()))
    assert named, "the package names no file"
    code = "import sys; from spectralearth_build.shipped import shipped; [print(shipped(n)) for n in sys.argv[1:]]"
    for path in run(python, "-c", code, *sorted(named), cwd=cwd).splitlines():
        assert Path(path).is_file(), f"{path} is named by a help text or message and not in the wheel"
        assert ROOT not in Path(path).parents, f"{path} is not in the wheel"


main()
