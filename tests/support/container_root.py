"""A root folder that is made by the steps of Containerfile, and commands that run in it as in a container.

No base image can be had where the tests run. `mmdebstrap` makes the same system as the base image from Debian's
packages. Each command has its own mounts and processes, so nothing is left when it ends.
"""

from __future__ import annotations

import ast
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.support.container_files import Recipe

CHECKOUT = Path(__file__).parents[2]
SLIM = ("/usr/share/man/*", "/usr/share/doc/*", "/usr/share/locale/*")
"""What the slim image of Debian leaves out too."""
LIMIT = 1200
"""Seconds for one command."""


@dataclass(frozen=True)
class Root:
    """The root folder of a container."""

    folder: Path
    environment: Mapping[str, str]
    """That of the image."""

    def run(
        self, command: str, *, user: int = 0, mounts: Mapping[Path, str], more: Mapping[str, str] = {}
    ) -> subprocess.CompletedProcess[str]:
        """Run a shell command.

        Args:
            command: what to run.
            user: the user's and the group's number; 0: root, for whom the system is writable.
            mounts: folders of this machine and where they are inside.
            more: more variables.
        """
        root = shlex.quote(str(self.folder))
        for inside in mounts.values():
            (self.folder / inside.lstrip("/")).mkdir(parents=True, exist_ok=True)
        places = {Path("/dev"): "/dev", **mounts}
        script = [
            "set -e",
            f"mount --bind {root} {root}",
            *([f"mount -o remount,ro,bind {root}"] if user else []),
            *(f"mount --bind {shlex.quote(str(here))} {root}{there}" for here, there in places.items()),
            f"mount -t tmpfs -o mode=1777 shm {root}/dev/shm",
            f"mount -t proc proc {root}/proc",
            f"exec chroot --userspec={user}:{user} --groups= {root} sh -c {shlex.quote(command)}",
        ]
        return subprocess.run(
            ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", "\n".join(script)],
            env={**self.environment, **more},
            capture_output=True,
            text=True,
            check=False,
            timeout=LIMIT,
            cwd="/",
        )


@dataclass
class Outside:
    """How this machine reaches its package index, to be had inside too."""

    variables: dict[str, str] = field(default_factory=dict)
    mounts: dict[Path, str] = field(default_factory=dict)
    """Folders with packages, at the same place inside."""
    files: dict[Path, str] = field(default_factory=dict)
    """Files to copy, such as certificates; not to the same place, where packages may put their own."""

    def take(self, name: str, value: str) -> None:
        """Set a variable, and bring in the files and folders that it names."""
        self.variables[name] = " ".join(self._inside(word) for word in value.split())

    def _inside(self, word: str) -> str:
        path = Path(word.removeprefix("file://"))
        if not path.is_absolute() or not path.exists():
            return word
        if path.is_file():
            return self.files.setdefault(path, f"/outside/{len(self.files)}-{path.name}")
        shown = path.parent if word.startswith("file://") else path  # an index refers to files beside it
        self.mounts[shown] = str(shown)
        return word


def make_root(folder: Path, recipe: Recipe) -> Root:
    """Make the root; skips the test where that cannot be done."""
    _need_debian()
    suite = recipe.base.rpartition(":")[2].partition("-")[0]
    excluded = [f"--dpkgopt=path-exclude={pattern}" for pattern in SLIM]
    done = _try("mmdebstrap", "--mode=root", "--variant=minbase", *excluded, suite, folder)
    if done.returncode:
        pytest.skip(f"mmdebstrap makes no system here: {done.stderr[-300:]}")
    outside = outside_of(os.environ)
    for path, inside in outside.files.items():
        _put(path, folder / inside.lstrip("/"))
    for name in ("resolv.conf", "hosts"):
        shutil.copy(f"/etc/{name}", folder / "etc" / name)
    for source, target in recipe.copied:
        inside = folder / target.lstrip("/")
        _put(CHECKOUT / source, inside / source if target.endswith("/") else inside)
    root = Root(folder, recipe.environment)
    for step in recipe.steps:
        more = {**outside.variables, **recipe.arguments, "HOME": "/root"}
        done = root.run(step, mounts=outside.mounts, more=more)
        assert done.returncode == 0, f"{step}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
    return root


def outside_of(environment: Mapping[str, str]) -> Outside:
    """What this machine's pip and its environment say of indexes, certificates and proxies."""
    outside = Outside()
    aloud = {name: value for name, value in environment.items() if name not in ("PIP_QUIET", "PIP_VERBOSE")}
    pip = [sys.executable, "-m", "pip", "config", "list"]
    for line in subprocess.run(
        pip, env=aloud, capture_output=True, text=True, check=True
    ).stdout.splitlines():
        name, _, value = line.partition("=")
        option = name.rpartition(".")[2].upper().replace("-", "_")
        outside.take(f"PIP_{option}", ast.literal_eval(value))
    for name, value in environment.items():
        if name.lower().endswith("_proxy") or name in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"):
            outside.take(name, value)
    return outside


def _need_debian() -> None:
    if os.geteuid() or shutil.which("apt-get") is None:
        pytest.skip("only root can make a system of Debian's packages, with apt-get")
    if shutil.which("mmdebstrap") is None:
        _try("apt-get", "update", "-qq")
        done = _try("apt-get", "install", "-qq", "--yes", "--no-install-recommends", "mmdebstrap")
        if done.returncode:
            pytest.skip(f"mmdebstrap cannot be installed: {done.stderr[-300:]}")
    done = _try("unshare", "--mount", "--pid", "--fork", "true")
    if done.returncode:
        pytest.skip(f"this machine allows no mounts of their own: {done.stderr[-300:]}")


def _try(*words: object) -> subprocess.CompletedProcess[str]:
    command: Iterable[str] = map(str, words)
    return subprocess.run([*command], capture_output=True, text=True, check=False, timeout=LIMIT)


def _put(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        shutil.copy(source, target)
