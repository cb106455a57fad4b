"""Plays one cell of the matrix and lists what is wrong with how it ended."""

from __future__ import annotations

import re
import shutil
import subprocess
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock

from spectralearth_build.cli.codes import QUARANTINED, STOPPED
from spectralearth_build.files import PARTIAL
from tests.support.files import tree
from tests.support.matrix.calling import Ended, How, Server
from tests.support.matrix.conditions import CONDITIONS, Cell
from tests.support.matrix.outcomes import Key, codes
from tests.support.matrix.prepared import Prepared, copied
from tests.support.matrix.verbs import VERBS

_VERBS = (
    "Add Check Choose Close Copy Create Delete Download Fix Free Give Leave Look Make Mount Move Name Order Pass Raise "
    "Relax Remove Run See Is Set Stop Try Type Use Wait Write build repair"
)
ADVICE = re.compile(
    rf"(?:^|[.:;(] ?)(?:Or )?`?(?:{'|'.join(_VERBS.split())})\b", re.MULTILINE | re.IGNORECASE
)
"""A sentence that says what to do."""
HALFWAY = {"filling", "vanishing", *(name for name in CONDITIONS if name.startswith("Ctrl-C"))}
"""What stops work in the middle; after other refusals the same call is made again with --every-cell only."""
NEVER = ("Traceback", "lease report", "Exception ignored")
Tree = dict[str, str]


@dataclass(frozen=True)
class Reference:
    """A call with nothing in its way."""

    ended: Ended
    tree: Tree
    """What it wrote: hashes by path."""
    added: int
    """Bytes."""
    known: bool = True
    """False: it takes so long that it was not made, and nothing but the exit code is known of it."""


@dataclass
class Player:
    """Plays cells; several may share one, each with a server of its own."""

    prepared: Prepared
    every: bool = False
    """Whether slow verbs may take their time."""
    _references: dict[str, Reference] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)

    def play(self, key: Key, server: Server, folder: Path) -> list[str]:
        """Make the condition real, call, look, lift it, call again; what is wrong."""
        try:
            cell = self._cell(key.row, folder)
            reference = self._reference(key.row, server)
            cell.added, cell.moments = reference.added, reference.ended.moments
            with closing(CONDITIONS[key.condition](cell, key.place)) as condition:
                next(condition)
                ended, faults = self._first(key, cell, reference, server)
                over = next(condition, "over") is not None or ended.code == cell.verb.code
                half = self.every or key.condition in HALFWAY
                if half and reference.known and not over:
                    faults += self._again(cell, reference, server)
            return faults
        finally:
            _remove(folder)

    def _first(self, key: Key, cell: Cell, reference: Reference, server: Server) -> tuple[Ended, list[str]]:
        before, marks = _dataset(cell), self._marks(key.row)
        ended = _call(cell, server)
        allowed = codes(key)
        faults = [] if ended.code in allowed else [f"exit code {ended.code}, not {sorted(allowed)}"]
        faults += [f"says {word}" for word in NEVER if word in ended.said]
        if ended.code not in (0, reference.ended.code, STOPPED, QUARANTINED):
            words = " ".join(line.strip("│╭╮╰╯─ ") for line in ended.said.splitlines())
            if cell.guilty and not any(name in words for path in cell.guilty for name in _names(path)):
                faults.append(f"names none of {', '.join(map(str, cell.guilty))}")
            if not ADVICE.search(words) and "Usage:" not in words:
                faults.append("does not say what to do")
        if self._marks(key.row) != marks:
            faults.append("changed an input")
        if ended.code == reference.ended.code and reference.known:
            faults += _unlike(cell, reference)
        else:
            kept = _pixels(before) if ended.code == QUARANTINED else before
            then = reference.tree if ended.code == STOPPED else {}  # it may have got so far
            faults += _changed(kept, _dataset(cell), then)
        return ended, [f"{fault}\n{ended.said[-2000:]}" for fault in faults]

    def _again(self, cell: Cell, reference: Reference, server: Server) -> list[str]:
        ended = _call(cell, server)
        if ended.code != reference.ended.code:
            return [f"again: exit code {ended.code}, not {reference.ended.code}\n{ended.said[-2000:]}"]
        return [f"again: {fault}" for fault in _unlike(cell, reference)]

    def _cell(self, row: str, folder: Path) -> Cell:
        verb = VERBS[row]
        with self._lock:
            places = {name: self.prepared[name] for name in verb.reads}
        (folder / "target").mkdir(parents=True)
        places["out"] = folder / "target" / "out"
        if verb.changes:
            places[verb.changes] = copied(places[verb.changes], folder / places[verb.changes].name)
        return Cell(verb, folder, places)

    def _reference(self, row: str, server: Server) -> Reference:
        if VERBS[row].slow and not self.every:
            return Reference(Ended(VERBS[row].code, ""), {}, 0, known=False)
        if row not in self._references:
            folder = server.folder / f"{server.name}-reference"
            cell = self._cell(row, folder)
            size = _size(cell.target)
            ended = _call(cell, server)
            assert ended.code == cell.verb.code, f"{row} does not work: {ended}"
            self._references[row] = Reference(ended, _written(cell), _size(cell.target) - size)
            _remove(folder)
        return self._references[row]

    def _marks(self, row: str) -> dict[Path, tuple[int, ...]]:
        """What would tell that a prepared input was written to."""
        found = {}
        for name in VERBS[row].reads:
            place = self.prepared[name]
            for path in (place, *place.rglob("*")):
                if not path.is_file() or "work" in path.relative_to(place).parts:
                    continue
                stat = path.stat()
                found[path] = (stat.st_ino, stat.st_size, stat.st_mtime_ns)
        return found


def _names(path: Path) -> tuple[str, ...]:
    """What counts as naming a place: its path; of a file in an input, its name, or that of its product."""
    return (str(path), path.name, path.parent.name) if path.suffix else (str(path),)


def _call(cell: Cell, server: Server) -> Ended:
    temporary = cell.folder / "tmp"
    temporary.mkdir(exist_ok=True)
    environment = {"TMPDIR": str(temporary), "HOME": str(temporary), "XDG_CACHE_HOME": str(temporary)}
    how = How(cell.folder, cell.stdout, environment, cell.moment, cell.act)
    return server.call(cell.verb.arguments(cell.places), how)


def _dataset(cell: Cell) -> Tree:
    """The dataset that a verb changes, but for its folder of work."""
    if not cell.verb.changes:
        return {}
    place = cell.places[cell.verb.changes]
    with suppress(PermissionError):
        return tree(place)
    return {}


def _written(cell: Cell) -> Tree:
    """What a verb wrote, as far as its bytes are the same each time."""
    if cell.verb.changes:
        return _dataset(cell)
    folder, name = cell.places["out"].parent, cell.places["out"].name
    mine = {path: digest for path, digest in tree(folder, ()).items() if path.startswith(name)}
    kept = {
        name + "/" + path.relative_to(folder / name).as_posix()
        for each in cell.verb.same
        for path in (folder / name).glob(each)
    }
    alone = {path for path in mine if "/" not in path} if cell.verb.same else set()
    return {path: digest for path, digest in mine.items() if path in kept | alone and "/work/" not in path}


def _unlike(cell: Cell, reference: Reference) -> list[str]:
    if cell.verb.notes and cell.moved:
        return []
    found = _written(cell)
    wrong = sorted({p for p in {*found, *reference.tree} if found.get(p) != reference.tree.get(p)})
    left = sorted(p.name for p in cell.target.rglob(f"*{PARTIAL}"))
    return ([f"differs from an undisturbed call in {wrong[:5]}"] if wrong else []) + (
        [f"left {left[:5]}"] if left else []
    )


def _pixels(dataset: Tree) -> Tree:
    """What of a dataset may never change."""
    return {
        path: digest
        for path, digest in dataset.items()
        if path.startswith(("store.zarr/reflectance/c.", "commits/"))
    }


def _changed(before: Tree, after: Tree, then: Tree) -> list[str]:
    """What of a dataset is neither as it was nor as it would be in the end."""
    wrong = sorted(p for p, digest in before.items() if after.get(p) not in (digest, then.get(p, digest)))
    return [f"damaged the dataset: {wrong[:5]}"] if wrong else []


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _remove(folder: Path) -> None:
    for line in Path("/proc/self/mounts").read_text().splitlines():
        if (point := line.split()[1]).startswith(f"{folder}/"):
            subprocess.run(["umount", "-l", point], check=False)
    shutil.rmtree(folder)
