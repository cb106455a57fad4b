import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_first_two_commands_are_demo_and_tests():
    first, second, *_ = re.findall(r"^```bash\n(.*?)\n```$", README, re.MULTILINE | re.DOTALL)
    assert first.startswith("python3 -m venv .venv && ")
    assert first.endswith("spectralearth-build demo")
    steps = second.split(" && ")
    assert steps[0] == "python3 -m venv .venv"
    assert steps[1].startswith(".venv/bin/pip install torch==")  # before what would bring the build for GPUs
    assert steps[2] == '.venv/bin/pip install -c requirements.lock -e ".[test]"'
    assert steps[3:] == [f".venv/bin/{check_of('quick')}"]


def check_of(name):
    """The one command of a check, as .ci/check defines it."""
    (command,) = re.findall(
        rf"^ *{name}\) (.*) ;;$", (ROOT / ".ci" / "check").read_text(encoding="utf-8"), re.MULTILINE
    )
    return command


def test_ci_runs_the_test_command_of_the_readme_and_then_all_other_tests():
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    (line,) = re.findall(r"^command=.*$", script, re.MULTILINE)
    found = subprocess.run(
        ["bash", "-euc", f'{line}\nprintf %s "$command"'],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert found.stdout == re.findall(r"^```bash\n(.*?)\n```$", README, re.MULTILINE | re.DOTALL)[1]
    assert 'bash -euo pipefail -c "$command"' in script
    assert script.rstrip().endswith(".ci/check slow")  # pytest's summary comes last
    assert check_of("quick").endswith(' -m "not slow"')
    assert check_of("slow").endswith(" -m slow")
