"""Jobs of Slurm that run workers: submitted, counted, replaced and cancelled.

Only Slurm knows which jobs there are, and only the Dask scheduler which workers. So both are asked, again and again,
and no other state is kept than which jobs ever had a worker.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from spectralearth_build.cluster.slurm_script import OUTPUT, SCRIPT, job_of
from spectralearth_build.errors import ClusterError, UsageError
from spectralearth_build.progress import say
from spectralearth_build.texts import counted

COMMANDS = ("sbatch", "squeue", "scancel")
ANSWER = 60
"""Seconds to wait for a command of Slurm."""
SOON, LATER = 2.0, 30.0
"""Shortest and longest pause between two looks at the queue, in seconds. It doubles as long as nothing happens."""
HOPELESS = 3
"""So many jobs in a row, or as many as are wanted if that is more, may end without a worker while there is none."""
REFUSALS = 3
"""How often sbatch may refuse in a row while there are neither jobs nor workers."""
UNKNOWN = 600
"""Seconds without workers and without an answer of squeue after which the run stops."""
_LINES = 15
"""Lines of a log to show."""
_OVER = ("COMPLETING",)
"""States of listed jobs that have ended."""


def require_slurm() -> None:
    """Check that the commands of Slurm are here.

    Raises:
        UsageError: one is not.
    """
    if missing := [name for name in COMMANDS if shutil.which(name) is None]:
        raise UsageError(
            f"This machine has no {', '.join(missing)}, so it cannot submit jobs.",
            remedy="Run the command on a login node, or inside a job.",
        )


@dataclass
class WorkerJobs:
    """The jobs of one run."""

    folder: Path
    """Folder for the files and for the logs of jobs, which all nodes see; made when jobs are submitted."""
    files: Mapping[str, str]
    """Contents of the files in it, by name: `SCRIPT`, and what it needs."""
    name: str
    """Name of the jobs, which no other run uses."""
    wanted: int
    """Number of jobs to have in the queue or running."""
    workers: Callable[[], Iterable[str]]
    """Returns the names of the workers that the scheduler has now."""
    _known: set[str] = field(default_factory=set)
    """Jobs that were submitted and have not been seen to end."""
    _joined: set[str] = field(default_factory=set)
    """Jobs that have had a worker."""
    _living: set[str] = field(default_factory=set)
    """Jobs that had a worker at the last look."""
    _useless: list[str] = field(default_factory=list)
    """Jobs that ended without ever having a worker, since one had."""
    _refused: int = 0
    _pause: float = SOON
    _next: float = 0.0
    _answered: float = field(default_factory=time.monotonic)
    _said: str = ""

    def look(self) -> None:
        """Replace jobs that have ended. Called often; asks Slurm only now and then.

        Raises:
            ClusterError: Slurm refuses jobs or does not answer, or jobs end before they have a worker.
        """
        living = set(map(job_of, self.workers()))
        if living != self._living:
            self._pause, self._next = SOON, min(self._next, time.monotonic() + 1)
        if living - self._living:
            self._useless.clear()
        self._joined |= living
        self._living = living
        if time.monotonic() < self._next:
            return
        listed = self._listed()
        if listed is not None:
            self._note_ended(listed)
            if len(listed) < self.wanted:
                self._submit(self.wanted - len(listed), alone=not (listed or living))
            elif not living:
                self._tell(f"slurm: no worker yet; {_summary(listed)}")
        self._next = time.monotonic() + self._pause
        self._pause = min(2 * self._pause, LATER)

    def cancel(self) -> None:
        """Cancel all jobs of this run."""
        if self._known:
            call(["scancel", f"--user={os.getuid()}", f"--name={self.name}"])

    def _listed(self) -> dict[str, str] | None:
        """Return state and reason of the jobs in the queue or running, by id; None: Slurm does not answer."""
        user = f"--user={os.getuid()}"
        done = call(["squeue", "--noheader", "--array", user, f"--name={self.name}", "--format=%i %T %r"])
        if done.returncode:
            self._tell(f"slurm: squeue does not answer ({_words(done)}); trying again")
            if not self._living and time.monotonic() - self._answered > UNKNOWN:
                raise ClusterError(f"squeue does not answer ({_words(done)}), and there are no workers.")
            return None
        self._answered = time.monotonic()
        rows = (line.split(maxsplit=1) for line in done.stdout.splitlines() if line.strip())
        return {row[0]: row[1] for row in rows if not row[1].startswith(_OVER)}

    def _note_ended(self, listed: Iterable[str]) -> None:
        ended = sorted(self._known.difference(listed))
        self._known.difference_update(ended)
        useless = [job for job in ended if job not in self._joined]
        self._useless += useless
        if not self._living and len(self._useless) >= max(HOPELESS, self.wanted):
            raise ClusterError(
                f"The last {counted(len(self._useless), 'job')} ended before a worker was there. "
                f"{self._end_of_log(self._useless)}"
            )
        if useless:
            say(
                f"slurm: {counted(len(useless), 'job')} ended before a worker was there: {', '.join(useless[:5])}"
            )
        if used := [job for job in ended if job in self._joined]:
            say(f"slurm: {counted(len(used), 'job')} ended: {', '.join(used[:5])}")

    def _submit(self, number: int, alone: bool) -> None:
        """Submit jobs. A refusal counts only if there are neither jobs nor workers; the queue may be full."""
        self._write()
        # No option of the job that this process may be in, and no time limit that wins over the one in the script.
        foreign = ("SLURM_", "SBATCH_TIMELIMIT")
        own = {k: v for k, v in os.environ.items() if not k.startswith(foreign) or k == "SLURM_CONF"}
        # Here, and not in the script, no directive and no variable such as SBATCH_JOB_NAME gives them another name.
        options = ["--parsable", f"--job-name={self.name}", f"--array=1-{number}"]
        done = call(["sbatch", *options, str(self.folder / SCRIPT)], own)
        if done.returncode:
            self._refused = self._refused + 1 if alone else 0
            self._tell(f"slurm: sbatch refuses ({_words(done)})")
            if self._refused >= REFUSALS:
                raise ClusterError(f"sbatch refuses the jobs: {_words(done)}", self.folder / SCRIPT)
            return
        self._refused, self._said = 0, ""
        if not self._useless:  # else ever more slowly: a broken node would take one job after the other
            self._pause = SOON
        job = done.stdout.strip().partition(";")[0]
        self._known |= {f"{job}_{n}" for n in range(1, number + 1)}
        say(f"slurm: {counted(number, 'job')} submitted: {job}")

    def _write(self) -> None:
        """Write the files, once. Not through `files`, which would also write to an object store."""
        if not self._known and not self._joined:
            self.folder.mkdir(parents=True, exist_ok=True)
            for name, text in self.files.items():
                (self.folder / name).write_text(text, encoding="utf-8")

    def _end_of_log(self, jobs: list[str]) -> str:
        """Return the end of the last log that says something."""
        for job in reversed(jobs):
            array, _, number = job.partition("_")
            path = self.folder / OUTPUT.replace("%A", array).replace("%a", number)
            with suppress(OSError):
                if lines := path.read_text(encoding="utf-8", errors="replace").splitlines()[-_LINES:]:
                    return f"{path} ends:\n" + "".join(f"  {line}\n" for line in lines)
        return f"They left no log in {self.folder}."

    def _tell(self, text: str) -> None:
        """Print a line, unless it was the last one."""
        if text != self._said:
            self._said = text
            say(text)


def call(command: list[str], environment: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run a command of Slurm. If it does not come back, that is an exit status too."""
    try:
        return subprocess.run(
            command, capture_output=True, text=True, timeout=ANSWER, check=False, env=environment
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return subprocess.CompletedProcess(command, 1, "", str(error))


def _words(done: subprocess.CompletedProcess[str]) -> str:
    return " ".join((done.stderr or done.stdout).split())[-500:] or f"exit status {done.returncode}"


def _summary(listed: dict[str, str]) -> str:
    """Count jobs by state and reason."""
    kinds = sorted(listed.values())
    return ", ".join(f"{counted(kinds.count(kind), 'job')} {kind.lower()}" for kind in dict.fromkeys(kinds))
