"""What must come of each cell: rules for whole conditions, and the cells that differ, each with the reason."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from spectralearth_build.cli.codes import DONE, NO_ANSWER, NO_SPACE, QUARANTINED, STOPPED, USAGE
from tests.support.matrix.conditions import AROUND, INPUT, TARGET
from tests.support.matrix.verbs import VERBS, Verb

FOLDERS = {
    "archive", "more", "one", "scanned", "planned", "published", "rescanned", "replanned", "damaged", "labelled"
}  # fmt: skip
"""Inputs that are folders."""
ARCHIVES = {"archive", "more"}
WHOLE = {"vanishing", "foreign", *AROUND}
"""Conditions under which a verb does its work, at least half of it."""


@dataclass(frozen=True)
class Key:
    """A cell of the matrix."""

    row: str
    condition: str
    place: str = ""
    """Of a condition of an input, which."""

    def __str__(self) -> str:
        return " | ".join(filter(None, (self.row, self.condition, self.place)))

    @property
    def verb(self) -> Verb:
        return VERBS[self.row]


def cells() -> Iterator[Key]:
    """Every cell, those that do not apply among them."""
    for row, verb in VERBS.items():
        for condition in INPUT:
            yield from (Key(row, condition, place) for place in verb.reads or ("",))
        yield from (Key(row, condition) for condition in (*TARGET, *AROUND))


def why_not(key: Key) -> str:
    """Why a cell does not apply; empty if it does."""
    verb = key.verb
    if key.condition in INPUT and not verb.reads:
        return "it reads nothing"
    if key.condition in TARGET and not (verb.makes or verb.changes):
        return "it writes nothing"
    if key.condition in TARGET and key.row in NO_TARGET:
        return NO_TARGET[key.row]
    if key.condition in ("vanishing", "foreign") and key.place == verb.changes:
        return "it writes there: see the conditions of the target"
    if key.condition == "unreadable file" and key.place not in FOLDERS:
        return "it is one file: see unreadable"
    if (key.condition.startswith("Ctrl-C") or key.condition == "vanishing") and key.row in AT_ONCE:
        return AT_ONCE[key.row]
    if (
        key.condition in ("empty", "wrong", "unmounted")
        and verb.command in ("build", "scan")
        and verb.changes == key.place
    ):
        return "a folder without a dataset is where a new one goes"
    return NOT.get((key.row, key.condition, key.place), "")


def by_default(key: Key) -> bool:
    """Whether a cell is played without --every-cell: all of the verbs that change a dataset, and all refusals.

    What lets a verb do all of its work is left to --every-cell where the verb changes nothing that is there, but for
    one condition of each kind; what is slow is only stopped at its start.
    """
    verb, condition = key.verb, key.condition
    if verb.slow:
        return condition not in WHOLE - {"Ctrl-C at the start"} and condition != "filling"
    if verb.long and condition in ({"no stdout", "full stdout"} if verb.changes else {"closed pipe"}):
        return False  # shorter verbs have them
    return bool(verb.changes) or verb.says or condition not in WHOLE - {"closed pipe", "Ctrl-C at the middle"}


NO_TARGET = {"downstream, list": "it only names its target"}
AT_ONCE = dict.fromkeys(
    ("unlock", "pretrain-template", "config template", "config show", "bench optimum", "split, lists",
     "tuples"),
    "it opens no file that Python sees, so there is no moment to name; test_start has Ctrl-C during imports",
)  # fmt: skip
NOT: dict[tuple[str, str, str], str] = {
    ("pair, drop", "filling", ""): "it makes more room than it needs",
    ("config show", "empty", "settings"): "a file without settings is a configuration",
}


def codes(key: Key) -> set[int]:
    """The exit codes that are right."""
    verb, condition = key.verb, key.condition
    if found := CODES.get((key.row, condition, key.place)):
        return found
    if condition == "vanishing":
        return {verb.code, USAGE, NO_ANSWER}
    if condition == "unreadable file" and key.place in ARCHIVES:
        return {QUARANTINED}
    if condition in ("empty", "wrong", "unmounted", "unreadable") and key.place in ARCHIVES:
        known = len(verb.reads) > 1  # by the dataset: then it is the archive that is away
        return {USAGE, NO_ANSWER} if known or condition.startswith("un") else {USAGE}
    if condition in ("foreign", "closed pipe", "no stdout"):
        return {verb.code}
    if condition == "full stdout":
        return {NO_SPACE} if verb.says else {verb.code}
    if condition.startswith("Ctrl-C"):
        return {STOPPED} if condition.endswith("start") and not verb.quick else {STOPPED, verb.code}
    if condition in ("full", "filling", "read-only mount"):
        return {NO_SPACE}
    return {USAGE}


CODES: dict[tuple[str, str, str], set[int]] = {
    ("repair", "unreadable file", "archive"): {DONE},  # it is not the file that is needed
    ("pair, drop", "full", ""): {DONE},  # it makes room before it writes
    ("verify", "unreadable file", "published"): {USAGE, NO_ANSWER},  # it could not be checked
    ("verify", "unreadable file", "archive"): {NO_ANSWER},
    ("scan, grown", "unreadable file", "published"): {DONE},  # it makes the table anew
    ("build, grown", "unreadable file", "published"): {DONE},
    ("plan, grown", "unreadable file", "rescanned"): {DONE},  # scan has laid a newer table beside it
    ("cut, grown", "unreadable file", "replanned"): {DONE},
}
"""Cells whose codes differ from the rules."""

OWED: dict[tuple[str, str, str], str] = {}
"""Cells that fail still, with who mends them."""
