"""P1-P3, P9, P11: any sequence of additions, removals, crashes, stops, damage and repairs, against a dictionary."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
import zarr
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test

from spectralearth_build.checking.verify import verify
from spectralearth_build.cluster.inline import InlineExecutor
from spectralearth_build.errors import ArchiveError, PlanChangedError
from spectralearth_build.journal import plan_in_use
from spectralearth_build.layout import ROOT
from spectralearth_build.pipeline import Run
from spectralearth_build.tables import LOCATIONS, PATCHES, TILES
from tests.support.files import tree
from tests.support.small_archive import CONFIG, cube_of, run_stages, spec_of, write_tile

NUMBERS = range(1, 6)
OF_TILE = {spec_of(number).tile_id: number for number in NUMBERS}


class Crash(BaseException):
    """Nothing in the code can catch it."""


class Stopping(InlineExecutor):
    """Stops after so many tasks of cut."""

    def __init__(self, tasks):
        object.__setattr__(self, "workers", 1)
        object.__setattr__(self, "memory_limit", None)
        object.__setattr__(self, "tasks", tasks)

    def run(self, stage, function, tasks):
        for number, outcome in enumerate(super().run(stage, function, tasks)):
            if stage == "cut" and number == self.tasks:
                raise Crash
            yield outcome


class Histories(RuleBasedStateMachine):
    """What may happen to an archive and a dataset."""

    def __init__(self):
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.archive, self.dataset = self.folder / "archive", self.folder / "d"
        self.archive.mkdir()
        self.there: set[int] = set()
        """Tiles in the archive."""
        self.written: dict[str, tuple[int, str]] = {}
        """The model: row and hash of the pixels of every patch that was ever published."""

    def teardown(self):
        shutil.rmtree(self.folder)

    @rule(number=st.sampled_from(NUMBERS))
    def add_a_tile(self, number):
        if number not in self.there:
            write_tile(self.archive, number)
            self.there.add(number)

    @precondition(lambda self: len(self.there) > 1)
    @rule(data=st.data())
    def remove_a_tile(self, data):
        number = data.draw(st.sampled_from(sorted(self.there - self.pinned()) or [0]))
        if number:
            shutil.rmtree(self.archive / spec_of(number).product_id)
            self.there.remove(number)

    @precondition(lambda self: self.pinned())
    @rule(data=st.data())
    def miss_a_tile_of_the_plan(self, data):
        number = data.draw(st.sampled_from(sorted(self.pinned())))
        product = self.archive / spec_of(number).product_id
        product.rename(self.folder / "away")
        try:
            refusal = PlanChangedError if len(self.there) > 1 else ArchiveError
            with pytest.raises(refusal, match=spec_of(number).tile_id if len(self.there) > 1 else "empty"):
                run_stages(self.archive, self.dataset)
        finally:
            (self.folder / "away").rename(product)

    @precondition(lambda self: self.there)
    @rule(tasks=st.integers(0, 3))
    def run_some_shards(self, tasks):
        self.look(self.ended(Stopping(tasks)))

    @precondition(lambda self: self.there)
    @rule(call=st.integers(1, 160))
    def crash(self, call):
        calls = iter(range(1, call))

        def counted(real):
            def function(*args, **kwargs):
                if next(calls, None) is None:
                    raise Crash
                return real(*args, **kwargs)

            return function

        changes = {name: counted(getattr(os, name)) for name in ("replace", "fsync", "unlink", "mkdir")}
        with mock.patch.multiple(os, **changes):
            ended = self.ended(InlineExecutor())
        self.look(ended)

    @precondition(lambda self: self.there)
    @rule()
    def resume(self):
        run_stages(self.archive, self.dataset)
        self.check()

    @precondition(lambda self: self.published())
    @rule(data=st.data())
    def damage_and_repair(self, data):
        run_stages(self.archive, self.dataset)
        before = tree(self.dataset)
        path = self.dataset / data.draw(st.sampled_from(sorted(before)))
        original = path.read_bytes()
        changed = bytearray(original)
        changed[data.draw(st.integers(0, len(original) - 1))] ^= 1 << data.draw(st.integers(0, 7))
        path.write_bytes(changed)
        assert path.relative_to(self.dataset).as_posix() in {damage.path for damage in verify(self.dataset)}
        left = Run(self.dataset, CONFIG, InlineExecutor()).repair(self.archive)
        if left:  # only where it grew: its tables cannot be planned again at once
            assert len(json.loads((self.dataset / "plan.json").read_bytes() or b"{}")["generations"]) > 1 or (
                path.name == "plan.json"
            )
            path.write_bytes(original)
        assert tree(self.dataset) == before

    @precondition(lambda self: self.published())
    @rule()
    def verify_against_the_archive(self):
        assert verify(self.dataset, self.archive) == []

    def ended(self, executor):
        """Run; whether to the end."""
        with suppress(Crash):
            run_stages(self.archive, self.dataset, executor)
            return True
        return False

    def look(self, ended):
        if ended:
            self.check()
        elif self.published():
            assert verify(self.dataset) == []

    def check(self):
        """The dataset against the model and against the pixels that were put into the archive."""
        patches = PATCHES.read(self.dataset)
        assert set(patches["status"]) == {"written"}
        assert patches["patch_id"].is_unique
        statuses = TILES.read(self.dataset).set_index("tile_id")["status"]
        assert {OF_TILE[tile] for tile in statuses.index} == self.there
        places = LOCATIONS.read(self.dataset).set_index("location_id")
        stored = zarr.open_group(self.dataset / "store.zarr", mode="r")["reflectance"]
        now = {}
        for patch in patches.itertuples():
            place, number = places.loc[patch.location_id], OF_TILE[patch.tile_id]
            box = spec_of(number).box
            line, col = -place["lattice_row"] - box.line, place["lattice_col"] - box.col
            index = self.bands()[patch.tile_id]
            truth = cube_of(number)[index, line : line + 128, col : col + 128]
            assert np.array_equal(stored[patch.store_row], truth), patch.patch_id
            now[patch.patch_id] = patch.store_row, hashlib.sha256(truth.tobytes()).hexdigest()
        assert {name: now.get(name) for name in self.written} == self.written
        self.written = now

    def bands(self):
        return TILES.read(self.dataset).set_index("tile_id")["band_index"]

    def published(self):
        return (self.dataset / ROOT).exists()

    def pinned(self):
        """Tiles that must not vanish any more: those of a plan of which something was cut."""
        folder = plan_in_use(self.dataset)
        if folder is None:
            return set()
        known = json.loads((folder / "plan.json").read_bytes())["inputs"]["tiles"]
        return {OF_TILE[tile] for tile in known}


def test_any_history(every_point):
    run_state_machine_as_test(
        Histories,
        settings=settings(
            max_examples=100 if every_point else 5,
            stateful_step_count=20 if every_point else 9,
            deadline=None,
            derandomize=not every_point,
            print_blob=False,
            suppress_health_check=list(HealthCheck),
        ),
    )
