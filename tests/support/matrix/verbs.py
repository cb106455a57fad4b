"""Every verb, and how to call it on small inputs.

In a line, ``{name}`` is a prepared input, ``{!name}`` one that the verb changes (a copy is made for each call), and
``{out}`` what it makes. `prepared` says what the names stand for.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import typer.main

from spectralearth_build.cli.app import app

_PLACE = re.compile(r"\{(!?)(\w+)\}")
_INLINE = "--scheduler inline"
# Train has one location, so a batch is one; with 32 pixels, its last map still has several to normalise over.
_TRAIN = " ".join(
    f"--set {each}"
    for each in ("train.batch=1", "train.log_steps=1", "train.precision=fp32", "encoder.name=resnet18",
                 "simclr.views.size=32", "objective=simclr", "train.steps=2", "train.device=cpu")
)  # fmt: skip


@dataclass(frozen=True)
class Verb:
    """One way to call a verb."""

    command: str
    """Its words in the application."""
    line: str
    """Its arguments."""
    same: tuple[str, ...] = ("**/*",)
    """Which files of what it writes have the same bytes each time."""
    code: int = 0
    """How it ends when nothing is in its way."""
    slow: bool = False
    """Whether a whole call takes more than a few seconds."""
    long: bool = False
    """Whether it takes a second or more, so that by default it is not let through to the end again and again."""
    says: bool = False
    """Whether what it prints is its result."""
    needs: str = "tiles.parquet"
    """A file that it needs of a dataset."""
    notes: bool = False
    """Whether what it makes notes where its inputs lie."""
    quick: bool = False
    """Whether it may end before it notices Ctrl-C."""

    @property
    def reads(self) -> tuple[str, ...]:
        """Names of its inputs."""
        return tuple(dict.fromkeys(name for _, name in _PLACE.findall(self.line) if name != "out"))

    @property
    def changes(self) -> str:
        """The input that it changes; empty if none."""
        return next((name for mark, name in _PLACE.findall(self.line) if mark), "")

    @property
    def makes(self) -> bool:
        """Whether it makes something new."""
        return "{out}" in self.line

    def arguments(self, places: Mapping[str, Path]) -> list[str]:
        """The words of a call."""
        line = _PLACE.sub(lambda found: str(places[found[2]]), self.line)
        return [*self.command.split(), *shlex.split(line)]


VERBS = {
    "demo": Verb("demo", f"{{out}} {_INLINE}", slow=True),
    "synthesize": Verb("synthesize", f"{{out}} --tiles 2 --size 64 {_INLINE}"),
    "synthesize footprints": Verb("synthesize", "{out} --tiles 2 --footprints-only", quick=True),
    "land-cover": Verb("land-cover", "{one} {out}", long=True),
    "build": Verb("build", f"{{archive}} {{out}} {_INLINE}", long=True),
    "build, grown": Verb("build", f"{{more}} {{!published}} {_INLINE}", long=True),
    "status": Verb("status", "{published}", says=True, needs="plan.json", quick=True),
    "scan": Verb("scan", f"{{archive}} {{out}} {_INLINE}"),
    "scan, grown": Verb("scan", f"{{more}} {{!published}} {_INLINE}"),
    "plan": Verb("plan", f"{{!scanned}} {_INLINE}"),
    "plan, grown": Verb("plan", f"{{!rescanned}} {_INLINE}"),
    "cut": Verb("cut", f"{{archive}} {{!planned}} {_INLINE}"),
    "cut, grown": Verb("cut", f"{{more}} {{!replanned}} {_INLINE}"),
    "verify": Verb("verify", f"{{published}} --archive {{archive}} {_INLINE}"),
    "repair": Verb("repair", f"{{!damaged}} --archive {{archive}} {_INLINE}"),
    "report": Verb("report", "{!published}", long=True),
    "tuples": Verb("tuples", "{published}", says=True, needs="tuples.parquet", quick=True),
    "tuples, map": Verb(
        "tuples", "{published} --map {out}.png", says=True, needs="tuples.parquet", quick=True
    ),
    "split": Verb("split", "{!published}", quick=True),
    "split, check": Verb("split", "--check {labelled}", quick=True),
    "split, lists": Verb("split", "--check --train {list} --test {list}", code=1),
    "split, export": Verb("split", "{labelled} --export {out}", needs="splits.parquet", quick=True),
    "split, import": Verb("split", "{!published} --import {splits}", quick=True),
    "pair": Verb("pair", f"{{!published}} --labels corine={{raster}}:2018 --classes corine19 {_INLINE}"),
    "pair, drop": Verb("pair", f"{{!labelled}} --drop corine {_INLINE}", quick=True),
    "export, webdataset": Verb("export", "{published} {out} --to webdataset"),
    "export, litdata": Verb("export", "{published} {out} --to litdata"),
    "export, geotiff": Verb("export", "{published} {out} --to geotiff"),
    "export, numpy": Verb("export", "{published} {out} --to numpy"),
    "export, hf": Verb("export", "{published} {out} --to hf"),
    "export, codec": Verb("export", f"{{published}} {{out}} --codec portable {_INLINE}"),
    "warm-up": Verb("warm-up", "", same=(), slow=True),
    "unlock": Verb("unlock", "{published}", code=2),
    "pretrain": Verb(
        "pretrain",
        f"{{labelled}} {{out}} {_TRAIN}",
        same=("encoder.safetensors",),
        long=True,
        needs="patches.parquet",
    ),
    "pretrain-template": Verb("pretrain-template", "", says=True),
    "embed": Verb(
        "embed",
        "{labelled} {encoder} --output {out}.parquet --batch 2 --device cpu",
        notes=True,
        needs="patches.parquet",
    ),
    "import-encoder": Verb(
        "import-encoder", "{weights} {out}.safetensors --statistics {labelled}", needs="statistics.json"
    ),
    "export-encoder, pt2": Verb("export-encoder", "{encoder} {out}.pt2 --edge 32", same=(), slow=True),
    "export-encoder, onnx": Verb("export-encoder", "{encoder} {out}.onnx --edge 32", same=(), slow=True),
    "evaluate": Verb(
        "evaluate",
        "{labelled} --labels corine --task single --head ridge --encoder {encoder} --size 64 --device cpu "
        "--output {out}",
        same=("predictions.npz",),
        needs="patches.parquet",
    ),
    "downstream": Verb(
        "downstream", f"{{toml}} {{out}} {_INLINE}", same=("cells/*/predictions.npz",), long=True
    ),
    "downstream, list": Verb("downstream", "{toml} {out} --dry-run", quick=True),
    "downstream, demo": Verb("downstream", f"{{out}} --demo {_INLINE}", slow=True),
    "config template": Verb("config template", "", says=True),
    "config show": Verb("config show", "--config {settings}", says=True),
    "bench plan": Verb("bench plan", "--tiles 2 --sample 1 --out {out}", same=()),
    "bench optimum": Verb("bench optimum", "--limit 1", slow=True, says=True),
    "bench cut": Verb("bench cut", "--edge 300 --rounds 1 --out {out}", same=(), slow=True),
    "bench build": Verb(
        "bench build", "--tiles 1 --edge 300 --rounds 1 --workers 1 --out {out}", same=(), slow=True
    ),
    "bench store": Verb("bench store", "--patches 1 --out {out}", same=(), slow=True),
    "bench load": Verb(
        "bench load",
        "--dataset {published} --rounds 1 --rows 100 --batches 10 --work {out}-work --out {out}",
        same=(),
        slow=True,
    ),
    "bench pretrain": Verb(
        "bench pretrain",
        "--cases 'simclr resnet18/1' --steps 1 --batch 1 --device cpu --out {out}",
        same=(),
        slow=True,
    ),
    "bench query": Verb(
        "bench query",
        "--dataset {published} --locations 100 --patches 200 --work {out}-work --out {out}",
        same=(),
        needs="patches.parquet",
        slow=True,
    ),
    "bench objects": Verb(
        "bench objects",
        "--dataset {published} --delays 0 --batches 1 --rounds 1 --work {out}-work --out {out}",
        same=(),
        needs="patches.parquet",
        slow=True,
    ),
    "bench start": Verb("bench start", "--tiles 2 --rounds 1 --out {out}", same=(), slow=True),
    "bench learn": Verb("bench learn", "--share 0.001 --work {out}-work --out {out}", same=(), slow=True),
}
"""The calls that the matrix makes, by the name of their row."""


def commands() -> Iterator[str]:
    """The words of every verb, as the application has them."""

    def walk(group: object, words: tuple[str, ...]) -> Iterator[str]:
        for name, command in group.commands.items():
            if hasattr(command, "commands"):
                yield from walk(command, (*words, name))
            elif not command.hidden:  # names of before run what has a row under its new name
                yield " ".join((*words, name))

    return walk(typer.main.get_command(app), ())
