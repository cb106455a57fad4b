from matplotlib.image import imread

from spectralearth_build.bench.planning.contest import Contest
from spectralearth_build.bench.planning.picture import draw


def test_it_is_drawn_without_a_sample_too_and_the_same_each_time(result, tmp_path):
    fast = Contest(result.components, result.runs[~result.runs["strategy"].str.startswith("Algorithm 1")])
    one, two = (draw(fast, tmp_path / name, {"seed": 0}).read_bytes() for name in ("1.png", "2.png"))
    assert one == two
    draw(result, tmp_path / "3.png", {"seed": 0})
    assert (imread(tmp_path / "1.png").shape, one) != (None, (tmp_path / "3.png").read_bytes())
