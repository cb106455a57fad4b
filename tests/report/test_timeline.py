"""The picture of a run."""

import numpy as np
import pytest
from PIL import Image

from spectralearth_build.errors import UsageError
from spectralearth_build.report.timeline import busy, draw_timeline
from spectralearth_build.runlog.reading import TaskSpan
from spectralearth_build.runlog.status import status_of
from tests.runlog.test_log import elsewhere


def test_busy_workers_are_counted_as_by_hand():
    rng = np.random.default_rng(2)
    began, seconds = rng.uniform(0, 100, 50), rng.uniform(0, 20, 50)
    spans = [TaskSpan("t", "w", b, s) for b, s in zip(began, seconds, strict=True)]
    moments = np.linspace(0, 120, 77)
    expected = [int(((began <= m) & (m < began + seconds)).sum()) for m in moments]
    assert busy(spans, moments).tolist() == expected


@pytest.mark.parametrize("workers", [1, 60])
def test_a_timeline_is_a_picture_with_ink(tmp_path, workers):
    now = elsewhere(tmp_path, workers=workers, tasks=300, over=300)
    path = tmp_path / "t.png"
    draw_timeline(status_of(tmp_path, now), path)
    pixels = np.asarray(Image.open(path).convert("RGB"))
    ink = (pixels == (0x2F, 0x6F, 0x9F)).all(axis=2)  # the bars of the first stage
    assert ink.any(axis=0).mean() > 0.5


def test_a_run_without_tasks_is_refused(tmp_path):
    now = elsewhere(tmp_path, over=0)
    with pytest.raises(UsageError, match="No task"):
        draw_timeline(status_of(tmp_path, now), tmp_path / "t.png")
