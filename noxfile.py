"""Each check in environments of its own: `nox` for what a change needs, `nox -s everything`, `nox -s release`.

What each check is stands in .ci/check, once for nox, pre-commit and .ci/run.
"""

import nox

nox.options.sessions = ["lint", "types", "tests"]
PYTHONS = ["3.11", "3.12", "3.13"]


def check(session: nox.Session, *names: str, pinned: bool = True) -> None:
    """Install the project for development and run checks by name."""
    constraints = ("-c", "requirements.lock") if pinned else ()
    session.install("torch==2.13.0")
    session.install(*constraints, "-e", ".[dev]")
    session.run(".ci/check", *names, external=True)


@nox.session
def lint(session: nox.Session) -> None:
    """Style of code and docstrings."""
    session.install("-c", "requirements.lock", "ruff")
    session.run(".ci/check", "lint", external=True)


@nox.session
def types(session: nox.Session) -> None:
    """Types of the package."""
    check(session, "types")


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """The quick tests with the newest versions of everything, on each Python; arguments go to pytest instead."""
    session.install("torch==2.13.0")
    session.install("-e", ".[test]")
    if session.posargs:
        session.run("pytest", *session.posargs)
    else:
        session.run(".ci/check", "quick", external=True)


@nox.session
def docs(session: nox.Session) -> None:
    """Make the generated parts of the documentation anew and run what stands in it."""
    check(session, "docs")


@nox.session
def wheel(session: nox.Session) -> None:
    """Build the wheel, install it in an empty environment and use it."""
    session.run("python", ".ci/try_wheel.py")


@nox.session
def everything(session: nox.Session) -> None:
    """All that .ci/run does."""
    check(session, "lint", "types", "quick", "site", "wheel", "slow")


@nox.session
def release(session: nox.Session) -> None:
    """What takes hours, before a release: every crash point, every cell, fuzzing, a soak of SOAK_HOURS (1)."""
    check(session, "lint", "types", "quick", "site", "wheel", "slow", "release")


@nox.session
def demo(session: nox.Session) -> None:
    """The README's first command."""
    session.install(".")
    session.run("spectralearth-build", "demo", *session.posargs)


@nox.session
def site(session: nox.Session) -> None:
    """Build the documentation as a site into build/site; a broken link or reference is an error."""
    session.install("mkdocs-material", "mkdocstrings-python", "ruff")
    session.run(".ci/check", "site", external=True)
