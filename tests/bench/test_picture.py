import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.image import imread

from spectralearth_build.bench.planning.contest import Contest
from spectralearth_build.bench.planning.picture import COLOURS, draw


def shows(path, colour):
    """Whether any pixel has a colour, as it is or as in the pale bars of estimates."""
    pixels = imread(path)[..., :3]
    looked_for = np.array(to_rgb(colour))
    return any(
        (np.abs(pixels - (alpha * looked_for + 1 - alpha)).max(axis=2) < 0.012).any() for alpha in (1, 0.6)
    )


@pytest.mark.slow
def test_it_is_drawn_without_a_sample_too_and_the_same_each_time(result, tmp_path):
    sampled = result.runs["strategy"].str.startswith("Algorithm 1")
    fast = Contest(result.components, result.runs[~sampled])
    one, two = (draw(fast, tmp_path / name, {"seed": 0}).read_bytes() for name in ("1.png", "2.png"))
    assert one == two
    draw(result, tmp_path / "3.png", {"seed": 0})
    present = set(result.runs["strategy"]) & set(COLOURS)
    only_sampled = set(result.runs["strategy"][sampled]) & set(COLOURS)
    assert only_sampled
    assert all(shows(tmp_path / "3.png", COLOURS[strategy]) for strategy in present)
    shown = {strategy for strategy in present if shows(tmp_path / "1.png", COLOURS[strategy])}
    assert shown == present - only_sampled
