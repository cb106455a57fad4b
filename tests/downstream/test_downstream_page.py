import base64
import io
import re
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from matplotlib.image import imread

from spectralearth_build.downstream import page, pictures, prediction_maps
from spectralearth_build.downstream.grid_config import GridConfig
from spectralearth_build.downstream.results import collect, curves, shown
from spectralearth_build.downstream.run import CELLS
from spectralearth_build.labels.classes import IGNORE
from spectralearth_build.report.maps import Theme
from tests.support.downstream_results import CLASSES, TREE, made
from tests.support.html_reader import Reader

PUBLISHED = [{"task": "NLCD", "encoder": "Theirs", "initialisation": "MoCo", "protocol": "frozen", "value": 0.123,
              "source": "A paper, table 9"}]  # fmt: skip


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    out = tmp_path_factory.mktemp("page")
    config, cells = made(out, published=PUBLISHED)
    (out / CELLS / cells[0].key / "result.json").unlink()
    (out / CELLS / cells[0].key / "failed.json").write_text(
        '{"error_class": "UsageError", "message": "Found <b>nothing</b>."}'
    )
    results, files = page.write(config, cells, out, CLASSES)
    text = (out / page.PAGE).read_text(encoding="utf-8")
    return SimpleNamespace(config=config, cells=cells, out=out, results=results, files=files, text=text)


@pytest.fixture(scope="module")
def read(bench):
    return Reader(bench.text)


def test_the_page_is_well_formed_and_loads_nothing(bench, read):
    assert not read.open
    assert "http:" not in bench.text
    assert "https:" not in bench.text
    for _, name, value in read.attributes:
        if name in ("src", "href", "xlink:href"):
            assert value.startswith(("data:image/png;base64,", "#"))


def test_texts_of_users_are_escaped(bench, read):
    words = " ".join(" ".join(read.text).split())
    assert "Made <results>" in words
    assert "UsageError: Found <b>nothing</b>." in words
    assert "<b>nothing" not in bench.text


def test_the_page_tells_all(bench, read):
    words = " ".join(" ".join(read.text).split())
    for said in ("100 % of the labels", "10 % of the labels", "107", "Theirs (published, theirs)", "12.3",
                 "A paper, table 9", "1 of 4 classes have no label in train", "corine.resnet-18-moco.frozen.10pct.s0",
                 "Pretrained against random weights", "Label fractions"):  # fmt: skip
        assert said in words


@pytest.mark.slow
def test_without_published_numbers_it_says_so(tmp_path):
    config, cells = made(tmp_path, grid=[{"seeds": [0], "protocols": ["frozen"]}])
    page.write(config, cells, tmp_path, CLASSES)
    assert "the configuration lists none" in (tmp_path / page.PAGE).read_text()
    assert "No published numbers are listed" in (tmp_path / page.TABLES).read_text()


def test_nothing_done_yet_gives_a_page_too(tmp_path):
    config, cells = made(tmp_path, grid=[{"seeds": [0]}])
    for job in cells:
        (tmp_path / CELLS / job.key / "result.json").unlink()
        (tmp_path / CELLS / job.key / "predictions.npz").unlink(missing_ok=True)
    results, files = page.write(config, cells, tmp_path, CLASSES)
    assert set(results["status"]) == {"missing"}
    assert not [path for path in files if path.suffix == ".png"]
    Reader((tmp_path / page.PAGE).read_text())


def test_all_files_are_there(bench):
    assert all(path.is_file() for path in bench.files)
    assert {path.name for path in bench.files if path.suffix == ".png"} == {
        "protocols-100-of-the-labels.png", "protocols-10-of-the-labels.png", "convergence-100-of-the-labels.png",
        "convergence-10-of-the-labels.png", "label-fractions.png", "maps-nlcd.png",
    }  # fmt: skip
    pd.testing.assert_frame_equal(pd.read_parquet(bench.out / page.RESULTS), bench.results)


@pytest.mark.slow
def test_pictures_of_an_earlier_configuration_go(tmp_path):
    config, cells = made(tmp_path)
    folder = tmp_path / page.PICTURES
    page.write(config, cells, tmp_path, CLASSES)
    (folder / "mine.txt").touch()
    (folder / "kept").mkdir()
    (folder / "kept" / "mine.png").touch()
    config, cells = made(tmp_path, tasks=TREE["tasks"][:1], grid=[{"seeds": [0]}])
    _, files = page.write(config, cells, tmp_path, CLASSES)
    assert {*folder.glob("*.png")} == {path for path in files if path.suffix == ".png"}
    assert not (folder / "maps-nlcd.png").exists()
    assert (folder / "mine.txt").is_file()
    assert (folder / "kept" / "mine.png").is_file()


@pytest.mark.slow
def test_the_same_cells_give_the_same_bytes(bench, tmp_path):
    before = (bench.out / page.PAGE).read_bytes()
    page.write(bench.config, bench.cells, bench.out, CLASSES)
    assert (bench.out / page.PAGE).read_bytes() == before


def test_maps_are_the_saved_ones_in_the_colours_of_their_classes(bench):
    (panel,) = prediction_maps.panels(bench.config, bench.cells, bench.out, CLASSES)
    assert panel.names[:3] == ("moco, frozen", "moco, full", "moco, adapter")
    assert [each.name for each in panel.present] == [
        "Water",
        "Forest",
        "Crops",
    ]  # no snow, no pixels without a class
    shown_as = prediction_maps.for_page(panel)
    job = next(job for job in bench.cells if job.cell.task == "NLCD" and job.cell.fraction == 1)
    saved = np.load(bench.out / CELLS / job.key / "predictions.npz")
    image = pixels(shown_as["rows"][1]["pictures"][2])
    labelled = saved["truth"][1] != IGNORE
    for each in CLASSES["NLCD"][:3]:
        colour = [int(each.colour[k : k + 2], 16) for k in (1, 3, 5)]
        where = labelled & (saved["prediction"][1] == each.index)
        assert (image[where] == [*colour, 255]).all()
    assert (image[~labelled, 3] == 0).all()  # blank where there is no truth
    assert (pixels(shown_as["rows"][1]["pictures"][0])[..., :3] == saved["rgb"][1]).all()


def pixels(address):
    data = base64.b64decode(address.removeprefix("data:image/png;base64,"))
    return np.round(255 * imread(io.BytesIO(data), format="png")).astype(np.uint8)


def test_bars_are_as_high_as_the_means(bench):
    data = pictures.Data(
        bench.config, shown(bench.results, {"CORINE": "map_macro", "NLCD": "iou_micro"}), pd.DataFrame()
    )
    chart = next(one for one in pictures.bars(data, 1.0) if one.title == "NLCD")
    axes = Figure().add_subplot()
    chart.draw(axes, Theme())
    part = data.shown[(data.shown["task"] == "NLCD") & (data.shown["fraction"] == 1.0)]
    drawn = sorted(bar.get_height() for bar in axes.patches)
    assert drawn == pytest.approx(sorted(100 * part["mean"]))
    assert axes.get_ylim()[0] == 0
    assert axes.get_ylim()[1] > 100 * (part["mean"] + part["spread"]).max()


def test_shares_of_labels_lie_on_a_logarithmic_axis(bench):
    metrics = {"CORINE": "map_macro", "NLCD": "iou_micro"}
    data = pictures.Data(bench.config, shown(bench.results, metrics), curves(bench.cells, bench.out))
    axes = Figure().add_subplot()
    pictures.label_curves(data)[0].draw(axes, Theme())
    assert axes.get_xscale() == "log"
    assert [text.get_text() for text in axes.get_xticklabels()] == ["10", "100"]
    speed = Figure().add_subplot()
    pictures.convergence(data, 1.0)[0].draw(speed, Theme())
    assert all(len(line.get_xdata()) == 20 for line in speed.lines)


def test_each_kind_of_weights_has_a_colour_of_its_own():
    encoders = [{"name": "A", "network": "vit_s", "pretrained": {"moco": "x", "mine": "y", "yours": "z"}},
                {"name": "B", "network": "vit_s", "pretrained": {"theirs": "x"}}]  # fmt: skip
    tasks = [{"name": "T", "labels": "t", "task": "single"}]
    found = pictures.colours(GridConfig(dataset="d", tasks=tasks, encoders=encoders))
    assert list(found) == ["moco", "mine", "yours", "theirs", "random"]
    assert len(set(found.values())) == 5


def test_pictures_of_several_encoders_say_which(bench):
    encoders = (*bench.config.encoders, bench.config.encoders[0].model_copy(update={"name": "Other"}))
    data = pictures.Data(
        bench.config.model_copy(update={"encoders": encoders}), pd.DataFrame(), pd.DataFrame()
    )
    assert [title for _, _, title in data.pairs()][:2] == ["CORINE, ResNet-18", "CORINE, Other"]


def test_svg_has_no_colour_of_paper_in_it(bench):
    assert not re.search(r"#0[1-8]0[1-8]0[1-8]", bench.text)
    assert collect(bench.cells, bench.out)["status"].value_counts()["done"] == len(bench.cells) - 1
