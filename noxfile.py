"""Chores, one session each: `nox -s lint types tests docs demo`."""

import nox

nox.options.sessions = ["lint", "types", "tests", "docs"]


@nox.session(python=["3.11", "3.12", "3.13"])
def tests(session: nox.Session) -> None:
    """All tests; arguments go to pytest."""
    session.install("torch==2.13.0")
    session.install("-e", ".[test]")
    session.run("pytest", *session.posargs)


@nox.session
def lint(session: nox.Session) -> None:
    """Style of code and docstrings."""
    session.install("ruff")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")


@nox.session
def types(session: nox.Session) -> None:
    """Types of the package."""
    session.install("torch==2.13.0")
    session.install("-e", ".[train]", "mypy")
    session.run("mypy", "--strict")


@nox.session
def docs(session: nox.Session) -> None:
    """Make the generated parts of the documentation anew and run the tutorial."""
    session.install("torch==2.13.0")
    session.install("-e", ".[test]")
    session.run("python", "docs/generate.py")
    session.run("python", "docs/draw_data_flow.py")
    session.run("pytest", "tests/docs")


@nox.session
def demo(session: nox.Session) -> None:
    """The README's first command."""
    session.install(".")
    session.run("spectralearth-build", "demo", *session.posargs)
